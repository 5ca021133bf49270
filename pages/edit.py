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
from dafnet_explorer.figures.texts import channel_titles

checkpoint, subject, decomposition, kinds = sidebar.current()
theme = sidebar.theme()
classes, colours = checkpoint.config.classes, checkpoint.colours
palette = channel_colours(kinds, colours)

st.title("Edit")
st.markdown("Find out how the image and its mask respond when you change the anatomy **s** by hand.")
st.caption(subject.title)
sidebar.show_domain_notice(checkpoint, subject)
st.markdown(
    "Paint on the anatomy **s**: each pixel stays in exactly one channel. The decoder reconstructs an image from the "
    "edited anatomy, and the segmentor a mask. If content and style are disentangled, the image changes where you "
    "paint, and hardly anywhere else."
)
names = list(decomposition.names)
with st.container(horizontal=True):
    modality = st.segmented_control(
        "Anatomy and z of",
        names,
        default=names[0],
        required=True,
        key="edited",
        bind="query-params",
        help="Image whose anatomy is painted on and whose z is used at first",
    )
    other = controls.pick_other(checkpoint, "painted-with", needed=True)
i = names.index(modality)
labels = decomposition.s[i].argmax(0).astype(np.uint8)
truth = subject.truth.get(i)
titles = channel_titles(kinds, classes)
about = provenance.about_subject(checkpoint, subject, modality=modality)


def edit_in_other(model: Checkpoint, strokes: tuple[components.Stroke, ...]) -> tuple[Edit, np.ndarray]:
    """The same strokes on another checkpoint's anatomy, and that anatomy afterwards as a picture."""
    decomposition_b = results.decomposition_of(model, subject)
    channels = model.config.channels
    match = matching_channels(decomposition.s.argmax(1), decomposition_b.s.argmax(1), channels)
    mapped = [
        replace(s, channel=ERASE if s.channel == ERASE else match[s.channel])
        for s in strokes
        if s.channel == ERASE or (s.channel < len(match) and match[s.channel] is not None)
    ]
    before = decomposition_b.s[i].argmax(0).astype(np.uint8)
    after = paint(before, mapped, channels)
    palette = channel_colours(channel_classes(decomposition_b, len(classes)), colours)
    edit_b = edited(model.model, before, after, decomposition_b.z_mean[i], truth)
    return edit_b, anatomy_map(one_hot(after, channels), palette)


def downloads(rows: list[tuple[str, Edit, np.ndarray]], painted: np.ndarray, z: np.ndarray) -> None:
    """Buttons for the sheet of all models, and for arrays and pixels of checkpoint A, the first of `rows`."""
    edit_a = rows[0][1]
    with st.container(horizontal=True):
        controls.download("This sheet (PNG)", lambda: png(edit_sheet(rows, colours, theme), about), "dafnet-edit.png")
        arrays = {"s_before": labels, "s_after": painted, "z": z, "images": edit_a.images, "masks": edit_a.masks}
        controls.download("Arrays (NPZ)", lambda: npz(arrays, about), "dafnet-edit.npz")
        table = edit_rows(edit_a, titles)
        controls.download("Pixels (CSV)", lambda: table_csv(table, about), "dafnet-edit.csv")


@st.fragment
def edit_anatomy() -> None:
    left, right = st.columns([2, 3])
    with left:
        strokes = components.paint(
            decomposition.images[i],
            labels,
            list(zip(titles, palette, strict=True)),
            title=f"Anatomy of {modality}",
            owner=f"{checkpoint.digest} {subject.digest} {modality}",
            key="brush",
            start=max(range(len(kinds)), key=lambda c: (kinds[c] is not None, decomposition.s[i, c].sum())),
        )
    with right:
        pictures = st.container()
    with st.expander("Move z", expanded=False):
        buttons = st.container()
        columns = st.columns(4)
        with buttons:
            z = controls.z_sliders(checkpoint, subject, decomposition, i, columns)
    painted = paint(labels, strokes, checkpoint.config.channels)
    edit_a = edited(checkpoint.model, labels, painted, z, truth)
    s = one_hot(painted, checkpoint.config.channels)
    rows = [(sidebar.short_title(checkpoint), edit_a, anatomy_map(s, palette))]
    if other:
        rows.append((sidebar.short_title(other[1]), *edit_in_other(other[1], strokes)))
    with pictures:
        with st.container(key="small_edit"):
            controls.image(
                edit_sheet(rows, colours, theme),
                "The painted anatomy, the image before and after, their difference, and the mask after",
            )
        st.markdown("**Effect of the edit**")
        shown = [
            ("pixels painted", f"{int(edit_a.changed.sum())}"),
            ("change inside", _number(edit_a.inside)),
            ("change outside", _number(edit_a.outside)),
            ("Dice before", _number(edit_a.dice[0])),
            ("Dice after", _number(edit_a.dice[1])),
        ]
        with st.container(horizontal=True):
            for name, value in shown:
                st.metric(name, value, width="content")
        st.table(edit_rows(edit_a, titles), hide_index=True)  # renders faster than a dataframe
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


edit_anatomy()
