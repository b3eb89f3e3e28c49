"""Pictures of moments, all of one size: chosen panels from a chosen point of view."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pasco_core.errors import ConfigError
from pasco_core.viz.moment import Moment
from pasco_core.viz.page import draw_header, draw_page, fit_layout, is_loud
from pasco_core.viz.panels import INSTANCES, SEMANTICS, SHOWS, available, check_scene, classes_present, make_panel
from pasco_core.viz.views import BIRDS_EYE, CAMERA, THIRD_PERSON, VIEWS, view_of

_ASPECTS = {THIRD_PERSON: 1.3, BIRDS_EYE: 1.1}
_HEADER_WIDTH = 1900  # pixels of a page with a header of full size
_SIZES = (160, 8192)


class MomentPainter:
    """Draws moments.

    Args:
        view: one of ``VIEWS``.
        shows: some of ``SHOWS``, a panel each; empty: whatever the first moment has.
        size: width and height of the pictures in pixels.
        one_legend: the legend of classes grows over the pictures and keeps its order, as a film needs it.
        supersample: rays per pixel along each axis.

    Raises:
        ConfigError: one of these is not as it must be.
    """

    def __init__(
        self, view: str = THIRD_PERSON, shows: Sequence[str] = (), size: tuple[int, int] = (1280, 720),
        one_legend: bool = False, supersample: int = 2,
    ) -> None:
        if view not in VIEWS:
            raise ConfigError(f"Expected the view to be one of {', '.join(VIEWS)}, got {view!r}")
        if unknown := [show for show in shows if show not in SHOWS]:
            raise ConfigError(f"Expected what is shown to be some of {', '.join(SHOWS)}, got {unknown[0]!r}")
        low, high = _SIZES
        if not all(low <= edge <= high for edge in size):
            raise ConfigError(f"Expected width and height to be {low} to {high} pixels, got {size[0]}x{size[1]}")
        self.size = size
        self._view, self._shows = view, tuple(dict.fromkeys(shows))
        self._one_legend, self._supersample = one_legend, supersample
        self._classes: frozenset[int] = frozenset()

    def __call__(self, moment: Moment) -> np.ndarray:
        """The picture (height, width, 3) uint8 of a moment.

        Raises:
            DataError: the moment does not have what is to be shown, or its parts do not fit together.
        """
        shows = self._shows or available(moment)
        if not self._shows:
            self._shows = shows
        notes: tuple[str, ...] = ()
        if moment.scene is not None:
            check_scene(moment.scene)
            notes = tuple(note for note in moment.scene.notes if is_loud(note))
            if self._one_legend:
                self._classes |= classes_present(moment.scene)
        scale = min(self.size[0] / _HEADER_WIDTH, 1.2)
        header = draw_header(moment.name, notes, self.size[0] - 2 * round(20 * scale), scale)
        with_swatches = bool({SEMANTICS, INSTANCES} & set(shows))
        layout = fit_layout(len(shows), self.size, self._aspect(moment), with_swatches, header.height)
        view = view_of(self._view, moment, layout.width, layout.height, self._supersample)
        panels = [make_panel(show, moment, view, self._classes) for show in shows]
        return draw_page(panels, layout, header, self.size)

    def _aspect(self, moment: Moment) -> float:
        """Width over height of the pictures."""
        if self._view == CAMERA and moment.image is not None:
            return moment.image.rgb.shape[1] / moment.image.rgb.shape[0]
        return _ASPECTS.get(self._view, 1.0)
