"""The readers as a whole: foreign files, mutated files, and the command line."""

import gzip
import hashlib
import json
import subprocess
import sys
import time

import numpy as np
import pytest

from dafnet_core.data import reader_process
from dafnet_core.data.readers import ReadError, read
from tests.helpers.dicom_series import PRONE, dicom_slice
from tests.helpers.paths import ROOT
from tests.helpers.reading import refusal
from tests.helpers.valid_files import (
    FILES,
    NAME,
    mutation,
)


def test_foreign_files_are_refused_by_name_of_what_they_are(tmp_path):
    assert "empty" in refusal(("z.dcm", b""))
    assert "a text file" in refusal(("t.png", b"this is no picture\n"))
    assert "SVG" in refusal(("v.svg", b"<?xml version='1.0'?><svg xmlns='x'></svg>"))
    assert "PDF" in refusal(("p.png", b"%PDF-1.7 ..."))
    assert "inside a gzip" in refusal(("g.gz", gzip.compress(gzip.compress(b"x" * 2000))))
    assert "no known format" in refusal(("r.bin", bytes(range(256)) * 8))
    assert "no such file" in refusal(tmp_path / "missing.nii")
    assert "no such file" in refusal(tmp_path)
    assert "several files" in refusal(("a", b"abc"), ("b", b"def"))


def test_messages_do_not_show_local_folders(tmp_path):
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 50)
    assert str(tmp_path) not in refusal(tmp_path / "a.png")


@pytest.mark.trust
@pytest.mark.filterwarnings("ignore")  # Pillow's, which quote numbers of broken headers
@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_are_loaded_or_refused(kind):
    for n in range(40):
        try:
            outcome = read(*mutation(kind, seed=7, n=n))
        except ReadError as error:
            outcome = str(error)
        # A plain sentence that quotes no patient and names the cause, or a picture; all else fails the test.
        if isinstance(outcome, str):
            assert NAME not in outcome
            assert "in the decoder" not in outcome, n
        else:
            assert np.isfinite(outcome.values).all()


@pytest.mark.parametrize("kind", FILES)
def test_the_files_that_are_mutated_load(kind):
    assert read(*FILES[kind].whole()).values.shape[2:] == (24, 20)


def run_cli(*arguments, **options):
    command = [sys.executable, "-m", "dafnet_core.data.readers", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **options)


def test_the_command_line_prints_one_json_line_for_each_file(tmp_path, pixels):
    np.save(tmp_path / "good.npy", np.stack([pixels, pixels + 1]))
    (tmp_path / "bad.npy").write_bytes(b"x")
    result = run_cli("--each", tmp_path / "good.npy", tmp_path / "bad.npy", "--slice", 1)
    assert result.returncode == 2
    assert result.stderr == ""
    good, bad = map(json.loads, result.stdout.splitlines())
    assert good["shape"] == [24, 20]
    assert (good["slices"], good["volumes"], good["kind"], good["spacing"]) == (2, 1, "NPY", None)
    assert good["range"] == [1, 480]
    assert good["sha256"] == hashlib.sha256((pixels + 1).astype("<f4").tobytes()).hexdigest()
    assert set(bad) == {"file", "error"}
    assert run_cli(tmp_path / "good.npy", "--slice", 2).returncode == 2
    assert run_cli(tmp_path / "good.npy").returncode == 0


def test_the_command_line_reads_several_files_together_as_the_app_does(tmp_path, pixels):
    folder = tmp_path / "series"
    folder.mkdir()
    for k in range(3):
        for echo, milliseconds in enumerate((2.3, 4.6)):
            name, content = dicom_slice(k, 10 * echo + k, EchoTime=milliseconds, InstanceNumber=1)
            (folder / f"{'ba'[echo]}{name}").write_bytes(content)
    (folder / ".hidden").write_bytes(b"x")
    files = sorted(folder.glob("*.dcm"))
    reader = reader_process.Reader()
    there = reader.read(*((file.name, file.read_bytes()) for file in files))
    reader.close()
    for given in (files, [folder]):
        result = run_cli(*given, "--slice", 2, "--volume", 1)
        (line,) = map(json.loads, result.stdout.splitlines())
        assert result.returncode == 0
        assert line["files"] == [str(file) for file in files]
        assert (line["slices"], line["volumes"], line["plane"]) == (3, 2, "axial")
        assert tuple(line["volume_names"]) == there.volume_names == ("echo time 2.3 ms", "echo time 4.6 ms")
        assert np.array_equal(line["affine"], there.affine)
        assert tuple(line["notes"]) == there.notes
        assert line["sha256"] == hashlib.sha256(there.values[1, 2].astype("<f4").tobytes()).hexdigest()
        assert there.values[1, 2, 0, 0] == 12000
    (folder / "z.txt").write_text("notes")
    result = run_cli(folder)
    assert result.returncode == 2
    with pytest.raises(ReadError) as caught:
        read(*sorted(folder.glob("[!.]*")))
    assert json.loads(result.stdout)["error"] == str(caught.value)
    assert len(run_cli("--each", folder).stdout.splitlines()) == 7
    assert "no such file" in run_cli(tmp_path / "none").stdout


def test_a_reader_apart_gives_the_stored_grid_and_the_names_of_volumes():
    files = [dicom_slice(k, axes=PRONE, EchoTime=time) for k in range(3) for time in (2.3, 4.6)]
    reader = reader_process.Reader()
    here, there = read(*files), reader.read(*files)
    reader.close()
    assert there.volume_names == here.volume_names == ("echo time 2.3 ms", "echo time 4.6 ms")
    for part in ("shape", "axes", "flips", "plane"):
        assert getattr(there.stored, part) == getattr(here.stored, part)
    assert there.stored.flips == (False, True, True)
    assert np.array_equal(there.stored.affine, here.stored.affine)
    assert np.array_equal(there.stored.turned_affine, there.affine)
    assert there.other_affine is None


def test_the_command_line_starts_quickly_and_without_torch(tmp_path, pixels):
    np.save(tmp_path / "a.npy", pixels)
    run_cli(tmp_path / "a.npy")  # compiles the bytecode
    start = time.perf_counter()
    run_cli(tmp_path / "a.npy")
    assert time.perf_counter() - start < 3  # about 0.3 s on an idle machine
    code = "import sys, dafnet_core.data.readers, dafnet_core.data.prepare as p; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "nibabel", "pydicom", "streamlit"} & set(modules)
