"""Volumes of a DICOM series: contrasts and moments are told apart by tags, never by the order of files."""

from random import Random

import numpy as np
import pytest
from pydicom.dataset import Dataset

from dafnet_core.data.readers import read
from tests.helpers.dicom_series import dicom_slice, first_pixels, picture, placed_frames
from tests.helpers.reading import refusal
from tests.helpers.valid_files import dicom_bytes


def series(slices, tags):
    """Shuffled files of each slice with each of the tags; the pixels tell the volume, 10 for each, and the slice."""
    files = [dicom_slice(k, 10 * v + k, **own) for k in range(slices) for v, own in enumerate(tags)]
    Random(3).shuffle(files)
    return files


def check_volumes(tags, names, slices=4):
    scan = read(*series(slices, tags))
    assert first_pixels(scan) == [[10 * v + k for k in range(slices)] for v in range(len(tags))]
    assert list(scan.volume_names) == names


@pytest.mark.parametrize(
    ("tags", "names"),
    [
        ([{"EchoTime": 2.3}, {"EchoTime": 4.6}], ["echo time 2.3 ms", "echo time 4.6 ms"]),
        ([{"EchoNumbers": 1}, {"EchoNumbers": 2}], ["echo 1", "echo 2"]),
        (
            [{"ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}, {"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}],
            ["image type M", "image type P"],
        ),
        (
            [{"ImageType": ["DERIVED", "PRIMARY", "FAT"]}, {"ImageType": ["DERIVED", "PRIMARY", "WATER"]}],
            ["image type FAT", "image type WATER"],
        ),
        ([{"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}], ["frame 1 of 2", "frame 2 of 2"]),
        ([{"AcquisitionNumber": 3}, {"AcquisitionNumber": 4}], ["acquisition 1 of 2", "acquisition 2 of 2"]),
        ([{"SequenceName": f"ep_b900#{n}"} for n in (2, 10)], ["sequence 1 of 2", "sequence 2 of 2"]),
        ([{"FlipAngle": 2}, {"FlipAngle": 15}], ["flip angle 2 degrees", "flip angle 15 degrees"]),
        ([{"DiffusionBValue": 0.0}, {"DiffusionBValue": 800.0}], ["b-value 0 s/mm2", "b-value 800 s/mm2"]),
    ],
)
def test_what_distinguishes_volumes_names_them(tags, names):
    check_volumes([{"InstanceNumber": 1} | own for own in tags], names)


def test_the_order_of_volumes_is_that_of_their_tags_and_not_that_of_the_files_numbers():
    echoes = [{"EchoTime": 2.3, "InstanceNumber": 9}, {"EchoTime": 4.6, "InstanceNumber": 1}]
    check_volumes(echoes, ["echo time 2.3 ms", "echo time 4.6 ms"])


def test_four_kinds_of_image_at_one_place_are_four_volumes():
    tags = [{"ImageType": ["ORIGINAL", "PRIMARY", f"TI{n}"]} for n in range(4)]
    check_volumes(tags, [f"image type TI{n}" for n in range(4)], slices=1)


def test_contrasts_are_combined():
    tags = [{"EchoTime": t, "ImageType": ["ORIGINAL", "PRIMARY", kind]} for t in (2.3, 4.6) for kind in "MP"]
    names = [f"echo time {t} ms, image type {kind}" for t in (2.3, 4.6) for kind in "MP"]
    check_volumes(tags, names)


def test_phases_of_a_cine_are_ranked_at_each_slice_because_their_times_jitter():
    files = []
    for k in range(5):
        for phase in range(20):
            time = phase * (38 + 2.5 * k) + 3  # other heart rates: the times of phases overlap
            files.append(dicom_slice(k, 10 * k + phase / 10, TriggerTime=time, InstanceNumber=k))
    Random(1).shuffle(files)
    scan = read(*files)
    assert (scan.volumes, scan.slices) == (20, 5)
    wanted = [[10 * k + phase / 10 for k in range(5)] for phase in range(20)]
    assert np.allclose(first_pixels(scan), wanted)
    assert scan.volume_names[2] == "frame 3 of 20"


def test_phases_of_magnitude_and_velocity_are_not_mixed():
    tags = [
        {"ImageType": ["ORIGINAL", "PRIMARY", kind], "TriggerTime": 30 * t + (kind == "P") * 0.5}
        for kind in "MP"
        for t in range(3)
    ]
    check_volumes(tags, [f"image type {kind}, frame {t + 1} of 3" for kind in "MP" for t in range(3)])


@pytest.mark.parametrize("other", [{}, {"TriggerTime": 40}])
def test_a_time_that_is_missing_or_repeated_does_not_order_phases(other):
    files = [
        dicom_slice(k, v, InstanceNumber=v, **own)
        for k in range(3)
        for v, own in enumerate([{"TriggerTime": 40}, other])
    ]
    assert "no tag tells them apart" in refusal(*files)


def test_the_moment_of_acquisition_orders_volumes_that_follow_each_other():
    def tags(v, k):
        return {"AcquisitionDate": "20200101", "AcquisitionTime": f"1010{v:02d}.{k:02d}"}

    files = [dicom_slice(k, 10 * v + k, **tags(v, k)) for v in range(3) for k in range(3)]
    scan = read(*files[::-1])
    assert first_pixels(scan) == [[10 * v + k for k in range(3)] for v in range(3)]
    interleaved = [dicom_slice(k, 10 * v + k, **tags(k, v)) for v in range(2) for k in range(3)]
    assert "no tag tells them apart" in refusal(*interleaved)


def test_inversion_times_that_jitter_are_ranked():
    files = [dicom_slice(k, 10 * v + k, InversionTime=100 + 900 * v + 20 * k * v) for k in range(3) for v in range(3)]
    scan = read(*files)
    assert first_pixels(scan) == [[10 * v + k for k in range(3)] for v in range(3)]


def test_copies_are_refused():
    files = [dicom_slice(k, k, InstanceNumber=n) for k in range(3) for n in (1, 2)]
    assert "2 frames lie at each place, and no tag tells them apart" in refusal(*files)
    files = [dicom_slice(k, EchoTime=2.3) for k in range(4)] + [dicom_slice(2, EchoTime=2.3)]
    assert "2 frames at 1 of 4 places and 1 elsewhere" in refusal(*files)


def test_a_volume_with_a_hole_is_refused_by_its_name():
    files = [dicom_slice(k, EchoTime=t) for k in range(4) for t in (2.3, 4.6) if (k, t) != (2, 4.6)]
    assert "echo time 4.6 ms has 3 of 4 slices" in refusal(*files)
    files = [dicom_slice(k, TriggerTime=40 * t) for k in range(4) for t in range(3) if (k, t) != (2, 1)]
    assert "3 frames at 3 of 4 places and 2 elsewhere" in refusal(*files)


@pytest.mark.parametrize(
    "tag",
    [
        lambda k: {"EchoTime": (2.3, 4.6)[k % 2]},
        lambda k: {"EchoNumbers": 1 + k % 2},
        lambda k: {"ImageType": ["ORIGINAL", "PRIMARY", "MP"[k % 2]]},
        lambda k: {"ImageType": ["ORIGINAL", "PRIMARY", "MPRI"[k]]},
        lambda k: {"InversionTime": (150, 2500)[k % 2]},
        lambda k: {"FlipAngle": (5, 26)[k % 2]},
        lambda k: {"DiffusionBValue": (0.0, 800.0)[k % 2]},
        lambda k: {"RepetitionTime": (500, 4000)[k % 2]},
        lambda k: {"TemporalPositionIdentifier": 1 + k % 2},
        lambda k: {"SeriesNumber": 1 + k % 2},
        lambda k: {"ScanningSequence": ("SE", "GR")[k % 2]},
        lambda k: {"SequenceName": ("tse2d1", "fl3d1")[k % 2]},
    ],
)
def test_contrasts_that_alternate_from_slice_to_slice_are_refused(tag):
    message = refusal(*(dicom_slice(k, **tag(k)) for k in range(4)))
    assert f"differ in {next(iter(tag(0))).removesuffix('Identifier')}" in message
    assert "mix contrasts" in message


@pytest.mark.parametrize(
    "tag",
    [
        lambda k: {"EchoTime": 1.58 + 0.005 * k},
        lambda k: {"EchoTime": "" if k == 1 else 2.3},
        lambda k: {"FlipAngle": 45 + k},
        lambda k: {"AcquisitionNumber": k},
        lambda k: {"TemporalPositionIdentifier": k + 1},
        lambda k: {"RepetitionTime": 800 + 90 * k},
        lambda k: {"TriggerTime": 900 + 7 * k},
        lambda k: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", f"SL{k}"]},
        lambda k: {"ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", str(k)]},
        lambda k: {"RescaleSlope": 1, "RescaleIntercept": 0},
    ],
)
def test_values_that_differ_from_slice_to_slice_without_another_contrast_make_one_volume(tag):
    scan = read(*(dicom_slice(k, **tag(k)) for k in range(4)))
    assert first_pixels(scan) == [[0, 1, 2, 3]]
    assert scan.volume_names == ()


def test_every_file_has_its_own_rescale_and_sign():
    files = [
        dicom_slice(0, RescaleSlope=2, RescaleIntercept=-5),
        dicom_slice(1, RescaleSlope=0.5, RescaleIntercept=7, PixelRepresentation=1),
    ]
    scan = read(*files)
    assert np.array_equal(scan.values[0, 0], 2.0 * picture(0) - 5)
    assert np.array_equal(scan.values[0, 1], 0.5 * picture(1) + 7)


# ---- multi-frame files ---------------------------------------------------------------------------------------


def frames_of(groups):
    frames = [picture(n) for n in range(len(groups))]
    return frames, [(0, 0, 5 * (n // 2)) for n in range(len(groups))]


def test_frames_of_two_echoes_become_two_volumes():
    groups = [{"MREchoSequence": {"EffectiveEchoTime": (4.6, 2.3)[n % 2]}} for n in range(6)]
    scan = read(("e.dcm", placed_frames(*frames_of(groups), groups)))
    assert first_pixels(scan) == [[1, 3, 5], [0, 2, 4]]
    assert scan.volume_names == ("echo time 2.3 ms", "echo time 4.6 ms")


def test_frames_are_told_apart_by_their_dimensions():
    pointers = []
    for pointer in (0x00209241, 0x00200032):  # a cardiac trigger delay, and the position
        item = Dataset()
        item.DimensionIndexPointer = pointer
        pointers.append(item)
    groups = [{"FrameContentSequence": {"DimensionIndexValues": [2 - n % 2, 1 + n // 2]}} for n in range(6)]
    scan = read(("e.dcm", placed_frames(*frames_of(groups), groups, DimensionIndexSequence=pointers)))
    assert first_pixels(scan) == [[1, 3, 5], [0, 2, 4]]
    assert scan.volume_names == ("frame 1 of 2", "frame 2 of 2")
    groups = [{"FrameContentSequence": {"TemporalPositionIndex": 1 + n % 2}} for n in range(6)]
    assert first_pixels(read(("e.dcm", placed_frames(*frames_of(groups), groups)))) == [[0, 2, 4], [1, 3, 5]]


def test_frames_at_one_place_that_nothing_tells_apart_are_refused():
    frames, positions = frames_of([{}] * 6)
    assert "no tag tells them apart" in refusal(("e.dcm", placed_frames(frames, positions)))


def test_frames_of_one_file_at_one_place_are_moments_in_its_order():
    data = dicom_bytes(
        np.stack([picture(n) for n in range(3)]),
        PixelSpacing=[1, 2],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        ImagePositionPatient=[0, 0, 0],
    )
    scan = read(("cine.dcm", data))
    assert first_pixels(scan) == [[0], [1], [2]]
    assert scan.volume_names == ("frame 1 of 3", "frame 2 of 3", "frame 3 of 3")


def test_several_files_of_many_frames_make_one_stack():
    halves = [
        (
            str(half),
            placed_frames([picture(2 * half + n) for n in range(2)], [(0, 0, 10 * half + 5 * n) for n in range(2)]),
        )
        for half in (1, 0)
    ]
    assert first_pixels(read(*halves)) == [[0, 1, 2, 3]]
