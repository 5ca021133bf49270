"""Compare: two checkpoints on the same images, side by side and in numbers."""

import streamlit as st

from dafnet_core.drawing import png
from dafnet_explorer import background_evaluation, controls, evaluation_figures, figures, session

checkpoint, subject, found, kinds = session.current()
theme = session.theme()

st.title("Compare")
st.caption(subject.title)
session.say_domain(checkpoint, subject)
picked = session.pick_other(checkpoint, "against", needed=True)
if picked is None:
    st.stop()
name, other = picked
theirs = session.taken_apart(other, subject)
st.markdown(
    f"**Chosen at the left** beside **{name}**, on the same slice. Their channels have no common order: only channels "
    "that the segmentor uses for one class have that class's colour in both."
)
with st.container(key="sheet_compare"):
    controls.image(
        figures.compare_sheet((found, theirs), subject.truth, checkpoint.colours, theme),
        "Factors, masks and reconstructions of both checkpoints, and the difference of their reconstructions",
    )
st.caption(f"Differences of intensity from -{figures.CHANGE_LIMIT:g} (blue) to {figures.CHANGE_LIMIT:g} (red).")

controls.download(
    "This sheet (PNG)",
    lambda: png(
        figures.compare_sheet((found, theirs), subject.truth, checkpoint.colours, theme),
        session.about(checkpoint, session.data_name(subject), against_digest=other.digest),
    ),
    "dafnet-compare.png",
)

st.subheader("In numbers")
asked = background_evaluation.pick_data(checkpoint, "population")
both = [background_evaluation.judged(model, asked) for model in (checkpoint, other)] if asked else [None]
if None not in both:
    rows = evaluation_figures.comparison(*both)
    numbers = both[0].found
    st.markdown(
        f"{numbers['n_subjects']} subjects, {numbers['n_slices']} slices. *difference* is that of the same subjects, "
        "chosen minus beside, with its 95 % interval and the p of a sign-flip permutation; numbers that no single "
        "subject has are left without."
    )
    st.dataframe(rows, hide_index=True, height=520)
    about = session.about(checkpoint, asked.name, against_digest=other.digest, z=numbers["z"])
    controls.download("This table (CSV)", lambda: evaluation_figures.table_csv(rows, about), "dafnet-compare.csv")
    st.caption(f"The same: `python -m dafnet_core.evaluate CHECKPOINT --against OTHER {asked.command}`")
