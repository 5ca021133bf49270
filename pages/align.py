"""Align: edit the warp, measure the aligner's capture range, and compare neighbouring slices as candidates."""

import numpy as np
import streamlit as st

from dafnet_core.analysis.editing import realign
from dafnet_core.drawing import DARK
from dafnet_explorer import components, controls, glossary, provenance, results, sidebar
from dafnet_explorer.figures.align import (
    breaking_points,
    candidates_sheet,
    dice_of,
    misregistered_sheet,
    range_figure,
    realigned_sheet,
    true_warp_text,
    warp_animation,
    warp_rows,
    warp_table,
)
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import npz, table_csv
from dafnet_explorer.figures.pixels import channel_colours

AMOUNTS = 0, 2, 4, 6, 8, 10, 12, 16, 20  # pixels RMS
SHAPES = 3  # warps of each amount

checkpoint, subject, decomposition, kinds = sidebar.current()
theme = sidebar.theme()
dark = theme is DARK
classes, colours = checkpoint.config.classes, checkpoint.colours
palette = channel_colours(kinds, colours)
points = checkpoint.config.control_points**2

st.title("Align")
st.markdown("Find out how well the model aligns one modality with the other, and how much misalignment it can correct.")
glossary.subject_caption(subject.title, decomposition.names)
sidebar.show_domain_notice(checkpoint, subject)
if not decomposition.pairs:
    sidebar.say_one_modality("there is nothing to align")
    st.stop()
if not decomposition.aligned:
    st.info(sidebar.no_alignment(checkpoint))
    st.stop()
st.markdown(
    f"A spatial transformer predicts offsets of **{points} control points** from two anatomies; a thin-plate spline "
    "interpolates between them (Sec. III-B). The moving image is *sampled* at the positions of the grid. "
    "Drag the points: the warp updates at once, masks and the crosswise image on release. Ctrl+Z undoes, Ctrl+Shift+Z "
    "redoes."
)
names = [f"{decomposition.names[j]} onto {decomposition.names[i]}" for i, j in decomposition.pairs]
direction = st.segmented_control(
    "Warp",
    names,
    default=names[0],
    required=True,
    key="onto",
    bind="query-params",
    help="Which image's anatomy is deformed, and into whose frame",
)
pair = names.index(direction)
i, j = decomposition.pairs[pair]
fixed, moving = decomposition.names[i], decomposition.names[j]
about = provenance.about_subject(checkpoint, subject, warp=direction)


@st.fragment
def edit_warp() -> None:
    warps = results.warps(checkpoint, subject, decomposition, pair)
    class_colours = [colour if kind else None for colour, kind in zip(palette, kinds, strict=True)]
    drawn = class_colours if any(class_colours) else palette
    offsets = components.drag(
        decomposition.images[i],
        decomposition.images[j],
        decomposition.s[j].argmax(0),
        drawn,
        {name: realigned.offsets for name, realigned in warps.items()},
        titles=(
            f"{moving} (moving) with the sampling grid",
            f"{fixed} (fixed) with the deformed anatomy of {moving}",
        ),
        owner=f"{checkpoint.digest} {subject.digest} {direction}",
        key="warp",
    )
    realigned = realign(checkpoint.model, decomposition, pair, offsets.astype(np.float32))
    dice = {name: dice_of(w, subject.truth.get(i), len(classes)) for name, w in warps.items()}
    edited_dice = dice_of(realigned, subject.truth.get(i), len(classes))
    with st.container(horizontal=True, key="dice"):
        for name, value, predicted in zip(("deformed", "fused"), edited_dice, dice["predicted"], strict=True):
            st.metric(
                f"Dice, {name} mask",
                "n/a" if np.isnan(value) else f"{value:.3f}",
                f"{value - predicted:+.3f} vs. predicted" if abs(value - predicted) >= 0.0005 else None,
                width="content",
            )
    with st.container(key="sheet_align"):
        controls.image(
            realigned_sheet(decomposition, pair, realigned, subject.truth, palette, colours, theme),
            "Deformed and fused anatomy, their masks with Dice, the crosswise image, displacement and Jacobian",
        )
    true = subject.sampling.get((i, j))
    rows = warp_rows(decomposition, pair, {"yours": realigned} | warps, subject.truth, len(classes), true)
    shown = warp_table(rows, has_truth=i in subject.truth, knows_warp=true is not None)
    with st.container(key="sheet_warps"):
        st.table(shown, hide_index=True)  # renders faster than a dataframe while the user drags
    st.caption(
        f"*True* is the least-squares fit of a spline with {points} control points to the phantom's warp. Pink: "
        "folding (Jacobian determinant at most 0), which is anatomically impossible."
        if "true" in warps
        else "Pink: folding (Jacobian determinant at most 0), which is anatomically impossible."
    )
    if text := true_warp_text(rows):
        st.caption(text)
    with st.container(horizontal=True):
        controls.download(
            "This table (CSV)", lambda: table_csv(rows, about), controls.file_name("align", subject, "csv", direction)
        )
        arrays = {name: getattr(realigned, name) for name in ("offsets", "positions", "deformed", "fused", "cross")}
        controls.download(
            "Your warp (NPZ)", lambda: npz(arrays, about), controls.file_name("align", subject, "npz", direction)
        )
        controls.download(
            "Your warp (GIF)",
            lambda: warp_animation(decomposition, pair, offsets, drawn, theme, about),
            controls.file_name("align", subject, "gif", direction),
        )


@st.fragment
def show_capture_range() -> None:
    st.subheader("Capture range")
    against = "the ground truth" if i in subject.truth else f"the mask of {fixed}, as there is no ground truth"
    st.markdown(
        f"{moving} is deformed by a known smooth random warp and aligned again. Dice compares the "
        f"mask of {moving} in the frame of {fixed} with {against}."
        + ("" if (i, j) in subject.sampling else " The images are assumed to be registered.")
    )
    with st.container(horizontal=True):
        amount = st.slider(
            "Warp, pixels RMS",
            0,
            AMOUNTS[-1],
            6,
            key="amount",
            bind="query-params",
            help="Root mean square length of the displacement over the image",
        )
        seed = st.number_input("Shape", 0, 999, 0, key="warp-seed", bind="query-params", help="Seed of the random warp")
    misregistered = results.misregistered(checkpoint, subject, decomposition, (i, j), float(amount), seed)
    with st.container(key="sheet_misregistered"):
        controls.image(
            misregistered_sheet(misregistered, (i, j), theme),
            "A known and the recovered warp: grids, displacements and residual error",
        )
    shown = [
        ("error before, pixels", misregistered.error_before),
        ("error after, pixels", misregistered.error_after),
        ("Dice not aligned", misregistered.unaligned),
        ("Dice aligned", misregistered.aligned),
    ]
    for column, (name, value) in zip(st.columns(4), shown, strict=True):
        column.metric(name, "n/a" if np.isnan(value) else f"{value:.3f}")
    if not st.toggle(
        "Plot over the amount",
        key="range",
        bind="query-params",
        help=f"{SHAPES} warps of each of {len(AMOUNTS)} amounts; takes a few seconds the first time",
    ):
        return
    bar = st.progress(0.0, text := "Increasing the warp")
    spread = results.misregistration(
        checkpoint,
        subject,
        decomposition,
        (i, j),
        AMOUNTS,
        range(seed, seed + SHAPES),
        lambda share: bar.progress(share, text),
    )
    bar.empty()
    st.plotly_chart(
        range_figure(spread, dark),
        key="spread",
        config=chart("misregistration", about),
        alt="Dice and error over the amount of the warp, with and without alignment",
    )
    st.markdown(breaking_points(spread))


@st.fragment
def show_candidates() -> None:
    st.subheader("Neighbouring slices")
    if subject.neighbour_images is None:
        st.info("Neighbouring slices need an image stack of every modality.")
        return
    st.markdown(
        f"Neighbouring slices of {moving} are further candidates. Each is deformed onto the slice; "
        "from the overlap of the anatomies a small network computes the weights of their masks (Sec. III-F)."
    )
    around, weighed = results.candidates(checkpoint, subject, (i, j))
    if weighed.weights is None:
        st.caption(
            "This checkpoint was trained with expert pairs, so it has overlaps but no weights. "
            "`python train.py --pairing neighbours --candidates 3` trains one with weights."
        )
    with st.container(key="small_candidates"):
        controls.image(
            candidates_sheet(around, (i, j), weighed, subject.truth.get(i), palette, colours, theme),
            "Candidates with their overlaps, deformed anatomies and masks",
        )


edit_warp()
show_capture_range()
show_candidates()
