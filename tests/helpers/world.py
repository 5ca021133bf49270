"""Scans of one synthetic patient on any grid: two organs that tell left from right and front from back."""

from __future__ import annotations

import itertools

import nibabel
import numpy as np

LEFT, FRONT = 1, 2  # labels; the left organ lies at x < 0 (towards the patient's Left), the front one at y > 0


def organs(affine, shape):
    """Labels (i, j, k) of the patient on a grid, of centres of voxels."""
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    return organs_at(index @ affine[:3, :3].T + affine[:3, 3])


def organs_at(points):
    """Labels (...) of the patient at points (..., 3) mm (Right, Anterior, Superior): two ellipsoids."""
    x, y, z = np.moveaxis(points, -1, 0)
    labels = np.zeros(x.shape, np.uint8)
    labels[((x + 30) / 22) ** 2 + ((y + 5) / 14) ** 2 + ((z - 6) / 26) ** 2 < 1] = LEFT
    labels[((x - 12) / 16) ** 2 + ((y - 28) / 12) ** 2 + ((z + 8) / 20) ** 2 < 1] = FRONT
    return labels


def picture(labels, contrast=(0, 100, 60)):
    """An image of labels, float32."""
    return np.array(contrast, np.float32)[labels]


def grid(spacing=(2.0, 2.0, 8.0), shape=(96, 96, 9), order=(0, 1, 2), signs=(1, 1, 1), turn=None, centre=(0, 0, 0)):
    """A grid about `centre`, mm.

    Args:
        spacing, shape: along the patient's x, y and z.
        order: stored axis i runs along the patient's axis order[i]; signs: or against it.
        turn: rotation (3, 3) about the centre.

    Returns:
        The affine (4, 4) from stored indices to mm, and the stored shape.
    """
    affine = np.eye(4)
    affine[:3, :3] = 0
    for stored, (axis, sign) in enumerate(zip(order, signs, strict=True)):
        affine[axis, stored] = sign * spacing[axis]
    if turn is not None:
        affine[:3, :3] = turn @ affine[:3, :3]
    stored_shape = tuple(shape[axis] for axis in order)
    affine[:3, 3] = np.array(centre) - affine[:3, :3] @ ((np.array(stored_shape) - 1) / 2)
    return affine, stored_shape


def orders():
    """All 48 ways in which a file may store the patient's axes, as (order, signs)."""
    return list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))


def rotation(axis, degrees):
    """Rotation (3, 3) about a patient axis, "x", "y" or "z"."""
    a = np.deg2rad(degrees)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(a)
    matrix[i, j], matrix[j, i] = -np.sin(a), np.sin(a)
    return matrix


def nifti(array, affine, *, sform=True, qform=True):
    """Bytes of a NIfTI file with these forms."""
    image = nibabel.Nifti1Image(array, affine)
    image.set_sform(affine if sform else None, code=1 if sform else 0)
    image.set_qform(affine if qform else None, code=1 if qform else 0)
    return image.to_bytes()


def dice(a, b, label):
    """Dice of a label in two masks."""
    a, b = a == label, b == label
    return 2 * (a & b).sum() / (a.sum() + b.sum())
