"""Start: what the app is, at once; then the slider between two styles, the model and the factors of the subject."""

import streamlit as st

from dafnet_explorer import glossary, loading

st.title("DAFNet Explorer")
st.markdown(
    "Find out in this app how a neural network, DAFNet, separates **what** an MR image shows, its *anatomy* **s**, "
    "from **how it looks**, its *modality factor* **z**, and whether it really does."
)
notice = st.container()
pictures = st.empty()
with pictures.container():
    left, middle, right = st.columns([4, 4, 3], gap="medium")
    # containers have their size and colour by style.css, so that nothing moves; they are drawn once they hold anything
    with left, st.container(key="held-slider"):
        st.html("<div></div>")
        slider = st.empty()
    with middle, st.container(key="held-model"):
        st.html("<div></div>")
        model = st.empty()
    with right:
        st.page_link("pages/tour.py", label="**Tour in eleven stations →**")
        st.page_link("pages/decompose.py", label="**Decompose this slice →**")
        glossary.markdown(
            "Two MR images of one subject **show the same body** but **look different**. DAFNet encodes where things "
            "are in **s**, as channels, one at each pixel, and how they look in **z**, a few numbers.\n\n"
            "Move the slider: one anatomy is decoded with the style of one image, of the other, and of all between.\n\n"
            "Click a block of the model: the tour explains it."
        )
    with st.container(key="held-sheet"):
        st.html("<div></div>")
        sheet = st.empty()
    caption = st.empty()
loading.load()  # after the first paint

from dafnet_explorer import catalogue, components, controls, next_steps, results, sidebar, traversals  # noqa: E402
from dafnet_explorer.figures.errors import WHY_NOT_ZERO, loss_text  # noqa: E402
from dafnet_explorer.figures.findings import joined  # noqa: E402
from dafnet_explorer.figures.pixels import channel_colours  # noqa: E402
from dafnet_explorer.figures.start import between_labels, model_blocks, start_sheet  # noqa: E402

FRAMES = 21  # of the slider

selection = sidebar.current_selection()
if selection[1] is None or not catalogue.has_factors(selection[0]):
    pictures.empty()  # there will be none
checkpoint, subject = sidebar.with_subject(*selection)
decomposition, kinds = sidebar.decomposed(checkpoint, subject)
with notice:
    sidebar.show_domain_notice(checkpoint, subject)
with slider.container():
    if decomposition.pairs:
        a, b = decomposition.names[:2]
        components.scrub(
            traversals.between(checkpoint, decomposition.s[0], *decomposition.z_mean[:2], FRAMES),
            between_labels(a, b, FRAMES),
            0,
            title=f"The anatomy of {a}, decoded with z from that of {a} to that of {b}",
            owner=f"{checkpoint.digest} {subject.digest}",
            key="between",
        )
    else:
        st.info("One modality is given: the slider goes from the z of one to that of another.")
with model.container():
    station = components.model_diagram(
        model_blocks(decomposition, checkpoint.config.classes), aligned=decomposition.aligned, key="model"
    )
if station:
    st.switch_page("pages/tour.py", query_params={"station": str(station)})
with sheet.container(), st.container(key="sheet_start"):
    controls.image(
        start_sheet(decomposition, subject.scars, channel_colours(kinds, checkpoint.colours), sidebar.theme()),
        (
            "For each modality: the image, its anatomy, its modality factor, the reconstruction and its error, and the "
            "same anatomy with the other modality's factor"
        ),
    )
losses = results.losses_of(checkpoint, subject)
with caption:
    glossary.caption(
        f"{subject.title}. Modalities: {' and '.join(decomposition.names)}. Anatomy: each colour is one channel; "
        "channels that the segmentor uses for one class have that class's colour. z: bars are posterior means from "
        "-3 to 3, whiskers one standard deviation. Red is what the reconstruction loses.  \n"
        + joined([loss_text(decomposition.names[i], losses[i]) for i in decomposition.served]),
        help=WHY_NOT_ZERO,
    )
st.subheader("Why decompose images?")
st.markdown(
    "- Anatomies of all modalities share **one representation**, so one can be **aligned** to the other and **fused** "
    "with it, and a single network segments both.\n"
    "- Reconstruction needs **no annotation**: unlabelled modalities are trained too.\n"
    "- The factors are explicit: each can be inspected and tested."
)
st.markdown(
    "Select another subject or slice in the sidebar, or add your own. `python train.py --help` shows how to train a "
    "model."
)
next_steps.offer_own_data()
