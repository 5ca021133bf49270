"""Start: content and style, taken apart and put together again, on the chosen subject."""

import streamlit as st

from dafnet_explorer import controls, sidebar
from dafnet_explorer.figures.pixels import channel_colours
from dafnet_explorer.figures.start import start_sheet

checkpoint, subject, found, kinds = sidebar.current()
st.title("What an image shows, and how it looks")
st.markdown(
    "Find out, on one slice, how DAFNet separates what an image shows from how it looks. "
    "Two MR images of one heart **show the same things** but **look different**. "
    "DAFNet takes each image apart into an *anatomy* **s** – where things are, as one-hot channels – and a "
    "*modality factor* **z** – how they look, a few numbers – and puts them together again. "
    "Give an anatomy the other image's **z**, and it changes its modality while everything stays where it was."
)
sidebar.say_domain(checkpoint, subject)
st.caption(subject.title)
colours = channel_colours(kinds, checkpoint.colours)
with st.container(key="sheet_start"):
    controls.image(
        start_sheet(found, colours, sidebar.theme()),
        (
            "For each modality: the image, its anatomy, its modality factor, the image put together again, and the "
            "same anatomy with the other modality's factor"
        ),
    )
st.caption(
    "Anatomy: each colour is one channel; channels that the segmentor uses for one class have that class's colour. "
    "z: bars are posterior means from -3 to 3, whiskers one standard deviation."
)
left, right = st.columns(2)
with left:
    st.subheader("Why take images apart?")
    st.markdown(
        "- Anatomies of different modalities speak **one language**, so one can be **aligned** to the other and "
        "**fused** with it, and a single network segments both.\n"
        "- Putting images together again needs **no annotation**: a modality that nobody has labelled still learns.\n"
        "- The parts are explicit. You can look at each of them, and check what it knows."
    )
with right:
    st.subheader("Where to go next")
    st.page_link("pages/tour.py", label="**New to this? Ten short stations →**")
    st.page_link(
        "pages/decompose.py",
        label="**Decompose this slice →**",
    )
    st.markdown(
        "All its channels, the warp, fused anatomies, masks and errors, with their numbers.\n\n"
        "Or choose another subject or slice at the left, or drop **your own pair** under *My files*. "
        "`python train.py --help` trains a model of your own."
    )
