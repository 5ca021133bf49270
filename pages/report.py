"""Report: all results of one slice in one file that opens offline."""

from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from dafnet_explorer import background_evaluation, controls, glossary, provenance, sidebar, state, traversals
from dafnet_explorer.report.archive import report
from dafnet_explorer.report.page import CONTENTS

checkpoint, subject, decomposition, kinds = sidebar.current()

st.title("Report")
st.markdown(
    "Get all pictures, arrays and numbers of the selected slice in one file, with the settings that reproduce them."
)
glossary.subject_caption(subject.title, decomposition.names)
sidebar.show_domain_notice(checkpoint, subject)
st.markdown(
    "The ZIP holds an HTML page that opens in any browser without this app or a network, with pictures, numbers, "
    "settings, digests and versions; and the arrays and tables as files. The same settings, versions and number of "
    "threads reproduce the same numbers."
)
if subject.uploaded:
    st.markdown("It contains the pixels of your files, but not their names or header fields.")
with st.container(horizontal=True):
    names = list(decomposition.names)
    traversed = st.segmented_control(
        "Traverse z of",
        names,
        default=names,
        selection_mode="multi",
        key="traversed",
        bind="query-params",
        help="Modalities whose traversal is in the report",
    )
    steps = st.segmented_control(
        "Steps",
        (5, 7, 9),
        default=7,
        required=True,
        key="report-steps",
        bind="query-params",
        help="Images a dimension, from -3 to 3",
    )
evaluations = background_evaluation.finished_evaluations(checkpoint)
request = st.selectbox(
    "Numbers of evaluate",
    [None, *evaluations],
    len(evaluations),
    key="report-numbers",
    format_func=lambda request: request.command if request else "stored in the checkpoint",
    help="Evaluations made on the pages Mix, Probe, Independence, Truth and Compare can be selected too",
)

name = st.session_state[state.CHECKPOINT]
own = name in st.session_state.get(state.OWN_CHECKPOINTS, {})
file = "CHECKPOINT" if own else f"{name}/best" if name.startswith("runs/") else f"checkpoints/{name}"
choices = {"traversed": traversed or "", "report-steps": steps}  # an empty value in a link means none, not the default
link = None
if not (own or subject.uploaded):
    choices |= st.session_state[state.PLACE]
    digest = provenance.short_digest(checkpoint)
    link = f"{st.context.url or '/report'}?" + urlencode(
        {state.CHECKPOINT: name, state.DIGEST: digest, **choices}, doseq=True
    )
metrics = {request.command: replace(evaluations[request].result, data=request.name)} if request else None
traversals = {
    name: traversals.traversal(checkpoint, decomposition.s[i], decomposition.z_mean[i], steps)
    for i, name in enumerate(names)
    if name in traversed
}
facts = provenance.about_subject(
    checkpoint,
    subject,
    checkpoint_file=file if own else f"{file}.safetensors",
    modalities=names,
    numbers=request.command if request else "of the checkpoint",
    **choices,
)
controls.download(
    "Report (ZIP)",
    lambda: report(checkpoint, subject, decomposition, kinds, traversals, metrics, facts, link),
    controls.file_name("report", subject, "zip"),
)
st.dataframe([{"file": file, "what": what} for file, what in CONTENTS.items()], hide_index=True)
