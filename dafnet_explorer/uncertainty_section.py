"""The part of Decompose on how sure a model is: its probabilities, and its spread over samples of s and z."""

from __future__ import annotations

from math import log

import streamlit as st
from PIL import Image

from dafnet_core.analysis.uncertainty import Uncertainty, sample_factors
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import Theme, png, stack
from dafnet_core.methods.base import FactorModel
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer import controls, glossary, provenance
from dafnet_explorer.caches import cached
from dafnet_explorer.figures.uncertainty import arrays, probability_sheet, uncertainty_sheet
from dafnet_explorer.subjects import Subject

COUNTS = 8, 16, 32


@cached(8, "Sampling s and z")
def _uncertainty(
    digest: str,
    images: str,
    modalities: tuple[int, ...],
    samples: int,
    _model: FactorModel,
    _decomposition: Decomposition,
) -> Uncertainty:
    return sample_factors(_model, _decomposition.images, modalities, samples=samples)


def section(checkpoint: Checkpoint, subject: Subject, decomposition: Decomposition, theme: Theme) -> None:
    """Maps of probabilities and entropy; on demand those of samples; and downloads of what is shown."""
    classes = checkpoint.config.classes
    st.subheader("How sure is the model?")
    glossary.markdown(
        "The probability of every class in the fused mask, and their *entropy* in nats: 0 where the model is sure, "
        f"{log(len(classes)):.2f} where all classes are equally likely. A sure model can still be wrong."
    )
    made = [("Class probabilities", probability_sheet(decomposition, classes, theme))]
    _show("probabilities", made[0][1], "Probability of every class and their entropy, for each modality")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        sampled = st.toggle(
            "Sample s and z",
            key="sampled",
            bind="query-params",
            help="Draws both factors anew instead of taking the likeliest channel and the mean of z; takes seconds",
        )
        samples = st.segmented_control(
            "Samples",
            COUNTS,
            default=COUNTS[1],
            required=True,
            key="samples",
            disabled=not sampled,
            bind="query-params",
            help="More samples: slower, smoother maps",
        )
    found = None
    if sampled:
        found = _uncertainty(
            checkpoint.digest, subject.digest, subject.modalities, samples, checkpoint.model, decomposition
        )
        made.append(("Samples of s and z", uncertainty_sheet(decomposition, found, theme)))
        _show("uncertainty", made[1][1], "Entropy, disagreement and deviation over samples of s and z")
        st.caption(
            "Each pixel's channel is drawn by the encoder's probabilities, and z from its posterior; masks and images "
            "are of each image's own anatomy. *Samples disagree*: the part of the entropy that differs from sample to "
            "sample. Pixels are drawn independently, so where a whole structure is in doubt, the maps show too little."
        )
    settings = {"samples": samples} if sampled else {}
    about = provenance.about_subject(checkpoint, subject, **settings)
    with st.container(horizontal=True):
        controls.download(
            "These maps (PNG)",
            lambda: png(stack([picture for _, picture in made], [title for title, _ in made], theme), about),
            controls.file_name("decompose", subject, "png", "uncertainty"),
        )
        controls.download(
            "Their values (NPZ)",
            lambda: arrays(decomposition, found, classes, about),
            controls.file_name("decompose", subject, "npz", "uncertainty"),
        )


def _show(key: str, picture: Image.Image, alt: str) -> None:
    with st.container(key=f"sheet_{key}"):
        controls.image(picture, alt)
