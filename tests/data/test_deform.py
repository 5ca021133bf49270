"""Known deformations: fields, rotations, and what warped samples know of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from dafnet_core.data.dataset import Augmentation, PairedSlices, Sample, augment, collate, deformed, random_fields
from dafnet_core.data.deform import deform, foreground, rotation, sampling, smooth_displacement
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.studies import Study
from dafnet_core.geometry import identity_pixels


def test_smooth_displacements_are_those_of_a_gaussian_filter():
    field = smooth_displacement(np.random.default_rng(0), 64, 64, 3.0)
    assert np.sqrt(np.square(field).sum(-1).mean()) == pytest.approx(3.0, rel=1e-5)
    # correlation over one filter width: of the filtered noise, and of scipy's own
    white = np.random.default_rng(1).standard_normal((200, 64, 64))
    reference = ndimage.gaussian_filter(white, (0, 8, 8), mode="reflect")
    ours = np.stack([smooth_displacement(np.random.default_rng(n), 64, 64, 1.0)[..., 0] for n in range(200)])

    def correlation(x, shift):
        a, b = x[:, 20:44, 20:44].ravel(), x[:, 20:44, 20 + shift : 44 + shift].ravel()
        return np.corrcoef(a, b)[0, 1]

    for shift in (4, 8, 16):
        # 200 fields of about a dozen independent patches each: a standard error of 0.02
        assert correlation(ours, shift) == pytest.approx(correlation(reference, shift), abs=0.08)


def test_relative_displacement_of_two_modalities_has_the_amount_asked_for():
    found = [random_fields(np.random.default_rng(n), 2, 128, 128, 4.0) for n in range(30)]
    rms = np.sqrt(np.mean([np.square(f[0] - f[1]).sum(-1).mean() for f in found]))
    assert rms == pytest.approx(4 * 128 / 96, rel=0.1)  # two fields of 30 draws are not quite uncorrelated


def test_rotation_by_a_quarter_turns_the_image_clockwise():
    image = torch.zeros(1, 1, 33, 33)
    image[0, 0, 4, 16] = 1  # at the top
    turned = deform(image, rotation(np.pi / 2, 33, 33)[None])
    assert divmod(int(turned.argmax()), 33) == (16, 28)  # now at the right
    assert float(turned.max()) == pytest.approx(1, abs=1e-4)


def test_mask_and_image_are_deformed_alike_and_no_label_is_invented():
    s = phantom_slices(0, range(1), size=64)[3]
    labels = replace(s, images=s.masks[:, None].astype(np.float32))
    found = augment(labels, Augmentation(rotation=20, warp=4), np.random.default_rng(0))
    assert set(np.unique(found.masks)) <= set(np.unique(s.masks))
    assert (np.abs(found.images[:, 0] - found.masks) <= 0.5).mean() > 0.95  # all but edges, where images are mixed
    assert (found.masks != s.masks).mean() > 0.01


def test_the_known_warp_says_where_to_look():
    """The other modality, sampled where `truth` says, is what this one shows: of two equal images, exactly."""
    rng = np.random.default_rng(5)
    texture = ndimage.gaussian_filter(rng.standard_normal((64, 64)), 3).astype(np.float32)
    texture /= np.abs(texture).max()
    images = np.stack([texture, texture])[:, None, None]
    data = PairedSlices(
        ("a", "b"),
        ("background", "x"),
        Preparation(64, 64),
        [Study("one", tuple(images), (None, None), (np.zeros(1),) * 2)],
        warp=4.0,
        warp_seed=7,
    )
    s, (positions, regions) = data[0], data.truth(0)
    inner = (slice(14, 50),) * 2
    for (i, j), position in positions.items():
        looked = ndimage.map_coordinates(s.images[j, 0], [position[..., 1], position[..., 0]], order=1, mode="nearest")
        before = np.abs(s.images[i, 0] - s.images[j, 0])[inner].mean()
        assert np.abs(looked - s.images[i, 0])[inner].mean() < 0.1 * before
    assert regions[0].shape == (64, 64)
    assert np.abs(positions[0, 1] - identity_pixels(64, 64)).mean() > 1
    again = PairedSlices(("a", "b"), ("background", "x"), data.preparation, data.studies, warp=4.0, warp_seed=8)
    assert np.abs(again[0].images - s.images).max() > 0.01


def test_sampling_undoes_itself():
    rng = np.random.default_rng(0)
    a, b = (smooth_displacement(rng, 64, 64, 3.0) for _ in range(2))
    there, back = sampling(a, b), sampling(b, a)
    looked = np.stack(
        [
            ndimage.map_coordinates(back[..., k], [there[..., 1], there[..., 0]], order=1, mode="nearest")
            for k in (0, 1)
        ],
        -1,
    )
    assert np.abs(looked - identity_pixels(64, 64))[12:52, 12:52].max() < 0.1


def test_foreground_is_one_filled_head():
    image = np.full((64, 64), -1.0)
    y, x = np.mgrid[:64, :64]
    head = (y - 32) ** 2 + (x - 30) ** 2 < 20**2
    image[head] = 0.5
    image[30:34, 28:32] = -1  # a ventricle
    image[2:4, 2:4] = 1  # a speck
    assert (foreground(image[None]) == head).all()
    assert foreground(np.zeros((1, 8, 8))).all()


def test_a_batch_of_warped_samples_knows_by_how_much():
    rng = np.random.default_rng(0)
    images = np.full((2, 1, 32, 64), -1, np.float32)
    images[..., 8:24, 16:48] = 1
    still = Sample(images, np.zeros((2, 32, 64), np.uint8), np.ones(2, bool), "a", 0)
    moved = augment(still, Augmentation(warp=4.0), rng)
    batch = collate([moved])
    assert torch.allclose(batch.displacements[0] * torch.tensor([32.0, 16.0]), torch.from_numpy(moved.displacements))
    assert (batch.regions[0] == (batch.images[0, :, 0] > 0)).float().mean() > 0.99  # the head moves with its image
    assert not torch.equal(batch.regions[0, 0], batch.regions[0, 1])
    assert collate([moved, still]).displacements is None


def test_deformed_keeps_what_it_is_not_about():
    s = Sample(np.zeros((2, 1, 32, 32), np.float32), np.zeros((2, 32, 32), np.uint8), np.ones(2, bool), "x", 3)
    assert deformed(s, np.zeros((2, 32, 32, 2), np.float32)).subject == "x"
