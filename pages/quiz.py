"""Quiz: one factor of an image was changed, and the class says which."""

import streamlit as st

from dafnet_explorer import controls, provenance, results, sidebar
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.quiz import quiz_answer_sheet, quiz_rows, quiz_sheet
from dafnet_explorer.figures.texts import DECODERS

NAMES = {"z": "one dimension of z", "anatomy": "the anatomy s", "warp": "the warp", "decoder": "the decoder"}
HINTS = {
    "z": "The same things in the same places look different.",
    "anatomy": "Something went away, and what was around it took its place.",
    "warp": "Everything is still there, moved and bent.",
    "decoder": "The same image, taken apart and put together by another model.",
}
checkpoint, subject, _, kinds = sidebar.current()
theme = sidebar.theme()

st.title("Quiz")
st.markdown("Find out whether you can see which factor of an image was changed.")
st.caption(subject.title)
sidebar.say_domain(checkpoint, subject)
st.markdown(
    "*Before* is an image put together from its own **s** and **z**. *After*, **one** factor was changed. Which? "
    "If content and style are apart, it can be seen."
)
with st.container(horizontal=True):
    seed = st.number_input(
        "Class seed",
        0,
        9999,
        key="quiz-seed",
        bind="query-params",
        help="It is in the link with checkpoint and sample: whoever opens the same link is asked the same",
    )
    number = st.number_input(
        "Question", 1, 999, key="question", bind="query-params", help="The next one of the same seed"
    )
try:
    question = results.question(checkpoint, subject, seed, number - 1)
except ValueError as error:
    st.info(f"There is no question here: {error}.")
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


def following() -> None:
    st.session_state["question"] = number + 1


def truth() -> str:
    if question.kind == "z":
        d, _ = question.moved
        before, after = (z[d] for z in question.z)
        return f"z{d + 1} of {question.modality} was moved from {before:+.2f} to {after:+.2f}; s stayed as it was."
    if question.kind == "anatomy":
        pixels = int((question.anatomies[0] != question.anatomies[1]).sum())
        return (
            f"A piece of {pixels} pixels was taken out of s of {question.modality} and filled from around it; z stayed."
        )
    if question.kind == "warp":
        return f"s of {question.modality} was bent by {question.rms:.1f} pixels (RMS): nothing came or went; z stayed."
    first, second = sorted(DECODERS, key=lambda name: name != checkpoint.config.decoder)
    before, after = DECODERS[first], DECODERS[second]
    return (
        f"Before, {question.modality} was put together by the model with {before}; after, by the one with {after}, "
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
        help="Each kind is asked equally often",
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
        st.success(f"Right, it was {NAMES[question.kind]}. {truth()}")
    else:
        st.warning(f"It was {NAMES[question.kind]}, not {NAMES[given['answered']]}. {truth()}")
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
    st.button("Next question", help="Of the same seed", disabled=number == 999, on_click=following, type="primary")
if answers:
    rows = list(answers.values())
    right = sum(row["correct"] for row in rows)
    st.markdown(f"**{right} of {len(rows)} right.** Guessing gets one in {len(question.kinds)}.")
    controls.download(
        "Your answers (CSV)",
        lambda: table_csv(rows, provenance.about(checkpoint, provenance.data_name(subject))),
        "dafnet-quiz.csv",
    )
