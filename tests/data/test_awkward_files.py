"""Real files that are hard to read, through the command line of the readers."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.awkward_files import AWKWARD, LOADED, REFUSED, needs_data, read_as_mask
from tests.helpers.paths import ROOT
from tests.helpers.reading import refusal

# a small process in between: a child's peak is never reported below its parent's size, and pytest has grown
MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def awkward():
    """What the command line says about every entry, and the two processes' peak memory in MB."""
    lines, peak = {}, 0
    for mask in (False, True):
        entries = [entry for entry in (*LOADED, *REFUSED) if read_as_mask(entry) == mask]
        command = [sys.executable, "-m", "dafnet_core.data.readers", "--each", *(["--mask"] if mask else [])]
        files = [str(AWKWARD / entry) for entry in entries]
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, *command, *files], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        lines |= dict(zip(entries, map(json.loads, done.stdout.splitlines()), strict=True))
        peak = max(peak, int(done.stderr.split()[-1]) / 1024)
    return lines, peak


@needs_data
def test_every_awkward_file_has_a_decision():
    with (AWKWARD / "manifest.csv").open() as file:
        entries = {row["file"].removesuffix(" + .img") for row in csv.DictReader(file)}
    assert entries == {*LOADED, *REFUSED}


@needs_data
@pytest.mark.parametrize("entry", LOADED)
def test_awkward_files_that_hold_a_picture_load(entry, awkward):
    assert "error" not in awkward[0][entry]


@needs_data
@pytest.mark.parametrize("entry", REFUSED)
def test_awkward_files_that_hold_none_are_refused_in_one_sentence(entry, awkward):
    message = awkward[0][entry]["error"]
    assert message.startswith(f"`{Path(entry).name}`: ")
    assert message.endswith(".")
    assert str(AWKWARD) not in message
    assert "in the decoder" not in message  # the last resort is for unforeseen errors


@needs_data
@pytest.mark.parametrize(
    "entries",
    [
        (
            "dicom/MR_small.dcm",
            "dicom/MR_small_implicit.dcm",
            "dicom/MR_small_bigendian.dcm",
            "dicom/zipMR.gz",
        ),
        ("dicom/emri_small_RLE.dcm", "dicom/emri_small_big_endian.dcm"),
        ("nifti/t1_int32.nii.gz", "nifti/t1_float64.nii.gz", "nifti/gzipped_but_named.nii"),
        ("nifti/t1_zero_affine.nii.gz", "nifti/t1_analyze.hdr"),
        ("image/t1_rgb48.png", "image/t1_graya32.png", "image/t1_bigtiff_tiled.tif"),
        ("image/t1.bmp", "image/t1_la.png", "image/t1_rgba.png", "npy/t1_fortran.npy"),
        ("image/mask_0_1.png", "image/mask_palette.png"),
        ("image/animated.gif", "image/zstack_3d.tif"),
    ],
)
def test_the_same_picture_stored_differently_gives_the_same_pixels(entries, awkward):
    assert len({awkward[0][entry]["sha256"] for entry in entries}) == 1


@needs_data
@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("nifti/t1_nan_inf.nii.gz", "not finite"),
        ("nifti/t1_complex64.nii.gz", "magnitude"),
        ("nifti/t1_slope_nan.nii", "unscaled"),
        ("nifti/t1_zero_affine.nii.gz", "no orientation"),
        ("nifti/t1_analyze.hdr", "left and right are uncertain"),
        ("nifti/t1_flipped_LAS.nii.gz", "Stored as LAS"),
        ("nifti/reoriented_anat_moved.nii", "too coarse"),
        ("nifti/mask_chaos_values.nii.gz", "0, 63"),
        ("dicom/693_J2KI.dcm", "CT, not MR"),
        ("dicom/RG3_J2KI_monochrome1.dcm", "inverted"),
        ("dicom/examples_rgb_color.dcm", "grey"),
        ("image/t1_exif_rotate.jpg", "EXIF"),
        ("image/t1_gray.jpg", "lossy"),
        ("image/animated.gif", "5 pages"),
    ],
)
def test_what_was_done_to_an_awkward_file_is_noted(entry, words, awkward):
    assert any(words in note for note in awkward[0][entry]["notes"])


@needs_data
def test_no_awkward_file_needs_more_than_600_mb(awkward):
    assert awkward[1] < 600


@needs_data
def test_a_segmentation_is_no_image():
    assert "as a mask" in refusal(AWKWARD / "dicom" / "liver_1frame.dcm")
