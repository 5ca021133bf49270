"""DICOM series and multi-frame files whose every pixel tells where it was put."""

import numpy as np

from tests.helpers.valid_files import PIXELS, dicom_bytes, group

AXIAL = (1, 0, 0, 0, 1, 0)
PRONE = (-1, 0, 0, 0, -1, 0)
SAGITTAL = (0, 1, 0, 0, 0, -1)
CORONAL = (1, 0, 0, 0, 0, -1)


def picture(number):
    """PIXELS, all raised so that the first pixel is 1000 * number."""
    return (PIXELS + np.float32(1000 * number)).astype(np.uint16)


def dicom_slice(k, value=None, axes=AXIAL, step=(0, 0, 8), origin=(-5, -7, -30), **tags):
    """A (name, content) pair: slice k of a stack, with the pixels `picture(value)`, of k by default."""
    position = [float(o + k * s) for o, s in zip(origin, step, strict=True)]
    where = {
        "SeriesInstanceUID": "1.2.826.0.1.3680043.8.498.2",
        "InstanceNumber": k + 1,
        "PixelSpacing": [1, 2],
        "ImageOrientationPatient": list(axes),
        "ImagePositionPatient": position,
    }
    given = {tag: content for tag, content in (where | tags).items() if content is not None}
    return f"{k}-{value}.dcm", dicom_bytes(picture(k if value is None else value), **given)


def first_pixels(scan):
    """The first pixel of every slice over 1000, (volumes, slices)."""
    return (scan.values[:, :, 0, 0] / 1000).tolist()


def placed_frames(frames, positions, per_frame=(), measures=None, **tags):
    """A multi-frame file of axial frames: per_frame holds functional groups of each frame, as `group` takes them."""
    shared = group(
        PixelMeasuresSequence={"PixelSpacing": [1, 2]} | (measures or {}),
        PlaneOrientationSequence={"ImageOrientationPatient": list(AXIAL)},
    )
    own = per_frame or [{}] * len(frames)
    groups = [
        group(PlanePositionSequence={"ImagePositionPatient": list(position)}, **parts)
        for position, parts in zip(positions, own, strict=True)
    ]
    return dicom_bytes(
        np.stack(frames), SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=groups, **tags
    )
