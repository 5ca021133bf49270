"""The page Decompose of methods with a continuous content code, such as MUNIT's, in place of anatomy channels."""

from __future__ import annotations

import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.drawing import Theme
from dafnet_explorer import catalogue, controls, glossary, results, sidebar
from dafnet_explorer.figures.content import content_sheet
from dafnet_explorer.subjects import Subject


def show_instead(checkpoint: Checkpoint, subject: Subject, theme: Theme) -> None:
    """Show the content code of a subject and stop the page; nothing for methods with factors, or without content."""
    if not catalogue.has_content(checkpoint):
        return
    estimate = results.estimate_of(checkpoint, subject)
    title = checkpoint.method.title
    st.title("Decompose")
    st.markdown("Find out what the model computes from one slice: its content code, masks and reconstructions.")
    names = [checkpoint.config.modalities[m] for m in subject.modalities]
    glossary.subject_caption(subject.title, names)
    sidebar.show_domain_notice(checkpoint, subject)
    st.markdown(
        f"The content of {title} is continuous, {estimate.content.shape[1]} numbers for every 4 x 4 pixels, and not "
        "one channel for each pixel. Shown are its first principal components over all images, in standard "
        "deviations: red above the mean, blue below."
    )
    picture = content_sheet(estimate, subject.images, names, subject.truth, checkpoint.colours, theme)
    with st.container(key="sheet_content"):
        controls.image(picture, "Each image, principal components of its content, its mask and its reconstruction")
    st.info(
        f"{title} has a style code for each modality's own decoder, which Traverse, Mix and Probe show. It has no "
        "anatomy channels that could be painted or compared: the other pages of factors leave it out."
    )
    st.stop()
