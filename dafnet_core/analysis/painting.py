"""Edits of an anatomy by hand: strokes of a brush, and organs that grow, shrink or move. Labels in, labels out.

`dafnet_explorer/components/paint.js` does the same in the browser, pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

ERASE = -1  # channel of a stroke that restores the original channel of its pixels
MAX_GROWTH = 16  # pixels that a channel may grow or shrink at once
MAX_MOVE = 32  # pixels that it may move at once, in x and in y


@dataclass(frozen=True)
class Stroke:
    """One stroke of a round brush.

    Attributes:
        channel: new channel of the pixels; ERASE restores the original one.
        radius: pixels; a pixel is painted if its centre is at most this far from one of the points.
        points: (x, y) centres of the brush in pixels, whole numbers.
    """

    channel: int
    radius: int
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Reshape:
    """A channel that grows, shrinks or moves as a whole.

    Pixels that it leaves get the channel of the nearest pixel of another one. Beyond the image its border is
    continued, so an organ that is cut off there grows back when it moves inwards.

    Attributes:
        channel: of the anatomy.
        grow: pixels by which its outline moves outwards; inwards if negative.
        dx, dy: pixels by which it then moves to the right and down.
    """

    channel: int
    grow: int = 0
    dx: int = 0
    dy: int = 0


@dataclass(frozen=True)
class Reset:
    """Everything back to the original channels."""

    channel: int = ERASE


Action = Stroke | Reshape | Reset


def paint(labels: np.ndarray, actions: Sequence[Action], channels: int) -> np.ndarray:
    """Apply actions to an anatomy in order. Labels in, labels out, so the anatomy stays one-hot.

    Args:
        labels: (H, W) channel of each pixel.
        actions: earlier ones first; parts outside the image are ignored.
        channels: C.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: a channel that the model does not have, a negative radius, or a change of more than MAX_GROWTH or
            MAX_MOVE pixels.
    """
    labels = np.asarray(labels, np.uint8)
    painted = labels.copy()
    for action in actions:
        if isinstance(action, Reset):
            painted = labels.copy()
        elif isinstance(action, Reshape):
            painted = _reshaped(painted, action, channels)
        else:
            _stroke(painted, labels, action, channels)
    return painted


def _stroke(painted: np.ndarray, labels: np.ndarray, stroke: Stroke, channels: int) -> None:
    """Apply a stroke to `painted` in place; `labels` are the original ones."""
    if not ERASE <= stroke.channel < channels or stroke.radius < 0:
        raise ValueError(
            f"a stroke of channel {stroke.channel}, radius {stroke.radius}; expected a channel from 0 to "
            f"{channels - 1} or {ERASE}, and a radius from 0 on"
        )
    height, width = painted.shape
    for x, y in stroke.points:
        top, left = max(y - stroke.radius, 0), max(x - stroke.radius, 0)
        rows, columns = np.ogrid[top : min(y + stroke.radius + 1, height), left : min(x + stroke.radius + 1, width)]
        inside = (rows - y) ** 2 + (columns - x) ** 2 <= stroke.radius**2
        box = (slice(top, top + inside.shape[0]), slice(left, left + inside.shape[1]))
        painted[box][inside] = labels[box][inside] if stroke.channel == ERASE else stroke.channel


def _reshaped(labels: np.ndarray, change: Reshape, channels: int) -> np.ndarray:
    """An anatomy after a channel was reshaped, (H, W) uint8."""
    if (
        not 0 <= change.channel < channels
        or abs(change.grow) > MAX_GROWTH
        or max(abs(change.dx), abs(change.dy)) > MAX_MOVE
    ):
        raise ValueError(
            f"{change}; expected a channel from 0 to {channels - 1}, a growth of at most {MAX_GROWTH} pixels and a "
            f"move of at most {MAX_MOVE}"
        )
    if change.grow:
        labels = _grown(labels, change.channel, change.grow)
    return _moved(labels, change.channel, change.dx, change.dy) if change.dx or change.dy else labels


def _grown(labels: np.ndarray, channel: int, pixels: int) -> np.ndarray:
    inside = labels == channel
    if pixels < 0:
        return _left(labels, inside, inside, pixels**2)
    return np.where(_near(inside, pixels**2), np.uint8(channel), labels)


def _moved(labels: np.ndarray, channel: int, dx: int, dy: int) -> np.ndarray:
    inside = labels == channel
    moved = _shifted(inside, -dx, -dy)
    without = _left(labels, inside & ~moved, inside, dx**2 + dy**2)
    return np.where(moved, np.uint8(channel), without)


def _left(labels: np.ndarray, where: np.ndarray, inside: np.ndarray, limit: int) -> np.ndarray:
    """Give pixels the channel of the nearest pixel that is not `inside`, if it is near enough.

    Args:
        where: (H, W) bool, the pixels.
        limit: largest squared distance.
    """
    filled, open_pixels = labels.copy(), where.copy()
    for dx, dy in _offsets(limit):
        found = open_pixels & ~_shifted(inside, dx, dy)
        filled[found] = _shifted(labels, dx, dy)[found]
        open_pixels &= ~found
        if not open_pixels.any():
            break
    return filled


def _near(inside: np.ndarray, limit: int) -> np.ndarray:
    """Pixels at a squared distance of at most `limit` from one that is inside, (H, W) bool."""
    near = inside.copy()
    for dx, dy in _offsets(limit):
        near |= _shifted(inside, dx, dy)
    return near


def _shifted(values: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """Each pixel's neighbour (x + dx, y + dy) of (H, W); beyond the border that of the border."""
    height, width = values.shape
    rows, columns = np.arange(height) + dy, np.arange(width) + dx
    return values[np.clip(rows, 0, height - 1)[:, None], np.clip(columns, 0, width - 1)]


@lru_cache(maxsize=32)
def _offsets(limit: int) -> tuple[tuple[int, int], ...]:
    """All (dx, dy) with a squared length of at most `limit`, the shortest first, then by dy and dx."""
    reach = range(-int(limit**0.5), int(limit**0.5) + 1)
    found = [(dx * dx + dy * dy, dy, dx) for dy in reach for dx in reach if 0 < dx * dx + dy * dy <= limit]
    return tuple((dx, dy) for _, dy, dx in sorted(found))
