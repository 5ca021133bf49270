"""Decompose: all factors of one slice with their numbers."""

import streamlit as st
from PIL import Image

from dafnet_core.analysis.decompose import CHANNEL_IS_CLASS
from dafnet_core.drawing import DARK, png
from dafnet_explorer import (
    content_section,
    controls,
    glossary,
    provenance,
    results,
    sidebar,
    uncertainty_section,
    whole_study,
)
from dafnet_explorer.components.crosshair import crosshair
from dafnet_explorer.figures.decompose import (
    channel_sheet,
    download_sheet,
    fusion_sheet,
    numbers,
    panels,
    reconstruction_sheet,
    warp_sheet,
    z_figure,
)
from dafnet_explorer.figures.errors import WHY_NOT_ZERO, loss_text
from dafnet_explorer.figures.findings import (
    WHAT_SPECKS_ARE,
    channels_text,
    fused_mask_text,
    fusion_text,
    joined,
)
from dafnet_explorer.figures.masks import dice_table, mask_sheet, names_beside, native_sheet
from dafnet_explorer.figures.pixels import channel_colours

checkpoint, subject = sidebar.current_subject()
theme = sidebar.theme()
content_section.show_instead(checkpoint, subject, theme)
decomposition, kinds = sidebar.decomposed(checkpoint, subject)
dark = theme is DARK
classes, mask_colours = checkpoint.config.classes, checkpoint.colours
colours = channel_colours(kinds, mask_colours)


def show(key: str, picture: Image.Image, alt: str) -> None:
    with st.container(key=f"sheet_{key}"):
        controls.image(picture, alt)


st.title("Decompose")
st.markdown(
    "Find out what the model computes from one slice: anatomy channels, modality factors, warps, masks and "
    "reconstructions, with their errors."
)
glossary.subject_caption(subject.title, decomposition.names)
sidebar.show_domain_notice(checkpoint, subject)

st.subheader("Anatomy factors s")
glossary.markdown(
    "Columns are channels, shared by all modalities; in an image's own anatomy, every pixel is in exactly one of them. "
    f"Coloured channels are those of which the segmentor maps {CHANNEL_IS_CLASS:.0%} or more to one class."
)
show(
    "channels",
    channel_sheet(decomposition, kinds, classes, colours, theme),
    "Each modality's image and its anatomy channels, with the share of pixels that each holds",
)
st.caption(channels_text(decomposition, subject.truth, subject.tissues, len(classes)), help=WHAT_SPECKS_ARE)

st.subheader("Modality factors z")
glossary.markdown("The image's appearance: posterior mean and standard deviation of each dimension.")
st.plotly_chart(
    z_figure(decomposition, dark), key="z", config={"displayModeBar": False}, alt="Bars of z for each modality"
)

st.subheader("Alignment and fusion")
if not decomposition.aligned:
    st.info(sidebar.no_alignment(checkpoint))
elif decomposition.pairs:
    st.markdown(
        "A spatial transformer deforms one anatomy onto the other by a thin-plate spline with "
        f"{checkpoint.config.control_points**2} control points. "
        "The grid shows where the moving image is sampled for each pixel of the fixed image. "
        "Fusion is the pixel-wise maximum."
    )
    show(
        "warp",
        warp_sheet(decomposition, colours, theme),
        "Fixed and moving anatomies, the warp as a grid, deformed and fused anatomies",
    )
    tabs = st.tabs([f"Channels in the frame of {name}" for name in decomposition.names], on_change="rerun", key="frame")
    for i, tab in enumerate(tabs):
        if tab.open:
            with tab:
                show(
                    f"fused{i}",
                    fusion_sheet(decomposition, i, kinds, classes, colours, theme),
                    f"Own, deformed and fused anatomy channels in the frame of {decomposition.names[i]}",
                )
                st.caption(fusion_text(decomposition, i))
else:
    sidebar.say_one_modality("there is nothing to align or to fuse")

st.subheader("Masks")
show(
    "masks",
    mask_sheet(decomposition, subject.truth, classes, mask_colours, theme),
    "Masks from single, deformed and fused anatomies over the image, and the ground truth",
)
st.html(names_beside(dict(zip(classes[1:], mask_colours[1:], strict=True))))
st.markdown("Dice of each mask with the ground truth, by class:")
st.dataframe(
    dice_table(decomposition, subject.truth, classes, subject.why_no_truth),
    hide_index=True,
    column_config={"mask": st.column_config.TextColumn(help="the anatomy that was segmented")},
)
if text := fused_mask_text(decomposition, subject.truth, len(classes)):
    st.caption(text)
if subject.native:
    st.markdown("**On your own pixels**")
    show(
        "native", native_sheet(decomposition, subject.native, mask_colours, theme), "Fused masks on the uploaded pixels"
    )

uncertainty_section.section(checkpoint, subject, decomposition, theme)

st.subheader("Reconstructions")
st.markdown(
    "Own: the image's own anatomy with its own z. "
    + (
        "Crosswise: the *other* image's anatomy, deformed, with this image's z. "
        if decomposition.aligned
        else "Crosswise ones would need an alignment. "
    )
    + "L1 is the mean absolute error of intensities in [-1, 1], over the image and inside the organs. Red is what a "
    "reconstruction loses."
)
show(
    "reconstructions",
    reconstruction_sheet(decomposition, subject.truth, subject.scars, theme),
    "Own and crosswise reconstructions and their absolute errors",
)
losses = results.losses_of(checkpoint, subject)
st.caption(
    joined([loss_text(decomposition.names[i], losses[i]) for i in decomposition.served]),
    help=WHY_NOT_ZERO,
)

st.subheader("Inspect")
names = list(decomposition.names)
modality = st.segmented_control(
    "Modality",
    names,
    default=names[0],
    required=True,
    key="inspected",
    bind="query-params",
    help="Modality whose image and reconstructions are shown",
)
st.caption(
    "One crosshair in all panels: it follows the pointer, or the arrow keys (with Shift ten pixels) after a click. "
    "Positions are counted from the centre of the first pixel. Zoom and window hold for all panels, or for the last "
    "one pointed at."
)
crosshair(
    panels(decomposition, names.index(modality), subject.truth, classes, kinds, mask_colours),
    subject.mm,
    owner=f"{checkpoint.digest}{subject.digest}{modality}",
    key="inspection",
)

whole_study.section(checkpoint, subject)

st.subheader("Downloads")
facts = provenance.about_subject(checkpoint, subject, classes=classes, versions=checkpoint.versions)


def all_pictures() -> bytes:
    return png(download_sheet(decomposition, subject.truth, kinds, classes, mask_colours, subject.scars, theme), facts)


def all_numbers() -> bytes:
    return numbers(decomposition, subject.truth, subject.native, facts)


with st.container(horizontal=True):
    controls.download("All pictures (PNG)", all_pictures, controls.file_name("decompose", subject, "png"))
    controls.download("All numbers (NPZ)", all_numbers, controls.file_name("decompose", subject, "npz"))
