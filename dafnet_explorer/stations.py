"""What a station of the tour is, and the parts of their texts that depend on the decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class Station:
    """One stop of the tour.

    Attributes:
        title: short.
        section: of the paper.
        text: two or three sentences for beginners.
        equation: LaTeX.
        picture: result of the equation on the selected slice.
        look: what to look for in it.
        deeper: pages that show more.
        note: where this app or the published code differs from the printed equation.
        found: what the picture's numbers say, in Markdown.
        asked: a question that they raise, with its answer; "" for none.
        two: whether it needs two modalities.
    """

    title: str
    section: str
    text: str
    equation: str
    picture: Callable[[], Image.Image]
    look: str
    deeper: tuple[str, ...]
    note: str = ""
    found: Callable[[], str] = str
    asked: str = ""
    two: bool = False


def decoder_text(decoder: str) -> tuple[str, str, str]:
    """Sentence, equation and note of a checkpoint's decoder, "film" or "spade"."""
    if decoder == "film":
        return (
            "Here, in FiLM, **z** scales and shifts whole feature maps F, by one number each.",
            r"\mathrm{FiLM}(F \mid \gamma, \beta) = F \odot \gamma + \beta",
            "",
        )
    return (
        "Here, in SPADE, **z** is the input, and **s** scales and shifts each position of the feature maps F.",
        r"\mathrm{SPADE}(F \mid \Gamma, \mathrm{B}) = \Gamma \odot \frac{F - \mu}{\sigma} + \mathrm{B}",
        " As in the published code, the factor is 1 + Γ, which starts as the identity.",
    )


def gathered(*lines: str) -> str:
    """Equations in LaTeX under one another."""
    return r"\begin{gathered}" + r" \\[4pt] ".join(lines) + r"\end{gathered}"
