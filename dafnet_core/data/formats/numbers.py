"""Convert stored numbers to float32 values or int32 labels, chunk by chunk."""

from collections.abc import Callable

import numpy as np

from dafnet_core.data.formats.scan import MAX_LABELS, ReadError

NOT_FINITE = "values that were not finite (NaN or infinite)"  # in a note
CHUNK = 1 << 20  # values converted at a time, so that float64 intermediates stay small


def fill(target: np.ndarray, numbers: Callable[[int], np.ndarray]) -> None:
    """Fill target, an array or view in the order of storage, with what numbers(count) gives in that order."""
    if target.size <= CHUNK:
        _put(target, numbers(target.size).reshape(target.shape))
        return
    step = max(1, CHUNK // target[0].size)
    for start in range(0, len(target), step):
        fill(target[start] if step == 1 else target[start : start + step], numbers)


def _put(target: np.ndarray, values: np.ndarray) -> None:
    if target.dtype == np.int32:
        target[...] = as_labels(values)
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # beyond float32 becomes Inf, which tidy() replaces
            target[...] = magnitude(values)


def magnitude(values: np.ndarray) -> np.ndarray:
    """The absolute value of complex numbers; other numbers as they are."""
    return np.abs(values) if values.dtype.kind == "c" else values


def as_labels(values: np.ndarray) -> np.ndarray:
    """Check that values are labels, whole numbers from 0 up, and give them as int32.

    Raises:
        ReadError: complex, fractional, negative or huge values.
    """
    if values.dtype.kind == "c":
        raise ReadError("its values are complex numbers; a mask holds whole numbers, one per class.")
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            whole = np.rint(values)
            wrong = ~(np.abs(values - whole) <= 1e-4)  # written so that NaN is wrong too
        if wrong.any():
            raise ReadError(
                f"it holds values such as {values[wrong][0]:.4g}: probabilities or an image, not labels. "
                "Threshold it to whole numbers first (0 is background)."
            )
        values = whole
    if values.dtype.kind == "b":
        return values.astype(np.int32)
    if values.min() < 0:
        raise ReadError(
            f"it holds negative labels ({values.min():.0f}); labels are 0 for background and whole "
            "numbers above. Map them first."
        )
    if values.max() > np.iinfo(np.int32).max:
        raise ReadError(f"it holds values up to {values.max():.4g}, too large for labels.")
    return values.astype(np.int32)


def check_labels(values: np.ndarray) -> list[int]:
    """List the distinct labels of a contiguous int32 stack.

    Raises:
        ReadError: more than MAX_LABELS of them, as images and smoothed masks have.
    """
    flat, labels = values.reshape(-1), set()
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        edges = part[1:][part[1:] != part[:-1]]  # masks are piecewise constant: few edges, a quick count
        labels |= {int(part[0]), *np.unique(edges).tolist()}
        if len(labels) > MAX_LABELS:
            raise ReadError(
                f"it holds more than {MAX_LABELS} different values, as an image or a smoothed mask does. "
                "Export the labels without smoothing, as PNG or NIfTI."
            )
    return sorted(labels)


def tidy(values: np.ndarray) -> list[str]:
    """Make a contiguous float32 stack finite, in place.

    NaN and -Inf become the smallest finite value, +Inf the largest.

    Returns:
        Notes on what was replaced, and on constant stacks.

    Raises:
        ReadError: no finite value at all.
    """
    notes: list[str] = []
    flat = values.reshape(-1)
    low, high = float(flat.min()), float(flat.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        low, high = _finite_range(flat)
        replaced = 0
        for start in range(0, flat.size, CHUNK):
            part = flat[start : start + CHUNK]
            replaced += int((~np.isfinite(part)).sum())
            np.nan_to_num(part, copy=False, nan=low, posinf=high, neginf=low)
        notes.append(f"{replaced} {NOT_FINITE} were replaced by the smallest or largest finite value.")
    if low == high:
        notes.append(f"All values are the same ({low:.6g}): there is nothing to see.")
    return notes


def _finite_range(flat: np.ndarray) -> tuple[float, float]:
    lows, highs = [], []
    for start in range(0, flat.size, CHUNK):
        part = flat[start : start + CHUNK]
        part = part[np.isfinite(part)]
        if part.size:
            lows.append(part.min())
            highs.append(part.max())
    if not lows:
        raise ReadError("not one of its values is a finite number; the file holds no picture.")
    return float(min(lows)), float(max(highs))


def grey(colour: np.ndarray, mask: bool, ybr: bool = False) -> tuple[np.ndarray, bool]:
    """Turn (rows, columns, 3) colours into (rows, columns) grey values by luminance (ITU-R BT.601).

    Args:
        colour: red, green and blue; or with ybr luminance, which is the answer then, and two chromas.
        mask: whether the values are labels.

    Returns:
        The grey values (the common value, unrounded, where the three channels are equal), and whether there
        was any colour.

    Raises:
        ReadError: mask is set and there are colours.
    """
    red, green, blue = (colour[..., channel] for channel in range(3))
    if ybr:
        none = np.iinfo(colour.dtype).max // 2 + 1
        plain = bool((green == none).all() and (blue == none).all())
    else:
        plain = np.array_equal(red, green) and np.array_equal(green, blue)
    if plain:
        return red, False
    if mask:
        raise ReadError(
            "it is a colour picture, and which colour means which class is not known. "
            "Export the mask as grey or palette PNG, or as NIfTI."
        )
    if ybr:
        return red, True
    # In place, so that a large picture does not need several float32 copies at once.
    value = np.float32(0.299) * red
    value += np.float32(0.587) * green
    value += np.float32(0.114) * blue
    return value, True
