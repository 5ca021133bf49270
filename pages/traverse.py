"""Traverse: what each dimension of the modality factor does to the image (Sec. V-H.2, Fig. 9)."""

import numpy as np
import streamlit as st

from dafnet_core.analysis.decompose import decompose, kl_per_dimension
from dafnet_core.analysis.traversal import LIMIT, STILL, interpolate, render
from dafnet_core.analysis.traversal import sheet as plane
from dafnet_core.checkpoint import Checkpoint
from explorer import figures, session
from explorer.sheets import Tile, grey, png, sheet, stack

checkpoint, subject, found, kinds = session.current()
theme = session.theme()
dark = theme is session.DARK


def probe_accuracies(model: Checkpoint) -> list[float] | None:
    """Of each dimension alone, on the subjects that the checkpoint was judged on; None where it was not."""
    judged = next(iter(model.metrics.values()), {})
    return judged.get("probe", {}).get("per_dimension")


st.title("Traverse")
st.caption(subject.title)
session.say_domain(checkpoint, subject)
st.markdown(
    "One anatomy **s** stays as it is, and one dimension of **z** at a time moves from -3 to 3, the range that its "
    "prior gives it. *Correlation* is each pixel's Pearson correlation with the dimension; grey pixels move by less "
    f"than {STILL:g} and have none. If content and style are apart, things change their brightness and never their "
    "place."
)
with st.container(horizontal=True):
    names = list(found.names)
    chosen = st.segmented_control("Anatomy and z of", names, default=names[0], required=True, key="moved")
    sort = st.segmented_control(
        "Sort dimensions by", figures.SORTS, default=figures.SORTS[0], required=True, key="sort"
    )
    steps = st.segmented_control("Steps", (5, 7, 9), default=7, required=True, key="steps")
i = names.index(chosen)
decoders = {"film": "FiLM", "spade": "SPADE"}
against = session.pick_other(checkpoint, "beside", needed=False)
shown = [(checkpoint, found)]
if against:
    shown.append((against[1], session.taken_apart(against[1], subject)))
sheets, titles = [], []
for n, (model, parts) in enumerate(shown):
    moved = session.traversal(model, parts.s[i], parts.z_mean[i], steps)
    picture = figures.traverse_sheet(moved, kl_per_dimension(parts)[i], probe_accuracies(model), sort, theme)
    sheets.append(picture)
    titles.append((f"{decoders[model.config.decoder]} ({against[0] if n else 'chosen at the left'})", model.digest))
    if against:
        st.subheader(titles[-1][0])
    with st.container(key=f"sheet_traverse{n}"):
        st.image(
            png(picture),
            alt=f"Rows of images of {chosen}, one row a dimension of z, with correlation and difference maps",
        )
st.caption(
    "Probe: accuracy of telling the modality from this dimension alone, on subjects that the checkpoint never saw "
    "(also on its card). Effect: mean absolute change from the first step to the last. KL in nats, of this image."
)
moved = session.traversal(checkpoint, found.s[i], found.z_mean[i], steps)
about = session.about(checkpoint, session.data_name(subject), modality=chosen, steps=steps, sorted_by=sort)


def both_sheets() -> bytes:
    return png(stack(sheets, [name for name, _ in titles], theme), about | dict(titles))


with st.container(horizontal=True):
    st.download_button("This sheet (PNG)", both_sheets, "dafnet-traverse.png", "image/png", on_click="ignore")
    st.download_button(
        "Its arrays (NPZ)", lambda: figures.traverse_numbers(moved, found.s[i], found.z_mean[i], about),
        "dafnet-traverse.npz", "application/octet-stream", on_click="ignore",
    )  # fmt: skip


@st.fragment  # a change here draws nothing else anew
def look_closer() -> None:
    st.subheader("Look closer")
    left, right = st.columns(2)
    with left:
        d = st.selectbox(
            "Dimension", range(len(moved.z)), int(moved.effect.argmax()), format_func=lambda d: f"z{d + 1}"
        )
    with right:
        step = st.select_slider("Step", range(steps), steps - 1, format_func=lambda k: f"{moved.values[k]:+.1f}")
    modality = checkpoint.config.modalities.index(chosen)
    again = decompose(checkpoint.model, moved.images[d, step][None], (modality,))
    st.plotly_chart(
        figures.traverse_inspection(moved, d, step, np.array(checkpoint.config.classes)[again.single[0]], dark),
        key="closer", alt="Linked views of one tile; values and the mask of the image encoded again under the cursor",
    )  # fmt: skip


n_z = len(found.z_mean[i])
keys = [f"z-{k}" for k in range(n_z)]
owner = (checkpoint.digest, subject.digest, chosen)


def put(z: np.ndarray) -> None:
    for key, value in zip(keys, z, strict=True):
        st.session_state[key] = float(np.clip(value, -LIMIT, LIMIT))


@st.fragment
def move_yourself() -> None:
    st.subheader("Move z yourself")
    if st.session_state.get("z-of") != owner:  # another image: begin with its own z
        st.session_state["z-of"] = owner
        put(found.z_mean[i])
    with st.container(horizontal=True):
        st.button("The image's own z", on_click=put, args=(found.z_mean[i],))
        for j, name in enumerate(names):
            if j != i:
                st.button(f"z of {name}", on_click=put, args=(found.z_mean[j],))
        st.button("Random z", on_click=lambda: put(np.random.default_rng().standard_normal(n_z)))
    *sliders, picture = st.columns([1, 1, 3])
    z = np.empty(n_z)
    for k, key in enumerate(keys):
        with sliders[k >= (n_z + 1) // 2]:
            z[k] = st.slider(f"z{k + 1}", -LIMIT, LIMIT, step=0.05, key=key)
    with picture:
        made = render(checkpoint.model, found.s[i], z[None])[0]
        tiles = [
            Tile(grey(found.images[i]), "image x"),
            Tile(grey(found.own[i]), "g(s, its own z)"),
            Tile(grey(made), "g(s, your z)"),
        ]
        with st.container(key="sheet_yours"):
            st.image(png(sheet([tiles], side=260, theme=theme)), alt="The image, its reconstruction, and with your z")


@st.fragment
def combine() -> None:
    st.subheader("Between two, and two at once")
    others = [(j, name) for j, name in enumerate(names) if j != i]
    for j, name in others:
        images = interpolate(checkpoint.model, found.s[i], found.z_mean[i], found.z_mean[j], steps)
        with st.container(key=f"sheet_between{j}"):
            st.image(
                png(figures.interpolation_sheet(images, chosen, name, theme)),
                alt=f"The anatomy of {chosen} while z goes from its own to that of {name}",
            )
    with st.container(horizontal=True):
        order = np.argsort(-moved.effect).tolist()
        down = st.selectbox("Down", range(n_z), order[0], format_func=lambda d: f"z{d + 1}", key="down")
        across = st.selectbox("Across", range(n_z), order[1], format_func=lambda d: f"z{d + 1}", key="across-z")
    if down == across:
        st.info("Choose two different dimensions.")
        return
    images = plane(checkpoint.model, found.s[i], found.z_mean[i], (down, across), moved.values)
    with st.container(key="sheet_plane"):
        st.image(
            png(figures.plane_sheet(images, moved.values, (down, across), theme)),
            alt=f"Images over z{down + 1} downwards and z{across + 1} across",
        )


look_closer()
move_yourself()
combine()
