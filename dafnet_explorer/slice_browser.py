"""The slices of any judged data, sorted by what a mean hides; a click opens one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.sources import open_source
from dafnet_core.drawing import Theme
from dafnet_core.evaluation.run import Evaluation
from dafnet_core.evaluation.slices import DISAGREEMENT, JudgedSlice
from dafnet_explorer import background_evaluation, components, controls, data_sets, state, subjects
from dafnet_explorer.background_evaluation import EvaluationRequest
from dafnet_explorer.figures.downloads import table_csv
from dafnet_explorer.figures.slices import IN_ROW, ON_PAGE, WORST, browser_sheet, order, slice_sheet

CHOSEN, SELECTING = "browsed-slice", "select-browsed-slice"  # place of a slice; whether the sidebar is to select it


def section(
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    request: EvaluationRequest,
    theme: Theme,
    other: tuple[str, Evaluation] | None = None,
) -> None:
    """Thumbnails of all judged slices in the order of a number; the one that is clicked, large, with its masks.

    Args:
        other: name and evaluation of another checkpoint on the same data, to disagree with.
    """
    st.subheader("Slice by slice")
    table = evaluation.of_slices(other[1] if other else None)
    known = [name for name, values in table.items() if not np.isnan(values).all()]
    if not known:
        st.info("No slice of these data has a number: there are no true masks, and nothing is reconstructed.")
        return
    st.markdown(
        "Sorted by one number, so that what a mean hides comes first; above each its subject and slice. "
        "A click shows the slice with its masks. "
        "*Leakage*: how much surer of the modality a classifier is that sees s instead of the true masks. "
        "*Disagreement*: 1 - Dice of one checkpoint's mask with the other's."
    )
    _browse(checkpoint, evaluation, request, theme, other, {name: table[name] for name in known})


@st.fragment
def _browse(
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    request: EvaluationRequest,
    theme: Theme,
    other: tuple[str, Evaluation] | None,
    table: dict[str, np.ndarray],
) -> None:
    if st.session_state.pop(SELECTING, False):
        st.rerun()  # the whole page, with the sidebar
    slices, names = evaluation.slices, checkpoint.config.modalities
    values, places = _ordered(slices, names, table)
    if not len(places):
        st.info("No slice of this modality has this number.")
        return
    pages = -(-len(places) // ON_PAGE)
    page = 1
    if pages > 1:
        page = st.number_input(
            f"Page, of {pages}", 1, pages, key="browsed-page", help=f"{ON_PAGE} slices each", bind="query-params"
        )
    shown = places[(page - 1) * ON_PAGE : page * ON_PAGE]

    def choose(row: int, column: int) -> None:
        if row * IN_ROW + column < len(shown):
            st.session_state[CHOSEN] = slices[shown[row * IN_ROW + column]].place

    chosen = next((n for n in shown if slices[n].place == st.session_state.get(CHOSEN)), None)
    marked = None if chosen is None else divmod(int(np.flatnonzero(shown == chosen)[0]), IN_ROW)
    components.tiles(
        browser_sheet(slices, shown, values, names, theme),
        "Slices in the order of the chosen number",
        marked,
        key="browsed",
        on_change=choose,
    )
    about = background_evaluation.about(checkpoint, request)
    controls.download(
        "All slices (CSV)",
        lambda: table_csv(evaluation.slice_rows(names, other[1] if other else None), about),
        controls.file_name("slices", request.name, "csv", *([f"against {other[0]}"] if other else [])),
    )
    if chosen is None:
        st.caption("Click a slice to see it with its masks.")
    else:
        _show(checkpoint, evaluation, request, theme, other, int(chosen))


def _ordered(
    slices: Sequence[JudgedSlice], names: Sequence[str], table: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Values of the chosen number, and places of the slices in the chosen order."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = st.selectbox(
            "Sort by",
            list(table),
            list(table).index(DISAGREEMENT) if DISAGREEMENT in table else 0,
            key="browsed-by",
            bind="query-params",
            help="The number below each slice",
        )
        first = st.segmented_control(
            "First",
            ("worst", "best"),
            default="worst",
            required=True,
            key="browsed-first",
            bind="query-params",
            help="Which end of the order comes first",
        )
        modality = st.segmented_control(
            "Modality",
            ("all", *names),
            default="all",
            required=True,
            key="browsed-modality",
            bind="query-params",
            help="Whose slices are shown",
        )
    of = np.array([modality in ("all", names[s.modality]) for s in slices])
    return table[by], order(table[by], of, worst_high=WORST[by], worst_first=first == "worst")


def _show(
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    request: EvaluationRequest,
    theme: Theme,
    other: tuple[str, Evaluation] | None,
    chosen: int,
) -> None:
    """One slice with the masks of all checkpoints, and the way to its other results."""
    judged = evaluation.slices[chosen]
    masks = {"checkpoint A" if other else "this checkpoint": judged}
    if other:
        theirs = next((s for s in other[1].slices if s.place == judged.place), None)
        masks |= {other[0]: theirs} if theirs else {}
    image = truth = None
    if evaluation.statistics is not None:
        encoded = evaluation.statistics.encodings.slices[judged.index]
        image = encoded.images[judged.modality]
        truth = None if encoded.masks is None else encoded.masks[judged.modality]
    name = checkpoint.config.modalities[judged.modality]
    st.markdown(f"**{judged.subject}, slice {judged.number + 1}, {name}**")
    with st.container(key="sheet_browsed"):
        controls.image(
            slice_sheet(masks, image, truth, checkpoint.colours, theme), "The chosen slice and its masks over the image"
        )
    place = selection(checkpoint, request, judged)
    if not place:
        st.caption("This subject is none of those in the sidebar: other pages cannot show it.")
    elif all(st.session_state.get(key) == value for key, value in place.items()):
        st.page_link("pages/decompose.py", label="This slice on Decompose →")
    else:
        st.button(
            "Select this slice for all pages",
            on_click=_select,
            args=(place,),
            key="select-browsed",
            help="Selects its subject and slice in the sidebar",
        )


def selection(checkpoint: Checkpoint, request: EvaluationRequest, judged: JudgedSlice) -> dict[str, object]:
    """What the sidebar's pickers hold where a judged slice is selected; {} for one that they do not offer."""
    source = subjects.sample_source(checkpoint)
    for title, found in data_sets.fitting(checkpoint).items():
        if found.spec == request.data and judged.subject in found.names():
            return {state.SOURCE: title, state.SUBJECT: judged.subject, state.SLICE: judged.number + 1}
    if source is None or request.data.partition(":")[0] != source.kind:
        return {}
    names = source.names()[: source.samples.subjects]
    variant = next((v for v in source.samples.variants if re.search(rf"\b{v}\b", request.data)), None)
    if variant is None or judged.subject not in open_source(request.data).names() or judged.subject not in names:
        return {}
    place = {state.SUBJECT: names.index(judged.subject) + 1, state.SLICE: judged.number + 1, state.DIFFICULTY: variant}
    return {state.SOURCE: data_sets.TAKEN[0]} | place


def _select(place: dict[str, object]) -> None:
    for key, value in place.items():
        st.session_state[key] = value
    st.session_state[SELECTING] = True
