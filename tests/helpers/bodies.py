"""A bright body at a known place of the patient, seen by any voxel grid; methods that segment it untrained."""

import gzip
import io
from itertools import permutations, product

import nibabel
import numpy as np
import torch
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from dafnet_core.geometry import identity_pixels, warp
from dafnet_core.methods.base import Estimate, PredictedImage, PredictedMask

CENTRE, RADII = np.array([14.0, -9.0, 6.0]), np.array([24.0, 17.0, 15.0])  # mm: Right, Anterior, Superior
ORIENTATIONS = [
    np.array([*zip(axes, flips, strict=True)])
    for axes in permutations(range(3))
    for flips in product((1, -1), repeat=3)
]  # nibabel's, all 48


def world(shape, affine):
    """(*shape, 3) mm of the voxels."""
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return voxels @ affine[:3, :3].T + affine[:3, 3]


def body(shape, affine):
    """(i, j, k) bool: the body, an ellipsoid with a bump so that no two directions look alike."""
    at = (world(shape, affine) - CENTRE) / RADII
    bump = (world(shape, affine) - CENTRE - RADII * [0.5, 0.9, 0.4]) / (RADII * 0.4)
    return ((at**2).sum(-1) < 1) | ((bump**2).sum(-1) < 1)


def centred(shape, spacing, turn=None, at=(0.0, 0.0, 0.0)):
    """(4, 4): voxels of these sizes along the columns of a rotation, with the grid's centre at a place in mm."""
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if turn is None else turn) @ np.diag(spacing)
    affine[:3, 3] = np.array(at) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def turn_about(axis, degrees):
    """(3, 3) rotation about an axis, 0 to 2."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix, (a, b) = np.eye(3), [n for n in range(3) if n != axis]
    matrix[a, a] = matrix[b, b] = c
    matrix[a, b], matrix[b, a] = -s, s
    return matrix


def image(shape, affine, orientation=None):
    """A NIfTI image of the body, stored along other axes if asked for."""
    made = nibabel.Nifti1Image(body(shape, affine).astype(np.float32) * 100, affine)
    return made if orientation is None else made.as_reoriented(orientation)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def centre_of(mask, affine):
    """(3,) mm, of the voxels of a mask."""
    return np.argwhere(mask).mean(0) @ affine[:3, :3].T + affine[:3, 3]


def opened(content):
    """The NIfTI image in the content of a .nii.gz file."""
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


def series(directory, affine, shape):
    """Write the body as a DICOM series: the affine is from (column, row, slice) to RAS mm."""
    directory.mkdir(parents=True)
    pixels, uid = body(shape, affine), generate_uid()
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    for k in range(shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.InstanceNumber, data.Modality = uid, k + 1, "MR"
        data.Columns, data.Rows = shape[:2]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 16
        data.HighBit, data.PixelRepresentation = 15, 0
        data.PixelData = (pixels[:, :, k].T * 100).astype("<u2").tobytes()
        data.PixelSpacing = [float(spacing[1]), float(spacing[0])]
        data.SliceThickness = float(spacing[2])
        data.ImageOrientationPatient = [*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1])]
        data.ImagePositionPatient = [float(x) for x in lps[:3, 2] * k + lps[:3, 3]]
        content = io.BytesIO()
        data.save_as(content, enforce_file_format=True)
        (directory / f"{k:03d}.dcm").write_bytes(content.getvalue())
    return directory


class Bright:
    """Segments what is brighter than 0, each image alone."""

    name, title, kinds, needs_source_masks = "bright", "Bright", ("single",), False
    classes = ("background", "body")

    def __init__(self, *modalities):
        self.modalities = modalities

    def predict(self, given):
        return Estimate(
            tuple(PredictedMask("single", n, None, (x[0] > 0).astype(np.uint8)) for n, x in enumerate(given.images))
        )


class Bending(Bright):
    """Also bends each image by a smooth field of its own, onto every other one."""

    name, title = "bending", "Bending"

    def predict(self, given):
        height, width = given.images.shape[-2:]
        rest = identity_pixels(height, width)
        images, positions = [], {}
        for i, j in permutations(range(len(given.images)), 2):
            size = 3.0 + i - 2 * j
            shift = np.stack([np.sin(rest[..., 1] * 2 * np.pi / height), np.cos(rest[..., 0] * 2 * np.pi / width)], -1)
            positions[i, j] = rest + size * shift
            grid = (2 * positions[i, j] + 1) / [width, height] - 1
            moved = warp(torch.from_numpy(given.images[j : j + 1, :1]), torch.from_numpy(grid)[None])
            images.append(PredictedImage("cross", i, j, moved[0, 0].numpy()))
        return Estimate(super().predict(given).masks, tuple(images), positions)
