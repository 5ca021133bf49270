"""Edit: paint on the anatomy, reshape its organs, change z, and see how image and mask respond."""

from dataclasses import replace

import numpy as np
import streamlit as st

from dafnet_core.analysis.decompose import channel_classes
from dafnet_core.analysis.editing import Edit, edited, matching_channels
from dafnet_core.analysis.painting import ERASE, Action, paint
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import png
from dafnet_explorer import components, controls, glossary, provenance, results, sidebar
from dafnet_explorer.figures.downloads import npz, table_csv
from dafnet_explorer.figures.edit import Edited, edit_rows, edit_sheet, legend
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.texts import channel_titles

checkpoint, subject, decomposition, kinds = sidebar.current()
theme = sidebar.theme()
classes, colours = checkpoint.config.classes, checkpoint.colours
palette = channel_colours(kinds, colours)

st.title("Edit")
st.markdown("Find out how the image and its mask respond when you change the anatomy **s** by hand.")
glossary.subject_caption(subject.title, decomposition.names)
sidebar.show_domain_notice(checkpoint, subject)
glossary.markdown(
    "Paint on the anatomy **s**, or let the selected channel grow, shrink or move: each pixel stays in exactly one "
    "channel, and what an organ leaves goes to its nearest neighbour. The decoder reconstructs an image from the "
    "edited anatomy, and the segmentor a mask. If content and style are disentangled, the image changes where you "
    "edit, and hardly anywhere else. Ctrl+Z undoes, Ctrl+Shift+Z redoes."
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


def edit_in_other(name: str, model: Checkpoint, actions: tuple[Action, ...]) -> tuple[Edited, list[str]]:
    """The same actions on another checkpoint's anatomy, in its own channels and colours, and the channels' names."""
    decomposition_b = results.decomposition_of(model, subject)
    channels = model.config.channels
    match = matching_channels(decomposition.s.argmax(1), decomposition_b.s.argmax(1), channels)
    mapped = [
        replace(a, channel=ERASE if a.channel == ERASE else match[a.channel])
        for a in actions
        if a.channel == ERASE or (a.channel < len(match) and match[a.channel] is not None)
    ]
    before = decomposition_b.s[i].argmax(0).astype(np.uint8)
    after = paint(before, mapped, channels)
    kinds_b = channel_classes(decomposition_b, len(model.config.classes))
    edit_b = edited(model.model, before, after, decomposition_b.z_mean[i], truth)
    made = Edited(name, edit_b, after, channel_colours(kinds_b, model.colours), model.colours)
    return made, channel_titles(kinds_b, model.config.classes)


def downloads(rows: list[Edited], z: np.ndarray) -> None:
    """Buttons for the sheet of all models, and for arrays and pixels of checkpoint A, the first of `rows`."""
    a = rows[0]
    with st.container(horizontal=True):
        controls.download(
            "This sheet (PNG)",
            lambda: png(edit_sheet(rows, theme), about),
            controls.file_name("edit", subject, "png", modality),
        )
        arrays = {"s_before": labels, "s_after": a.labels, "z": z, "images": a.edit.images, "masks": a.edit.masks}
        controls.download(
            "Arrays (NPZ)", lambda: npz(arrays, about), controls.file_name("edit", subject, "npz", modality)
        )
        table = edit_rows(a.edit, titles)
        controls.download(
            "Pixels (CSV)", lambda: table_csv(table, about), controls.file_name("edit", subject, "csv", modality)
        )


@st.fragment
def edit_anatomy() -> None:
    left, right = st.columns(2)
    with left:
        actions = components.paint(
            decomposition.images[i],
            labels,
            list(zip(titles, palette, strict=True)),
            title=f"Anatomy of {modality}",
            owner=f"{checkpoint.digest} {subject.digest} {modality}",
            key="brush",
            start=max(range(len(kinds)), key=lambda c: (kinds[c] is not None, decomposition.s[i, c].sum())),
        )
    with st.expander("Move z", expanded=False):
        buttons = st.container()
        columns = st.columns(4)
        with buttons:
            z = controls.z_sliders(checkpoint, subject, decomposition, i, columns)
    painted = paint(labels, actions, checkpoint.config.channels)
    edit_a = edited(checkpoint.model, labels, painted, z, truth)
    rows = [Edited(sidebar.short_title(checkpoint), edit_a, painted, palette, colours)]
    legends = [legend(titles, rows[0])]
    if other:
        edited_b, titles_b = edit_in_other(sidebar.short_title(other[1]), other[1], actions)
        rows.append(edited_b)
        legends.append(legend(titles_b, edited_b))
    with right:
        show_numbers(edit_a)
        components.compare(
            edit_a.images[0],
            edit_a.images[1],
            title=f"Image decoded from the anatomy of {modality}: before at the left of the line, after at its right",
            key="wipe",
        )
    with st.container(key="sheet_edit"):
        controls.image(
            edit_sheet(rows, theme),
            "The painted anatomy, the image before and after, their difference, and the mask after",
        )
    st.html("<br>".join(legends))
    if other:
        st.caption(
            f"{other[0]} has its own channels, colours and z: each edit goes to its channel with the largest overlap "
            "with yours, and z is encoded from the image."
        )
    downloads(rows, z)
    st.table(edit_rows(edit_a, titles), hide_index=True)  # renders faster than a dataframe


def show_numbers(edit_a: Edit) -> None:
    st.markdown("**Effect of the edit**")
    shown = [
        ("pixels changed", f"{int(edit_a.changed.sum())}"),
        ("change inside", _number(edit_a.inside)),
        ("change outside", _number(edit_a.outside)),
        ("Dice before", _number(edit_a.dice[0])),
        ("Dice after", _number(edit_a.dice[1])),
    ]
    with st.container(horizontal=True):
        for name, value in shown:
            st.metric(name, value, width="content")
    st.caption(
        "Change is the mean absolute change of intensity, in [-1, 1], where channels changed and elsewhere. Dice "
        + ("uses the ground truth." if truth is not None else "needs a ground truth, which this image lacks.")
    )


def _number(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.3f}"


edit_anatomy()
