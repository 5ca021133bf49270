"""Readers in processes of their own, and the command line."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fuzz_readers
from dafnet_core.data import reader_process
from dafnet_core.data.readers import ReadError, read
from tests.helpers.failing_decoder import SICK
from tests.helpers.paths import ROOT
from tests.helpers.valid_files import FILES, PIXELS, npy_bytes

pytestmark = pytest.mark.trust


def test_a_reader_apart_gives_what_the_reader_gives():
    reader = reader_process.Reader()
    for kind, valid in FILES.items():
        here, there = read(*valid.whole()), reader.read(*valid.whole())
        assert np.array_equal(here.values, there.values), kind
        assert np.array_equal(here.affine, there.affine), kind
        for part in ("spacing", "slice_spacing", "name", "kind", "notes", "volume_names"):
            assert getattr(here, part) == getattr(there, part), (kind, part)
    labels = reader.read(("m.npy", npy_bytes(PIXELS % 3)), mask=True).values
    assert labels.dtype == np.int32
    assert np.array_equal(labels[0, 0], PIXELS % 3)
    with pytest.raises(ReadError, match=r"`bad\.npy`: it is a text file"):
        reader.read(("bad.npy", b"no picture"))
    reader.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"crash", "crashed the decoder"),
        (b"hang", "took longer than 3 s"),
        (b"eat", "more memory"),
        (b"print", "text file"),
    ],
)
def test_a_decoder_that_fails_is_reported_in_a_sentence_and_the_next_file_is_read(sick, content, words):
    start = time.monotonic()
    with pytest.raises(ReadError, match=words):
        sick.read((f"{content.decode()}.png", content))
    assert time.monotonic() - start < 6
    assert np.array_equal(sick.read(("good.npy", npy_bytes(PIXELS))).values[0, 0], PIXELS)


def test_files_are_grouped_by_a_reader_apart_which_has_its_limits_too():
    files = [("a.npy", npy_bytes(PIXELS)), ("x.hdr", b"?"), ("b.npy", b"no picture"), ("x.img", b"?")]
    reader = reader_process.Reader()
    assert reader.together(*files) == [[0], [1, 3], [2]]
    assert np.array_equal(reader.read(files[0]).values[0, 0], PIXELS)
    reader.close()
    reader = reader_process.Reader(seconds=5, program="import time; time.sleep(600)")
    with pytest.raises(reader_process.ReaderDied, match=r"`a\.npy`: reading it took longer than 5 s"):
        reader.together(*files)
    reader.close()


def test_a_reader_that_died_while_it_was_idle_is_replaced():
    reader = reader_process.Reader()
    reader.read(("a", npy_bytes(PIXELS)))
    reader._process.kill()
    reader._process.wait()
    assert reader.read(("a", npy_bytes(PIXELS))).slices == 1
    reader.close()


def test_readers_apart_end_with_the_process_that_asked_them():
    code = "from dafnet_core.data.reader_process import Reader; r = Reader(); print(r.pid, flush=True); "
    code += "import os; os._exit(9)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    pid, deadline = int(done.stdout), time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_fuzzer_counts_crashes_and_hangs_and_is_not_stopped_by_them(monkeypatch):
    reader, row = reader_process.Reader(seconds=1, program=SICK), fuzz_readers.Row()
    for content in (b"crash", b"hang", b"neither", npy_bytes(PIXELS)):
        row.note(reader, (("a", content),), "a file")
    reader.close()
    assert (row.loaded, row.refused, row.crashed, row.hung) == (1, 1, 1, 1)
    assert len(row.defects) == 2
    assert row.worst_wait > 1


def test_the_command_line_answers_for_names_that_no_terminal_can_show(tmp_path):
    bad = os.fsencode(tmp_path) + b"/\xff\xfe.npy"
    np.save(tmp_path / "\u8111.npy", PIXELS)
    Path(os.fsdecode(bad)).write_bytes(b"x")
    for encoding in ("utf-8", "ascii"):
        done = subprocess.run(
            [sys.executable, "-m", "dafnet_core.data.readers", "--each", bad, tmp_path / "\u8111.npy"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONIOENCODING": encoding},
        )
        assert (done.returncode, done.stderr) == (2, "")
        refused, loaded = map(json.loads, done.stdout.splitlines())
        assert "text file" in refused["error"]
        assert loaded["shape"] == [24, 20]
