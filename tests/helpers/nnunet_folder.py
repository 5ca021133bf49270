"""nnU-Net folders written for a test: blocks as labels, images that are brighter inside."""

import gzip
import json

import nibabel
import numpy as np
import pytest

from dafnet_core.data.studies import DataError
from tests.helpers.sources import read_nnunet

ROWS, COLUMNS, MM = 32, 48, 2.0


def marked(slices=3, *, shift=0, value=1, rows=ROWS, columns=COLUMNS):
    """(slices, rows, columns) with a block in each slice, all at different places."""
    volume = np.zeros((slices, rows, columns), np.uint8)
    for k in range(slices):
        volume[k, 4 + 2 * k : 9 + 2 * k, 6 + 5 * k + shift : 12 + 5 * k + shift] = value
    return volume


def shown_by(volume):
    """An image of a volume of labels: brighter inside, and no two slices alike."""
    return (100 + 50 * (volume > 0) + np.arange(len(volume))[:, None, None]).astype(np.float32)


def affine_of(z=0.0, between=5.0):
    """Columns towards Left, rows towards Posterior, so that pictures are shown as they are given."""
    affine = np.diag([-MM, -MM, between, 1.0])
    affine[2, 3] = z
    return affine


def nifti(path, volume, affine):
    """Write (slices, rows, columns), or with frames in front of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(nibabel.Nifti1Image(np.asarray(volume).T, affine).to_bytes(), 1))


class Folder:
    """An nnU-Net folder under construction."""

    def __init__(self, root, channels=("T1", "T2"), labels=("background", "lesion"), **more):
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        self.description = {
            "channel_names": {str(k): name for k, name in enumerate(channels)},
            "labels": labels if isinstance(labels, dict) else {name: k for k, name in enumerate(labels)},
            "file_ending": ".nii.gz",
        } | more
        self.describe()

    def describe(self, **changes):
        self.description |= changes
        (self.root / "dataset.json").write_text(json.dumps(self.description))

    def image(self, stem, volume, affine=None):
        nifti(self.root / "imagesTr" / f"{stem}.nii.gz", volume, affine_of() if affine is None else affine)

    def label(self, stem, volume, affine=None):
        nifti(self.root / "labelsTr" / f"{stem}.nii.gz", volume, affine_of() if affine is None else affine)

    def case(self, name, labels=None, channels=2):
        """One case of all channels with one label file."""
        labels = marked() if labels is None else labels
        for channel in range(channels):
            self.image(f"{name}_{channel:04d}", shown_by(labels) * (channel + 1))
        self.label(name, labels)

    def read(self, modalities=(), size=48, spacing=MM):
        return read_nnunet(self.root, modalities, size=size, spacing=spacing)

    def refusal(self, modalities=()):
        with pytest.raises(DataError) as caught:
            self.read(modalities)
        return str(caught.value)


def bright(images):
    """Where frame 0 shows a mark, (slices, H, W)."""
    return images[0] > 0.5
