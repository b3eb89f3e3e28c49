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

    The second rule looks at one cloud; a reader of a stream uses an ``IntensityScale``, so that the scale does not
    change from frame to frame.
    """
    if _type_decides(values):
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
    _check_numbers(values, name)
    divisor = intensity_divisor(values) if divisor is None else divisor
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = (values if divisor == _UNIT else values / divisor).astype(np.float32)
    negative = scaled < 0
    done = [f"scaled by 1/{divisor:.9g}"] if divisor != _UNIT else []
    if negative.any():
        scaled = np.where(negative, np.float32(0), scaled)
        done.append(f"{int(negative.sum())} negative values set to 0")
    return scaled, f"intensity field '{name}' {values.dtype.name} {', '.join(done)}" if done else None


class IntensityScale:
    """One scale for all clouds of a stream: the divisor that its values needed so far, which grows but never shrinks.

    A stream of floats that peak at 250, 260 and 250 is divided by 255 once and then by 65535, also where a later cloud
    alone would ask for 255 again. 8- and 16-bit integers have the divisor of their type and leave no trace here. An
    object belongs to one stream and one thread.

    >>> scale = IntensityScale()
    >>> scale.apply(np.array([51.0, 255.0]), "i")[0]
    array([0.2, 1. ], dtype=float32)
    >>> scale.apply(np.array([0.51]), "i")[0]
    array([0.002], dtype=float32)

    Args:
        maximum: the value that means full intensity, where it is known; values above it become 1.
    """

    def __init__(self, maximum: float | None = None) -> None:
        self._maximum = maximum
        self._divisor: float | None = None

    def apply(self, values: np.ndarray, name: str) -> tuple[np.ndarray, str | None]:
        """``scale_intensity`` with the stream's divisor; where that had to grow, the note also tells what it was."""
        _check_numbers(values, name)
        if self._maximum is not None:
            scaled, note = scale_intensity(values, name, self._maximum)
            return np.where(scaled > 1, np.float32(1), scaled), note  # NaN stays, for the caller removes such points
        if _type_decides(values):
            return scale_intensity(values, name)
        before = self._divisor
        self._divisor = max(intensity_divisor(values), before or _UNIT)
        scaled, note = scale_intensity(values, name, self._divisor)
        if before is not None and before != self._divisor:
            note = f"{note}, from now on; the clouds before were scaled by 1/{before:.9g}"
        return scaled, note


def _type_decides(values: np.ndarray) -> bool:
    """Whether the type alone tells the largest possible value."""
    return values.dtype.kind in "iu" and values.dtype.itemsize <= 2


def _check_numbers(values: np.ndarray, name: str) -> None:
    if values.dtype.kind not in "iufb":
        raise CloudError(
            f"Expected intensity field '{name}' to hold integers or floats, got {values.dtype}", "FIELD_MISSING"
        )
