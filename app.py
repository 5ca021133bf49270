"""DAFNet Explorer: streamlit run app.py

Page settings, navigation, and the pickers and the bar that all pages share. Streamlit imports this file once to find
the server's App, and then runs it for every session. What takes long to import is imported when the pickers are drawn.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st
from starlette.middleware import Middleware
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import StreamlitPage
from streamlit.runtime.scriptrunner import get_script_run_ctx

from dafnet_explorer import loading, server, session_lifetime, state, style
from dafnet_explorer.paths import ICON

if TYPE_CHECKING:
    from dafnet_core.checkpoints.file import Checkpoint
    from dafnet_explorer.subjects import Subject

NORMAL, LARGE = 16, 22  # pixels: size of type, as in Streamlit, and in the lecture mode


def _pages() -> dict[str, list[StreamlitPage]]:
    """The pages in their groups."""
    return {
        "Learn": [
            st.Page("pages/start.py", title="Start", default=True, help="The model's factors in one picture"),
            st.Page("pages/tour.py", title="Tour", help="Eleven stations, from an image to its factors"),
            st.Page("pages/quiz.py", title="Quiz", help="One factor was changed: which?"),
        ],
        "Look": [
            st.Page(
                "pages/decompose.py", title="Decompose", help="Every factor, warp, mask and reconstruction of one slice"
            ),
            st.Page("pages/traverse.py", title="Traverse", help="How each dimension of z changes the image"),
            st.Page("pages/align.py", title="Align", help="Edit the warp, and measure the aligner's capture range"),
        ],
        "Edit": [
            st.Page("pages/edit.py", title="Edit", help="Edit the anatomy, and see the decoder's output"),
            st.Page("pages/mix.py", title="Mix", help="Any anatomy with any modality factor"),
        ],
        "Measure": [
            st.Page("pages/probe.py", title="Probe", help="What a linear classifier predicts from z and from s"),
            st.Page(
                "pages/independence.py", title="Independence", help="Distance correlation of s and z, and its bias"
            ),
            st.Page("pages/truth.py", title="Truth", help="Known properties of subjects predicted from each factor"),
            st.Page(
                "pages/benchmark.py", title="Benchmark", help="The paper's tables: every method on the same subjects"
            ),
        ],
        "Models": [
            st.Page("pages/compare.py", title="Compare", help="Two checkpoints on the same images"),
            st.Page("pages/checkpoints.py", title="Checkpoints", help="Cards, sizes, training curves, upload"),
            st.Page("pages/report.py", title="Report", help="All results of this slice in one file"),
        ],
    }


def main() -> None:
    st.set_page_config("DAFNet Explorer", page_icon=ICON, layout="wide")
    st.html(f"<style>html {{font-size: {LARGE if _lecture() else NORMAL}px !important;}}</style>")
    page = st.navigation(_pages(), position="top")
    st.session_state[state.PAGE] = page.title
    st.sidebar.caption("What all pages show")  # at once, as the bar: when the pickers come, the page keeps its place
    with st.container(key="bar", horizontal=True, vertical_alignment="center", horizontal_alignment="right"):
        bar = st.container(horizontal=True, vertical_alignment="center")
        st.toggle("Lecture mode", key=state.LECTURE, bind="query-params", help="Large type, for a projector")
    st.session_state[state.SELECTED] = partial(_select, bar, st.container())
    if page.url_path:  # all but Start, which first shows what needs no library
        loading.load()
    page.run()
    session_lifetime.freeze_imports()


def _lecture() -> bool:
    """Whether type is large: as the bar says, or in a session's first run the link."""
    return st.session_state.get(state.LECTURE, st.query_params.get(state.LECTURE) == "true")


def _select(place: DeltaGenerator, top: DeltaGenerator) -> tuple[Checkpoint, Subject | None]:
    """Draw both pickers, the bar and what is to be said of the selection, which is returned.

    Args:
        place: of the bar.
        top: of the page, for the user's own data and for warnings.
    """
    loading.load()
    from dafnet_explorer import bar, links, sidebar, subject_picker

    context = get_script_run_ctx()  # these are widgets of this file, not of the page: they keep their values on others
    with context.run_with_active_hash(context.pages_manager.main_script_hash):
        links.begin()
        bar.clear()
        with st.sidebar:
            checkpoint = sidebar.pick_checkpoint()
            subject = subject_picker.pick_subject(checkpoint, top)
        with place:
            bar.show()
        with top:
            sidebar.warn_of_other_checkpoint(checkpoint)
            links.warn()
    return checkpoint, subject


if get_script_run_ctx(suppress_warning=True) is None:
    server.keep_data_local()
    server.patch_lost_input()
    around = [Middleware(server.Guard, script=__file__), Middleware(style.Styled)]
    app = st.App(__file__, middleware=around, lifespan=server.begin, on_script_error=server.show_error)
else:
    main()
