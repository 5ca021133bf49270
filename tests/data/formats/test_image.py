"""PNG, JPEG, TIFF, BMP and GIF: stored values, colour, and limits before decoding."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dafnet_core.data.readers import read
from tests.helpers.reading import refusal
from tests.helpers.valid_files import (
    deep_png_bytes,
    picture_bytes,
    png_bytes,
    png_chunk,
)


def test_pictures_give_their_stored_values(tmp_path, pixels):
    deep = (pixels * 100).astype(np.uint16)
    cases = {
        "8.png": pixels.astype(np.uint8),
        "16.png": deep,
        "8.bmp": pixels.astype(np.uint8),
        "16.tif": deep,
        "float.tif": pixels.astype(np.float32) / 7,
        "int32.tif": pixels.astype(np.int32) - 200,
    }
    for name, array in cases.items():
        Image.fromarray(array).save(tmp_path / name)
        assert np.array_equal(read(tmp_path / name).values[0, 0], array.astype(np.float32)), name


def test_16_bits_per_colour_keep_all_16_bits(pixels):
    deep = (pixels * 100 + 7).astype(">u2")
    for colour, channels in ((2, 3), (4, 2), (6, 4)):
        data = deep_png_bytes(np.repeat(deep[:, :, None], channels, axis=2), colour)
        assert np.array_equal(read(("d.png", data)).values[0, 0], deep), channels


def test_colour_becomes_grey_with_a_note_and_equal_channels_stay_exact(pixels):
    grey = pixels.astype(np.uint8)
    same = read(("s.png", png_bytes(np.dstack([grey] * 3))))
    assert np.array_equal(same.values[0, 0], grey)
    red = np.dstack([grey, grey * 0, grey * 0])
    scan = read(("r.png", png_bytes(red)))
    assert np.allclose(scan.values[0, 0], 0.299 * grey, atol=1e-3)
    assert any("grey" in note for note in scan.notes)


def test_palettes_are_colours_for_images_and_indices_for_masks(pixels):
    indices = Image.fromarray((pixels % 3).astype(np.uint8), "L")
    indices = indices.convert("P")
    indices.putpalette([0, 0, 0, 90, 90, 90, 200, 200, 200])
    buffer = io.BytesIO()
    indices.save(buffer, "PNG")
    data = ("p.png", buffer.getvalue())
    stored = np.asarray(Image.open(io.BytesIO(buffer.getvalue())))
    assert np.array_equal(read(data, mask=True).values[0, 0], stored)
    assert set(np.unique(read(data).values)) == {0, 90, 200}


def test_pages_are_slices(tmp_path, pixels):
    pages = [Image.fromarray(pixels.astype(np.uint8) + k) for k in range(3)]
    pages[0].save(tmp_path / "z.tif", save_all=True, append_images=pages[1:])
    scan = read(tmp_path / "z.tif")
    assert scan.slices == 3
    assert np.array_equal(scan.values[0, 2], pixels.astype(np.uint8) + 2)


def test_declared_sizes_are_refused_before_decoding():
    header = struct.pack(">2I5B", 60000, 60000, 8, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header
    data += struct.pack(">I", zlib.crc32(b"IHDR" + header)) + struct.pack(">I", 0) + b"IDAT"
    assert "pixels" in refusal(("lying.png", data))


def test_a_jpeg_of_thousands_of_scans_is_refused_before_decoding(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "JPEG", progressive=True)
    good = buffer.getvalue()
    assert read(("p.jpg", good)).values.shape == (1, 1, 24, 20)
    last = good.rindex(b"\xff\xda")
    assert "scans" in refusal(("p.jpg", good[:-2] + good[last:-2] * 1000 + good[-2:]))


def test_a_tiff_or_exif_that_lists_millions_of_numbers_is_refused_before_they_are_made(pixels):
    """Strips of a TIFF, and the orientation in a PNG's EXIF data; 16 million numbers take Python 500 MB and more."""
    numbers = np.ones(1 << 20, "<u4").tobytes()

    def tiff(tag, *entries):
        table = b"".join(struct.pack("<HHII", *e) for e in sorted([(tag, 4, len(numbers) // 4, 8), *entries]))
        head = struct.pack("<2sHI", b"II", 42, 8 + len(numbers))
        return head + numbers + struct.pack("<H", 1 + len(entries)) + table + bytes(4)

    sizes = [(k, 3, 1, v) for k, v in ((256, 64), (257, 64), (258, 8), (259, 1), (262, 1), (277, 1), (279, 4096))]
    assert "lists 1048583 numbers" in refusal(("t.tif", tiff(273, *sizes)))
    png = png_bytes(pixels.astype(np.uint8))
    exif = png[:-12] + png_chunk(b"eXIf", tiff(274, (258, 3, 1, 8))) + png[-12:]
    assert "lists 1048577 numbers" in refusal(("p.png", exif))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_of_hundreds_of_thousands_of_tiny_chunks_is_given_up(kind, pixels):
    good = picture_bytes(kind, pixels.astype(np.uint8))
    at, tiny = (33, png_chunk(b"prVt", b"")) if kind == "PNG" else (2, b"\xff\xe5\0\2")
    assert read(("p", good[:at] + tiny * 100 + good[at:])).slices == 1
    assert f"more {kind} chunks" in refusal(("p", good[:at] + tiny * 600_000 + good[at:]))


def test_too_small_and_too_elongated_pictures_are_refused():
    assert "too small" in refusal(("s.png", png_bytes(np.zeros((7, 100), np.uint8))))
    assert "strip" in refusal(("s.png", png_bytes(np.zeros((8, 600), np.uint8))))
    assert read(("w.png", png_bytes(np.zeros((60, 1500), np.uint8)))).slice().pixels.shape == (60, 1500)
