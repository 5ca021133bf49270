"""Links: what one asks for and is not here is said, with what is shown instead, as long as that is shown."""

from __future__ import annotations

import streamlit as st

from dafnet_core.data.formats.scan import clean_name
from dafnet_explorer import state

_ASKED = state.CHECKPOINT, state.SOURCE, state.SUBJECT, state.SLICE, state.DIFFICULTY


def begin() -> None:
    """Keep what the link of a session asks for, before any widget is drawn."""
    if state.LINK not in st.session_state:
        st.session_state[state.LINK] = {key: st.query_params[key] for key in _ASKED if key in st.query_params}


def warn() -> None:
    """Warn that something else is shown than the link asks for, once both pickers are drawn."""
    checkpoint, place = st.session_state[state.CHECKPOINT], st.session_state[state.PLACE]
    if state.LINK_PROBLEM not in st.session_state:
        text = _checkpoint_problem(checkpoint)
        if text:
            st.session_state[state.LINK_PROBLEM] = text, checkpoint
        else:
            st.session_state[state.LINK_PROBLEM] = _subject_problem(place), (checkpoint, place)
    text, instead = st.session_state[state.LINK_PROBLEM]
    if text and instead in (checkpoint, (checkpoint, place)):
        st.warning(text)


def _checkpoint_problem(shown: str) -> str:
    linked = st.session_state[state.LINK].get(state.CHECKPOINT)
    if linked is None or linked == shown:
        return ""
    why = ""
    if linked.endswith(state.UPLOADED):
        why = ": it was uploaded in another session. Upload it again on the page Checkpoints"
    elif linked.startswith("runs/"):
        why = ": it would be that of a training run of this name in runs/"
    return f"This link shows the checkpoint {clean_name(linked)}, which is not here{why}. {shown} is shown instead."


def _subject_problem(place: dict[str, object]) -> str:
    link = st.session_state[state.LINK]

    def differs(key: str, shown: object) -> bool:
        return key in link and str(shown) != link[key]

    asked = {key: clean_name(value) for key, value in link.items()}
    subject = st.session_state.get(state.SUBJECT)
    whose = f" of {asked[state.SOURCE]}" if state.SOURCE in link else ""
    what = ""
    if differs(state.SOURCE, place.get(state.SOURCE, st.session_state.get(state.SOURCE))):
        what = f"a subject of the data set {asked[state.SOURCE]}"
    elif differs(state.SUBJECT, subject):
        what = f"subject {asked[state.SUBJECT]}{whose}"
    elif place and differs(state.SLICE, place[state.SLICE]):
        what = f"slice {asked[state.SLICE]} of subject {clean_name(str(subject))}"
    elif place and differs(state.DIFFICULTY, place.get(state.DIFFICULTY)):
        what = f"a subject of the difficulty {asked[state.DIFFICULTY]}"
    if not what:
        return ""
    return f"This link shows {what}, which this server does not have for this checkpoint. " + (
        f"Subject {clean_name(str(place[state.SUBJECT]))}, slice {place[state.SLICE]} is shown instead."
        if place
        else "Choose another one in the sidebar."
    )
