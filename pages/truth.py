"""Truth: known properties of built-in subjects predicted from s, z and the warp; other data have no such truth."""

import streamlit as st

from dafnet_core.analysis.truth import dci
from dafnet_core.drawing import DARK
from dafnet_explorer import background_evaluation, controls, sidebar, subjects
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.truth import truth_figure, truth_rows

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
if subjects.sample_source(checkpoint) is None:
    st.info(
        "This page needs subjects whose properties are known: contrast, noise, sizes, positions, breathing. Of images "
        f"of {' and '.join(checkpoint.config.modalities)} nobody knows them; only synthetic images have them. Select a "
        "checkpoint that was trained on such images in the sidebar, such as cardiac-film. What z and s tell about the "
        "modality is on the page Probe, for this checkpoint too."
    )
    st.stop()
# all subjects: with fewer even the oracle does not reach 1
request = background_evaluation.pick_data(checkpoint, "truth-population", -1)
evaluation = background_evaluation.evaluation_of(checkpoint, request) if request else None
if evaluation is None or evaluation.statistics is None:
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
columns = st.columns(3)
columns[0].metric(
    "Disentanglement", f"{scores.disentanglement:.2f}", help="1: each dimension predicts one property only"
)
columns[1].metric(
    "Completeness", f"{scores.completeness:.2f}", help="1: each property is predicted by one dimension only"
)
columns[2].metric("Informativeness", f"{scores.mean_informativeness:.2f}", help="mean score of all of z")
st.caption(
    "As in Eastwood and Williams (2018), but the importance of a dimension is its score alone. z should predict only "
    "the phantom's style properties, so its informativeness over all of them is never 1."
)
controls.download(
    "This matrix (CSV)",
    lambda: table_csv(truth_rows(readings), about),
    "dafnet-truth.csv",
)
