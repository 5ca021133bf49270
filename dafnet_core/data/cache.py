"""Prepared subjects on disk, so that a data set may be larger than memory and is decoded once.

    python -m dafnet_core.data.cache            where the prepared slices are, how many subjects, how large
    python -m dafnet_core.data.cache --clear    removes them

The folder: DAFNET_CACHE ("off" or empty: none), else XDG_CACHE_HOME/dafnet-explorer, else ~/.cache/dafnet-explorer.
A subject is a folder there, named by a digest of the contents of its files, of its preparation and of the code that
prepares; it holds study.json and an .npy for each stack, which their owner alone may read.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from dafnet_core import __version__
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.readers import partner
from dafnet_core.data.source import DataSource
from dafnet_core.data.studies import DataError, StackLike, Study, StudyLike
from dafnet_core.files import atomic_write, describe_error
from dafnet_core.parallel import rank_and_size

CLEAR = "python -m dafnet_core.data.cache --clear"
_STACKS = {"images": "<f4", "masks": "|u1"}  # fields of Study that are stacks, and the numbers in their files
_SETTLED = 2 * 10**9  # ns: a file that changed later than that may change again without another time of change
_MEMO = "digests.json"
_ENTRY = re.compile(r"[0-9a-f]{40}|\.[0-9a-f]{40}\.\w+\.part")  # folders that are written here, and files in them
_INSIDE = re.compile(r"study\.json|(images|masks)\d+\.npy")


def cache_folder() -> Path | None:
    """Where prepared subjects are kept, as the environment says; None for nowhere."""
    usual = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "dafnet-explorer")
    place = os.path.expanduser(os.environ.get("DAFNET_CACHE", usual))
    return None if place in ("", "off") or place.startswith("~") else Path(place).absolute()  # "~": there is no home


def read_studies(source: DataSource, names: Iterable[str], preparation: Preparation) -> list[StudyLike]:
    """Subjects in order of their names, through the cache if their source has files.

    All are read or found to be prepared already; those in the cache stay on disk until a slice is asked for.

    Raises:
        DataError: one cannot be read.
    """
    wanted = set(names)
    ordered = [name for name in source.names() if name in wanted]
    rank, size = rank_and_size()
    start = rank * len(ordered) // size  # processes begin at different subjects, and find the others' done
    cache, found = StudyCache(cache_folder()), {}
    shown = {"desc": "preparing", "unit": "subject", "delay": 1, "leave": False, "disable": True if rank else None}
    for name in tqdm([*ordered[start:], *ordered[:start]], **shown):
        found[name] = cache.study(source, name, preparation)
    cache.remember()
    return [found[name] for name in ordered]


class StudyCache:
    """Prepared subjects in a folder; several processes may use it at once.

    Args:
        folder: made when first written to; None keeps nothing, and every subject is read into memory.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._full = False
        self._known: dict[str, list[Any]] = _read_memo(folder)
        self._new: dict[str, list[Any]] = {}

    def study(self, source: DataSource, name: str, preparation: Preparation) -> StudyLike:
        """One subject; read from its files and kept if it is not here, or damaged.

        Raises:
            DataError: it cannot be read.
        """
        key = self._key(source, name, preparation)
        if key is None or self.folder is None:
            return source.study(name, preparation)
        kept = _opened(self.folder / key, name)
        if kept is not None:
            return kept
        study = source.study(name, preparation)
        # asked again: a file that was replaced meanwhile must not be kept under the digest of the old one
        if not self._full and isinstance(study, Study) and self._key(source, name, preparation) == key:
            try:
                _write(self.folder / key, study)
            except OSError as error:
                self._full = True
                _say(f"{describe_error(error)}. Prepared slices stay in memory; DAFNET_CACHE names another folder")
        return _opened(self.folder / key, name) or study

    def remember(self) -> None:
        """Keep the digests of files, so that the next start need not read them."""
        if self.folder is None or not self._new or self._full:
            return
        try:
            told = json.dumps(_read_memo(self.folder) | self._new)
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            atomic_write(self.folder / _MEMO, told.encode())
        except OSError:
            pass  # they are made again

    def _key(self, source: DataSource, name: str, preparation: Preparation) -> str | None:
        made_of = source.ingredients(name) if self.folder else None
        if made_of is None:
            return None
        everything = [_code(), source.kind, preparation.to_dict(), made_of]
        try:
            told = json.dumps(everything, default=self._contents)
        except OSError:  # the source finds the words
            return None
        return hashlib.blake2b(told.encode(), digest_size=20).hexdigest()

    def _contents(self, path: Path) -> list[str]:
        """Digest of a file, and of the second half of an image in two files."""
        return [self._digest(part) for part in (path, partner(path)) if part]

    def _digest(self, path: Path) -> str:
        place, stat = str(path.absolute()), path.stat()
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        known = self._new.get(place) or self._known.get(place)
        if known and known[:3] == state:
            return str(known[3])
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()
        if time.time_ns() - max(state[1:]) > _SETTLED:
            self._new[place] = [*state, digest]
        return digest


def _read_memo(folder: Path | None) -> dict[str, list[Any]]:
    """[size, mtime, ctime, digest] by path; {} if there is none, or it is broken."""
    try:
        found = json.loads((folder / _MEMO).read_text()) if folder else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@functools.lru_cache(maxsize=1)
def _code() -> list[str]:
    """What prepares: this package's code for data, and the libraries that decode and resample."""
    digest = hashlib.blake2b(digest_size=20)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return [__version__, digest.hexdigest(), *map(version, ("numpy", "pillow", "nibabel", "pydicom"))]


@functools.lru_cache(maxsize=64)
def _say(sentence: str) -> None:
    """Write a warning to standard error, once in a process."""
    tqdm.write(f"warning: {sentence}", file=sys.stderr)


# --- one subject on disk -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Stored:
    """A stack in a file, (frames, slices, H, W) or (slices, H, W); a slice is mapped into memory while it is copied."""

    path: Path
    dtype: str
    offset: int
    shape: tuple[int, ...]
    sums: np.ndarray

    def __getitem__(self, at: int | tuple[int, int]) -> np.ndarray:
        """(H, W), a copy; raises DataError if it is damaged or gone."""
        number = int(np.ravel_multi_index(at if isinstance(at, tuple) else (at,), self.shape[:-2]))
        size = self.shape[-2:]
        where = self.offset + number * size[0] * size[1] * np.dtype(self.dtype).itemsize
        try:
            pixels = np.array(np.memmap(self.path, self.dtype, "r", where, size))
        except (OSError, ValueError):
            pixels = None
        if pixels is None or zlib.crc32(pixels.data) != self.sums[number]:
            _remove(self.path.parent)
            raise DataError(f"{self.path}: a prepared slice is damaged or gone; start again, it is then made anew.")
        return pixels


def _write(entry: Path, study: Study) -> None:
    """Write a subject, whole or not at all; raises OSError."""
    entry.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = Path(tempfile.mkdtemp(".part", f".{entry.name}.", entry.parent))
    try:
        told: dict[str, Any] = {f.name: getattr(study, f.name) for f in fields(study) if f.name != "name"}
        told["positions"] = [place.tolist() for place in study.positions]
        for kind, dtype in _STACKS.items():
            told[kind] = [
                None if stack is None else _write_stack(aside / f"{kind}{i}.npy", np.asarray(stack, dtype))
                for i, stack in enumerate(told[kind])
            ]
        (aside / "study.json").write_text(json.dumps(told))
        try:
            aside.rename(entry)
        except OSError:
            if not entry.exists():  # else another process was faster
                raise
    except OSError as error:
        error.filename = str(entry.parent)  # a full disk names no file
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write_stack(path: Path, stack: np.ndarray) -> list[int]:
    """Write a stack; its slices' checksums."""
    stack = np.ascontiguousarray(stack)
    with open(path, "wb") as file:
        np.lib.format.write_array(file, stack, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return [zlib.crc32(pixels.data) for pixels in stack.reshape(-1, *stack.shape[-2:])]


def _opened(entry: Path, name: str) -> Study | None:
    """A subject that is here; None if it is not, or damaged, which is said and mended by removing it."""
    if not entry.is_dir():
        return None
    try:
        told = json.loads((entry / "study.json").read_bytes())
        for kind in _STACKS:
            told[kind] = [
                None if sums is None else _stored(entry / f"{kind}{i}.npy", _STACKS[kind], sums)
                for i, sums in enumerate(told[kind])
            ]
        told["positions"] = [np.array(place, np.float64) for place in told["positions"]]
        return Study(name, **{key: tuple(value) if isinstance(value, list) else value for key, value in told.items()})
    except (OSError, ValueError, TypeError, KeyError):
        if entry.is_dir():  # else somebody removed it just now
            _say(f"{entry}: a prepared subject is damaged; it is made again")
            _remove(entry)
        return None


def _stored(path: Path, dtype: str, sums: list[int]) -> StackLike:
    """A stack of a file; raises OSError or ValueError if it is not whole."""
    there = np.lib.format.open_memmap(path, mode="r")  # fails where the file is shorter than its head says
    if there.dtype != np.dtype(dtype) or int(np.prod(there.shape[:-2])) != len(sums):
        raise ValueError("another stack")
    return _Stored(path, dtype, there.offset, there.shape, np.array(sums, np.uint32))


def _remove(entry: Path) -> None:
    """Remove a subject, as a whole for whoever looks."""
    aside = entry.with_name(f".{entry.name}.{time.time_ns()}.part")
    try:
        entry.rename(aside)
        shutil.rmtree(aside)
    except OSError:
        pass  # gone, or not ours to change


# --- the folder ----------------------------------------------------------------------------------------------


def _entries(folder: Path) -> Iterator[Path]:
    """Folders of subjects, those left half-written too; nothing that was not written here."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if _ENTRY.fullmatch(path.name) and path.is_dir() and all(_INSIDE.fullmatch(p.name) for p in path.iterdir()):
            yield path


def usage(folder: Path) -> tuple[int, int]:
    """Subjects in the folder, and bytes."""
    entries = list(_entries(folder))
    files = [*(path for entry in entries for path in entry.rglob("*")), folder / _MEMO]
    sizes = [path.stat().st_size for path in files if path.is_file()]
    return sum(not entry.name.startswith(".") for entry in entries), sum(sizes)


def described(folder: Path | None) -> str:
    """How many prepared subjects there are, how large, and where."""
    if folder is None:
        return "prepared slices are not kept: DAFNET_CACHE says so"
    count, size = usage(folder)
    return f"{count} prepared subjects, {size / 1e9:.2g} GB, in {folder}; {CLEAR} removes them"


def clear(folder: Path) -> None:
    """Remove what was written here, and the folder if nothing else is in it; raises OSError."""
    for entry in _entries(folder):
        shutil.rmtree(entry)
    for memo in (folder / _MEMO, *folder.glob(f".{_MEMO}.*.part")):
        memo.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
    parser = argparse.ArgumentParser(
        prog="python -m dafnet_core.data.cache",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--clear", action="store_true", help="remove the prepared slices")
    options, folder = parser.parse_args(arguments), cache_folder()
    print(described(folder))
    if options.clear and folder:
        try:
            clear(folder)
        except OSError as error:
            print(f"cache: {describe_error(error)}", file=sys.stderr)
            return 2
        print("removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
