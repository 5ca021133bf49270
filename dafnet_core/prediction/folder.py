"""The folder that predictions are written to, OUT/SUBJECT/...: whole subjects or none, and never over other files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dafnet_core.files import atomic_write
from dafnet_core.prediction.record import FORMAT, RECORD

SAME = ("checkpoint", "preparation", "settings", "versions", "content")  # of a record that need not be made again


def read_record(path: Path) -> dict[str, Any] | None:
    """The record of a prediction; None if a file is none, or not there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    known = isinstance(content, dict) and content.get("dafnet_prediction") == FORMAT
    return content if known else None


def is_done(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether a subject's folder holds this prediction, with all of its files."""
    there = read_record(folder / RECORD)
    if there is None or any(there.get(key) != record.get(key) for key in SAME):
        return False
    return all((folder / name).is_file() for name in there.get("outputs", {}))


def subject_folder(out: Path, name: str) -> Path:
    """The folder of a subject in OUT; raises ValueError for a name that could lead elsewhere."""
    if name.startswith(".") or Path(name).name != name or name == RECORD:
        raise ValueError(f"{name!r} cannot name a folder of results; rename the subject")
    return out / name


def check_own(folder: Path) -> None:
    """Check that a subject's folder holds nothing but an earlier prediction, which may be replaced.

    Raises:
        ValueError: naming the first other file.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise ValueError(f"{folder} is no folder of predictions; name another --out, or move it away")
    there = read_record(folder / RECORD) or {}
    ours = {RECORD, *there.get("outputs", {})} if there else set()
    if others := sorted(path.name for path in folder.iterdir() if path.name not in ours):
        raise ValueError(
            f"{folder / others[0]} was not written by dafnet-predict and would be lost; name another --out, or move it"
        )


def write_subject(folder: Path, files: Iterable[tuple[str, bytes]]) -> None:
    """Write all files of a subject, or none: they are written beside, and the whole folder is renamed at the end.

    Args:
        folder: of the subject; an earlier prediction in it is replaced.
        files: names and contents, made while they are written.

    Raises:
        ValueError: as in `check_own`; OSError: it cannot be written. Nothing is left behind, and nothing changed.
    """
    check_own(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _clean(folder)
    part, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{kind}") for kind in ("part", "old"))
    part.mkdir()
    try:
        for name, content in files:
            atomic_write(part / name, content)
        check_own(folder)
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(part, folder)
        except BaseException:
            if old.exists() and not folder.exists():
                os.replace(old, folder)
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)


def _clean(folder: Path) -> None:
    """Remove what a killed process left beside a subject's folder."""
    for path in folder.parent.iterdir():
        prefix, _, kind = path.name.rpartition(".")
        name, _, pid = prefix.rpartition(".")
        if name == f".{folder.name}" and kind in ("part", "old") and pid.isdecimal() and not _runs(int(pid)):
            shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return pid != os.getpid()
