"""Streamlit's side of the explorer: what is cached, what is chosen, what was uploaded.

Models and results are shared between sessions as read-only; uploads live in one session's memory alone, are
never written, and never logged.
"""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from dafnet_core.analysis.decompose import Decomposition, channel_classes, decompose
from dafnet_core.analysis.traversal import Traversal, steps_between, traverse
from dafnet_core.checkpoint import Checkpoint, CheckpointError, load
from dafnet_core.data import phantom
from dafnet_core.data.prepare import default_label_table
from dafnet_core.data.readers import ReadError, Scan, Slice, read
from dafnet_core.model import DAFNet
from explorer import subjects
from explorer.figures import gallery
from explorer.sheets import DARK, LIGHT, Theme, png
from explorer.subjects import Subject

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "checkpoints"
FIRST = "cardiac-film"  # shown first: it has samples
SAMPLES, FILES = "Samples", "My files"


@st.cache_resource(max_entries=8, show_spinner="Loading the model")
def _checkpoint(path: str, changed: int) -> Checkpoint:
    return load(path)


@st.cache_resource(max_entries=64, show_spinner=False)
def _sample(digest: str, _checkpoint: Checkpoint, number: int, position: int, difficulty: str) -> Subject:
    return subjects.sample(_checkpoint, number, position, difficulty)


@st.cache_resource(max_entries=32, show_spinner="Taking the images apart")
def _decomposition(digest: str, images: str, _checkpoint: Checkpoint, _subject: Subject) -> Decomposition:
    return decompose(_checkpoint.model, _subject.images, _subject.modalities)


@st.cache_resource(max_entries=16, show_spinner="Moving z")
def _traversal(
    digest: str, anatomy: str, z: tuple[float, ...], steps: int, _model: DAFNet, _s: np.ndarray
) -> Traversal:
    return traverse(_model, _s, np.array(z), steps_between(count=steps))


def traversal(checkpoint: Checkpoint, s: np.ndarray, z: np.ndarray, steps: int) -> Traversal:
    """Every dimension of z moved over an anatomy (C, H, W)."""
    labels = s.argmax(0).astype(np.uint8)
    anatomy = hashlib.blake2b(labels.tobytes() + repr(labels.shape).encode(), digest_size=16).hexdigest()
    return _traversal(checkpoint.digest, anatomy, tuple(map(float, z)), steps, checkpoint.model, s)


def others(checkpoint: Checkpoint) -> dict[str, Path]:
    """Other checkpoints of the folder, by name, that know the same modalities and classes."""
    found = {}
    for path in sorted(FOLDER.glob("*.safetensors")):
        try:
            other = _checkpoint(str(path), path.stat().st_mtime_ns)
        except CheckpointError:
            continue
        mine, theirs = ((c.config.modalities, c.config.classes) for c in (checkpoint, other))
        if mine == theirs and other.digest != checkpoint.digest:
            found[path.stem] = path
    return found


def taken_apart(path: Path, subject: Subject) -> tuple[Checkpoint, Decomposition]:
    """Another checkpoint's decomposition of the same subject."""
    other = _checkpoint(str(path), path.stat().st_mtime_ns)
    return other, _decomposition(other.digest, subject.digest, other, subject)


@st.cache_resource(max_entries=16, show_spinner=False)
def _gallery(digest: str, _checkpoint: Checkpoint, position: int, difficulty: str, dark: bool) -> bytes:
    shown = [_sample(digest, _checkpoint, n, position, difficulty).images[0] for n in range(subjects.SAMPLES)]
    return png(gallery(shown, DARK if dark else LIGHT))


def theme() -> Theme:
    """Colours for drawn pictures that fit the page around them."""
    return DARK if st.context.theme.type == "dark" else LIGHT


def pick_checkpoint() -> Checkpoint:
    """The sidebar's checkpoint picker; stops the page with a clear sentence if there is none to use."""
    paths = sorted(FOLDER.glob("*.safetensors"))
    if not paths:
        st.error(
            "There is no checkpoint in checkpoints/: train one with train.py --export, or restore the shipped ones."
        )
        st.stop()
    names = [p.stem for p in paths]
    first = names.index(FIRST) if FIRST in names else 0
    chosen = st.selectbox(
        "Checkpoint", names, first, key="checkpoint", bind="query-params", help="A trained model of checkpoints/"
    )
    path = paths[names.index(chosen)]
    try:
        found = _checkpoint(str(path), path.stat().st_mtime_ns)
    except CheckpointError as error:
        st.error(str(error).replace(f"{FOLDER}/", ""))
        st.stop()
    config = found.config
    decoder = {"film": "FiLM", "spade": "SPADE"}[config.decoder]
    st.caption(
        f"{decoder} decoder. Trained for **{' and '.join(config.modalities)}** on {found.training['data']}; "
        f"classes: {', '.join(config.classes[1:])}."
    )
    return found


def pick_subject(checkpoint: Checkpoint) -> Subject:
    """The sidebar's subject picker: a sample, or the user's own files once there are any."""
    if not subjects.has_samples(checkpoint):
        return _pick_files(checkpoint) or _nothing_yet(checkpoint)
    source = st.segmented_control("Subject", [SAMPLES, FILES], default=SAMPLES, required=True, key="source")
    own = _pick_files(checkpoint) if source == FILES else None
    st.session_state["waiting"] = source == FILES and own is None
    if own:
        return own
    if source == FILES:
        return _sample(checkpoint.digest, checkpoint, 0, phantom.SLICES // 2 - 1, "standard")
    numbers = range(1, subjects.SAMPLES + 1)
    number = st.selectbox("Phantom subject", numbers, key="subject", bind="query-params")
    position = st.slider(
        "Slice",
        1,
        phantom.SLICES,
        phantom.SLICES // 2,
        key="slice",
        bind="query-params",
        help="1 is the base of the heart",
    )
    difficulty = st.segmented_control(
        "Difficulty", phantom.DIFFICULTIES, default="standard", required=True, key="difficulty", bind="query-params",
        help="hard: the LGE alone is ambiguous, the cine stays clear",
    )  # fmt: skip
    dark = theme() is DARK
    st.image(
        _gallery(checkpoint.digest, checkpoint, position - 1, difficulty, dark),
        alt="This slice of every sample, by number",
    )
    return _sample(checkpoint.digest, checkpoint, number - 1, position - 1, difficulty)


def _nothing_yet(checkpoint: Checkpoint) -> Subject:
    names = " and one of ".join(checkpoint.config.modalities)
    st.info(
        f"This checkpoint was trained on {checkpoint.training['data']}. None of its images ship with the app: "
        f"choose one file of {names} in the sidebar. One of them alone works too."
    )
    st.stop()


def _scan(slot: str, files: Sequence, mask: bool) -> Scan | None:
    """Decode what an uploader holds, once; a refused file says why right under it."""
    ids = tuple(f.file_id for f in files)
    if not ids:
        st.session_state.pop(slot, None)
        return None
    if slot not in st.session_state or st.session_state[slot][0] != ids:
        try:
            with st.spinner("Reading"):
                found = read(*((f.name, f.getvalue()) for f in files), mask=mask)
        except ReadError as error:
            found = str(error)
        st.session_state[slot] = (ids, found)
    found = st.session_state[slot][1]
    if isinstance(found, str):
        st.error(found)
        return None
    return found


def _take(scan: Scan, name: str, key: str) -> Slice:
    """The chosen slice of a stack; the middle one at first."""
    volume = 0
    if scan.volumes > 1:
        volume = st.slider(f"Volume of {name}", 1, scan.volumes, 1, key=f"{key}-volume-{scan.values.shape}") - 1
    index = 0
    if scan.slices > 1:
        middle = scan.slices // 2 + 1
        index = st.slider(f"Slice of {name}", 1, scan.slices, middle, key=f"{key}-slice-{scan.values.shape}") - 1
    return scan.slice(index, volume)


def _pick_files(checkpoint: Checkpoint) -> Subject | None:
    """Uploaders, one a modality, each with an optional mask; None until there is an image that can be read."""
    slices: dict[int, Slice] = {}
    masks: dict[int, tuple[Slice, dict[int, int]]] = {}
    st.caption(
        "NIfTI, DICOM, PNG, JPEG, TIFF, BMP, NPY or NPZ; several files for a DICOM series. "
        "They stay in this session's memory and are never written."
    )
    for m, name in enumerate(checkpoint.config.modalities):
        files = st.file_uploader(name, accept_multiple_files=True, key=f"file-{name}")
        scan = _scan(f"scan-{name}", files, mask=False)
        if scan is None:
            continue
        slices[m] = _take(scan, name, f"take-{name}")
        with st.expander(f"Mask of {name} (optional)"):
            files = st.file_uploader(
                f"Mask of {name}", accept_multiple_files=True, key=f"mask-{name}", label_visibility="collapsed"
            )
            labels = _scan(f"labels-{name}", files, mask=True)
            if labels is not None and (chosen := _take_mask(labels, scan, name, checkpoint.config.classes)):
                masks[m] = chosen
    if not slices:
        return None
    try:
        return subjects.uploaded(checkpoint, slices, masks)
    except ReadError as error:
        st.error(str(error))
        return subjects.uploaded(checkpoint, slices, {})


def _take_mask(labels: Scan, scan: Scan, name: str, classes: tuple[str, ...]) -> tuple[Slice, dict[int, int]] | None:
    """The mask's slice of the same number as the image's, and a table of classes that the user sees and can change."""
    if labels.values.shape[1:] != scan.values.shape[1:]:
        rows = ["{} slices of {} x {} pixels".format(*s.values.shape[1:]) for s in (labels, scan)]
        st.error(f"{labels.name}: the mask has {rows[0]}, its image {rows[1]}; give the mask of this image.")
        return None
    index = st.session_state.get(f"take-{name}-slice-{scan.values.shape}", 1) - 1
    found = [int(v) for v in np.unique(labels.values)]
    try:
        table = default_label_table(found, len(classes))
    except ReadError as error:
        st.warning(str(error))
        table = dict.fromkeys(found, 0)
    for label in found:
        if label:
            kind = st.selectbox(
                f"Label {label} means", range(len(classes)), index=table[label], format_func=classes.__getitem__,
                key=f"label-{name}-{label}-{labels.name}",
            )  # fmt: skip
            table[label] = kind
    return labels.slice(index), table


def current() -> tuple[Checkpoint, Subject, Decomposition, tuple[int | None, ...]]:
    """What the sidebar chose: checkpoint, subject, its decomposition, and which channels are classes."""
    if "chosen" not in st.session_state:
        # Streamlit's old discovery of pages/ runs a page without app.py, until app.py has called st.navigation once
        runpy.run_path(str(ROOT / "app.py"))
        st.stop()
    checkpoint, subject = st.session_state.pop("chosen")
    found = _decomposition(checkpoint.digest, subject.digest, checkpoint, subject)
    return checkpoint, subject, found, channel_classes(found, len(checkpoint.config.classes))


def say_domain(checkpoint: Checkpoint, subject: Subject) -> None:
    """Above uploads: what the checkpoint was trained for, and what was done to the files."""
    if st.session_state.get("waiting"):
        st.info("Drop one file per modality in the sidebar. Until then this is a built-in sample.")
    if not subject.uploaded:
        return
    config = checkpoint.config
    st.warning(
        f"This checkpoint was trained on {checkpoint.training['data']}, for {' and '.join(config.modalities)}, to find "
        f"{', '.join(config.classes[1:])}. On other images it shows what it does all the same; "
        "its masks mean little there."
    )
    if subject.notes:
        with st.expander(f"What was done to the files ({len(subject.notes)} notes)"):
            for note in subject.notes:
                st.markdown(f"- {note}")
