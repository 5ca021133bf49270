"""Traverse: how each dimension of the modality factor changes the image (Sec. V-H.2, Fig. 9)."""

import numpy as np
import streamlit as st

from dafnet_core.analysis.decompose import kl_per_dimension
from dafnet_core.analysis.traversal import LIMIT, STILL, interpolate, render, steps_between
from dafnet_core.analysis.traversal import sheet as plane
from dafnet_core.drawing import DARK, Tile, grey, png, sheet, stack
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import components, controls, provenance, results, sidebar
from dafnet_explorer.figures.traverse import (
    SORTS,
    interpolation_sheet,
    plane_sheet,
    probe_accuracies,
    traverse_inspection,
    traverse_numbers,
    traverse_order,
    traverse_sheet,
)

FRAMES = 33  # of the browser's animation of one dimension

checkpoint, subject, decomposition, kinds = sidebar.current()
theme = sidebar.theme()
dark = theme is DARK


st.title("Traverse")
st.markdown("Find out what each dimension of the modality factor **z** changes in an image.")
st.caption(subject.title)
sidebar.show_domain_notice(checkpoint, subject)
st.markdown(
    "The anatomy **s** is fixed, and one dimension of **z** at a time varies from -3 to 3, three standard deviations "
    "of its prior. *Correlation* is each pixel's Pearson correlation with the dimension; grey pixels change by less "
    f"than {STILL:g} and have none. If content and style are disentangled, brightness changes but positions do not."
)
with st.container(horizontal=True):
    names = list(decomposition.names)
    modality = st.segmented_control(
        "Anatomy and z of",
        names,
        default=names[0],
        required=True,
        key="moved",
        bind="query-params",
        help="Image whose anatomy is fixed and whose z varies",
    )
    sort = st.segmented_control(
        "Sort dimensions by",
        SORTS,
        default=SORTS[0],
        required=True,
        key="sort",
        bind="query-params",
        help="Order of the rows",
    )
    steps = st.segmented_control(
        "Steps",
        (5, 7, 9),
        default=7,
        required=True,
        key="steps",
        bind="query-params",
        help="Images per dimension, from -3 to 3",
    )
i = names.index(modality)
order: list[int] = []


def select_tile(row: int, column: int) -> None:
    """Inspect a tile; for a map, keep the step."""
    st.session_state["dimension"] = order[row]
    if column < steps:
        st.session_state["step"] = column


second = controls.pick_other(checkpoint, "beside", needed=False)
shown = [(checkpoint, decomposition)]
if second:
    shown.append((second[1], results.decomposition_of(second[1], subject)))
sheets, titles = [], []
for n, (model, parts) in enumerate(shown):
    moved = results.traversal(model, parts.s[i], parts.z_mean[i], steps)
    picture = traverse_sheet(moved, kl_per_dimension(parts)[i], probe_accuracies(model.metrics), sort, theme)
    sheets.append(picture)
    if not n:
        order = traverse_order(moved, kl_per_dimension(parts)[i], probe_accuracies(model.metrics), sort)
    titles.append((f"{sidebar.short_title(model)} ({second[0] if n else 'checkpoint A'})", model.digest))
    if second:
        st.subheader(titles[-1][0])
    alt = f"Rows of images of {modality}, one row per dimension of z, with correlation and difference maps"
    if n:
        with st.container(key="sheet_beside"):
            controls.image(picture, alt)
    else:
        now = st.session_state.get("dimension"), st.session_state.get("step")
        marked = (order.index(now[0]), now[1]) if now[0] in order else None
        components.tiles(picture, alt, marked, key="tile", on_change=select_tile)
st.caption(
    "Click a tile to inspect it. Probe: accuracy of the modality classified from this dimension alone, on held-out "
    "subjects (also on the card). Effect: mean absolute change from the first to the last step. KL in nats, of this "
    "image."
)
moved = results.traversal(checkpoint, decomposition.s[i], decomposition.z_mean[i], steps)
about = provenance.about_subject(checkpoint, subject, modality=modality, steps=steps, sorted_by=sort)


def both_sheets() -> bytes:
    return png(stack(sheets, [name for name, _ in titles], theme), about | dict(titles))


with st.container(horizontal=True):
    controls.download("This sheet (PNG)", both_sheets, "dafnet-traverse.png")
    controls.download(
        "Its arrays (NPZ)",
        lambda: traverse_numbers(moved, decomposition.s[i], decomposition.z_mean[i], about),
        "dafnet-traverse.npz",
    )


@st.fragment  # a change here does not rerun the rest of the page
def inspect_tile() -> None:
    st.subheader("Inspect a tile")
    left, right = st.columns([2, 3])
    with left:
        d = st.selectbox(
            "Dimension",
            range(len(moved.z)),
            int(moved.effect.argmax()),
            format_func=lambda d: f"z{d + 1}",
            key="dimension",
            bind="query-params",
            help="Dimension to inspect; the one with the largest effect comes first",
        )
        frames = results.frames(checkpoint, decomposition.s[i], decomposition.z_mean[i], d, FRAMES)
        components.scrub(
            frames,
            [f"z{d + 1} = {value:+.2f}" for value in steps_between(count=FRAMES)],
            title=f"Image of {modality} for z{d + 1} from {-LIMIT:g} to {LIMIT:g}",
            owner=f"{checkpoint.digest} {subject.digest} {modality} {d}",
            start=FRAMES // 2,
            key="scrub",
        )
        st.caption("Move the pointer over the picture, or hold an arrow key on its slider.")
    with right:
        step = st.select_slider(
            "Step",
            range(steps),
            steps - 1,
            format_func=lambda k: f"{moved.values[k]:+.1f}",
            key="step",
            bind="query-params",
            help="Step that is shown with its maps; they zoom together",
        )
        index = checkpoint.config.modalities.index(modality)
        reencoded = decompose(checkpoint.model, moved.images[d, step][None], (index,))
        st.plotly_chart(
            traverse_inspection(moved, d, step, np.array(checkpoint.config.classes)[reencoded.single[0]], dark),
            key="closer",
            alt="Linked views of one tile; values and the mask of the re-encoded image under the cursor",
        )


n_z = len(decomposition.z_mean[i])


@st.fragment
def set_z() -> None:
    st.subheader("Set z")
    buttons = st.container()
    *sliders, picture = st.columns([1, 1, 3])
    with buttons:
        z = controls.z_sliders(checkpoint, subject, decomposition, i, sliders)
    with picture:
        made = render(checkpoint.model, decomposition.s[i], z[None])[0]
        tiles = [
            Tile(grey(decomposition.images[i]), "image x"),
            Tile(grey(decomposition.own[i]), "g(s, own z)"),
            Tile(grey(made), "g(s, your z)"),
        ]
        with st.container(key="sheet_yours"):
            controls.image(sheet([tiles], side=260, theme=theme), "The image, its reconstruction, and with your z")


@st.fragment
def show_combinations() -> None:
    st.subheader("Interpolation, and two dimensions at once")
    others = [(j, name) for j, name in enumerate(names) if j != i]
    for j, name in others:
        images = interpolate(
            checkpoint.model, decomposition.s[i], decomposition.z_mean[i], decomposition.z_mean[j], steps
        )
        with st.container(key=f"sheet_between{j}"):
            controls.image(
                interpolation_sheet(images, modality, name, theme),
                f"The anatomy of {modality} with z interpolated from its own to that of {name}",
            )
    with st.container(horizontal=True):
        order = np.argsort(-moved.effect).tolist()
        down = st.selectbox(
            "Down",
            range(n_z),
            order[0],
            format_func=lambda d: f"z{d + 1}",
            key="down",
            bind="query-params",
            help="The dimension that changes from row to row",
        )
        across = st.selectbox(
            "Across",
            range(n_z),
            order[1],
            format_func=lambda d: f"z{d + 1}",
            key="across-z",
            bind="query-params",
            help="The dimension that changes from column to column",
        )
    if down == across:
        st.info("Choose two different dimensions.")
        return
    images = plane(checkpoint.model, decomposition.s[i], decomposition.z_mean[i], (down, across), moved.values)
    with st.container(key="sheet_plane"):
        controls.image(
            plane_sheet(images, moved.values, (down, across), theme),
            f"Images over z{down + 1} downwards and z{across + 1} across",
        )


inspect_tile()
set_z()
show_combinations()
