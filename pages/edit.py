"""Edit: paint on the anatomy, change z, and see how image and mask respond."""

from dataclasses import replace

import numpy as np
import streamlit as st

from dafnet_core.analysis.decompose import channel_classes
from dafnet_core.analysis.editing import ERASE, Edit, edited, matching_channels, one_hot, paint
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import png
from dafnet_explorer import components, controls, provenance, results, sidebar
from dafnet_explorer.figures.downloads import npz, table_csv
from dafnet_explorer.figures.edit import edit_rows, edit_sheet
from dafnet_explorer.figures.pixels import anatomy_map, channel_colours
from dafnet_explorer.figures.texts import DECODERS, channel_titles

checkpoint, subject, found, kinds = sidebar.current()
theme = sidebar.theme()
classes, colours = checkpoint.config.classes, checkpoint.colours
drawn = channel_colours(kinds, colours)

st.title("Edit")
st.markdown("Find out how the image and its mask respond when you change the anatomy **s** by hand.")
st.caption(subject.title)
sidebar.say_domain(checkpoint, subject)
st.markdown(
    "Paint on the anatomy **s**: each pixel stays in exactly one channel. The decoder reconstructs an image from the "
    "edited anatomy, and the segmentor a mask. If content and style are disentangled, the image changes where you "
    "paint, and hardly anywhere else."
)
names = list(found.names)
with st.container(horizontal=True):
    chosen = st.segmented_control(
        "Anatomy and z of",
        names,
        default=names[0],
        required=True,
        key="edited",
        bind="query-params",
        help="Image whose anatomy is painted on and whose z is used at first",
    )
    other = controls.pick_other(checkpoint, "painted-with", needed=True)
i = names.index(chosen)
labels = found.s[i].argmax(0).astype(np.uint8)
truth = subject.truth.get(i)
titles = channel_titles(kinds, classes)
about = provenance.about(checkpoint, provenance.data_name(subject), modality=chosen)


def in_other(model: Checkpoint, strokes: tuple[components.Stroke, ...]) -> tuple[Edit, np.ndarray]:
    """The same strokes on another checkpoint's anatomy, and that anatomy afterwards as a picture."""
    theirs = results.taken_apart(model, subject)
    channels = model.config.channels
    match = matching_channels(found.s.argmax(1), theirs.s.argmax(1), channels)
    mapped = [
        replace(s, channel=ERASE if s.channel == ERASE else match[s.channel])
        for s in strokes
        if s.channel == ERASE or (s.channel < len(match) and match[s.channel] is not None)
    ]
    before = theirs.s[i].argmax(0).astype(np.uint8)
    after = paint(before, mapped, channels)
    drawn = channel_colours(channel_classes(theirs, len(classes)), colours)
    made = edited(model.model, before, after, theirs.z_mean[i], truth)
    return made, anatomy_map(one_hot(after, channels), drawn)


def downloads(rows: list[tuple[str, Edit, np.ndarray]], painted: np.ndarray, z: np.ndarray) -> None:
    """Buttons for the sheet of all models, and for arrays and pixels of checkpoint A, the first of `rows`."""
    mine = rows[0][1]
    with st.container(horizontal=True):
        controls.download("This sheet (PNG)", lambda: png(edit_sheet(rows, colours, theme), about), "dafnet-edit.png")
        arrays = {"s_before": labels, "s_after": painted, "z": z, "images": mine.images, "masks": mine.masks}
        controls.download("Arrays (NPZ)", lambda: npz(arrays, about), "dafnet-edit.npz")
        table = edit_rows(mine, titles)
        controls.download("Pixels (CSV)", lambda: table_csv(table, about), "dafnet-edit.csv")


@st.fragment
def work() -> None:
    left, right = st.columns([2, 3])
    with left:
        strokes = components.paint(
            found.images[i],
            labels,
            list(zip(titles, drawn, strict=True)),
            title=f"Anatomy of {chosen}",
            owner=f"{checkpoint.digest} {subject.digest} {chosen}",
            key="brush",
            start=max(range(len(kinds)), key=lambda c: (kinds[c] is not None, found.s[i, c].sum())),
        )
    with right:
        pictures = st.container()
    with st.expander("Move z", expanded=False):
        buttons = st.container()
        columns = st.columns(4)
        with buttons:
            z = controls.z_sliders(checkpoint, subject, found, i, columns)
    painted = paint(labels, strokes, checkpoint.config.channels)
    mine = edited(checkpoint.model, labels, painted, z, truth)
    s = one_hot(painted, checkpoint.config.channels)
    rows = [(DECODERS[checkpoint.config.decoder], mine, anatomy_map(s, drawn))]
    if other:
        rows.append((DECODERS[other[1].config.decoder], *in_other(other[1], strokes)))
    with pictures:
        with st.container(key="small_edit"):
            controls.image(
                edit_sheet(rows, colours, theme),
                "The painted anatomy, the image before and after, their difference, and the mask after",
            )
        st.markdown("**Effect of the edit**")
        shown = [
            ("pixels painted", f"{int(mine.changed.sum())}"),
            ("change inside", _number(mine.inside)),
            ("change outside", _number(mine.outside)),
            ("Dice before", _number(mine.dice[0])),
            ("Dice after", _number(mine.dice[1])),
        ]
        with st.container(horizontal=True):
            for name, value in shown:
                st.metric(name, value, width="content")
        st.table(edit_rows(mine, titles), hide_index=True)  # renders faster than a dataframe
        st.caption(
            "Change is the mean absolute change of intensity, in [-1, 1], where channels changed and elsewhere. Dice "
            + ("uses the ground truth." if truth is not None else "needs a ground truth, which this image lacks.")
            + (
                f" {other[0]} has its own channels and z: each stroke goes to its channel with the largest overlap "
                "with yours, and z is encoded from the image."
                if other
                else ""
            )
        )
        downloads(rows, painted, z)


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.3f}"


work()
