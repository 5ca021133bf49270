"""Read files in separate processes, so that a decoder that crashes or hangs affects nothing else.

Decoders are C libraries that parse untrusted uploads. A reader process imports them in advance, receives one file
after the other through a pipe, and returns the decoded values or an error message. Its memory and time are limited;
a process that dies is replaced, and the caller gets an error. Answers are raw numbers and JSON: nothing is
unpickled. Its output is discarded: a decoder may quote a patient.
"""

import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from threading import Event, Timer
from typing import Any, BinaryIO, TypeVar, cast

import numpy as np

from dafnet_core.data import readers
from dafnet_core.data.file_groups import together
from dafnet_core.data.formats.orientation import StoredGrid
from dafnet_core.data.formats.scan import ReadError, Scan, quoted

SECONDS = 30  # no file within the limits takes more than a few on an idle machine; a busy one is slower
MEGABYTES = 1024  # of addresses, of which an idle reader has about 250
_PROGRAM = "from dafnet_core.data.reader_process import serve; serve()"
_ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


class ReaderDied(ReadError):
    """The reader process crashed, or was killed after the time limit."""


class Reader:
    """One reader process, replaced when it dies. Not thread-safe."""

    def __init__(self, seconds: float = SECONDS, program: str = _PROGRAM) -> None:
        self._seconds, self._program = seconds, program
        self._start()

    @property
    def pid(self) -> int:
        """The process that reads the next file."""
        return self._process.pid

    def read(self, *files: tuple[str, bytes], mask: bool = False) -> Scan:
        """As `readers.read`, for (name, content) pairs.

        Raises:
            ReaderDied: the process crashed or took too long; the next file is read by another one.
            ReadError: as `readers.read`.
        """
        answer = self._within_limits(files, lambda: self._ask(files, mask))
        if isinstance(answer, str):
            raise ReadError(answer)
        return answer

    def together(self, *files: tuple[str, bytes]) -> list[list[int]]:
        """As `file_groups.together`; raises ReaderDied."""
        return self._within_limits(files, lambda: self._request(files, group=True)["groups"])

    def _within_limits(self, files: tuple[tuple[str, bytes], ...], ask: Callable[[], T]) -> T:
        if self._process.poll() is not None:
            self._restart()  # it died while idle, not because of these files
        late = Event()
        timer = Timer(self._seconds, self._stop, (late,))
        timer.start()
        try:
            return ask()
        except (EOFError, OSError, ValueError, MemoryError):
            self._restart()
            what = "crashed the decoder, and nothing else"
            if late.is_set():
                what = f"took longer than {self._seconds:g} s and was stopped"
            raise ReaderDied(
                f"{quoted(files[0][0])}: reading it {what}; it is damaged or of an unusual kind, export it again."
            ) from None
        finally:
            timer.cancel()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        with suppress(OSError):  # what was not written yet goes nowhere
            self._process.communicate()

    def _restart(self) -> None:
        self.close()
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", self._program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # each OpenBLAS thread would use address space; and import this very package
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)},
        )

    def _stop(self, late: Event) -> None:
        late.set()
        self._process.kill()

    def _request(self, files: tuple[tuple[str, bytes], ...], **asked: bool) -> dict[str, Any]:
        """Send files; what follows the answer is left in the pipe."""
        to = cast(BinaryIO, self._process.stdin)
        _send(to, {"names": [name for name, _ in files], "sizes": [len(data) for _, data in files], **asked})
        for _, data in files:
            to.write(data)
        to.flush()
        return _receive(cast(BinaryIO, self._process.stdout))

    def _ask(self, files: tuple[tuple[str, bytes], ...], mask: bool) -> Scan | str:
        answer = self._request(files, mask=mask)
        if "refused" in answer:
            return answer["refused"]
        values = np.empty(answer["shape"], np.int32 if mask else np.float32)
        back = cast(BufferedReader, self._process.stdout)
        if back.readinto(values.data.cast("B")) < values.nbytes:
            raise EOFError
        return Scan(
            values,
            answer["spacing"] and tuple(answer["spacing"]),
            answer["slice_spacing"],
            answer["name"],
            answer["kind"],
            tuple(answer["notes"]),
            _matrix(answer["affine"]),
            _grid(answer["stored"]),
            _matrix(answer["other_affine"]),
            tuple(answer["volume_names"]),
        )


class Readers:
    """A pool of reader processes for any number of threads; callers block while all are busy."""

    def __init__(self, count: int = 2, seconds: float = SECONDS, program: str = _PROGRAM) -> None:
        self._idle: queue.LifoQueue[Reader] = queue.LifoQueue()  # the one that read last is warm
        for _ in range(count):
            self._idle.put(Reader(seconds, program))

    def read(self, *files: tuple[str, bytes], mask: bool = False) -> Scan:
        """As `Reader.read`."""
        with self._reader() as reader:
            return reader.read(*files, mask=mask)

    def together(self, *files: tuple[str, bytes]) -> list[list[int]]:
        """As `Reader.together`."""
        with self._reader() as reader:
            return reader.together(*files)

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        reader = self._idle.get()
        try:
            yield reader
        finally:
            self._idle.put(reader)


def _send(stream: BinaryIO, head: dict[str, Any]) -> None:
    stream.write(json.dumps(head).encode() + b"\n")


def _receive(stream: BinaryIO) -> dict[str, Any]:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    return json.loads(line)


def serve(read: Callable[..., Scan] = readers.read) -> None:
    """Answer requests on standard input until it ends: what a reader process runs."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of libraries must not mix with the answers
    _limit_memory()
    # imported before the first request
    import nibabel.nifti1  # noqa: F401
    import PIL.Image
    import pydicom.pixels  # noqa: F401

    PIL.Image.init()
    while True:
        try:
            asked = _receive(requests)
        except EOFError:
            return
        files = [(name, requests.read(size)) for name, size in zip(asked["names"], asked["sizes"], strict=True)]
        try:
            if asked.get("group"):
                _send(answers, {"groups": together(files)})
            else:
                _answer(answers, read(*files, mask=asked["mask"]))
        except ReadError as error:
            _send(answers, {"refused": str(error)})
        answers.flush()
        files.clear()  # or they would be held until the next ones are complete


def _answer(stream: BinaryIO, scan: Scan) -> None:
    head = {
        "shape": scan.values.shape,
        "spacing": scan.spacing,
        "slice_spacing": scan.slice_spacing,
        "name": scan.name,
        "kind": scan.kind,
        "notes": scan.notes,
        "affine": _listed(scan.affine),
        "stored": None if scan.stored is None else vars(scan.stored) | {"affine": _listed(scan.stored.affine)},
        "other_affine": _listed(scan.other_affine),
        "volume_names": scan.volume_names,
    }
    _send(stream, head)
    stream.write(np.ascontiguousarray(scan.values).data.cast("B"))


def _listed(matrix: np.ndarray | None) -> list[list[float]] | None:
    return None if matrix is None else matrix.tolist()


def _matrix(rows: list[list[float]] | None) -> np.ndarray | None:
    return None if rows is None else np.array(rows)


def _grid(parts: dict[str, Any] | None) -> StoredGrid | None:
    if parts is None:
        return None
    return StoredGrid(tuple(parts["shape"]), _matrix(parts["affine"]), tuple(parts["axes"]), tuple(parts["flips"]))


def _limit_memory() -> None:
    with suppress(ImportError, ValueError, OSError):  # Linux has this limit; the one on time is everywhere
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEGABYTES << 20, MEGABYTES << 20))
