"""The sidebar's selection: checkpoint, subject, and what pages say of both."""

from __future__ import annotations

import re

import streamlit as st

from dafnet_core.analysis.decompose import channel_classes
from dafnet_core.checkpoints.file import Checkpoint, CheckpointError
from dafnet_core.data.source import DataSource
from dafnet_core.drawing import DARK, LIGHT, Theme, png
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer import background_evaluation, catalogue, paths, provenance, results, state, subjects, uploads
from dafnet_explorer.caches import cached
from dafnet_explorer.figures.texts import DECODERS, no_factors, weights_licence
from dafnet_explorer.figures.thumbnails import gallery
from dafnet_explorer.subjects import Subject

FIRST = "cardiac-film"  # shown first: it has samples
SAMPLES, FILES = "Samples", "My files"


def theme() -> Theme:
    """Colours for drawn pictures that fit the page around them."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def pick_checkpoint() -> Checkpoint:
    """The sidebar's checkpoint picker; stops the page with a clear sentence if there is none to use."""
    background_evaluation.who()
    known = catalogue.entries()
    if not known:
        st.error(
            "There is no checkpoint in checkpoints/: train one with train.py --export, or restore the shipped ones."
        )
        st.stop()
    names = list(known)
    first = names.index(FIRST) if FIRST in names else 0
    chosen = st.selectbox(
        "Checkpoint",
        names,
        first,
        key=state.CHECKPOINT,
        bind="query-params",
        help="A trained model: shipped ones, your runs in runs/, and what you upload on the page Checkpoints",
    )
    try:
        found = catalogue.load_entry(known[chosen])
    except CheckpointError as error:
        st.error(str(error).replace(f"{paths.ROOT}/", ""))
        st.stop()
    _keep_digest(chosen, found)
    config = found.config
    st.caption(
        f"{method_title(found)}. Trained for **{' and '.join(config.modalities)}** on {found.training.data}; "
        f"classes: {', '.join(config.classes[1:])}."
    )
    licence = found.training.data_licence
    st.caption(
        f"Weights: {weights_licence(licence)}",
        help=f"Weights are licensed by the data that they were trained on. The checkpoint's record of these: {licence}",
    )
    return found


def _keep_digest(name: str, checkpoint: Checkpoint) -> None:
    """Keep the checkpoint's digest in the address; remember it if the link that began the session has another one."""
    linked, here = st.query_params.get(state.DIGEST), provenance.short_digest(checkpoint)
    if state.LINKED not in st.session_state:
        differs = linked != here and re.fullmatch("[0-9a-f]{8}", linked or "")
        st.session_state[state.LINKED] = (name, linked) if differs else None
    if name in st.session_state.get(state.OWN_CHECKPOINTS, {}):
        st.query_params.pop(state.DIGEST, None)  # nobody else could open it
    elif linked != here:
        st.query_params[state.DIGEST] = here


def say_link(checkpoint: Checkpoint) -> None:
    """Above the page: that the link was made with another checkpoint of this name, as long as it is selected."""
    name, linked = st.session_state[state.LINKED] or (None, None)
    if name is not None and name == st.session_state[state.CHECKPOINT]:
        st.warning(
            f"This link was made with another checkpoint (digest {linked}) than {name} here (digest "
            f"{provenance.short_digest(checkpoint)}), so numbers and pictures may differ from those that it is about."
        )


@cached(16)
def _gallery(
    digest: str, _checkpoint: Checkpoint, position: int, variant: str, subject_count: int, dark: bool
) -> bytes:
    shown = [results.sample(_checkpoint, n, position, variant).images[0] for n in range(subject_count)]
    return png(gallery(shown, DARK if dark else LIGHT))


def pick_subject(checkpoint: Checkpoint) -> Subject | None:
    """The sidebar's subject picker: a sample, or the user's own files; None as long as there is neither."""
    source = subjects.sample_source(checkpoint)
    if source is None:
        return uploads.pick_files(checkpoint)
    kind = st.segmented_control(
        "Subject",
        [SAMPLES, FILES],
        default=SAMPLES,
        required=True,
        key="source",
        help=f"Built-in {source.samples.about}, or your own images",
    )
    own = uploads.pick_files(checkpoint) if kind == FILES else None
    st.session_state[state.WAITING] = kind == FILES and own is None
    if own:
        return own
    if kind == FILES:
        return results.sample(checkpoint, 0, source.samples.slices // 2 - 1, source.samples.variants[0])
    return _pick_sample(checkpoint, source)


def _pick_sample(checkpoint: Checkpoint, source: DataSource) -> Subject:
    """One of a source's samples, with small pictures of all of them."""
    samples = source.samples
    numbers = range(1, samples.subjects + 1)
    number = st.selectbox(
        f"{source.kind.capitalize()} subject",
        numbers,
        key=state.SUBJECT,
        bind="query-params",
        help="Never trained on; the pictures below show this slice of each",
    )
    position = st.slider(
        "Slice",
        1,
        samples.slices,
        samples.slices // 2,
        key=state.SLICE,
        bind="query-params",
        help=samples.slice_help,
    )
    variant = st.segmented_control(
        "Difficulty",
        samples.variants,
        default=samples.variants[0],
        required=True,
        key=state.DIFFICULTY,
        bind="query-params",
        help=samples.variant_help,
    )
    dark = theme() is DARK
    st.image(
        _gallery(checkpoint.digest, checkpoint, position - 1, variant, samples.subjects, dark),
        alt="This slice of every sample, by number",
        output_format="PNG",
    )
    return results.sample(checkpoint, number - 1, position - 1, variant)


def _selection() -> tuple[Checkpoint, Subject | None]:
    """What app.py keeps of both pickers before it runs the page."""
    return st.session_state.pop(state.SELECTED)


def method_title(checkpoint: Checkpoint) -> str:
    """The decoder of a model with factors, else the name of the method."""
    if catalogue.has_factors(checkpoint):
        return f"{DECODERS[checkpoint.config.decoder]} decoder"
    return checkpoint.method.title


def current_checkpoint() -> Checkpoint:
    """What the sidebar chose, for pages that need no subject."""
    return _selection()[0]


def stop_without_factors(checkpoint: Checkpoint) -> None:
    """Say what is missing and stop the page if a checkpoint's method has no factors."""
    if not catalogue.has_factors(checkpoint):
        st.info(no_factors(checkpoint.method.title))
        st.stop()


def current() -> tuple[Checkpoint, Subject, Decomposition, tuple[int | None, ...]]:
    """What the sidebar chose: checkpoint, subject, its decomposition, and which channels are classes."""
    checkpoint, subject = _selection()
    if subject is None:
        names = " and one of ".join(checkpoint.config.modalities)
        st.info(
            f"This checkpoint was trained on {checkpoint.training.data}. None of its images ship with the app: "
            f"choose one file of {names} in the sidebar. One of them alone works too."
        )
        st.stop()
    stop_without_factors(checkpoint)
    found = results.taken_apart(checkpoint, subject)
    return checkpoint, subject, found, channel_classes(found, len(checkpoint.config.classes))


def say_domain(checkpoint: Checkpoint, subject: Subject) -> None:
    """Above uploads: what the checkpoint was trained for, and what was done to the files."""
    if st.session_state.get(state.WAITING):
        st.info("Drop one file per modality in the sidebar. Until then this is a built-in sample.")
    if not subject.uploaded:
        return
    config = checkpoint.config
    st.warning(
        f"This checkpoint was trained on {checkpoint.training.data}, for {' and '.join(config.modalities)}, to find "
        f"{', '.join(config.classes[1:])}. On other images it shows what it does all the same; "
        "its masks mean little there."
    )
    if subject.notes:
        with st.expander(f"What was done to the files ({len(subject.notes)} notes)"):
            for note in subject.notes:
                st.markdown(f"- {note}")
