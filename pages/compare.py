"""Compare: two checkpoints on the same images, side by side and in numbers."""

import streamlit as st
from PIL import Image

from dafnet_core.checkpoints.weights import weight_differences
from dafnet_core.drawing import DARK, png
from dafnet_core.evaluation.comparison import compare
from dafnet_explorer import (
    background_evaluation,
    catalogue,
    components,
    controls,
    glossary,
    provenance,
    results,
    sidebar,
    slice_browser,
    state,
)
from dafnet_explorer.figures.charts import chart
from dafnet_explorer.figures.compare import compare_sheet, pictures
from dafnet_explorer.figures.comparison import (
    comparison,
    correction_note,
    forest_figure,
    verdict,
    weight_rows,
)
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.masks import ERRORS, names_beside
from dafnet_explorer.figures.pixels import CHANGE_LIMIT

checkpoint, subject, decomposition, kinds = sidebar.current()
theme = sidebar.theme()

st.title("Compare")
st.markdown("Find out how two checkpoints differ, on the selected slice and on a whole data set.")
glossary.subject_caption(subject.title, [checkpoint.config.modalities[m] for m in subject.modalities])
sidebar.show_domain_notice(checkpoint, subject)
picked = controls.pick_other(checkpoint, "against", needed=True, factors=False)
if picked is None:
    st.stop()
name, other = picked
both = checkpoint, other


def sheet() -> Image.Image:
    return compare_sheet((decomposition, decomposition_b), subject.truth, checkpoint.colours, theme)


@st.fragment
def swipe() -> None:
    """Two pictures of one modality over each other."""
    with st.container(horizontal=True):
        modality = st.segmented_control(
            "Modality",
            decomposition.names,
            default=decomposition.names[0],
            required=True,
            key="swiped",
            bind="query-params",
            help="Modality whose pictures are laid over each other",
        )
        i = decomposition.names.index(modality)
        found = pictures((decomposition, decomposition_b), i, subject.truth, checkpoint.colours)
        names = list(found)
        chosen = [
            st.selectbox(
                side, names, names.index(first), key=key, bind="query-params", help="Picture on this side of the line"
            )
            for side, first, key in (("Left", "A: mask", "left"), ("Right", "B: mask", "right"))
        ]
    with st.container(width=440):
        components.compare(
            *(found[picture] for picture in chosen),
            title=f"{modality}: {chosen[0]} at the left of the line, {chosen[1]} at its right",
            key="swipe",
            ends=tuple(chosen),
        )


if catalogue.has_factors(other):
    decomposition_b = results.decomposition_of(other, subject)
    glossary.markdown(
        f"Checkpoint A (**sidebar**) and B (**{name}**) on the same slice. Their channels have no common order: only "
        "channels that the segmentor uses for one class have that class's colour in both."
    )
    with st.container(key="sheet_compare"):
        controls.image(
            sheet(),
            "Factors, masks, their errors and reconstructions of both checkpoints, and the difference of their "
            "reconstructions",
        )
    if subject.truth:
        st.html(f"Mask against truth: {names_beside(ERRORS)}")
    st.caption(f"Differences of intensity from -{CHANGE_LIMIT:g} (blue) to {CHANGE_LIMIT:g} (red).")
    facts = provenance.about_subject(checkpoint, subject, against_digest=other.digest)
    controls.download(
        "This sheet (PNG)",
        lambda: png(sheet(), facts),
        controls.file_name("compare", subject, "png", "against", name),
    )
    st.subheader("One over the other")
    swipe()
else:
    st.info(f"{other.method.title} has no anatomy and modality factors to compare: here are the numbers of both.")

st.subheader("In numbers")
request = background_evaluation.pick_data(checkpoint, state.POPULATION)
evaluated = [background_evaluation.evaluation_of(model, request) for model in both] if request else [None]
compared, results_of, about = {}, [], {}
if None not in evaluated:
    results_of = [evaluation.with_subjects() for evaluation in evaluated]
    about = background_evaluation.about(checkpoint, request, against_digest=other.digest, z=results_of[0].z)
    if evaluated[0].subjects != evaluated[1].subjects:
        st.warning("The checkpoints were judged on different subjects, because their splits differ: nothing is paired.")
elif results_of := background_evaluation.stored_on_the_same(*both):
    about = provenance.about(checkpoint, results_of[0].data, against_digest=other.digest)
    st.caption(
        f"{'Until then, from' if request else 'From'} the cards of both: {results_of[0].n_subjects} subjects of "
        f"`{results_of[0].data}`."
        + ("" if results_of[0].by_subject else " They hold means, and not what pairs need: numbers of each subject.")
    )
if results_of:
    compared = compare(*results_of)
if compared:
    st.markdown(verdict(compared))
    with st.container(key="sheet_forest"):
        st.plotly_chart(
            forest_figure(compared, theme is DARK),
            key="forest",
            config=chart("compare", about),
            alt="Differences of A and B in every number that has a better side, with 95 % intervals",
        )
    st.caption(correction_note(compared))
if results_of:
    rows = comparison(*results_of, compared)
    with st.expander("All numbers of both"):
        st.markdown(
            f"{results_of[0].n_subjects} subjects, {results_of[0].n_slices} slices. *difference*: A minus B, paired by "
            "subject, with its 95 % interval and the p-value of a sign-flip permutation test; empty for numbers that "
            "have no value for each subject."
        )
        labels = {"chosen": "checkpoint A", "beside": "checkpoint B"}  # the CSV keeps its columns
        st.dataframe(rows, hide_index=True, height=520, column_config=labels, column_order=list(rows[0])[1:])
    controls.download(
        "All numbers (CSV)",
        lambda: table_csv(rows, about),
        controls.file_name(
            "compare", results_of[0].data if None in evaluated else request.name, "csv", "against", name
        ),
    )
if request:
    st.caption(f"Command: `python -m dafnet_core.evaluate CHECKPOINT --against OTHER {request.command}`")

if None not in evaluated and evaluated[0].subjects == evaluated[1].subjects:
    slice_browser.section(checkpoint, evaluated[0], request, theme, (name, evaluated[1]))

st.subheader("Weights")
st.markdown(
    "How far the weights of each module lie apart: 0 for equal ones, about 1.41 for weights that have nothing to do "
    "with each other, as after two trainings from scratch. Modules of other shapes cannot be compared."
)
st.dataframe(weight_rows(weight_differences(*both)), hide_index=True)
