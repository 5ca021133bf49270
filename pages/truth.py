"""Truth: known properties of built-in subjects predicted from s, z and the warp; other data have no such truth."""

from dataclasses import replace

import streamlit as st

from dafnet_core.analysis.truth import dci
from dafnet_core.checkpoints.card import options, selected_on
from dafnet_core.drawing import DARK
from dafnet_core.evaluation.measures.style import SUBJECTS
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_explorer import background_evaluation, controls, next_steps, provenance, sidebar, subjects
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.texts import cell
from dafnet_explorer.figures.truth import speckle_rows, stored_styles, style_figure, truth_figure, truth_rows

checkpoint = sidebar.current_checkpoint()
dark = sidebar.theme() is DARK

st.title("Truth")
st.markdown(
    "Find out which known properties of the subjects can be predicted from **z**, from **s** and from the warp. "
    "A linear model predicts each property from each factor, tested on held-out subjects. 0 is chance, 1 is perfect. "
    "If content and style are disentangled, contrast and noise are in **z**, sizes and positions in **s**, "
    "breathing in the **warp**, and none of them in another factor."
)
sidebar.stop_without_factors(checkpoint)
source = subjects.sample_source(checkpoint)
if source is None:
    st.info(
        "This page needs subjects whose properties are known: contrast, noise, sizes, positions, breathing. Of images "
        f"of {' and '.join(checkpoint.config.modalities)} nobody knows them; only synthetic images have them. Select a "
        "checkpoint that was trained on such images. What z and s tell about the modality is on the page Probe, for "
        "this checkpoint too."
    )
    next_steps.offer_checkpoint(next_steps.has_samples, "A checkpoint of images whose properties are known")
    st.page_link("pages/probe.py", label="The modality predicted from z and from s: Probe →")
    next_steps.offer_card(checkpoint)
    st.stop()


def show_stored_styles() -> None:
    """What the card holds of the slow measures of `evaluate`, which takes too long for a page."""
    st.subheader("Contrast in z and in s")
    stored = stored_styles(checkpoint)
    if not stored:
        spec = source.evaluation_spec(SUBJECTS, source.samples.variants[0])
        st.caption(
            "How well contrast parameters are predicted from z, from s and from true intensities is not stored in this "
            f"checkpoint. To compute it: `python -m dafnet_core.evaluate CHECKPOINT --data {spec} --measures slow`"
        )
    for title, result in stored.items():
        figure = style_figure(result.style, dark) if result.style else None
        if figure:
            facts = provenance.about(checkpoint, result.data)
            st.plotly_chart(figure, key=f"style-{title}", config=chart("style", facts), alt="R² of contrast parameters")
        elif result.style:
            st.info(f"No contrast parameter counts: {result.why.get('style.z.linear.mean_r2', 'none was measured')}.")
        if result.prior:
            st.metric("Masks kept under random styles", cell(result.prior.dice_kept), help="Dice; styles from N(0, I)")
        st.caption(
            "In a clean model z predicts contrast as well as the true intensities of tissues do, s does not predict it "
            "(0), and masks stay under any style (1). Each bar: the better of ridge and kernel ridge regression, on "
            f"other subjects. From the checkpoint's card, {title}: {result.n_subjects} subjects. {selected_on(result)} "
            f"Command: `python -m dafnet_core.evaluate CHECKPOINT {options(result)}`"
        )


def show_anatomy(result: EvaluationResult) -> None:
    """How clean s is, and whether both modalities share it."""
    st.subheader("The anatomy against the true tissues")
    controls.table(speckle_rows(result.speckle), "speckle")
    st.caption(
        "Speckle: share of pixels whose channel differs from the majority of their 3 x 3 neighbours. A clean s has as "
        "little of it as the truth, and boundaries as long (1); a halftone of scattered pixels carries intensities."
    )
    across = result.invariance.modality
    with st.container(key="facts-anatomy"):
        columns = st.columns(2)
    columns[0].metric(
        "Same channel in both modalities", cell(across.agreement), help="Share of pixels, under the true warp"
    )
    columns[1].metric(
        "Same true tissue in both: the bound", cell(across.bound), help="Share of pixels, under the true warp"
    )
    st.caption(
        "In a clean model a tissue has the same channel in both modalities, so the share reaches that of the true "
        "tissues."
    )


def show_stored_anatomy() -> None:
    """The same from the checkpoint's card, at once."""
    stored = next((r for r in checkpoint.metrics.values() if r.speckle and r.invariance), None)
    if stored:
        show_anatomy(stored)
        st.caption(
            f"Until the evaluation has run, from the checkpoint's card: {stored.n_subjects} subjects of "
            f"`{stored.data}`. {selected_on(stored)}"
        )


# all subjects: with fewer even the oracle does not reach 1
request = background_evaluation.pick_data(checkpoint, "truth-population", -1)
request = replace(request, brief=True) if request else None
evaluation = background_evaluation.evaluation_of(checkpoint, request) if request else None
until_then = st.empty()  # what follows when it is done has places of its own, so that nothing moves
if evaluation is None or evaluation.statistics is None:
    with until_then.container():
        show_stored_anatomy()
        show_stored_styles()
    st.stop()
e = evaluation.statistics.encodings
if not e.ground_truth:
    st.info(
        "Of these subjects only masks are known. This page needs known contrast, noise, sizes and positions: choose "
        "the built-in data above."
    )
    st.stop()
modality = st.segmented_control(
    "In images of",
    e.names,
    default=e.names[-1],
    required=True,
    key="truth-of",
    bind="query-params",
    help="Modality whose z, s and warp are used",
)
readings = background_evaluation.all_readings(checkpoint, request, modality, evaluation.statistics)
about = background_evaluation.about(checkpoint, request, modality=modality, z=e.z_is)
with st.container(key="sheet_truth"):
    st.plotly_chart(
        truth_figure(readings, dark),
        key="truth",
        config=chart("truth", about),
        alt="Score of each known property (rows) predicted from each representation (columns)",
    )
st.caption(
    f"{e.n_subjects} subjects; the intervals under the cursor are wide with few of them. z1 and so on: one dimension "
    "alone. s shapes: centroids and second moments of channels. Two controls: the *oracle* is the known properties "
    "themselves, so a score below 1 means too few subjects; *leaky s* is s concatenated with z, a positive control."
)
dimensions = [f"z{d + 1}" for d in range(e.z.shape[1])]
scores = dci(readings, modality, dimensions, "z")
st.subheader("DCI scores of z")
with st.container(key="facts-dci"):
    columns = st.columns(3)
columns[0].metric(
    "Disentanglement", f"{scores.disentanglement:.2f}", help="1: each dimension predicts one property only"
)
columns[1].metric(
    "Completeness", f"{scores.completeness:.2f}", help="1: each property is predicted by one dimension only"
)
columns[2].metric("Informativeness", f"{scores.mean_informativeness:.2f}", help="mean score of all of z")
st.caption(
    "As in Eastwood and Williams (2018), but the importance of a dimension is its score alone. In a clean model "
    "z predicts only properties of style, so its mean score over all properties is below 1."
)

show_anatomy(evaluation.result)
st.caption(f"Command: `python -m dafnet_core.evaluate CHECKPOINT {request.command}`")
show_stored_styles()
controls.download(
    "This matrix (CSV)",
    lambda: table_csv(truth_rows(readings), about),
    controls.file_name("truth", request.name, "csv", modality),
)
