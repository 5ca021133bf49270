"""The area for the user's own files at the top of every page: a place to drop them, and a row for each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dafnet_core.checkpoints.file import Checkpoint
from dafnet_core.data.formats.scan import PRIVACY_NOTE, ReadError, Scan, check_shape, clean_name
from dafnet_core.data.frame import extent
from dafnet_core.drawing import png
from dafnet_explorer import catalogue, components, next_steps, state, uploads
from dafnet_explorer.figures.thumbnails import of_scan
from dafnet_explorer.uploads import Role, Upload

# files that were taken have a row each; those that the browser refused stay, with its reason
_STYLE = """<style>
.st-key-drop [data-testid=stFileChip] {
  &:not([aria-invalid]):not(:has([data-testid=stFileChipIconSpinner])) {display: none;}
  &[aria-invalid] {height: auto; max-width: 100%; flex-wrap: wrap;}
  [role=alert] {position: static; width: auto; height: auto; clip: auto; margin: 0; white-space: normal;}
}
.st-key-drop [data-testid=stFileUploaderDropzone] {align-items: center;}
.st-key-drop [data-testid=stFileChips] button[aria-label="Add files"] {
  width: auto; padding: 0 0.5rem; white-space: nowrap;
  &::after {content: "Add files"; margin-left: 0.3rem;}
}
</style>"""


@dataclass(frozen=True)
class Area:
    """The area as it is drawn.

    Attributes:
        open: whether its rows are visible.
        rows: where more about each file is written, by its number.
        below: what is visible also where the area is closed.
    """

    open: bool
    rows: dict[int, DeltaGenerator]
    below: DeltaGenerator

    def error(self, upload: Upload, text: str) -> None:
        """Say what is wrong with a file, beside it or where it is visible."""
        (self.rows[upload.number] if self.open else self.below).error(text)


def remember() -> None:
    """Let the browser's tab remember the names of the session's files."""
    known = state.NUMBER in st.session_state
    own = [upload.plain_name for upload in uploads.all_of_session()]
    components.remember(own[: components.MAX_NAMES] if known else None, _MEMORY)


def reopen() -> None:
    """In a session that follows one with files in this tab: open the area once, unless a link asks for a subject.

    It is called before any widget is drawn.
    """
    told = components.remembered(_MEMORY)
    if told and state.REMEMBERED not in st.session_state:
        st.session_state[state.REMEMBERED] = tuple(clean_name(name) for name in told)
        if not st.session_state[state.LINK].keys() & {state.SOURCE, state.SUBJECT, state.SLICE}:
            next_steps.open_own_data()


def show(checkpoint: Checkpoint, place: DeltaGenerator) -> Area:
    """Draw the area; on another page than before it is closed, if all is well.

    Args:
        place: at the top of the page.
    """
    own = uploads.all_of_session()
    uploads.start_readers()
    uploads.assign_by_name(checkpoint.config.modalities)
    well = bool(own) and all(u.role is not None and u.scan for u in own)
    page = st.session_state[state.PAGE]
    if st.session_state.get(_BEFORE, page) != page and well:
        st.session_state[state.AREA] = False
    st.session_state[_BEFORE] = page
    st.session_state.setdefault(state.AREA, True)
    with place:
        st.html(_STYLE)
        area = st.expander("Your data", key=state.AREA, on_change="rerun")  # another label would be another area
        below = st.container()
        with area:
            _drop_zone(checkpoint)
            rows = {upload.number: _row(checkpoint, upload) for upload in own}
    st.session_state[state.AREA_OPEN] = area.open
    shown = Area(bool(area.open), rows, below)
    for upload in own:
        if upload.refusal:
            shown.error(upload, upload.refusal)
    if any(upload.scan and PRIVACY_NOTE in upload.scan.notes for upload in own):
        below.info(PRIVACY_NOTE)
    with below:
        if own and not area.open:
            st.caption(_summary(own))
    return shown


_BEFORE, _MEMORY = "your-data-page", "remember-files"


def _summary(own: list[Upload]) -> str:
    """Names of the files by what they show."""
    used = [f"{u.role} {u.name}" for u in own if u.role and u.role.modality and u.scan]
    others = len(own) - len(used)
    if others:
        used.append(f"{others} more file{'s' if others > 1 else ''}")
    return ", ".join(used)


def ask_again() -> None:
    """After a reload: which files to drop again."""
    there = {upload.plain_name for upload in uploads.all_of_session()}
    missing = [name for name in st.session_state.get(state.REMEMBERED, ()) if name not in there]
    if not missing:
        return
    listed = ", ".join(f"`{name}`" for name in missing)
    st.info(
        f"The page was reloaded, and a new session has no files: drop {listed} again. Only the names were remembered, "
        "by this tab of your browser."
    )

    def forget() -> None:
        st.session_state[state.REMEMBERED] = ()
        st.session_state.setdefault(state.NUMBER, 0)

    with st.container(horizontal=True):
        if not st.session_state[state.AREA_OPEN]:
            what = "Opens Your data, at the top of the page"
            st.button("Drop them", key="drop-again", on_click=next_steps.open_own_data, help=what)
        what = "Remove the names from this tab of the browser"
        st.button("Forget them", key="forget-names", on_click=forget, help=what)


def _drop_zone(checkpoint: Checkpoint) -> None:
    """Where files are dropped; what they replaced is said below."""
    own = checkpoint.config.modalities
    with st.container(key="drop"):
        files = st.file_uploader(
            f"Drop your files here, all at once: an image or stack of each of {', '.join(own)}, and masks",
            accept_multiple_files=True,
            key=f"drop-{st.session_state.get(state.DROPS, 0)}",
            max_upload_size=uploads.MEGABYTES,
            help="NIfTI, DICOM (all files of a series), PNG, JPEG, TIFF, BMP, NPY or NPZ. A name with "
            f"{' or '.join(own)} in it says what the file shows. One modality alone works too",
        )
    st.caption("They are kept in this session's memory and never written.")
    taken = st.session_state.setdefault(state.TAKEN, set())
    if new := [file for file in files if file.file_id not in taken]:
        taken.update(file.file_id for file in new)
        with st.spinner("Reading"):
            content = [(file.name, file.getvalue()) for file in new]
            st.session_state[state.SAID] = uploads.take(content, own, catalogue.modalities())
        st.rerun()
    for text in st.session_state.get(state.SAID, ()):
        st.caption(text)


def _row(checkpoint: Checkpoint, upload: Upload) -> DeltaGenerator:
    """One file: its picture, what it is, what it shows; the place for more about it."""

    def remove() -> None:
        uploads.remove(upload)
        st.session_state[state.DROPS] = st.session_state.get(state.DROPS, 0) + 1  # its bytes are freed
        st.session_state.pop(state.SAID, None)

    with st.container(border=True, key=f"file-{upload.number}"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if upload.scan:
                scan = _turned(upload) or upload.scan
                picture = of_scan(scan, mask=bool(upload.role and upload.role.mask))
                alt = f"The middle slice of {upload.plain_name}"
                st.image(png(picture), alt=alt, width=picture.width, output_format="PNG")
            st.markdown(f"{upload.name}  \n{_facts(checkpoint, upload)}", width="stretch")
            _pick_role(checkpoint, upload)
            st.button("Remove", key=f"remove-{upload.number}", on_click=remove, help="Forget this file")
        if upload.scan and upload.scan.affine is None and not (upload.role and upload.role.mask):
            _turn(upload)
        return st.container()


def _facts(checkpoint: Checkpoint, upload: Upload) -> str:
    if upload.scan is None:
        return "It cannot be shown."
    scan = _turned(upload) or upload.scan
    plane = scan.stored.plane if scan.stored and scan.affine is not None else "no header says how it lies"
    volumes = f", {scan.volumes} volumes" if scan.volumes > 1 else ""
    own = {name.casefold() for name in checkpoint.config.modalities}
    other = upload.role and upload.role.modality and upload.role.modality.casefold() not in own
    unused = "; not shown: this checkpoint is not for it" if other else ""
    return f"{scan.kind}, {extent(scan)}{volumes}; {plane}{unused}"


def _pick_role(checkpoint: Checkpoint, upload: Upload) -> None:
    """What the file shows: an image or a mask of a modality, or something that no checkpoint here asks for."""
    own = checkpoint.config.modalities
    roles = [Role(name) for name in own] + [Role(name, mask=True) for name in own] + [Role()]
    if upload.role is not None and upload.role not in roles:
        roles.insert(0, upload.role)  # for another checkpoint
    by_text = {str(role): role for role in roles}
    key = f"shows-{upload.number}"
    st.session_state[key] = None if upload.role is None else str(upload.role)
    st.selectbox(
        "Shows",
        list(by_text),
        key=key,
        placeholder="say what",
        width=180,
        on_change=lambda: uploads.assign(upload, by_text.get(st.session_state[key], Role())),
        help="The modality of this image, or of the image that this is the mask of",
    )


def _turned(upload: Upload) -> Scan | None:
    try:
        return upload.scan and upload.scan.turned(upload.turn)
    except ReadError:
        return None


def _turn(upload: Upload) -> None:
    """Plane, rotation and mirroring of a stack without a header."""

    def turn(**changes: int | bool) -> None:
        upload.turn = replace(upload.turn, **changes)

    with st.container(horizontal=True, vertical_alignment="bottom"):
        if upload.scan.slices > 1 and len(planes := _planes(upload.scan)) > 1:
            key = f"plane-{upload.number}"
            st.session_state[key] = upload.turn.across
            st.segmented_control(
                "Slices along",
                planes,
                format_func=lambda axis: f"axis {axis + 1}",
                required=True,
                key=key,
                on_change=lambda: turn(across=st.session_state[key]),
                help="Which axis of (slices, rows, columns), as they are stored, is cut across",
            )
        st.button(
            "Rotate by 90°",
            key=f"rotate-{upload.number}",
            on_click=turn,
            # a picture that was mirrored afterwards turns the other way
            kwargs={"quarters": (upload.turn.quarters + (-1 if upload.turn.mirrored else 1)) % 4},
            help="Clockwise",
        )
        st.button(
            "Mirror",
            key=f"mirror-{upload.number}",
            on_click=turn,
            kwargs={"mirrored": not upload.turn.mirrored},
            help="Exchange left and right",
        )


def _planes(scan: Scan) -> list[int]:
    """Axes that slices can be cut across, so that none is too small."""
    slices, rows, columns = scan.values.shape[1:]
    shapes = ((slices, rows, columns), (rows, slices, columns), (columns, slices, rows))
    found = []
    for axis, shape in enumerate(shapes):
        try:
            check_shape(scan.volumes, *shape)
        except ReadError:
            continue
        found.append(axis)
    return found
