"""Compare: two checkpoints on the same images, side by side and in numbers."""

import streamlit as st
from PIL import Image

from dafnet_core.drawing import png
from dafnet_explorer import background_evaluation, catalogue, controls, glossary, provenance, results, sidebar, state
from dafnet_explorer.figures.compare import compare_sheet, comparison
from dafnet_explorer.figures.downloads import table_csv
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


def sheet() -> Image.Image:
    return compare_sheet((decomposition, decomposition_b), subject.truth, checkpoint.colours, theme)


if catalogue.has_factors(other):
    decomposition_b = results.decomposition_of(other, subject)
    glossary.markdown(
        f"Checkpoint A (**sidebar**) and B (**{name}**) on the same slice. Their channels have no common order: only "
        "channels that the segmentor uses for one class have that class's colour in both."
    )
    with st.container(key="sheet_compare"):
        controls.image(
            sheet(),
            "Factors, masks and reconstructions of both checkpoints, and the difference of their reconstructions",
        )
    st.caption(f"Differences of intensity from -{CHANGE_LIMIT:g} (blue) to {CHANGE_LIMIT:g} (red).")
    facts = provenance.about_subject(checkpoint, subject, against_digest=other.digest)
    controls.download("This sheet (PNG)", lambda: png(sheet(), facts), "dafnet-compare.png")
else:
    st.info(f"{other.method.title} has no anatomy and modality factors to compare: here are the numbers of both.")

st.subheader("In numbers")
request = background_evaluation.pick_data(checkpoint, state.POPULATION)
both = [background_evaluation.evaluation_of(model, request) for model in (checkpoint, other)] if request else [None]
if None not in both:
    rows = comparison(*both)
    numbers = both[0].result
    st.markdown(
        f"{numbers.n_subjects} subjects, {numbers.n_slices} slices. *difference*: A minus B, paired by subject, with "
        "its 95 % interval and the p-value of a sign-flip permutation test; None for numbers not defined per subject."
    )
    if both[0].subjects != both[1].subjects:
        st.warning("The checkpoints were judged on different subjects, because their splits differ: nothing is paired.")
    labels = {"chosen": "checkpoint A", "beside": "checkpoint B"}  # the CSV keeps its columns
    st.dataframe(rows, hide_index=True, height=520, column_config=labels)
    about = background_evaluation.about(checkpoint, request, against_digest=other.digest, z=numbers.z)
    controls.download("This table (CSV)", lambda: table_csv(rows, about), "dafnet-compare.csv")
    st.caption(f"Command: `python -m dafnet_core.evaluate CHECKPOINT --against OTHER {request.command}`")
