"""DAFNet Explorer: streamlit run app.py

Page settings, navigation, and the checkpoint and subject pickers that all pages share. Streamlit imports this file once
to find the server's App, and then runs it for every session.
"""

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dafnet_explorer import links, server, session_lifetime, sidebar, state, subject_picker
from dafnet_explorer.paths import ICON


def main() -> None:
    st.set_page_config("DAFNet Explorer", page_icon=ICON, layout="wide")
    # on narrow screens contact sheets and cards scroll horizontally, because shrunk tiles are unreadable
    st.html(
        "<style>@media (max-width: 640px) {"
        "[class*='st-key-sheet'] {overflow-x: auto;}"
        "[class*='st-key-sheet']::before {content: '⟷ wider than the screen: scroll sideways'; position: sticky;"
        " left: 0; width: fit-content; font-size: 0.85rem; opacity: 0.75;}"
        "[class*='st-key-sheet'] img {max-width: none !important; width: 820px !important;}"
        ".st-key-card {overflow-x: auto;}}"
        "</style>"
    )
    page = st.navigation(
        [
            st.Page("pages/start.py", title="Start", default=True, help="The model's factors in one picture"),
            st.Page("pages/tour.py", title="Tour", help="Eleven stations, from an image to its factors"),
            st.Page(
                "pages/decompose.py", title="Decompose", help="Every factor, warp, mask and reconstruction of one slice"
            ),
            st.Page("pages/traverse.py", title="Traverse", help="How each dimension of z changes the image"),
            st.Page("pages/align.py", title="Align", help="Edit the warp, and measure the aligner's capture range"),
            st.Page("pages/edit.py", title="Edit", help="Edit the anatomy, and see the decoder's output"),
            st.Page("pages/mix.py", title="Mix", help="Any anatomy with any modality factor"),
            st.Page("pages/probe.py", title="Probe", help="What a linear classifier predicts from z and from s"),
            st.Page(
                "pages/independence.py", title="Independence", help="Distance correlation of s and z, and its bias"
            ),
            st.Page("pages/truth.py", title="Truth", help="Known properties of subjects predicted from each factor"),
            st.Page(
                "pages/benchmark.py", title="Benchmark", help="The paper's tables: every method on the same subjects"
            ),
            st.Page("pages/quiz.py", title="Quiz", help="One factor was changed: which?"),
            st.Page("pages/compare.py", title="Compare", help="Two checkpoints on the same images"),
            st.Page("pages/checkpoints.py", title="Checkpoints", help="Cards, sizes, training curves, upload"),
            st.Page("pages/report.py", title="Report", help="All results of this slice in one file"),
        ],
        expanded=True,
    )
    links.begin()
    st.session_state[state.PAGE] = page.title
    place = st.container()  # for the user's own data, at the top of every page
    with st.sidebar:
        checkpoint = sidebar.pick_checkpoint()
        st.session_state[state.SELECTED] = checkpoint, subject_picker.pick_subject(checkpoint, place)
    sidebar.warn_of_other_checkpoint(checkpoint)
    links.warn()
    page.run()
    session_lifetime.freeze_imports()


if get_script_run_ctx(suppress_warning=True) is None:
    server.keep_data_local()
    server.patch_lost_input()
    guard = Middleware(server.Guard, script=__file__)
    app = st.App(__file__, middleware=[guard], lifespan=server.open_browser, on_script_error=server.show_error)
else:
    main()
