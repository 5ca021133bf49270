"""The user's files: uploaders, decoding, and choice of slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.formats.scan import PRIVACY_NOTE, quoted
from dafnet_core.data.prepare import default_label_table
from dafnet_core.data.reader_process import Readers
from dafnet_core.data.readers import ReadError, Scan, Slice
from dafnet_core.data.source import nearest_slices
from dafnet_explorer import state, subjects
from dafnet_explorer.subjects import Subject


@st.cache_resource(max_entries=1, show_spinner=False)
def _readers() -> Readers:
    return Readers()


def _scan(slot: str, files: Sequence, mask: bool) -> Scan | None:
    """Decode the files of an uploader, once; the reason for a refused file is shown below it."""
    ids = tuple(f.file_id for f in files)
    if not ids:
        st.session_state.pop(slot, None)
        return None
    if slot not in st.session_state or st.session_state[slot][0] != ids:
        try:
            with st.spinner("Reading"):
                scan = _readers().read(*((f.name, f.getvalue()) for f in files), mask=mask)
        except ReadError as error:
            scan = str(error)
        st.session_state[slot] = (ids, scan)
        st.session_state[state.PRIVATE] = True
    scan = st.session_state[slot][1]
    if isinstance(scan, str):
        st.error(scan)
        return None
    if PRIVACY_NOTE in scan.notes:
        st.info(PRIVACY_NOTE)
    return scan


def _pick_slice(scan: Scan, name: str, key: str) -> tuple[int, int]:
    """Selected slice and volume of a stack; the middle slice by default."""
    volume = 0
    if scan.volumes > 1:
        volume = (
            st.slider(
                f"Volume of {name}",
                1,
                scan.volumes,
                1,
                key=f"{key}-volume-{scan.values.shape}",
                help="A frame or another image type in the same file",
            )
            - 1
        )
    index = 0
    if scan.slices > 1:
        middle = scan.slices // 2 + 1
        index = (
            st.slider(
                f"Slice of {name}",
                1,
                scan.slices,
                middle,
                key=f"{key}-slice-{scan.values.shape}",
                help="In the order of the file; the middle one by default",
            )
            - 1
        )
    return index, volume


def pick_files(checkpoint: Checkpoint) -> Subject | None:
    """Uploaders, one per modality, each with an optional mask; None until an image is decoded."""
    _readers()  # started before a file is selected, to save time
    slices: dict[int, Slice] = {}
    stacks: dict[int, Callable[[], list[Slice]]] = {}
    masks: dict[int, tuple[Slice, dict[int, int]]] = {}
    st.caption(
        "NIfTI, DICOM, PNG, JPEG, TIFF, BMP, NPY or NPZ; several files for a DICOM series. "
        "They are kept in this session's memory and never written."
    )
    for m, name in enumerate(checkpoint.config.modalities):
        files = st.file_uploader(
            name,
            accept_multiple_files=True,
            key=f"file-{name}",
            help="One image or stack; several files for a DICOM series",
        )
        scan = _scan(f"scan-{name}", files, mask=False)
        if scan is None:
            continue
        index, volume = _pick_slice(scan, name, f"take-{name}")
        slices[m] = scan.slice(index, volume)
        if scan.slices >= (wanted := subjects.candidate_count(checkpoint)):
            stacks[m] = partial(_neighbours, scan, index, volume, wanted)
        with st.expander(f"Mask of {name} (optional)"):
            files = st.file_uploader(
                f"Mask of {name}",
                accept_multiple_files=True,
                key=f"mask-{name}",
                label_visibility="collapsed",
                help="Labels of the pixels of the image",
            )
            labels = _scan(f"labels-{name}", files, mask=True)
            if labels is not None and (chosen := _pick_mask_slice(labels, scan, name, checkpoint.config.classes)):
                masks[m] = chosen
    if not slices:
        return None
    around = stacks if len(stacks) == len(slices) else None
    try:
        return subjects.uploaded(checkpoint, slices, masks, around)
    except ReadError as error:
        st.error(str(error))
        return subjects.uploaded(checkpoint, slices, {}, around)


def _neighbours(scan: Scan, index: int, volume: int, wanted: int) -> list[Slice]:
    return [scan.slice(k, volume) for k in nearest_slices(index, scan.slices, wanted)]


def _pick_mask_slice(
    labels: Scan, scan: Scan, name: str, classes: tuple[str, ...]
) -> tuple[Slice, dict[int, int]] | None:
    """The mask's slice with the number of the image's slice, and a table of classes that the user can edit."""
    if labels.values.shape[1:] != scan.values.shape[1:]:
        rows = ["{} slices of {} x {} pixels".format(*s.values.shape[1:]) for s in (labels, scan)]
        st.error(f"{quoted(labels.name)}: the mask has {rows[0]}, its image {rows[1]}; give the mask of this image.")
        return None
    index = st.session_state.get(f"take-{name}-slice-{scan.values.shape}", 1) - 1
    label_values = [int(v) for v in np.unique(labels.values)]
    try:
        table = default_label_table(label_values, len(classes))
    except ReadError as error:
        st.warning(str(error))
        table = dict.fromkeys(label_values, 0)
    for label in label_values:
        if label:
            label_class = st.selectbox(
                f"Label {label} means",
                range(len(classes)),
                index=table[label],
                format_func=classes.__getitem__,
                key=f"label-{name}-{label}-{labels.name}",
                help="Class of this number in the mask file",
            )
            table[label] = label_class
    return labels.slice(index), table
