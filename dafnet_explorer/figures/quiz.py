"""The page Quiz: images of a question and of its answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from dafnet_core.analysis.quiz import Question
from dafnet_core.drawing import Theme, Tile, bars, coloured, grey, sheet, warp_lines
from dafnet_core.geometry import identity_pixels
from dafnet_explorer.figures.pixels import CHANGE_BAR, CHANGE_LIMIT, labels_map


def quiz_sheet(question: Question, theme: Theme) -> Image.Image:
    """A question: the image before and after, without any hint at the changed factor."""
    before, after = question.images
    return sheet([[Tile(grey(before), "before"), Tile(grey(after), "after")]], side=380, theme=theme)


def quiz_answer_sheet(question: Question, palettes: tuple[Sequence[str], Sequence[str]], theme: Theme) -> Image.Image:
    """The answer: images and their difference; anatomies and z before and after; the sampling grid of a warp.

    Args:
        palettes: a colour for each channel of the models of the image before and of the image after.
    """
    before, after = question.images
    change = coloured(question.change, -CHANGE_LIMIT, CHANGE_LIMIT, "RdBu_r")
    top: list[Tile | None] = [
        Tile(grey(before), "before"),
        Tile(grey(after), "after"),
        Tile(change, "after - before", bar=CHANGE_BAR),
    ]
    if question.displacement is not None:
        positions = identity_pixels(*before.shape) + question.displacement
        top.append(Tile(warp_lines(grey(before), positions), "sampling grid", f"{question.rms:.1f} pixels RMS"))
    when = ("before", "after")
    below: list[Tile | None] = [
        Tile(labels_map(s, colours), f"anatomy s {name}")
        for s, colours, name in zip(question.anatomies, palettes, when, strict=True)
    ]
    below += [
        Tile(bars(z, np.zeros_like(z), theme), f"z {name}", "-3 to 3") for z, name in zip(question.z, when, strict=True)
    ]
    return sheet([top, below], side=200, theme=theme)


def quiz_rows(question: Question) -> list[dict[str, str]]:
    """Effect of a question's change as rows of text; n/a with the reason."""
    q, two_models = question, "n/a: two models"
    d, distance = q.moved
    numbers = [
        ("mean absolute change inside the organs", "n/a: none found" if np.isnan(q.inside) else f"{q.inside:.3f}"),
        (
            "mean absolute change outside the organs",
            "n/a: nothing there" if np.isnan(q.outside) else f"{q.outside:.3f}",
        ),
        ("pixels whose channel changed", two_models if np.isnan(q.other_channel) else f"{q.other_channel:.1%}"),
        (
            "largest change in z",
            two_models if np.isnan(distance) else f"{distance:.2f}" + f" (z{d + 1})" * (distance > 0),
        ),
        ("displacement, RMS", f"{q.rms:.1f} pixels"),
        ("Dice of the masks of both re-encoded images", "n/a: none found" if np.isnan(q.dice) else f"{q.dice:.3f}"),
    ]
    return [{"measure": name, "value": value} for name, value in numbers]
