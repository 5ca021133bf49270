"""The counter-example beside the selected checkpoint: what both lose when pixels of their anatomies are shuffled."""

from __future__ import annotations

import streamlit as st
from PIL import Image

from dafnet_core.checkpoints.file import Checkpoint, CheckpointError
from dafnet_core.drawing import Theme
from dafnet_core.metrics.anatomy import speckle
from dafnet_explorer import catalogue, data_sets, glossary, results, state, subjects
from dafnet_explorer.catalogue import COUNTER_EXAMPLE
from dafnet_explorer.figures import halftone
from dafnet_explorer.sidebar import DEFAULT_CHECKPOINT
from dafnet_explorer.subjects import Subject


def checkpoints(checkpoint: Checkpoint) -> dict[str, Checkpoint]:
    """The counter-example, and the selected checkpoint or, if that is the counter-example, the default one.

    Left out is what is not installed, not valid, or has other modalities or classes than the selected checkpoint.
    """
    chosen, paths = st.session_state[state.CHECKPOINT], catalogue.entries()
    found: dict[str, Checkpoint] = {}
    for name in dict.fromkeys((COUNTER_EXAMPLE, DEFAULT_CHECKPOINT if chosen == COUNTER_EXAMPLE else chosen)):
        try:
            other = checkpoint if name == chosen else catalogue.load_entry(paths[name])
        except (KeyError, CheckpointError):
            continue
        if _alike(other, checkpoint):
            found[name] = other
    return found


def _alike(a: Checkpoint, b: Checkpoint) -> bool:
    return (a.config.modalities, a.config.classes) == (b.config.modalities, b.config.classes)


def _models(checkpoint: Checkpoint, subject: Subject, i: int) -> list[halftone.Model]:
    return [
        halftone.Model(
            name,
            results.decomposition_of(other, subject).s[i].argmax(0).astype("uint8"),
            results.halftone_of(other, subject, i),
            results.colours_of(other, subject),
        )
        for name, other in checkpoints(checkpoint).items()
    ]


def picture(checkpoint: Checkpoint, subject: Subject, i: int, kind: int, theme: Theme) -> Image.Image:
    """Anatomies of image i of a subject with known tissues, and what is decoded from them.

    Args:
        kind: index in `halftone.KINDS`.
    """
    mask = subject.truth.get(i)
    where = halftone.region_around(results.decomposition_of(checkpoint, subject).single[i] if mask is None else mask)
    tissues = subject.tissues[i]
    truth = halftone.Truth(subject.images[i], tissues, halftone.tissue_map(tissues, mask, checkpoint.colours))
    return halftone.halftone_sheet(_models(checkpoint, subject, i), kind, truth, where, theme)


def legend(checkpoint: Checkpoint) -> str:
    """What the columns, colours and shares under the picture mean."""
    text = (
        "Organs have the colours of their classes, darker where their tissue is another one, such as scar; all other "
        "colours are arbitrary. Specks are pixels whose channel or tissue is not a most frequent one of the 3 x 3 "
        "pixels around them."
    )
    if COUNTER_EXAMPLE in checkpoints(checkpoint):
        text = f"{COUNTER_EXAMPLE} is the counter-example, kept for its dots. {text}"
    return text


def verdict(checkpoint: Checkpoint, subject: Subject, i: int) -> str:
    """What the errors on image i say, in Markdown, and what is missing for a comparison."""
    models = _models(checkpoint, subject, i)
    text = halftone.verdict(models, speckle(subject.tissues[i]))
    shown = {model.name for model in models}
    if COUNTER_EXAMPLE not in shown:
        text += (
            f" There is nothing to compare with: the counter-example, {COUNTER_EXAMPLE}, is missing or not valid. "
            f"Restore checkpoints/{COUNTER_EXAMPLE}.safetensors from the repository."
        )
    elif len(shown) == 1:
        text += f" There is nothing to compare with: {DEFAULT_CHECKPOINT} is missing or not valid."
    return text


def offer_phantom(checkpoint: Checkpoint) -> None:
    """For a subject whose tissues are not known: what is missing, and a button that selects a phantom heart."""
    fits = subjects.sample_source(checkpoint) is not None
    text = (
        "This station needs the true tissues of the image, and only those of the built-in artificial hearts are known."
    )
    if not fits:
        text += f" The selected checkpoint was trained for {' and '.join(checkpoint.config.modalities)}, not for them."
    st.info(text)

    def select() -> None:
        st.session_state[state.SOURCE] = data_sets.TAKEN[0]
        if not fits:
            st.session_state[state.CHECKPOINT] = DEFAULT_CHECKPOINT

    if fits or DEFAULT_CHECKPOINT in catalogue.entries():
        label = "Show it on a phantom heart" + ("" if fits else f", with {DEFAULT_CHECKPOINT}")
        what = f"Selects a sample{'' if fits else ' and the checkpoint'}. Phantom: {glossary.TERMS['phantom']}"
        st.button(label, key="phantom", on_click=select, type="primary", help=what)
