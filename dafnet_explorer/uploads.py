"""The user's files of a session: decoded when they are dropped, and kept whatever page and checkpoint are shown.

A file has a role, what it shows, by the name of a modality; so it fits every checkpoint of that modality. Files are
kept in the memory of the session, with their bytes, since a file is read again once it turns out to be a mask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import streamlit as st

from dafnet_core.data.formats.orientation import Turn
from dafnet_core.data.formats.scan import MAX_FILE_BYTES, clean_name, quoted
from dafnet_core.data.reader_process import ReaderDied, Readers
from dafnet_core.data.readers import ReadError, Scan
from dafnet_explorer import state

MEGABYTES = MAX_FILE_BYTES >> 20  # of one file
MOST_BYTES = 1 << 30  # that one session keeps, of files and of what was read from them
MOST_STACKS = 16  # that one session keeps
_MASK = re.compile(r"(?<![a-z0-9])(masks?|segm?|segmentations?|labels?|gt)(?![a-z0-9])")


@dataclass(frozen=True)
class Role:
    """What a file shows; its text is that of the choice.

    Attributes:
        modality: its name; "" for a file that is not used.
        mask: whether it is the mask of that modality's image.
    """

    modality: str = ""
    mask: bool = False

    def __str__(self) -> str:
        return f"mask of {self.modality}" if self.mask else self.modality or "not used"


@dataclass(eq=False)
class Upload:
    """Files that make one stack.

    Attributes:
        number: identifies it.
        files: (name, content) pairs, at least one.
        role: None until it is known.
        scan: as read; None if it was refused.
        refusal: why, a sentence; "" if it was read.
        turn: how the user turned pictures without a header.
    """

    number: int
    files: tuple[tuple[str, bytes], ...]
    role: Role | None = None
    scan: Scan | None = None
    refusal: str = ""
    turn: Turn = field(default_factory=Turn)

    @property
    def name(self) -> str:
        """Safe to show, between backticks."""
        return quoted(self.plain_name)

    @property
    def plain_name(self) -> str:
        """Without folders, and cut; to be shown as text only."""
        more = f" and {len(self.files) - 1} more" if len(self.files) > 1 else ""
        return f"{clean_name(self.files[0][0])}{more}"

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return sum(len(data) for _, data in self.files) + (self.scan.values.nbytes if self.scan else 0)


@st.cache_resource(max_entries=1, show_spinner=False)
def _readers() -> Readers:
    return Readers()


def start_readers() -> None:
    """Start the processes that read files, so that the first file does not wait for them."""
    _readers()


def all_of_session() -> list[Upload]:
    """The session's files, oldest first; the list itself."""
    return st.session_state.setdefault(state.UPLOADS, [])


def role_of(name: str, modalities: Iterable[str]) -> Role | None:
    """What a file shows, by its name; None where it names none of the modalities.

    >>> str(role_of("patient7_T1w.nii.gz", ["T1", "FLAIR"])), str(role_of("ann-flair_seg.nii", ["T1", "FLAIR"]))
    ('T1', 'mask of FLAIR')
    >>> role_of("T10.nii", ["T1"]), str(role_of("AnnT1c.nii", ["T1", "T1c"]))
    (None, 'T1c')
    """
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).casefold()
    fitting = []
    for modality in modalities:
        words = "[^a-z0-9]*".join(map(re.escape, re.findall(r"[^\W_]+", modality.casefold())))
        if words and re.search(rf"(?<![a-z0-9]){words}w?(?![a-z0-9])", plain):
            fitting.append(modality)
    return Role(max(fitting, key=len), bool(_MASK.search(plain))) if fitting else None


def take(files: Sequence[tuple[str, bytes]], own: Sequence[str], others: Sequence[str]) -> list[str]:
    """Read files that were dropped at once, and assign them by their names; says what was replaced or left out.

    A new image replaces the one of its modality, with its mask; a new mask replaces the mask. Of two new ones of the
    same role the first has it. A file that is refused replaces nothing.

    Args:
        files: (name, content) pairs.
        own, others: modalities of the selected checkpoint, and further ones, whose names are looked for.
    """
    st.session_state[state.PRIVATE] = True
    kept, new, said = all_of_session(), [], []
    roles = [role_of(name, own) or role_of(name, others) for name, _ in files]
    for group in _together(files, roles):
        upload = _numbered(tuple(files[n] for n in group))
        if len(kept) + len(new) >= MOST_STACKS:
            said.append(f"{upload.name} is left out: {MOST_STACKS} are kept at most; remove some first.")
            continue
        role = roles[group[0]]
        _read(upload, mask=role is not None and role.mask)
        if (total := sum(other.size for other in [*kept, *new, upload])) > MOST_BYTES:
            said.append(
                f"{upload.name} is left out: with it your files would take {total / 2**30:.1f} GB of memory, more than "
                f"the {MOST_BYTES / 2**30:g} GB that a session has; remove some first."
            )
            continue
        if upload.scan and role and not any(other.role == role for other in new):
            upload.role = role
        new.append(upload)
    for upload in new:
        for old in _replaced(kept, upload.role):
            kept.remove(old)
            said.append(
                f"{upload.name} replaced {old.name} as {old.role}."
                if old.role == upload.role
                else f"{old.name}, the mask of what was replaced, is gone too."
            )
    kept += new
    return said


def _together(files: Sequence[tuple[str, bytes]], roles: Sequence[Role | None]) -> list[list[int]]:
    """Indices of files that make one stack each; those whose names say that they show different things do not."""
    try:
        groups = _readers().together(*files) if len(files) > 1 else [[0]]
    except ReaderDied:
        groups = [[n] for n in range(len(files))]  # reading each says which one it was
    apart: dict[object, list[int]] = {}
    for group, members in enumerate(groups):
        for n in members:
            apart.setdefault((group, roles[n]), []).append(n)
    return list(apart.values())


def _numbered(files: tuple[tuple[str, bytes], ...]) -> Upload:
    number = st.session_state.get(state.NUMBER, 0)
    st.session_state[state.NUMBER] = number + 1
    return Upload(number, files)


def _replaced(kept: Sequence[Upload], role: Role | None) -> list[Upload]:
    """Files whose place a new one of a role takes: that of the same role, and the mask of an image that goes."""
    old = [upload for upload in kept if role is not None and upload.role == role]
    if old and not role.mask:
        old += [upload for upload in kept if upload.role == Role(role.modality, mask=True)]
    return old


def _read(upload: Upload, *, mask: bool) -> None:
    """Decode the files of an upload as an image or as a mask."""
    upload.scan, upload.refusal = None, ""
    try:
        upload.scan = _readers().read(*upload.files, mask=mask)
    except ReadError as error:
        upload.refusal = str(error)


def assign(upload: Upload, role: Role) -> None:
    """Say what a file shows; another one that did is no longer used. A file that becomes a mask is read again."""
    before, upload.role = upload.role, role
    if upload.scan is None or role.mask != (before is not None and before.mask):
        _read(upload, mask=role.mask)
    for other in all_of_session():
        if other is not upload and other.role == role and upload.scan:
            other.role = Role()


def assign_by_name(modalities: Sequence[str]) -> None:
    """Assign files that nothing was said of by their names, where no other file shows the same."""
    for upload in all_of_session():
        if upload.role is None and upload.scan:
            role = role_of(upload.files[0][0], modalities)
            if role and not any(other.role == role for other in all_of_session()):
                assign(upload, role)


def remove(upload: Upload) -> None:
    """Forget a file."""
    all_of_session().remove(upload)


def of_role(role: Role) -> Upload | None:
    """The file of a role that could be read; upper and lower case are alike."""
    for upload in all_of_session():
        own = upload.role
        if own and own.mask == role.mask and own.modality.casefold() == role.modality.casefold() and upload.scan:
            return upload
    return None
