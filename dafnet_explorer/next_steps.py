"""What can be done where a page has nothing to show: buttons and links, whatever checkpoints and data there are."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_explorer import catalogue, data_sets, state, subjects, uploads
from dafnet_explorer.catalogue import CheckpointSummary
from dafnet_explorer.figures.texts import cell

START_WITH_DATA = "start the app with data of these modalities: `streamlit run app.py -- --data FOLDER`"


def open_own_data() -> None:
    """Select the user's files and open their area, a callback of buttons."""
    st.session_state[state.SOURCE] = data_sets.TAKEN[1]
    st.session_state[state.AREA] = True


def offer_own_data(label: str = "Add your own images") -> None:
    """A button that opens the area for the user's files at the top of the page; nothing where it is open."""
    if st.session_state.get(state.AREA_OPEN):
        return
    st.button(
        label, key="offer-own-data", on_click=open_own_data, type="primary", help="Opens it at the top of the page"
    )


def offer_card(checkpoint: Checkpoint) -> None:
    """A link to the checkpoint's stored results."""
    stored = ", ".join(checkpoint.metrics)
    label = f"Its stored results ({stored}): the card on the page Checkpoints →" if stored else "Its card →"
    st.page_link("pages/checkpoints.py", label=label)


def offer_checkpoint(fit: Callable[[CheckpointSummary], int], what: str) -> None:
    """A button that selects the checkpoint with factors that fits best, of equal ones the first; nothing if none fits.

    Args:
        fit: how well one fits; 0 for not at all.
        what: why one would, the button's help.
    """

    def select() -> None:
        st.session_state[state.CHECKPOINT] = name

    if name := _best(fit):
        st.button(f"Select {name}", key="offer-checkpoint", on_click=select, help=what)


def with_samples() -> str | None:
    """The first checkpoint that has built-in samples and factors."""
    return _best(has_samples)


def _best(fit: Callable[[CheckpointSummary], int]) -> str | None:
    known = {n: s for n, s in catalogue.summaries().items() if s.factors and n != catalogue.COUNTER_EXAMPLE}
    best = max(known, key=lambda name: fit(known[name]), default=None)
    return best if best and fit(known[best]) else None


def say_what_pages_need(checkpoint: Checkpoint) -> None:
    """A page of one slice has none: what is missing, and how to get it; the area says it where there are files."""
    if st.session_state[state.PAGE] != "Start":  # which has shown its title already
        st.title(st.session_state[state.PAGE])
    if uploads.all_of_session():
        st.info("There is nothing to show yet: *Your data*, at the top of this page, says why.")
        offer_own_data()
        offer_card(checkpoint)
        return
    names = " and one of ".join(checkpoint.config.modalities)
    st.info(
        f"This checkpoint was trained on {checkpoint.training.data}. No images of it are part of the app: drop a file "
        f"of {names} under *Your data*, at the top of this page. One modality alone works too. Or {START_WITH_DATA}."
    )
    offer_own_data()
    offer_card(checkpoint)
    offer_checkpoint(has_samples, "A checkpoint whose built-in samples this app brings")


def say_what_mix_needs(checkpoint: Checkpoint) -> None:
    """The page Mix has no images: what is missing, how to get it, and what was measured of it."""
    names = " and one of ".join(checkpoint.config.modalities)
    st.info(
        f"No images are there whose factors could be mixed. Drop one file of {names} under *Your data*, at the top of "
        f"this page, or {START_WITH_DATA}."
    )
    offer_own_data()
    for title, result in checkpoint.metrics.items():
        if result.swap and result.cycle:
            st.markdown(
                f"**Measured with it** ({title}, {result.n_subjects} subjects of `{result.data}`, from its card)"
            )
            with st.container(horizontal=True):
                for pair, swap in result.swap.items():
                    a, b = pair.split("_to_")
                    what = f"Share of images g(s of {a}, z of {b}) whose re-encoded z is classified as {b}"
                    st.metric(f"{a} with z of {b}: reached", cell(swap.accuracy), help=what, width="content")
                for name, cycle in result.cycle.items():
                    what = "Share of pixels whose channel is the same when the own reconstruction is encoded again"
                    st.metric(f"{name}: channels kept", cell(cycle.s_agreement), help=what, width="content")
    offer_card(checkpoint)


def has_samples(summary: CheckpointSummary) -> bool:
    """Whether built-in samples, whose properties are known, fit a checkpoint."""
    return subjects.built_in(summary.modalities) is not None


def say_that_nothing_fits(checkpoint: Checkpoint) -> None:
    """The user has files, and none is of the checkpoint's modalities."""
    own = uploads.all_of_session()
    shown = [str(u.role) for u in own if u.role and u.role.modality and not u.role.mask and u.scan]
    wanted = " or ".join(checkpoint.config.modalities)
    text = f"None of your files is shown: this checkpoint was trained for {wanted}"
    text += f", and they are {' and '.join(shown)}." if shown else "."
    unknown = [u.name for u in own if u.scan and not (u.role and u.role.modality)]
    if unknown:
        text += f" Say what {', '.join(unknown)} show{'s' if len(unknown) == 1 else ''}."
    known = {name.casefold() for name in shown}
    st.info(f"{text} Add an image of {wanted}" + (", or select another checkpoint." if shown else "."))
    if shown:
        offer_checkpoint(
            lambda summary: len(known & {name.casefold() for name in summary.modalities}),
            "A checkpoint that was trained for images like yours",
        )
