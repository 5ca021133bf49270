"""What is shown of the user's files: their slices, linked by position, and masks, as a subject of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import streamlit as st

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.frame import (
    cut_like,
    in_one_plane,
    labels_on,
    nearest_position,
    nearest_rank,
    slice_distance,
    slice_height,
)
from dafnet_core.data.prepare import default_label_table
from dafnet_core.data.readers import ReadError, Scan, Slice
from dafnet_core.data.samples import nearest_slices
from dafnet_explorer import bar, subjects, uploads
from dafnet_explorer.subjects import Subject
from dafnet_explorer.upload_area import Area
from dafnet_explorer.uploads import Role, Upload

NO_POSITION = "not all headers say where slices lie"


@dataclass(frozen=True, eq=False)
class _Stack:
    """A file as it is used: one volume, turned, and cut like the others.

    Attributes:
        upload: whose it is.
        turned: before it was cut like the others.
        scan: after that.
    """

    upload: Upload
    turned: Scan
    scan: Scan


def pick(checkpoint: Checkpoint, area: Area) -> Subject | None:
    """Choose slices of the files that show modalities of the checkpoint, in the sidebar; None without such a file."""
    stacks = _stacks(checkpoint, area)
    if not stacks:
        return None
    names = checkpoint.config.modalities
    chosen, places = _pick_slices({names[m]: stack.scan for m, stack in stacks.items()})
    wanted = subjects.candidate_count(checkpoint)
    slices: dict[int, Slice] = {}
    neighbours: dict[int, Callable[[], list[Slice]]] = {}
    masks: dict[int, tuple[Slice, dict[int, int]]] = {}
    for m, stack in stacks.items():
        index = chosen[names[m]]
        slices[m] = stack.scan.slice(index)
        if stack.scan.slices >= wanted:
            neighbours[m] = partial(_neighbours, stack.scan, index, wanted)
        if (mask := _mask(checkpoint, area, names[m], stack, index)) is not None:
            masks[m] = mask
    whole = {m: stack.scan for m, stack in stacks.items()}
    around = neighbours if len(neighbours) == len(slices) else None
    where = {m: places[names[m]] for m in stacks}
    try:
        return subjects.uploaded(checkpoint, slices, masks, around, whole, where)
    except ReadError as error:
        area.below.error(str(error))
        return subjects.uploaded(checkpoint, slices, {}, around, whole, where)


def _neighbours(scan: Scan, index: int, wanted: int) -> list[Slice]:
    return [scan.slice(k) for k in nearest_slices(index, scan.slices, wanted)]


def _stacks(checkpoint: Checkpoint, area: Area) -> dict[int, _Stack]:
    """The stacks of a checkpoint's modalities; one that cannot join the first is left out, and the reason said."""
    given: dict[int, tuple[Upload, Scan]] = {}
    for m, name in enumerate(checkpoint.config.modalities):
        upload = uploads.of_role(Role(name))
        if upload is None:
            continue
        try:
            turned = upload.scan.turned(upload.turn)
            with area.rows[upload.number]:
                volume = _pick_volume(turned, upload)
            turned = _one_volume(turned, volume)
            if given:
                in_one_plane([next(iter(given.values()))[1], turned])
        except ReadError as error:
            area.error(upload, f"{error} It is left out.")
            continue
        given[m] = upload, turned
    cut = in_one_plane([turned for _, turned in given.values()])
    return {m: _Stack(*pair, scan) for (m, pair), scan in zip(given.items(), cut, strict=True)}


def _pick_volume(scan: Scan, upload: Upload) -> int:
    """Selected volume of a stack, the first one by default."""
    if scan.volumes == 1:
        return 0
    key, help_text = f"volume-{upload.number}", "A frame, an echo or another image type in the same files"
    label = f"Volume of {upload.role}"
    if scan.volume_names:
        shown = scan.volume_names.__getitem__
        return st.selectbox(
            label, range(scan.volumes), format_func=shown, key=key, help=help_text, persist_state="session"
        )
    return st.slider(label, 1, scan.volumes, 1, key=key, help=help_text, persist_state="session") - 1


def _one_volume(scan: Scan, volume: int) -> Scan:
    """A scan with one of its volumes alone, which its notes say."""
    if scan.volumes == 1:
        return scan
    note = f"Volume {volume + 1} of {scan.volumes} was predicted."
    names = scan.volume_names[volume : volume + 1]
    return replace(scan, values=scan.values[volume : volume + 1], volume_names=names, notes=(*scan.notes, note))


def _pick_slices(scans: dict[str, Scan]) -> tuple[dict[str, int], dict[str, str]]:
    """Index of the chosen slice of each modality, and where it lies, in words."""
    known = all(scan.affine is not None for scan in scans.values())
    linked = len(scans) > 1 and any(scan.slices > 1 for scan in scans.values()) and _link_toggle(known)
    (first, main), *others = scans.items()
    chosen = {first: _pick_slice(main, first)}
    here = main.slice(chosen[first])
    height = slice_height(here)
    places = {first: "" if height is None else f"{height:.1f} mm"}
    for name, scan in others:
        if not linked:
            index = _pick_slice(scan, name)
        elif known:
            index = nearest_position(scan, here)[0]
        else:
            index = nearest_rank(chosen[first], main.slices, scan.slices)
        away = abs(slice_distance(scan, index, here)) if known else None
        chosen[name], places[name] = index, "" if away is None else f"{away:.1f} mm away"
        if known and linked and away > 0.5 * float(np.linalg.norm(scan.affine[:3, 2])) + 0.1:
            st.warning(f"{name} shows another place: no slice of it lies where that of {first} does.")
    if any(scan.slices > 1 for scan in scans.values()):
        said = [
            ", ".join(filter(None, [f"{name} slice {chosen[name] + 1} of {scan.slices}", places[name]]))
            for name, scan in scans.items()
        ]
        paired = f" Paired by number: {NO_POSITION}." if linked and not known else ""
        st.caption(f"{'; '.join(said)}.{paired}")
    return chosen, places


def _pick_slice(scan: Scan, name: str) -> int:
    """Selected slice of a stack; the middle one by default."""
    if scan.slices == 1:
        return 0
    key, middle = f"slice-of-{name}-{scan.slices}", scan.slices // 2 + 1
    shown = st.slider(
        f"Slice of {name}", 1, scan.slices, middle, key=key, help="The middle one by default", persist_state="session"
    )
    bar.offer(f"Slice of {name}", key, range(1, scan.slices + 1))
    return shown - 1


def _link_toggle(known: bool) -> bool:
    how = "the one nearest to the first's, in the patient" if known else f"that of the same rank: {NO_POSITION}"
    return st.toggle(
        "Link slices by position",
        True,
        key="link-slices",
        persist_state="session",
        help=f"The slice of every other modality is {how}",
    )


def _mask(
    checkpoint: Checkpoint, area: Area, name: str, stack: _Stack, index: int
) -> tuple[Slice, dict[int, int]] | None:
    """The mask on an image's slice, and a table of classes that the user can edit; None without a mask that fits."""
    upload = uploads.of_role(Role(name, mask=True))
    if upload is None:
        return None
    image = stack.upload.scan
    try:
        labels = labels_on(image, upload.scan)
        if image.affine is None:
            labels = replace(labels, affine=None, stored=image.stored).turned(stack.upload.turn)
        labels = cut_like(labels, stack.turned, stack.scan)
    except ReadError as error:
        area.error(upload, str(error))
        return None
    with area.rows[upload.number]:
        return labels.slice(index), _pick_classes(labels, upload, checkpoint.config.classes)


def _pick_classes(labels: Scan, upload: Upload, classes: Sequence[str]) -> dict[int, int]:
    """Which class each label is, a choice for each."""
    label_values = [int(v) for v in np.unique(labels.values)]
    try:
        table = default_label_table(label_values, len(classes))
    except ReadError as error:
        st.warning(str(error))
        table = dict.fromkeys(label_values, 0)
    with st.container(horizontal=True):
        for label in label_values:
            if label:
                table[label] = st.selectbox(
                    f"Label {label} means",
                    range(len(classes)),
                    index=table[label],
                    format_func=classes.__getitem__,
                    key=f"label-{upload.number}-{label}-{'-'.join(classes)}",
                    width=180,
                    persist_state="session",
                    help="Class of this number in the mask file",
                )
    return table
