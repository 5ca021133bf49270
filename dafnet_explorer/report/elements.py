"""Elements of a self-contained HTML page; all texts are escaped."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from dafnet_core.drawing import grey, png

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1a1a1a; --line: #dcdfe4; }
@media screen and (prefers-color-scheme: dark) { :root { --paper: #0e1117; --ink: #f2f2f2; --line: #3a3f4a; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 960px; margin: auto; padding: 1rem; }
p, code { overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 0.5rem 0 1rem; }
img { max-width: 100%; height: auto; vertical-align: top; }
table { border-collapse: collapse; font-size: 0.875rem; }
th, td { border: 1px solid var(--line); padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; }
.scrub { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top; width: 192px; }
.scrub img { display: none; width: 192px; image-rendering: pixelated; }
.scrub input { width: calc(100% / var(--steps) - 1px); margin: 0; accent-color: #0072b2; }
.scrub b, .scrub output { display: block; font-weight: 400; font-size: 0.875rem; }
.scrub output { display: none; }
SHOWN
@media screen and (max-width: 640px) { img { max-width: none; width: 820px; } }
@media print { .wide { overflow: visible; } h2, h3 { break-after: avoid; } img, tr { break-inside: avoid; } }
"""
MOST_STEPS = 9  # of a scrubber
# a radio button a step: each shows its picture, and the keys of arrows go through them, all without a script
_SHOWN = "\n".join(
    f".scrub input:nth-of-type({n}):checked ~ img:nth-of-type({n}), "
    f".scrub input:nth-of-type({n}):checked ~ output:nth-of-type({n}) {{ display: block; }}"
    for n in range(1, MOST_STEPS + 1)
)
STYLE = STYLE.replace("SHOWN", _SHOWN)
# the policy prevents a hostile checkpoint's text from loading anything
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>
{body}
</main></body></html>
"""


def document(title: str, parts: Sequence[str]) -> str:
    """A whole page of HTML parts; the title is text."""
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(parts))


def picture(made: Image.Image, alt: str, about: Mapping[str, Any]) -> str:
    """A picture inside the page; `about` is written into its PNG."""
    data = base64.b64encode(png(made, about)).decode()
    size = f'width="{made.width}" height="{made.height}"'
    return scrolling(f'<img {size} alt="{escape(alt)}" src="data:image/png;base64,{data}">', alt)


def scrubber(title: str, name: str, images: np.ndarray, labels: Sequence[str]) -> str:
    """Pictures of one size of which one is shown, chosen by its radio button; needs no script.

    Args:
        title: shown above, and for screen readers.
        name: of the group of buttons, unique in the page.
        images: (n, H, W) in [-1, 1], at most MOST_STEPS.
        labels: one a picture, shown below it.
    """
    if not 1 <= len(images) <= MOST_STEPS or len(labels) != len(images):
        raise ValueError(f"{len(images)} pictures, {len(labels)} labels; expected 1 to {MOST_STEPS}, one label each")
    middle = len(images) // 2
    buttons = "".join(
        f'<input type="radio" name="{escape(name)}" aria-label="{escape(f"{title}: {label}")}"'
        f"{' checked' if n == middle else ''}>"
        for n, label in enumerate(labels)
    )
    shown = "".join(
        f'<img alt="{escape(f"{title}: {label}")}" src="data:image/png;base64,'
        f'{base64.b64encode(png(Image.fromarray(grey(image)[..., 0]))).decode()}"><output>{escape(label)}</output>'
        for image, label in zip(images, labels, strict=True)
    )
    return f'<div class="scrub" style="--steps: {len(images)}"><b>{escape(title)}</b>{buttons}{shown}</div>'


def paragraph(text: str) -> str:
    """One paragraph of text."""
    return f"<p>{escape(text)}</p>"


def scrolling(inner: str, label: str) -> str:
    """A box that scrolls horizontally, also by keyboard."""
    return f'<div class="wide" role="region" tabindex="0" aria-label="{escape(label)}">{inner}</div>'


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table with one row for each of `rows`; empty columns are left out."""
    names = dict.fromkeys(name for row in rows for name, value in row.items() if value != "")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(as_text(row.get(name, '')))}</td>" for name in names) + "</tr>\n" for row in rows
    )
    return scrolling(f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>", " and ".join(names))


def as_text(value: Any) -> str:
    """A cell: strings unchanged, floats with three decimals, n/a for None, other values as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "n/a"
    return f"{value:.3f}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
