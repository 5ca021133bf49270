"""Quiz: identify the factor of an image that was changed."""

import streamlit as st

from dafnet_explorer import controls, glossary, provenance, results, sidebar
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.quiz import quiz_answer_sheet, quiz_rows, quiz_sheet
from dafnet_explorer.figures.texts import DECODERS

NAMES = {"z": "one dimension of z", "anatomy": "the anatomy s", "warp": "the warp", "decoder": "the decoder"}
HINTS = {
    "z": "The anatomy is the same, the appearance is different.",
    "anatomy": "A structure was removed and filled from its surroundings.",
    "warp": "All structures are present, but displaced.",
    "decoder": "The same image, reconstructed by another model.",
}
checkpoint, subject, decomposition, kinds = sidebar.current()
theme = sidebar.theme()

st.title("Quiz")
st.markdown("Find out whether you can see which factor of an image was changed.")
glossary.subject_caption(subject.title, decomposition.names)
sidebar.show_domain_notice(checkpoint, subject)
st.markdown(
    "*Before* is an image reconstructed from its own **s** and **z**. *After*, **one** factor was changed. Which? "
    "If content and style are disentangled, a change of **z** moves no structure, and a change of **s** or of the warp "
    "leaves every tissue as bright as it was."
)
with st.container(horizontal=True):
    seed = st.number_input(
        "Class seed",
        0,
        9999,
        key="quiz-seed",
        bind="query-params",
        help="Part of the link, with checkpoint and sample: the same link gives the same questions",
    )
    number = st.number_input(
        "Question", 1, 999, key="question", bind="query-params", help="Number of the question within the seed"
    )
try:
    question = results.question(checkpoint, subject, seed, number - 1)
except ValueError as error:
    st.info(f"No question available: {error}.")
    st.stop()
answers = st.session_state.setdefault("quiz-answers", {})
asked = (seed, number, checkpoint.digest, subject.digest, question.kinds)


def answer(kind: str) -> None:
    row = {
        "seed": seed,
        "question": number,
        "subject": provenance.data_name(subject),
        "checkpoint": checkpoint.digest,
        "asked": question.kind,
        "answered": kind,
        "correct": kind == question.kind,
    }
    answers.setdefault(asked, row)  # the first answer counts


def next_question() -> None:
    st.session_state["question"] = number + 1


def explanation() -> str:
    if question.kind == "z":
        d, _ = question.moved
        before, after = (z[d] for z in question.z)
        return f"z{d + 1} of {question.modality} was changed from {before:+.2f} to {after:+.2f}; s is unchanged."
    if question.kind == "anatomy":
        pixels = int((question.anatomies[0] != question.anatomies[1]).sum())
        return f"{pixels} pixels of s of {question.modality} were removed and filled from around them; z is unchanged."
    if question.kind == "warp":
        return f"s of {question.modality} was warped by {question.rms:.1f} pixels (RMS); z is unchanged."
    first, second = sorted(DECODERS, key=lambda name: name != checkpoint.config.decoder)
    before, after = DECODERS[first], DECODERS[second]
    return (
        f"Before, {question.modality} was reconstructed by the {before} model; after, by the {after} model, "
        "each from its own s and z of the same image."
    )


if asked not in answers:
    with st.container(key="small_question"):
        controls.image(quiz_sheet(question, theme), "An image before and after one factor was changed")
    chosen = st.radio(
        "What was changed?",
        question.kinds,
        None,
        format_func=NAMES.get,
        captions=[HINTS[k] for k in question.kinds],
        help="All kinds are equally frequent",
        key=f"answer-{seed}-{number}-{checkpoint.digest[:8]}-{subject.digest[:8]}",
    )
    st.button(
        "Show the answer",
        help="The first answer counts",
        disabled=chosen is None,
        on_click=answer,
        args=(chosen,),
        type="primary",
    )
else:
    given = answers[asked]
    drawn = channel_colours(kinds, checkpoint.colours)
    if given["correct"]:
        st.success(f"Right, it was {NAMES[question.kind]}. {explanation()}")
    else:
        st.warning(f"It was {NAMES[question.kind]}, not {NAMES[given['answered']]}. {explanation()}")
    with st.container(key="sheet_answer"):
        controls.image(
            quiz_answer_sheet(
                question,
                (drawn, results.counterpart_colours(checkpoint, subject) if question.kind == "decoder" else drawn),
                theme,
            ),
            f"What changed with {NAMES[question.kind]}: images and their difference, anatomies and z",
        )
    st.dataframe(quiz_rows(question), hide_index=True)
    st.caption("Intensities are in [-1, 1]. Organs: the fused mask of the images themselves.")
    st.button(
        "Next question",
        help="Next question of the same seed",
        disabled=number == 999,
        on_click=next_question,
        type="primary",
    )
if answers:
    rows = list(answers.values())
    right = sum(row["correct"] for row in rows)
    st.markdown(f"**{right} of {len(rows)} right.** Chance: one in {len(question.kinds)}.")
    controls.download(
        "Your answers (CSV)",
        lambda: table_csv(rows, provenance.about_subject(checkpoint, subject)),
        controls.file_name("quiz", subject, "csv"),
    )
