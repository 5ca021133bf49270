"""What the bar above every page shows: the selection, with arrows, and the page's link.

The pickers in the sidebar choose; they offer the bar what it can step through.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from dafnet_core.data.formats.scan import quoted
from dafnet_explorer import components, state


def clear() -> None:
    """Offer nothing yet, before the pickers run."""
    st.session_state[state.STEPS] = {}


def offer(label: str, key: str, choices: Sequence[int | str]) -> None:
    """Let the bar step through the choices of a picker.

    Args:
        label: what is chosen.
        key: of the picker's widget.
        choices: at least one, in their order.
    """
    st.session_state[state.STEPS][label] = key, choices


def show() -> None:
    """Draw the bar; the pickers have run."""
    name = quoted(st.session_state[state.CHECKPOINT])
    st.markdown(name, width="content", help="The checkpoint, chosen in the sidebar")
    for label, (key, choices) in st.session_state[state.STEPS].items():
        _step(label, key, choices)
    components.copy_link(key="copy-link")


def _step(label: str, key: str, choices: Sequence[int | str]) -> None:
    """An arrow back, the choice, and an arrow forward."""
    now = choices.index(st.session_state[key])

    def arrow(sign: str, by: int, which: str) -> None:
        to = now + by
        st.button(
            sign,
            key=f"{key}-{which.lower()}",
            on_click=lambda: st.session_state.update({key: choices[to]}),
            disabled=not 0 <= to < len(choices),
            help=f"{which} {label[0].lower()}{label[1:]}",
        )

    shown = choices[now]
    with st.container(key=f"step-{key}", horizontal=True, vertical_alignment="center", width="content", gap="small"):
        arrow("←", -1, "Previous")
        text = f"{shown} of {len(choices)}" if isinstance(shown, int) else quoted(shown)
        st.markdown(f"{label} {text}", width="content")
        arrow("→", 1, "Next")
