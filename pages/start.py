"""Start: decomposition into content and style, and reconstruction, of the selected subject."""

import streamlit as st

from dafnet_explorer import controls, glossary, next_steps, sidebar
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.start import start_sheet

checkpoint, subject, decomposition, kinds = sidebar.current()
st.title("What an image shows, and how it looks")
glossary.markdown(
    "Find out, on one slice, how DAFNet separates what an image shows from how it looks. "
    "Two MR images of one subject **show the same things** but **look different**. "
    "DAFNet decomposes each image into an *anatomy* **s** (where things are, as one-hot channels) and a "
    "*modality factor* **z** (how they look, a few numbers), and reconstructs the image from both. "
    "Decode an anatomy with the other image's **z**, and its modality changes while structures stay in place."
)
sidebar.show_domain_notice(checkpoint, subject)
glossary.subject_caption(subject.title, decomposition.names)
colours = channel_colours(kinds, checkpoint.colours)
with st.container(key="sheet_start"):
    controls.image(
        start_sheet(decomposition, colours, sidebar.theme()),
        (
            "For each modality: the image, its anatomy, its modality factor, the reconstruction, and the same anatomy "
            "with the other modality's factor"
        ),
    )
glossary.caption(
    "Anatomy: each colour is one channel; channels that the segmentor uses for one class have that class's colour. "
    "z: bars are posterior means from -3 to 3, whiskers one standard deviation."
)
left, right = st.columns(2)
with left:
    st.subheader("Why decompose images?")
    st.markdown(
        "- Anatomies of all modalities share **one representation**, so one can be **aligned** to the other and "
        "**fused** with it, and a single network segments both.\n"
        "- Reconstruction needs **no annotation**: unlabelled modalities are trained too.\n"
        "- The factors are explicit: each can be inspected and tested."
    )
with right:
    st.subheader("Next steps")
    st.page_link("pages/tour.py", label="**New to this? Tour in eleven stations →**")
    st.page_link(
        "pages/decompose.py",
        label="**Decompose this slice →**",
    )
    st.markdown(
        "All its channels, the warp, fused anatomies, masks and errors, with their numbers.\n\n"
        "Or select another subject or slice in the sidebar. `python train.py --help` shows how to train a model."
    )
    next_steps.offer_own_data()
