"""Custom components: clickable tiles, the model, sliders, two images over each other, points, a brush, the page's link
and a memory for file names.

Plain JavaScript in Streamlit components v2, without build step or external files. The state is in the browser and is
sent to Python when the pointer is released; Python stores it by image, so that it survives reruns and page changes.

Sequences are passed as tuples: to find out whether a list is a table, Streamlit would import pandas.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image
from streamlit.delta_generator import DeltaGenerator

from dafnet_core.analysis.painting import ERASE, MAX_GROWTH, MAX_MOVE, Action, Reset, Reshape, Stroke
from dafnet_explorer.pictures import encoded
from dafnet_explorer.style import LARGEST, PLACES

FOLDER = Path(__file__).parent
MAX_STORED = 8  # images whose edits or warps are stored per session
MAX_POINTS = 20_000  # of all strokes on one image; more than manual drawing needs
POINTS_OF_RESHAPE = 100  # as many points of strokes a reshaped channel counts as, for its time
MAX_NAMES = 16  # that a tab remembers
LEVELS = 255
WIDE = 4096  # pixels: as wide as its place


def source(*names: str) -> str:
    """Concatenated scripts of this folder."""
    return "\n".join((FOLDER / f"{name}.js").read_text() for name in names)


@lru_cache(maxsize=8)
def component(name: str, *scripts: str) -> Callable[..., Any]:
    """The component of files NAME.html and NAME.js, with further scripts before its own."""
    return st.components.v2.component(
        f"dafnet_{name}",
        html=(FOLDER / f"{name}.html").read_text(),
        css=(FOLDER / "common.css").read_text(),
        js=source("common", *scripts, name),
    )


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, np.uint8)).decode()


def _grey(images: np.ndarray) -> str:
    """Intensities in [-1, 1] as bytes, black to white."""
    return _base64(((np.clip(images, -1, 1) + 1) / 2 * LEVELS).round())


def _state(key: str, owner: str) -> Mapping[str, Any] | None:
    """State of an image: the latest from the browser, or the stored one."""
    stored = st.session_state.setdefault(f"{key}-kept", {})
    latest = st.session_state.get(key, {}).get("state")
    if isinstance(latest, Mapping) and latest.get("owner") == owner:
        stored.pop(owner, None)
        stored[owner] = latest
        for oldest in list(stored)[:-MAX_STORED]:
            del stored[oldest]
    return stored.get(owner)


def room(kind: str, size: tuple[int, int], key: str) -> DeltaGenerator:
    """A container that has the space of a picture before the picture is drawn, so that what follows does not move.

    The digits of its size are classes of the container, by which style.css makes the space: an element that made it
    would itself come late.

    Args:
        kind: "picture", or the component, for which style.css knows how much stands below the picture.
        size: (width, height) of the picture in pixels, up to LARGEST; it is narrower where there is no space.
    """
    width, height = (min(length, LARGEST) for length in size)
    digits = (f"_{place}{digit}" for place, digit in zip(PLACES, f"{width:04}{height:04}", strict=True))
    return st.container(key=f"held-{kind}-{key}{''.join(digits)}")


def _pane(kind: str, shape: tuple[int, int], key: str, *, widest: int) -> DeltaGenerator:
    """`room` for a component whose picture (height, width) is scaled to `widest` pixels where there is space."""
    return room(kind, (widest, round(widest * shape[0] / shape[1])), key)


def tiles(
    picture: Image.Image, alt: str, marked: tuple[int, int] | None, *, key: str, on_change: Callable[[int, int], None]
) -> None:
    """A contact sheet whose tiles can be clicked.

    Args:
        picture: as `drawing.sheet` makes it.
        marked: row and column of the marked tile.
        on_change: called with row and column of a clicked tile, before the page reruns.
    """

    def clicked() -> None:
        tile = st.session_state[key].get("tile")
        if tile in ([r, c] for r, c, *_ in picture.info["tiles"]):
            on_change(*tile)

    data = {
        "picture": f"data:image/png;base64,{base64.b64encode(encoded(picture)).decode()}",
        "alt": alt,
        "tiles": tuple(picture.info["tiles"]),
        "size": picture.size,
        "marked": marked,
    }
    with _pane("tiles", picture.size[::-1], key, widest=WIDE):
        component("tiles")(key=key, on_tile_change=clicked, data=data)


def scrub(
    images: np.ndarray,
    labels: Sequence[str],
    frame: int,
    *,
    title: str,
    owner: str,
    key: str,
    on_change: Callable[[int], None] | None = None,
) -> None:
    """Frames that are selected in the browser, by dragging over the picture or with its slider.

    Args:
        images: (N, H, W) in [-1, 1].
        labels: one per frame.
        frame: the selected one.
        title: for screen readers.
        owner: identifies the frames.
        on_change: called with the frame that the user has moved to, before the page reruns; None where nothing depends
            on it.
    """
    n, height, width = images.shape
    if n != len(labels):
        raise ValueError(f"{len(labels)} labels for {n} frames; expected one per frame")

    def moved() -> None:
        chosen = st.session_state[key].get("frame")
        if on_change and chosen in range(n):
            on_change(int(chosen))

    data = {
        "owner": owner,
        "title": title,
        "frames": _grey(images),
        "labels": tuple(labels),
        "frame": frame,
        "told": on_change is not None,
        "height": height,
        "width": width,
    }
    with _pane("scrub", (height, width), key, widest=420):
        component("scrub")(key=key, on_frame_change=moved, data=data)


@dataclass(frozen=True)
class Block:
    """A block of the model's diagram: its name and shape, the tour's station, and its upper left corner."""

    name: str
    shape: str
    station: int
    x: int
    y: int


def model_diagram(blocks: Sequence[Block], *, aligned: bool, key: str) -> int | None:
    """The model as a diagram whose blocks are links; the station whose block was clicked, in the run after the click.

    Args:
        aligned: whether anatomies are aligned and fused.
    """
    told = component("model")(
        key=key, on_station_change=lambda: None, data={"blocks": tuple(vars(b) for b in blocks), "aligned": aligned}
    )
    return told.station if told.station in [b.station for b in blocks] else None


def copy_link(*, key: str) -> None:
    """A button that copies the address of the page, which holds its choices."""
    component("link")(key=key, width="content")


def compare(
    before: np.ndarray, after: np.ndarray, *, title: str, key: str, ends: tuple[str, str] = ("before", "after")
) -> None:
    """Two pictures over each other: the first left of a line that the user moves, the second right.

    Args:
        before, after: (H, W) in [-1, 1], or (H, W, 3) uint8; of one size.
        ends: what they are called below the line's ends.
    """
    height, width = after.shape[:2]
    data = {
        "title": title,
        "before": _base64(before) if before.ndim == 3 else _grey(before),
        "after": _base64(after) if after.ndim == 3 else _grey(after),
        "ends": ends,
        "height": height,
        "width": width,
    }
    with _pane("compare", (height, width), key, widest=WIDE):
        component("compare")(key=key, data=data)


def drag(
    fixed: np.ndarray,
    moving: np.ndarray,
    anatomy: np.ndarray,
    colours: Sequence[str | None],
    presets: Mapping[str, np.ndarray],
    *,
    titles: tuple[str, str],
    owner: str,
    key: str,
) -> np.ndarray:
    """Control points over a moving image; the warp is drawn in the browser while they are dragged.

    Args:
        fixed, moving: (H, W) images in [-1, 1].
        anatomy: (H, W) channel indices of the moving image.
        colours: of each channel; None is transparent.
        presets: offsets (K, 2) xy in [-1, 1] units by button: "predicted" (the initial ones), "identity", and
            "true" if known.
        titles: of the moving and of the fixed image.
        owner: identifies the two images.

    Returns:
        Current offsets (K, 2).
    """
    initial = np.asarray(presets["predicted"], np.float64)
    height, width = fixed.shape
    state = _state(key, owner)
    data = {
        "owner": owner,
        "titles": titles,
        "fixed": _grey(fixed),
        "moving": _grey(moving),
        "anatomy": _base64(anatomy),
        "colours": tuple(colours),
        "height": height,
        "width": width,
        "side": round(len(initial) ** 0.5),
        "state": None if state is None else _lists(state),
        "presets": {name: np.asarray(offsets, float).tolist() for name, offsets in presets.items()},
    }
    with _pane("drag", (height, width), key, widest=460):
        component("drag", "spline")(key=key, on_state_change=lambda: None, data=data)
    return initial if state is None else _offsets(state, initial)


def _lists(state: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name != "owner"}


def _offsets(state: Mapping[str, Any], initial: np.ndarray) -> np.ndarray:
    """Offsets from the browser; the initial ones if they are invalid."""
    try:
        offsets = np.array(state["now"], np.float64)
    except (KeyError, ValueError, TypeError):
        return initial
    return offsets if offsets.shape == initial.shape and np.isfinite(offsets).all() else initial


def paint(
    image: np.ndarray,
    labels: np.ndarray,
    channels: Sequence[tuple[str, str]],
    *,
    title: str,
    owner: str,
    key: str,
    start: int = 0,
) -> tuple[Action, ...]:
    """A brush over an anatomy, and buttons that grow, shrink and move the channel of the brush.

    Args:
        image: (H, W) in [-1, 1], under the anatomy.
        labels: (H, W) initial channel indices.
        channels: name and colour of each.
        title: for screen readers.
        owner: identifies the image and its labels.
        start: initial channel of the brush.

    Returns:
        Current actions, for `painting.paint` on the same labels.
    """
    height, width = labels.shape
    state = _state(key, owner)
    data = {
        "owner": owner,
        "title": title,
        "image": _grey(image),
        "labels": _base64(labels),
        "height": height,
        "width": width,
        "channels": tuple({"name": name, "colour": colour} for name, colour in channels),
        "start": start,
        "most": (MAX_GROWTH, MAX_MOVE),
        "state": None if state is None else _lists(state),
    }
    with _pane("paint", (height, width), key, widest=WIDE):
        component("paint", "reshape")(key=key, on_state_change=lambda: None, data=data)
    return () if state is None else actions_of(state, len(channels))


def actions_of(state: Mapping[str, Any], channels: int) -> tuple[Action, ...]:
    """Actions from the browser; none if they are not valid for these channels."""
    try:
        actions = tuple(_action(action) for action in state["actions"])
    except (KeyError, ValueError, TypeError):
        return ()
    points = sum(len(a.points) if isinstance(a, Stroke) else POINTS_OF_RESHAPE for a in actions)
    return actions if points <= MAX_POINTS and all(_is_valid(a, channels) for a in actions) else ()


def _action(given: Mapping[str, Any]) -> Action:
    if given["kind"] == "reset":
        return Reset()
    channel = int(given["channel"])
    if given["kind"] == "reshape":
        return Reshape(channel, *(int(given[name]) for name in ("grow", "dx", "dy")))
    return Stroke(channel, int(given["radius"]), tuple((int(x), int(y)) for x, y in given["points"]))


def _is_valid(action: Action, channels: int) -> bool:
    if isinstance(action, Reset):
        return True
    if isinstance(action, Stroke):
        return ERASE <= action.channel < channels and 0 <= action.radius <= LEVELS
    return (
        0 <= action.channel < channels
        and abs(action.grow) <= MAX_GROWTH
        and max(abs(action.dx), abs(action.dy)) <= MAX_MOVE
    )


def remember(names: Sequence[str] | None, key: str) -> None:
    """Keep names in the sessionStorage of the browser's tab, which outlives a reload and is in no link.

    Args:
        names: to keep from now on; None to keep what is there, and to ask for it.
    """
    component("remember")(
        key=key,
        on_names_change=lambda: None,
        data={"names": None if names is None else list(names), "asked": bool(remembered(key))},
    )


def remembered(key: str) -> tuple[str, ...]:
    """Names that the browser's tab had when the session began, at most MAX_NAMES; () before it has answered."""
    told = st.session_state.get(key, {}).get("names")
    return tuple(str(name) for name in told[:MAX_NAMES]) if isinstance(told, list) else ()
