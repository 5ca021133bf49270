"""Widgets shared by several pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from threading import Thread
from zlib import crc32

import numpy as np
import streamlit as st
from PIL import Image
from streamlit import runtime
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from dafnet_core.analysis.traversal import LIMIT
from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer import catalogue, components, provenance, state
from dafnet_explorer.pictures import encoded
from dafnet_explorer.subjects import Subject

ROW, ROWS = 35, 24  # of Streamlit's tables: height of a row in pixels, and how many are shown at once


def image(picture: Image.Image, alt: str) -> None:
    """Show a picture as lossless PNG; by default Streamlit makes a lossy JPEG, which also takes time.

    Its space is there before it, so that what follows does not move when the browser has loaded it. Without a width
    Streamlit would shrink what is wider than 1460 pixels.
    """
    width, _ = picture.size
    with components.room("picture", picture.size, f"{crc32(f'{alt} {width}'.encode()):08x}"):
        st.image(encoded(picture), alt=alt, width=width, output_format="PNG")


def table(rows: Sequence[Mapping[str, object]], key: str, column_config: Mapping[str, str] | None = None) -> None:
    """Show rows as a table that has its space before it comes; of many, the first ones, and the others by scrolling."""
    height = ROW * (min(len(rows), ROWS) + 1) + 2
    with components.room("table", (0, height), key):
        st.dataframe(rows, hide_index=True, column_config=column_config, height=height)


FORMATS = {  # of downloads: media type and description
    ".png": ("image/png", "Lossless picture"),
    ".csv": ("text/csv", "Table for any spreadsheet"),
    ".json": ("application/json", "Numbers for any program"),
    ".npz": ("application/octet-stream", "Arrays for numpy.load"),
    ".gif": ("image/gif", "Animation"),
    ".md": ("text/markdown", "Text"),
    ".tex": ("application/x-tex", "Table for LaTeX"),
    ".zip": ("application/zip", "Pictures, numbers and arrays"),
}


def download(label: str, data: Callable[[], bytes] | bytes | str, name: str, *, key: str | None = None) -> None:
    """Download button that makes its file on demand and does not rerun the page.

    Args:
        name: of the file; its extension is one of FORMATS.
    """
    kind, what = FORMATS[PurePath(name).suffix]
    context = get_script_run_ctx()

    def registered() -> bytes:
        """The file, registered for this session until its page reruns.

        Streamlit registers it for no session, so it is removed as soon as pages of two other sessions have run.
        """
        content = data()
        content = content.encode() if isinstance(content, str) else content
        if runtime.exists() and runtime.get_instance().is_active_session(context.session_id):
            files = runtime.get_instance().media_file_mgr
            thread = Thread(target=files.add, args=(content, kind, f"download {key or label}", name, True))
            add_script_run_ctx(thread, context)  # a file is registered for the session of the thread
            thread.start()
            thread.join()
        return content

    st.download_button(
        label,
        registered if callable(data) else data,
        name,
        kind,
        key=key,
        on_click="ignore",
        help=f"{what}; includes checkpoint, data and settings",
    )


def file_name(page: str, shown: Subject | str, suffix: str, *details: str, checkpoint: str = "") -> str:
    """`provenance.file_name` for the selected checkpoint, or that of another name."""
    return provenance.file_name(page, checkpoint or st.session_state[state.CHECKPOINT], shown, suffix, *details)


def z_sliders(
    checkpoint: Checkpoint,
    subject: Subject,
    decomposition: Decomposition,
    i: int,
    columns: Sequence[DeltaGenerator],
    effects: Sequence[str] = (),
) -> np.ndarray:
    """Sliders for all dimensions of z, and buttons that set all at once: z (n_z,), each from -3 to 3.

    They are reset to the z of image i whenever the image changes; values of a link have precedence.

    Args:
        i: position in `decomposition.names`.
        columns: the sliders are distributed over them.
        effects: what each dimension does, in words; () where it is not known.
    """
    own = np.clip(decomposition.z_mean[i], -LIMIT, LIMIT)
    keys = [f"z-{k}" for k in range(len(own))]

    def set_sliders(z: np.ndarray) -> None:
        for key, value in zip(keys, z, strict=True):
            st.session_state[key] = float(np.clip(value, -LIMIT, LIMIT))

    owner = checkpoint.digest, subject.digest, decomposition.names[i]
    before = st.session_state.get("z-of")
    if before != owner and not (before is None and any(key in st.query_params for key in keys)):
        set_sliders(own)
    st.session_state["z-of"] = owner
    with st.container(horizontal=True):
        st.button("The image's own z", on_click=set_sliders, args=(own,), help="The mean of q(z | x, s) of this image")
        for j, name in enumerate(decomposition.names):
            if j != i:
                st.button(
                    f"z of {name}",
                    on_click=set_sliders,
                    args=(decomposition.z_mean[j],),
                    help="The other image's style",
                )
        st.button(
            "Random z",
            on_click=lambda: set_sliders(np.random.default_rng().standard_normal(len(own))),
            help="Drawn from the prior N(0, I)",
        )
    z, rows = np.empty(len(own)), -(-len(own) // len(columns))
    for k, key in enumerate(keys):
        with columns[k // rows]:
            z[k] = st.slider(
                f"z{k + 1}: {effects[k]}" if effects else f"z{k + 1}",
                -LIMIT,
                LIMIT,
                float(own[k]),
                0.05,
                key=key,
                bind="query-params",
                help=f"Dimension {k + 1} of the modality factor; its prior is N(0, 1)",
            )
    return z


def pick_other(
    checkpoint: Checkpoint, key: str, *, needed: bool, factors: bool = True
) -> tuple[str, Checkpoint] | None:
    """Picker of a second checkpoint; if one is needed, the other decoder on the same data comes first.

    Args:
        key: widget key, also the query parameter.
        needed: whether one must be selected; the counter-example is the last choice.
        factors: whether it must have anatomy and modality factors.
    """
    compatible = {
        name: summary
        for name, summary in catalogue.compatible_checkpoints(checkpoint).items()
        if summary.factors or not factors
    }
    if needed and not compatible:
        st.info("No other checkpoint has the same modalities and classes; upload one on the page Checkpoints.")
        return None
    names = sorted(compatible, key=lambda name: compatible[name].data != checkpoint.training.data)
    if needed:
        names.sort(key=lambda name: compatible[name].decoder == checkpoint.config.decoder)
    names.sort(key=lambda name: name == catalogue.COUNTER_EXAMPLE)
    chosen = st.selectbox(
        "Compare with",
        names if needed else [None, *names],
        format_func=lambda n: n or "nothing",
        key=key,
        bind="query-params",
        help="Another checkpoint with the same modalities and classes",
    )
    return (chosen, catalogue.load_entry(catalogue.entries()[chosen])) if chosen else None
