"""Which field of a cloud is the intensity, and how its values become KITTI's 0 to 1: one rule for every source."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pasco_core.errors import CloudError

INTENSITY_NAMES: tuple[str, ...] = (
    "intensity", "intensities", "i", "reflectivity", "reflectance", "remission", "scalar_intensity",
    "scalar_reflectance",
)
"""Field names taken as the intensity, first match wins; compared without regard to case."""

_UNIT, _BYTE, _WORD = 1.0, 255.0, 65535.0
_ABOVE_UNIT = 1.0 + 1e-3


def find_intensity(names: Iterable[str]) -> str | None:
    """The name among ``names`` that holds the intensity, spelled as given, or None.

    >>> find_intensity(["x", "y", "z", "ring", "Reflectivity"])
    'Reflectivity'
    """
    by_lower = {name.lower(): name for name in reversed(list(names))}
    return next((by_lower[alias] for alias in INTENSITY_NAMES if alias in by_lower), None)


def intensity_divisor(values: np.ndarray) -> float:
    """The number that brings ``values`` (N,) to 0 to 1.

    - 8- and 16-bit integers: the maximum of their type (uint8: 255, uint16: 65535, int8: 127, int16: 32767);
    - floats, booleans and wider integers: 1 while the largest finite value is at most 1. Drivers that write bytes or
      words into such fields are recognised by a larger one: up to 255 the divisor is 255, up to 65535 it is 65535,
      above that it is the largest value itself.

    The second rule looks at one cloud; a reader of a stream should decide once and pass the divisor on, so that the
    scale does not change from frame to frame.
    """
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        return float(np.iinfo(values.dtype).max)
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
    largest = float(finite.max()) if finite.size else 0.0
    if largest <= _ABOVE_UNIT:
        return _UNIT
    return next((limit for limit in (_BYTE, _WORD) if largest <= limit), largest)


def scale_intensity(values: np.ndarray, name: str, divisor: float | None = None) -> tuple[np.ndarray, str | None]:
    """Bring intensities to KITTI's scale, 0 to 1, which the networks were trained with.

    Negative values become 0; NaN and infinities stay, for the caller removes such points.

    Args:
        values: (N,) numbers of any integer or float type and byte order; not changed.
        name: the field's name in its source, for the note.
        divisor: what to divide by; by default ``intensity_divisor(values)``.

    Returns:
        (N,) float32, and a sentence that says what was done, or None where nothing was.

    Raises:
        CloudError: ``FIELD_MISSING`` where the values are no numbers.

    >>> scale_intensity(np.array([0, 255], np.uint8), "i")
    (array([0., 1.], dtype=float32), "intensity field 'i' uint8 scaled by 1/255")
    """
    if values.dtype.kind not in "iufb":
        raise CloudError(
            f"Expected intensity field '{name}' to hold integers or floats, got {values.dtype}", "FIELD_MISSING"
        )
    divisor = intensity_divisor(values) if divisor is None else divisor
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (values if divisor == _UNIT else values / divisor).astype(np.float32)
    negative = scaled < 0
    done = [f"scaled by 1/{divisor:.9g}"] if divisor != _UNIT else []
    if negative.any():
        scaled = np.where(negative, np.float32(0), scaled)
        done.append(f"{int(negative.sum())} negative values set to 0")
    return scaled, f"intensity field '{name}' {values.dtype.name} {', '.join(done)}" if done else None
