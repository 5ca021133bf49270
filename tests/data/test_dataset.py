"""Slices, pairing, candidates and batches."""

import numpy as np
import pytest
import torch

from dafnet_core.data import phantom
from dafnet_core.data.dataset import Augmentation, PairedSlices
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.studies import Study

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
    return PairedSlices(("a", "b"), ("background", "x", "y"), Preparation(SIDE, SIDE), studies, **options)


def which(image):
    """(frame, slice) that an image of `study` is."""
    value = round(float(image.mean()) * 1000)
    return value % 100 // 10, value % 10


def test_slices_pair_by_position_and_not_by_index():
    positions = (np.array([0.0, 2.0, 4.0, 6.0]), np.array([9.0, 7.0, 5.0, 3.1, 1.0, -1.0]))
    data = slices_of(study(slices=(4, 6), positions=positions))
    found = {(which(s.images[0, 0])[1], which(s.images[1, 0])[1]) for s in (data[i] for i in range(len(data)))}
    # every slice of a and b with its nearest of the other; b's slice at 9 lies outside of a's stack
    assert found == {(3, 1), (2, 2), (2, 3), (0, 4), (0, 5), (1, 4)}
    for i, slices in enumerate([{0, 1, 2, 3}, {1, 2, 3, 4, 5}]):
        scored = [which(s.images[i, 0])[1] for s in (data[n] for n in range(len(data))) if s.own[i]]
        assert sorted(scored) == sorted(slices)  # each once
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


def test_shuffled_pairs_are_one_or_two_positions_off_anew_in_each_epoch():
    data = slices_of(study(slices=(9, 9)), pairing="shuffled")
    assert len(data) == 18  # each slice of each modality keeps its place once
    assert [sum(s.own[i] for s in (data[n] for n in range(18))) for i in range(2)] == [9, 9]
    for entry, kept in ((8, 0), (9, 1)):  # the pair of both slices 4
        offsets = []
        for seed in range(40):
            s = data.sample(entry, np.random.default_rng(seed))
            places = [which(image[0])[1] for image in s.images]
            assert places[kept] == 4
            assert s.own == (kept == 0, kept == 1)
            offsets.append(places[1 - kept] - 4)
            assert (s.masks[1] == places[1] % 3).all()
        assert set(offsets) == {-2, -1, 1, 2}  # never the pair that belongs together
    assert data.truth(4) == ({}, {})


def test_shuffled_phases_take_another_frame_with_its_mask_or_none():
    data = slices_of(study(frames=(4, 1)), pairing="shuffled-phases")
    frames = set()
    for seed in range(20):
        s = data.sample(2, np.random.default_rng(seed))
        frames.add(which(s.images[0, 0])[0])
        assert which(s.images[1, 0]) == (0, 2)
        assert s.annotated.tolist() == [False, True]  # only frame 0 of a file has a mask
        assert not s.masks[0].any()
    assert frames == {1, 2, 3}
    phantom = phantom_slices(3, range(1), size=64, phases=4, pairing="shuffled-phases")
    s = phantom.sample(3, np.random.default_rng(1))
    assert s.annotated.all()
    beating = phantom.studies[0].frame_masks[0]
    assert any(np.array_equal(s.masks[0], beating[frame, 3]) for frame in (1, 2, 3))
    assert not np.array_equal(s.masks[0], beating[0, 3])
    with pytest.raises(ValueError, match="no image has several frames"):
        slices_of(study(), pairing="shuffled-phases")


def test_a_mask_that_must_not_be_used_is_not_even_handed_on():
    data = slices_of(study("one"), study("two"), unannotated={1: frozenset(["one"])})
    for i in range(len(data)):
        s = data[i]
        assert s.annotated.tolist() == [True, s.subject == "two"]
        assert s.annotated[1] or (s.masks[1] == 0).all()
    assert not slices_of(study(masks=(True, False)))[0].annotated[1]


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
    augmentation = Augmentation(rotation=10, warp=2)
    whole = data.batch_at(3, 4, 0, augmentation=augmentation)
    parts = [data.batch_at(3, 4, 0, augmentation=augmentation, shard=(r, 2)) for r in range(2)]
    assert torch.equal(whole.images[0::2], parts[0].images)
    assert torch.equal(whole.masks[1::2], parts[1].masks)
