"""Slices, pairing, candidates, annotations, splits and known deformations."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import ndimage

from dafnet_core.config import TrainConfig
from dafnet_core.data import phantom
from dafnet_core.data.dataset import (
    Augmentation,
    Sample,
    Slices,
    augment,
    collate,
    deformed,
    phantom_slices,
    random_fields,
)
from dafnet_core.data.deform import deform, foreground, rotation, sampling, smooth_displacement
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.sources import judging_data, phantom_values, training_data
from dafnet_core.data.splits import draw_annotated, split_subjects
from dafnet_core.data.studies import Study
from dafnet_core.metrics.registration import identity_pixels

SIDE = 32


def study(name="one", slices=(5, 5), frames=(1, 1), masks=(True, True), positions=None):
    """A subject whose every pixel says modality, frame and slice: 0.1, 0.01 and 0.001 of their numbers."""
    images = tuple(
        np.stack(
            [np.stack([np.full((SIDE, SIDE), 0.1 * i + 0.01 * f + 0.001 * k) for k in range(n)]) for f in range(t)]
        )
        for i, (n, t) in enumerate(zip(slices, frames, strict=True))
    )
    labels = tuple(
        np.stack([np.full((SIDE, SIDE), k % 3, np.uint8) for k in range(n)]) if has else None
        for n, has in zip(slices, masks, strict=True)
    )
    places = positions or tuple(np.arange(n, dtype=float) for n in slices)
    return Study(name, tuple(x.astype(np.float32) for x in images), labels, places)


def slices_of(*studies, **options):
    return Slices(("a", "b"), ("background", "x", "y"), Preparation(SIDE, SIDE), studies, **options)


def which(image):
    """(frame, slice) that an image of `study` is."""
    value = round(float(image.mean()) * 1000)
    return value % 100 // 10, value % 10


def test_slices_pair_by_position_and_not_by_index():
    positions = (np.array([0.0, 2.0, 4.0, 6.0]), np.array([9.0, 7.0, 5.0, 3.1, 1.0, -1.0]))
    data = slices_of(study(slices=(4, 6), positions=positions))
    found = {(which(s.images[0, 0])[1], which(s.images[1, 0])[1]) for s in (data[i] for i in range(len(data)))}
    # b, the modality with more slices, leads; its slice at 9 lies outside of a's stack
    assert found == {(3, 1), (2, 2), (2, 3), (0, 4), (0, 5)}
    for i in range(len(data)):
        a, b = (which(x[0])[1] for x in data[i].images)
        assert abs(positions[0][a] - positions[1][b]) <= 1
        assert (data[i].masks[0] == a % 3).all()
        assert (data[i].masks[1] == b % 3).all()


def test_neighbours_are_the_nearest_slices_with_the_slice_itself_first():
    data = slices_of(study(), pairing="neighbours", candidates=3)
    middle, edge = data[2], data[0]
    assert [which(x)[1] for x in middle.images[0]] == [2, 1, 3]
    assert [which(x)[1] for x in edge.images[1]] == [0, 1, 2]


def test_expert_candidates_are_frames_and_a_lone_frame_is_repeated():
    data = slices_of(study(frames=(5, 1)), candidates=3)
    cine, still = data[1].images
    assert [which(x) for x in cine] == [(0, 1), (1, 1), (4, 1)]  # the cycle closes: the last phase neighbours the first
    assert [which(x) for x in still] == [(0, 1)] * 3


def test_shuffled_pairs_are_up_to_two_positions_off_anew_in_each_epoch():
    data = slices_of(study(slices=(9, 9)), pairing="shuffled")
    offsets = []
    for seed in range(40):
        s = data.sample(4, np.random.default_rng(seed))
        assert which(s.images[0, 0])[1] == 4
        offsets.append(which(s.images[1, 0])[1] - 4)
        assert (s.masks[1] == (4 + offsets[-1]) % 3).all()
    assert set(offsets) == {-2, -1, 0, 1, 2}


def test_a_mask_that_must_not_be_used_is_not_even_handed_on():
    data = slices_of(study("one"), study("two"), unannotated={1: frozenset(["one"])})
    for i in range(len(data)):
        s = data[i]
        assert s.annotated.tolist() == [True, s.subject == "two"]
        assert s.annotated[1] or (s.masks[1] == 0).all()
    assert not slices_of(study(masks=(True, False)))[0].annotated[1]


def test_splits_are_by_subject_seeded_and_their_tests_never_overlap():
    names = [f"p{n}" for n in range(68)]
    folds = [split_subjects(names, 0, k) for k in range(3)]
    for split in folds:
        assert sorted(sum(split.values(), ())) == sorted(names)
        assert [len(split[p]) for p in ("train", "val", "test")] == [48, 10, 10]
    assert len(set().union(*(f["test"] for f in folds))) == 30
    assert folds[0] == split_subjects(names[::-1], 0, 0) != split_subjects(names, 1, 0)
    with pytest.raises(ValueError, match="fold is 3"):
        split_subjects(names, 0, 3)
    with pytest.raises(ValueError, match="2 subjects"):
        split_subjects(names[:2], 0)


def test_annotations_are_drawn_by_subject_and_nested():
    names = [f"p{n}" for n in range(40)]
    drawn = [draw_annotated(names, share, 3) for share in (0, 0.01, 0.25, 0.5, 1)]
    assert [len(d) for d in drawn] == [0, 1, 10, 20, 40]
    assert all(a <= b for a, b in pairwise(drawn))
    with pytest.raises(ValueError, match="annotations is 2"):
        draw_annotated(names, 2, 0)


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
    data = Slices(
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
    again = Slices(("a", "b"), ("background", "x"), data.preparation, data.studies, warp=4.0, warp_seed=8)
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


def test_phantom_studies_give_frames_and_the_truth():
    data = phantom_slices(3, range(2, 4), size=64, phases=4, candidates=3)
    s = data[1]
    assert s.images.shape == (2, 3, 64, 64)
    assert (s.images[1, 0] == s.images[1, 2]).all()
    assert (s.images[0, 0] != s.images[0, 1]).any()
    plain = phantom_slices(3, range(2, 4), size=64)[1]
    assert (plain.images[:, 0] == s.images[:, 0]).all()
    positions, regions = data.truth(1)
    assert set(positions) == {(0, 1), (1, 0)}
    assert (regions[1] == (plain.masks[1] > 0)).all()
    assert s.subject == phantom.case_name(3, 2)


def test_parts_of_a_batch_together_are_the_batch():
    data = phantom_slices(0, range(2), size=64)
    how = Augmentation(rotation=10, warp=2)
    whole = data.batch_at(3, 4, 0, how=how)
    parts = [data.batch_at(3, 4, 0, how=how, part=(r, 2)) for r in range(2)]
    assert torch.equal(whole.images[0::2], parts[0].images)
    assert torch.equal(whole.masks[1::2], parts[1].masks)


def test_training_data_of_the_phantom_hides_what_may_not_be_used():
    config = TrainConfig(subjects=4, validation_subjects=2, size=64, annotations=0.5)
    found = training_data(config)
    assert (found.target, found.facts["annotated_target_subjects"]) == (
        1,
        sorted(found.facts["annotated_target_subjects"]),
    )
    assert len(found.facts["annotated_target_subjects"]) == 2
    assert not set(found.split["train"]) & set(found.split["val"])
    other = training_data(replace(config, target="cine", annotations=0.0))
    assert other.target == 0
    assert not other.train[0].annotated[0]
    assert not other.val[0].annotated[0]
    assert other.val[0].annotated[1]
    with pytest.raises(ValueError, match="expected one of cine, LGE"):
        training_data(replace(config, target="T2"))
    with pytest.raises(ValueError, match=r"w_warp is 1, but phantom is not registered, warp is 4"):
        training_data(replace(config, w_warp=1.0, warp=4.0))


def test_what_data_are_called():
    assert phantom_values("phantom:subjects=3,phases=2") == {
        "seed": 9000,
        "subjects": 3,
        "phases": 2,
        "difficulty": "standard",
    }
    for wrong in ("phantom:seeds=3", "photos", "phantom:subjects=none", "phantom:difficulty=easy"):
        with pytest.raises(ValueError, match="expected"):
            phantom_values(wrong)
    with pytest.raises(ValueError, match="nnU-Net"):
        training_data(TrainConfig(data="/no/such/folder"))
    with pytest.raises(ValueError, match="expected train, val, test or all"):
        judging_data("phantom", "best", size=64, spacing=None, modalities=())


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
