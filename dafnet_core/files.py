"""Atomic writing of files, and readable messages for errors of the operating system."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path


def atomic_write(path: Path, data: bytes) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(aside, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        error.filename = str(path)  # a full disk names no file
        raise
    finally:
        aside.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Check before long work that a file can be written; leaves nothing behind.

    Raises:
        OSError: it cannot.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file")
    there = next(parent for parent in path.absolute().parents if parent.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{path} cannot be written: {there} is a file, and no folder; choose another place")
    try:
        with tempfile.TemporaryFile(dir=there):  # permissions do not reveal a read-only disk
            pass
    except OSError as error:
        raise PermissionError(f"{path} cannot be written: {there} takes no files; choose another place") from error


def describe_error(error: Exception) -> str:
    """Message of an error; with a remedy for one of the operating system."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    remedy = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another place, or mend this"
    return f"{error.filename or 'a file'}: {error.strerror.lower()}; {remedy}"
