"""Sidebar: the checkpoint picker, what is selected, and messages about it."""

from __future__ import annotations

import re

import streamlit as st

from dafnet_core.analysis.decompose import channel_classes
from dafnet_core.checkpoints.file import Checkpoint, CheckpointError
from dafnet_core.drawing import DARK, LIGHT, Theme
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer import background_evaluation, catalogue, next_steps, paths, provenance, results, state
from dafnet_explorer.figures.texts import COUNTER_EXAMPLE, DECODERS, model_title, no_factors, weights_licence
from dafnet_explorer.subjects import Subject

DEFAULT_CHECKPOINT = "cardiac-film"  # default: it has samples


def theme() -> Theme:
    """Colours of drawn pictures for the theme of the page."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def pick_checkpoint() -> Checkpoint:
    """Checkpoint picker of the sidebar; stops the page with a message if there is no checkpoint."""
    background_evaluation.client_id()
    entries = catalogue.entries()
    if not entries:
        st.error(
            "There is no checkpoint in checkpoints/: train one with train.py --export, or restore the shipped ones."
        )
        st.stop()
    names = list(entries)
    first = DEFAULT_CHECKPOINT if DEFAULT_CHECKPOINT in names else next_steps.with_samples() or names[0]
    chosen = st.selectbox(
        "Checkpoint",
        names,
        names.index(first),
        key=state.CHECKPOINT,
        bind="query-params",
        help="A trained model: shipped, from your runs in runs/, or uploaded on the page Checkpoints",
    )
    try:
        checkpoint = catalogue.load_entry(entries[chosen])
    except CheckpointError as error:
        st.error(str(error).replace(f"{paths.ROOT}/", ""))
        st.stop()
    _keep_digest(chosen, checkpoint)
    config = checkpoint.config
    st.caption(
        f"{method_title(checkpoint)}. Trained for **{' and '.join(config.modalities)}** on {checkpoint.training.data}; "
        f"classes: {', '.join(config.classes[1:])}."
    )
    if chosen == catalogue.COUNTER_EXAMPLE:
        st.caption(f"**The counter-example.** {COUNTER_EXAMPLE}")
    licence = checkpoint.training.data_licence
    st.caption(
        f"Weights: {weights_licence(licence)}",
        help=f"The licence follows that of the training data. The checkpoint's record of these: {licence}",
    )
    return checkpoint


def _keep_digest(name: str, checkpoint: Checkpoint) -> None:
    """Keep the checkpoint's digest in the URL; remember the digest of the session's first link if it differs."""
    linked, here = st.query_params.get(state.DIGEST), provenance.short_digest(checkpoint)
    if state.LINKED not in st.session_state:
        differs = linked != here and re.fullmatch("[0-9a-f]{8}", linked or "")
        st.session_state[state.LINKED] = (name, linked) if differs else None
    if name in st.session_state.get(state.OWN_CHECKPOINTS, {}):
        st.query_params.pop(state.DIGEST, None)  # other sessions cannot open it
    elif linked != here:
        st.query_params[state.DIGEST] = here


def warn_of_other_checkpoint(checkpoint: Checkpoint) -> None:
    """Warn that the link was made with another checkpoint of this name, as long as it is selected."""
    name, linked = st.session_state[state.LINKED] or (None, None)
    if name is not None and name == st.session_state[state.CHECKPOINT]:
        st.warning(
            f"This link was made with another checkpoint (digest {linked}) than {name} here (digest "
            f"{provenance.short_digest(checkpoint)}), so numbers and pictures may differ."
        )


def current_selection() -> tuple[Checkpoint, Subject | None]:
    """Draw both pickers and the bar, as app.py passed them to the page; their selection. Once in a run."""
    return st.session_state.pop(state.SELECTED)()


def method_title(checkpoint: Checkpoint) -> str:
    """The decoder of a DAFNet, else the name of the method."""
    if checkpoint.method_name == "dafnet":
        return f"{DECODERS[checkpoint.config.decoder]} decoder"
    return checkpoint.method.title


def short_title(checkpoint: Checkpoint) -> str:
    """Short name of a model with factors beside another one."""
    return model_title(checkpoint.method_name, checkpoint.method.title, checkpoint.config.decoder)


def current_checkpoint() -> Checkpoint:
    """The selected checkpoint, for pages that need no subject."""
    return current_selection()[0]


def no_alignment(checkpoint: Checkpoint) -> str:
    """Message where a page shows alignment, for a checkpoint whose method has factors and aligns nothing."""
    return (
        f"{checkpoint.method.title} does not align one modality with another: there are no warps and no deformed or "
        "fused anatomies to show."
    )


def say_one_modality(what: str) -> None:
    """Message where a page needs two modalities and one is given: what is not possible, and how to add another."""
    st.info(f"Only one modality is given: {what}. Add another one under *Your data*, at the top of this page.")
    next_steps.offer_own_data()


def stop_without_factors(checkpoint: Checkpoint) -> None:
    """Stop the page with a message if a checkpoint's method has no factors."""
    if not catalogue.has_factors(checkpoint):
        st.info(no_factors(checkpoint.method.title))
        st.stop()


def current_subject() -> tuple[Checkpoint, Subject]:
    """The selected checkpoint and subject; stops the page with a message where none can be shown."""
    return with_subject(*current_selection())


def with_subject(checkpoint: Checkpoint, subject: Subject | None) -> tuple[Checkpoint, Subject]:
    """A selection that has a subject; stops the page with a message where it has none."""
    if subject is None and st.session_state[state.DATA_SET]:
        st.info("The selected subject cannot be shown: the sidebar says why. Choose another one there.")
        st.stop()
    if subject is None:
        next_steps.say_what_pages_need(checkpoint)
        st.stop()
    return checkpoint, subject


def current() -> tuple[Checkpoint, Subject, Decomposition, tuple[int | None, ...]]:
    """The selected checkpoint and subject, its decomposition, and the class of each channel."""
    checkpoint, subject = current_subject()
    return checkpoint, subject, *decomposed(checkpoint, subject)


def decomposed(checkpoint: Checkpoint, subject: Subject) -> tuple[Decomposition, tuple[int | None, ...]]:
    """A subject's decomposition and the class of each channel; stops the page without factors."""
    stop_without_factors(checkpoint)
    decomposition = results.decomposition_of(checkpoint, subject)
    return decomposition, channel_classes(decomposition, len(checkpoint.config.classes))


def show_domain_notice(checkpoint: Checkpoint, subject: Subject) -> None:
    """For images that the checkpoint was not trained for: its training domain, and how the files were converted."""
    if st.session_state.get(state.WAITING):
        kind = "subject of a data set" if subject.data_set else "built-in sample"
        st.info(f"Drop your images under *Your data*, at the top of this page. Until then a {kind} is shown.")
    config = checkpoint.config
    if subject.uploaded or subject.data_set not in ("", checkpoint.training.data):
        st.warning(
            f"This checkpoint was trained on {checkpoint.training.data}, for {' and '.join(config.modalities)}, to "
            f"segment {', '.join(config.classes[1:])}. On other images its results are not reliable."
        )
    if subject.notes:
        with st.expander(f"Conversion of the files ({len(subject.notes)} notes)"):
            for note in subject.notes:
                st.markdown(f"- {note}")
