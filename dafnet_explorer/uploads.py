"""The user's files: uploaders, decoding, and choice of slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.formats.scan import MAX_FILE_BYTES, PRIVACY_NOTE
from dafnet_core.data.frame import cut_like, in_one_plane, labels_on, nearest_position
from dafnet_core.data.prepare import default_label_table
from dafnet_core.data.reader_process import Readers
from dafnet_core.data.readers import ReadError, Scan, Slice
from dafnet_core.data.samples import nearest_slices
from dafnet_explorer import state, subjects
from dafnet_explorer.subjects import Subject

MEGABYTES = MAX_FILE_BYTES >> 20  # of one file


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


def _pick_volume(scan: Scan, name: str) -> int:
    """Selected volume of a stack, the first one by default."""
    if scan.volumes == 1:
        return 0
    key, help_text = (
        f"take-{name}-volume-{scan.values.shape}",
        "A frame, an echo or another image type in the same files",
    )
    if scan.volume_names:
        shown = scan.volume_names.__getitem__
        return st.selectbox(f"Volume of {name}", range(scan.volumes), format_func=shown, key=key, help=help_text)
    return st.slider(f"Volume of {name}", 1, scan.volumes, 1, key=key, help=help_text) - 1


def _one_volume(scan: Scan, volume: int) -> Scan:
    """A scan with one of its volumes alone, which its notes say."""
    if scan.volumes == 1:
        return scan
    note = f"Volume {volume + 1} of {scan.volumes} was predicted."
    names = scan.volume_names[volume : volume + 1]
    return replace(scan, values=scan.values[volume : volume + 1], volume_names=names, notes=(*scan.notes, note))


def _pick_slice(scan: Scan, name: str) -> int:
    """Selected slice of a stack; the middle one by default."""
    if scan.slices == 1:
        return 0
    key, help_text = f"take-{name}-slice-{scan.values.shape}", "The middle one by default"
    return st.slider(f"Slice of {name}", 1, scan.slices, scan.slices // 2 + 1, key=key, help=help_text) - 1


def _linked_slice(scan: Scan, first: Slice, first_name: str) -> int:
    """The slice of a stack that is nearest to another modality's by position, with its distance shown."""
    index, distance = nearest_position(scan, first)
    st.caption(f"Slice {index + 1} of {scan.slices}, {abs(distance):.1f} mm from that of {first_name}.")
    if abs(distance) > 0.5 * float(np.linalg.norm(scan.affine[:3, 2])) + 0.1:
        st.warning("It shows another place: no slice of this stack lies where the other one does.")
    return index


def pick_files(checkpoint: Checkpoint) -> Subject | None:
    """Uploaders, one per modality, each with an optional mask; None until an image is decoded."""
    _readers()  # started before a file is selected, to save time
    st.caption(
        "NIfTI, DICOM, PNG, JPEG, TIFF, BMP, NPY or NPZ; several files for a DICOM series. "
        "They are kept in this session's memory and never written."
    )
    boxes = [st.container() for _ in checkpoint.config.modalities]
    read: dict[int, Scan] = {}
    for m, name in enumerate(checkpoint.config.modalities):
        help_text = "One image or stack; several files for a DICOM series"
        files = boxes[m].file_uploader(
            name, accept_multiple_files=True, key=f"file-{name}", help=help_text, max_upload_size=MEGABYTES
        )
        with boxes[m]:
            scan = _scan(f"scan-{name}", files, mask=False)
        if scan is not None:
            read[m] = scan
    scans = _in_one_plane(read, boxes)
    slices: dict[int, Slice] = {}
    stacks: dict[int, Callable[[], list[Slice]]] = {}
    whole: dict[int, Scan] = {}
    masks: dict[int, tuple[Slice, dict[int, int]]] = {}
    wanted = subjects.candidate_count(checkpoint)
    linked = len(scans) > 1 and _link_toggle(scans)
    for m, scan in scans.items():
        name, first = checkpoint.config.modalities[m], next(iter(slices), None)
        with boxes[m]:
            volume = _pick_volume(scan, name)
            if linked and first is not None:
                index = _linked_slice(scan, slices[first], checkpoint.config.modalities[first])
            else:
                index = _pick_slice(scan, name)
            slices[m], whole[m] = scan.slice(index, volume), _one_volume(scan, volume)
            if scan.slices >= wanted:
                stacks[m] = partial(_neighbours, scan, index, volume, wanted)
            if (chosen := _pick_mask(read[m], scan, index, name, checkpoint.config.classes)) is not None:
                masks[m] = chosen
    if not slices:
        return None
    around = stacks if len(stacks) == len(slices) else None
    try:
        return subjects.uploaded(checkpoint, slices, masks, around, whole)
    except ReadError as error:
        st.error(str(error))
        return subjects.uploaded(checkpoint, slices, {}, around, whole)


def _in_one_plane(read: dict[int, Scan], boxes: Sequence) -> dict[int, Scan]:
    """Scans cut across one direction; one that cannot join the first is left out, with the reason in its box."""
    kept = dict(read)
    for m in list(read)[1:]:
        first = next(iter(kept))
        try:
            in_one_plane([read[first], read[m]])
        except ReadError as error:
            boxes[m].error(f"{error} It is left out.")
            del kept[m]
    return dict(zip(kept, in_one_plane(list(kept.values())), strict=True))


def _link_toggle(scans: dict[int, Scan]) -> bool:
    """Whether slices follow those of the first modality; False where headers give no positions."""
    if any(scan.affine is None for scan in scans.values()) or all(scan.slices == 1 for scan in scans.values()):
        return False
    return st.toggle(
        "Link slices by position",
        True,
        key="link-slices",
        help="The slice of every other modality is the one nearest to the first's, in the patient",
    )


def _neighbours(scan: Scan, index: int, volume: int, wanted: int) -> list[Slice]:
    return [scan.slice(k, volume) for k in nearest_slices(index, scan.slices, wanted)]


def _pick_mask(
    image: Scan, cut: Scan, index: int, name: str, classes: tuple[str, ...]
) -> tuple[Slice, dict[int, int]] | None:
    """The mask on the image's slice, and a table of classes that the user can edit; None without a mask that fits.

    Args:
        image, cut: the scan as read, and as cut into slices.
        index: of the slice.
    """
    with st.expander(f"Mask of {name} (optional)"):
        files = st.file_uploader(
            f"Mask of {name}",
            accept_multiple_files=True,
            key=f"mask-{name}",
            label_visibility="collapsed",
            max_upload_size=MEGABYTES,
            help="Labels of the pixels of the image; it may have a grid of its own if its header places it",
        )
        labels = _scan(f"labels-{name}", files, mask=True)
        if labels is None:
            return None
        try:
            labels = cut_like(labels_on(image, labels), image, cut)
        except ReadError as error:
            st.error(str(error))
            return None
        return labels.slice(index), _pick_classes(labels, name, classes)


def _pick_classes(labels: Scan, name: str, classes: tuple[str, ...]) -> dict[int, int]:
    label_values = [int(v) for v in np.unique(labels.values)]
    try:
        table = default_label_table(label_values, len(classes))
    except ReadError as error:
        st.warning(str(error))
        table = dict.fromkeys(label_values, 0)
    for label in label_values:
        if label:
            table[label] = st.selectbox(
                f"Label {label} means",
                range(len(classes)),
                index=table[label],
                format_func=classes.__getitem__,
                key=f"label-{name}-{label}-{labels.name}",
                help="Class of this number in the mask file",
            )
    return table
