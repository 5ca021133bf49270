"""The main stack among the frames of DICOM files; scouts and other stacks are set apart by name, or refused."""

from collections.abc import Sequence

import numpy as np

from dafnet_core.data.formats.dicom_stack import Frame, normal_of
from dafnet_core.data.formats.scan import ReadError

_SAME_AXES = 0.005  # of unit vectors: 0.3 degrees
_SAME_SPACING = 1e-3  # relative
_APART = 3  # the main stack has so many times the frames of all that is set apart
_MAX_GROUPS = 64  # comparing every frame with more would take long
_MAX_LISTED = 4  # groups that an error describes
_PLANES = ("sagittal", "coronal", "axial")


def main_stack(frames: Sequence[Frame], notes: list[str]) -> list[Frame]:
    """The frames of the main stack: one series, orientation, size and spacing.

    Others are left out and named in a note, if they are scouts or few.

    Raises:
        ReadError: no stack is clearly the main one.
    """
    groups = _groups(frames)
    if len(groups) == 1:
        return groups[0]
    groups.sort(key=lambda group: (group[0].is_scout, -len(group)))
    main, others = groups[0], groups[1:]
    plain = [group for group in others if main[0].is_scout or not group[0].is_scout]
    stacks_of_other_series = [group for group in plain if len(group) > 1 and group[0].series != main[0].series]
    few = sum(map(len, plain)) * _APART <= len(main) and sum(map(len, others)) <= _APART * len(main)
    if stacks_of_other_series or not few:
        raise ReadError(_all_in_words(groups))
    for group in others:
        if _is_lost(group[0]) and not _is_lost(main[0]) and group[0].size == main[0].size:
            raise ReadError(
                f"{len(group)} of {len(frames)} slices do not say where they lie (ImagePositionPatient and "
                "ImageOrientationPatient), the others do; export the series again, or leave those out."
            )
        what = "file is" if len(group) == 1 else "files are"
        what = what if len({frame.file for frame in frames}) > 1 else what.replace("file", "frame")
        scout = ", a scout by its ImageType (LOCALIZER)" if group[0].is_scout else ""
        notes.append(f"{len(group)} {what} set apart: {_difference(group[0], main[0])}{scout}.")
    return main


def plane_of(frame: Frame) -> str:
    """axial, coronal or sagittal, whichever the image plane is closest to; "of unknown orientation"."""
    if frame.axes is None:
        return "of unknown orientation"
    return _PLANES[int(np.abs(normal_of(frame.axes)).argmax())]


def _groups(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Frames by what one stack has in common."""
    series = {frame.series for frame in frames} - {""}
    mixed = {frame.is_scout for frame in frames} == {True, False}
    groups: list[list[Frame]] = []
    for frame in frames:
        for group in groups:
            first = group[0]
            if (
                first.size == frame.size
                and (len(series) < 2 or first.series == frame.series)
                and (not mixed or first.is_scout == frame.is_scout)
                and _alike(first.axes, frame.axes, _SAME_AXES, 1)
                and _alike(first.spacing, frame.spacing, _SAME_SPACING, first.spacing or 1)
            ):
                group.append(frame)
                break
        else:
            groups.append([frame])
            if len(groups) > _MAX_GROUPS:
                raise ReadError(
                    f"its slices lie in more than {_MAX_GROUPS} different planes, or have so many sizes or spacings; "
                    "give the files of one stack of parallel slices."
                )
    return groups


def _is_lost(frame: Frame) -> bool:
    return frame.position is None or frame.axes is None


def _alike(one: object, other: object, tolerance: float, scale: object) -> bool:
    if one is None or other is None:
        return one is other
    return bool((np.abs(np.subtract(one, other)) <= tolerance * np.asarray(scale)).all())  # type: ignore[call-overload]


def _difference(frame: Frame, main: Frame) -> str:
    if frame.axes is None and main.axes is not None:
        return "it does not say how it is oriented"
    if not _alike(frame.axes, main.axes, _SAME_AXES, 1):
        return f"another orientation ({plane_of(frame)}{_oblique(frame, main)})"
    if frame.size != main.size:
        return f"another size ({frame.size[0]} x {frame.size[1]} pixels)"
    if not _alike(frame.spacing, main.spacing, _SAME_SPACING, main.spacing or 1):
        return f"another pixel spacing ({_spacing(frame)})"
    return "another series" if frame.series != main.series else "the same geometry"


def _oblique(frame: Frame, main: Frame) -> str:
    return ", at another angle" if plane_of(frame) == plane_of(main) else ""


def _spacing(frame: Frame) -> str:
    return " x ".join(f"{s:.4g}" for s in frame.spacing) + " mm" if frame.spacing else "not stated"


def _all_in_words(groups: list[list[Frame]]) -> str:
    """What each group is, so that one of them can be given."""
    names = []
    for group in groups[:_MAX_LISTED]:
        first = group[0]
        echoes = sorted({frame.tags["EchoTime"] for frame in group if frame.tags["EchoTime"] is not None})
        echo = f", echo time {echoes[0]:.4g} ms" if len(echoes) == 1 else ""
        names.append(
            f"{len(group)} {plane_of(first)}{' scout' if first.is_scout else ''} of {first.size[0]} x {first.size[1]} "
            f"pixels{echo}"
        )
    more = "; and others" if len(groups) > _MAX_LISTED else ""
    series = len({frame.series for group in groups for frame in group} - {""})
    of = f"{series} different series" if series > 1 else f"{len(groups)} stacks of different geometry"
    return f"its slices are of {of}: {'; '.join(names)}{more}. Give the files of one of them."
