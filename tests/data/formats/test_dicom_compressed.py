"""Compressed DICOM frames: their pixels, and limits before decoding."""

import io

import numpy as np
from PIL import Image
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
)

from dafnet_core.data.readers import read
from tests.helpers.reading import refusal
from tests.helpers.valid_files import (
    dicom_bytes,
    packed_dicom,
    picture_bytes,
)


def test_dicom_that_cannot_be_decoded_is_refused_with_the_method(pixels):
    frame = b"\xff\xd8\xff\xc3" + bytes(20)
    assert "JPEG Lossless" in refusal(("x.dcm", packed_dicom(pixels, JPEGLosslessSV1, [frame])))
    assert "JPEG Extended" in refusal(("x.dcm", packed_dicom(pixels, JPEGExtended12Bit, [frame])))


def test_compressed_frames_give_their_pixels(pixels):
    frames = [(pixels % 250).astype(np.uint8), (pixels % 240).astype(np.uint8)]
    packed = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG2000", irreversible=False, no_jp2=True)
        packed.append(buffer.getvalue())
    one = packed_dicom(frames[0], JPEG2000Lossless, packed[:1])
    assert np.array_equal(read(("x.dcm", one)).values[0, 0], frames[0])
    both = packed_dicom(np.stack(frames), JPEG2000Lossless, packed)
    assert np.array_equal(read(("x.dcm", both)).values[0], frames)
    assert "not what its header says" in refusal(
        ("x.dcm", packed_dicom(np.stack(frames), JPEG2000Lossless, packed[:1]))
    )


def test_luminance_and_chroma_give_their_luminance(pixels):
    small = pixels.astype(np.uint8)
    for chroma, note in ((128, "Equal colour channels"), (90, "turned to grey")):
        stored = np.dstack([small, np.full_like(small, chroma), np.full_like(small, 128)])
        data = dicom_bytes(
            small,
            SamplesPerPixel=3,
            PlanarConfiguration=0,
            PhotometricInterpretation="YBR_FULL",
            PixelData=stored.tobytes(),
        )
        scan = read(("x.dcm", data))
        assert np.array_equal(scan.values[0, 0], small)
        assert any(note in n for n in scan.notes)
        if chroma == 90:
            assert "colour" in refusal(("x.dcm", data), mask=True)


def test_a_compressed_frame_that_is_larger_than_its_header_is_refused_before_decoding(pixels):
    buffer = io.BytesIO()
    Image.new("L", (9000, 9000)).save(buffer, "JPEG")
    data = packed_dicom(pixels.astype(np.uint8), JPEGBaseline8Bit, [buffer.getvalue()])
    assert "9000 x 9000" in refusal(("x.dcm", data))


def test_a_compressed_frame_of_very_many_tiles_is_refused_before_decoding():
    for tile, refused in ((64, False), (2, True)):
        frame = picture_bytes("JPEG2000", np.zeros((256, 256), np.uint8), no_jp2=True, tile_size=(tile, tile))
        data = packed_dicom(np.zeros((256, 256), np.uint8), JPEG2000Lossless, [frame])
        if refused:
            assert "tiles" in refusal(("x.dcm", data))
        else:
            assert read(("x.dcm", data)).slices == 1
