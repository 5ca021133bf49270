"""Which of several files that are dropped at once belong together."""

import gzip

import numpy as np

from dafnet_core.data.file_groups import together
from dafnet_core.data.readers import read
from tests.helpers.dicom_series import dicom_slice
from tests.helpers.valid_files import PIXELS, dicom_bytes, npy_bytes, png_bytes


def test_dicom_files_are_grouped_by_series_whatever_their_order_and_names():
    one, two = ([dicom_slice(k, SeriesInstanceUID=uid)[1] for k in range(3)] for uid in ("1.2.3", "1.2.4"))
    mixed = [data for pair in zip(one, two, strict=True) for data in pair]
    files = [(f"IM{n}", data) for n, data in enumerate(mixed)]
    assert together(files) == [[0, 2, 4], [1, 3, 5]]
    packed = [("a.gz", gzip.compress(one[0])), *files]
    assert together(packed) == [[0, 1, 3, 5], [2, 4, 6]]
    for group in together(files):
        assert read(*(files[n] for n in group)).slices == 3


def test_other_files_and_damaged_ones_stay_alone():
    files = [("a.npy", npy_bytes(PIXELS)), ("a.npy", npy_bytes(PIXELS)), ("b.png", png_bytes(PIXELS.astype(np.uint8)))]
    files += [("c.dcm", b""), ("d.dcm", dicom_bytes(PIXELS)[:300]), ("e.txt", b"no picture")]
    assert together(files) == [[n] for n in range(6)]


def test_a_header_and_its_data_are_one_image_and_halves_alone_are_not():
    files = [("x.png", b"?"), ("Ann.hdr", b"?"), ("b.img", b"?"), ("ann.IMG.gz", b"?"), ("c.hdr", b"?")]
    assert together(files) == [[0], [1, 3], [2], [4]]
