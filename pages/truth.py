"""Truth: how well s, z and the warp know what is true of the phantom; the paper's data have no such truth."""

import streamlit as st

from dafnet_core.analysis.truth import dci
from dafnet_core.drawing import DARK
from dafnet_explorer import background_evaluation, controls, provenance, sidebar
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.truth import truth_figure, truth_rows

checkpoint = sidebar.current_checkpoint()
dark = sidebar.theme() is DARK

st.title("Truth")
st.markdown(
    "Find out which known properties of the phantom can be predicted from **z**, from **s** and from the warp. "
    "Everything that the phantom was made with is known, so each of the model's factors can be asked for each of it: "
    "a linear model reads it from subjects that it never saw. 0 is chance, 1 is all of it. If content and style are "
    "apart, contrast and noise are in **z**, the heart's size and place in **s**, breathing in the **warp**, and "
    "nothing of them anywhere else."
)
sidebar.stop_without_factors(checkpoint)
# all of them: with fewer even the oracle cannot be told everything
request = background_evaluation.pick_data(checkpoint, "truth-population", -1)
evaluation = background_evaluation.evaluated(checkpoint, request) if request else None
if evaluation is None or evaluation.statistics is None:
    st.stop()
e = evaluation.statistics.encodings
if not e.ground_truth:
    st.info("Nothing but masks is known of these subjects. This page is for the phantom.")
    st.stop()
modality = st.segmented_control(
    "In images of",
    e.names,
    default=e.names[-1],
    required=True,
    key="truth-of",
    bind="query-params",
    help="Whose z, s and warp are asked",
)
readings = background_evaluation.truth(checkpoint, request, modality, evaluation.statistics)
about = provenance.about(checkpoint, request.name, modality=modality, z=e.z_is)
st.plotly_chart(
    truth_figure(readings, dark),
    key="truth",
    config=chart("truth", about),
    alt="What is known, in rows, read from every representation, in columns",
)
st.caption(
    f"{e.n_subjects} subjects; the intervals under the cursor are wide with few of them. z1 and so on: one dimension "
    "alone. s shapes: centroids and second moments of channels. Two controls: the *oracle* is what is known itself, "
    "so what even it is not told, these subjects are too few to show; *leaky s* is s with z written into it, and is "
    "told what z is."
)
dimensions = [f"z{d + 1}" for d in range(e.z.shape[1])]
scores = dci(readings, modality, dimensions, "z")
st.subheader("z in three numbers")
columns = st.columns(3)
columns[0].metric("Disentanglement", f"{scores.disentanglement:.2f}", help="1: each dimension tells one thing only")
columns[1].metric("Completeness", f"{scores.completeness:.2f}", help="1: each thing is told by one dimension only")
columns[2].metric("Informativeness", f"{scores.mean_informativeness:.2f}", help="mean of what all of z tells")
st.caption(
    "As in Eastwood and Williams (2018), but a dimension's importance is what it tells alone. Of the phantom's factors "
    "z should tell only those of style, so its informativeness over all of them is never 1."
)
controls.download(
    "This matrix (CSV)",
    lambda: table_csv(truth_rows(readings), about),
    "dafnet-truth.csv",
)
