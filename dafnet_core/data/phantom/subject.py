"""One subject of any difficulty: what was drawn for it, and its shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dafnet_core.data.phantom.anatomy import Anatomy, Scar
from dafnet_core.data.phantom.difficulty import WIDE
from dafnet_core.data.phantom.draw import draw_anatomy, draw_scar, draw_sequence
from dafnet_core.data.phantom.shapes import heart, torso
from dafnet_core.data.phantom.signal import Sequence
from dafnet_core.data.phantom.wide_anatomy import View, WideAnatomy, WideScar
from dafnet_core.data.phantom.wide_draw import draw_view, draw_wide_anatomy, draw_wide_scar, draw_wide_sequence
from dafnet_core.data.phantom.wide_shapes import wide_heart, wide_torso


@dataclass(frozen=True)
class Subject:
    """Everything that is the same in all slices of a subject."""

    anatomy: Anatomy  # a WideAnatomy, and a WideScar below, where the difficulty is wide
    scar: Scar | WideScar | None
    sequence: Sequence
    view: View

    def torso(self, level: float, x: np.ndarray, y: np.ndarray) -> list[tuple[str, np.ndarray]]:
        """Everything around the heart, as `shapes.torso`; x and y in the anatomy's frame."""
        if isinstance(self.anatomy, WideAnatomy):
            return wide_torso(self.anatomy, level, x, y)
        return torso(self.anatomy, level, x, y)

    def heart(self, level: float, x: np.ndarray, y: np.ndarray, volume: float = 1.0) -> list[tuple[str, np.ndarray]]:
        """The heart in its fat, as `shapes.heart`; x and y in the anatomy's frame."""
        if isinstance(self.anatomy, WideAnatomy):
            assert not isinstance(self.scar, Scar)
            return wide_heart(self.anatomy, self.scar, level, x, y, volume)
        assert not isinstance(self.scar, WideScar)
        return heart(self.anatomy, self.scar, level, x, y, volume)


def draw_subject(seed: int, subject: int, difficulty: str) -> Subject:
    """What was drawn for a subject; the draws are cached, each by itself."""
    if difficulty == WIDE:
        return Subject(
            draw_wide_anatomy(seed, subject),
            draw_wide_scar(seed, subject),
            draw_wide_sequence(seed, subject),
            draw_view(seed, subject),
        )
    return Subject(
        draw_anatomy(seed, subject),
        draw_scar(seed, subject, difficulty),
        draw_sequence(seed, subject, difficulty),
        View(),
    )
