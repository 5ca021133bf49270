"""Decompose: every factor of one slice, side by side, with its numbers."""

import streamlit as st

from dafnet_core.drawing import png
from dafnet_explorer import controls, figures, session

checkpoint, subject, found, kinds = session.current()
theme = session.theme()
dark = theme is session.DARK
classes, mask_colours = checkpoint.config.classes, checkpoint.colours
colours = figures.channel_colours(kinds, mask_colours)


def show(key: str, picture: figures.Image.Image, alt: str) -> None:
    with st.container(key=f"sheet_{key}"):
        controls.image(picture, alt)


st.title("Decompose")
st.caption(subject.title)
session.say_domain(checkpoint, subject)

st.subheader("Anatomy factors s")
st.markdown(
    "Every pixel belongs to exactly one channel. The same channel stands under the same channel: what the two "
    "modalities share, they share in one place. Coloured channels are those that the segmentor reads as one class."
)
show(
    "channels",
    figures.channel_sheet(found, kinds, classes, colours, theme),
    "Each modality's image and its anatomy channels, with the share of pixels that each holds",
)

st.subheader("Modality factors z")
st.markdown("How the image looks, in a few numbers: posterior mean and one standard deviation of each dimension.")
st.plotly_chart(
    figures.z_figure(found, dark), key="z", config={"displayModeBar": False}, alt="Bars of z for each modality"
)

st.subheader("Alignment and fusion")
if found.pairs:
    st.markdown(
        "A spatial transformer bends one anatomy onto the other: 25 control points, a thin-plate spline between them. "
        "The grid shows where in the moving image the fixed image's pixels are taken from. "
        "Fusion is the pixel-wise maximum."
    )
    show(
        "warp",
        figures.warp_sheet(found, colours, theme),
        "Fixed and moving anatomies, the warp as a grid, deformed and fused anatomies",
    )
    tabs = st.tabs([f"Channels in the frame of {name}" for name in found.names], on_change="rerun", key="frame")
    for i, tab in enumerate(tabs):
        if tab.open:
            with tab:
                show(
                    f"fused{i}",
                    figures.fusion_sheet(found, i, kinds, classes, colours, theme),
                    f"Own, deformed and fused anatomy channels in the frame of {found.names[i]}",
                )
else:
    st.info("Only one modality is given: there is nothing to align or to fuse. Add the other one in the sidebar.")

st.subheader("Masks")
show(
    "masks",
    figures.mask_sheet(found, subject.truth, classes, mask_colours, theme),
    "Masks from single, deformed and fused anatomies over the image, beside the truth",
)
legend = " · ".join(
    f"<span style='color:{colour}'>■</span> {name}" for name, colour in zip(classes[1:], mask_colours[1:], strict=True)
)
st.html(f"<div>{legend}</div>")
st.dataframe(
    figures.dice_table(found, subject.truth, classes, subject.why_no_truth),
    hide_index=True,
    column_config={"mask": st.column_config.TextColumn(help="which anatomy the mask was made from")},
)
if subject.native:
    st.markdown("**On your own pixels**")
    show(
        "native", figures.native_sheet(found, subject.native, mask_colours, theme), "Fused masks on the uploaded pixels"
    )

st.subheader("Reconstructions")
st.markdown(
    "Own: the image's own anatomy with its own z. Crosswise: the *other* image's anatomy, deformed, with this "
    "image's z. "
    "L1 is the mean absolute error of intensities in [-1, 1], over the image and inside the organs."
)
show(
    "reconstructions",
    figures.reconstruction_sheet(found, subject.truth, theme),
    "Own and crosswise reconstructions and their absolute errors",
)

st.subheader("Inspect")
names = list(found.names)
chosen = st.segmented_control(
    "Modality",
    names,
    default=names[0],
    required=True,
    key="inspected",
    bind="query-params",
    help="Whose image and reconstructions to look at",
)
st.plotly_chart(
    figures.inspection(found, names.index(chosen), classes, kinds, dark),
    key="inspection",
    alt="Linked views of one modality; values, anatomy channel and mask under the cursor",
)

st.subheader("Take it with you")
facts = session.about(checkpoint, session.data_name(subject), classes=classes, versions=checkpoint.versions)


def all_pictures() -> bytes:
    return png(figures.download_sheet(found, subject.truth, kinds, classes, mask_colours, theme), facts)


def all_numbers() -> bytes:
    return figures.numbers(found, subject.truth, subject.native, facts)


with st.container(horizontal=True):
    controls.download("All pictures (PNG)", all_pictures, "dafnet-decompose.png")
    controls.download("All numbers (NPZ)", all_numbers, "dafnet-decompose.npz")
