"""Which slices are predicted together."""

import numpy as np
import pytest

from dafnet_core.data.dataset import PairedSlices
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.readers import read
from dafnet_core.data.studies import join, prepare_stacks
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.methods.decomposition import decompose
from dafnet_core.prediction.record import file_names
from dafnet_core.prediction.slices import predict_subject, slice_pairs
from tests.helpers.bodies import Bright, centred, image


@pytest.mark.parametrize("seed", range(20))
def test_every_slice_of_every_modality_is_predicted_once(seed):
    rng = np.random.default_rng(seed)
    positions = [np.sort(rng.uniform(-30, 30, rng.integers(1, 9))) for _ in range(rng.integers(1, 5))]
    pairs = slice_pairs(positions)
    own = [(m, k) for pair in pairs for m, k, o in zip(pair.members, pair.slices, pair.own, strict=True) if o]
    assert sorted(own) == [(m, k) for m, places in enumerate(positions) for k in range(len(places))]


def test_a_slice_has_the_partners_that_lie_where_it_does():
    first, second, third = np.arange(6) * 5.0, np.arange(3) * 5.0, np.arange(4) * 5.0 + 10
    partners = {
        (m, k): set(pair.members) - {m}
        for pair in slice_pairs([first, second, third])
        for m, k, o in zip(pair.members, pair.slices, pair.own, strict=True)
        if o
    }
    assert partners[0, 0] == {1}
    assert partners[0, 2] == {1, 2}
    assert partners[0, 5] == {2}
    assert partners[2, 3] == {0}


@pytest.mark.parametrize("pairing", ["neighbours", "shuffled", "expert"])
def test_candidates_are_those_of_training(make_model, pairing):
    shape, preparation = (40, 40, 5), Preparation(64, 64, 2.0)
    model = make_model(candidates=3).eval()
    scans = [read((f"{n}.nii", image(shape, centred(shape, (2, 2, 6), at=(n, 0, 0))).to_bytes())) for n in range(2)]
    stacks = prepare_stacks(scans, [None, None], preparation, {})
    method = DAFNetMethod(model)
    found = predict_subject(method, "a", dict(enumerate(stacks)), preparation, pairing=pairing, candidates=3)
    expected = "expert" if pairing == "shuffled" else pairing
    data = PairedSlices(("a", "b"), (), preparation, [join("a", stacks)], pairing=expected, candidates=3)
    assert len(data) == shape[2]
    for k in range(shape[2]):
        wanted = decompose(model, data[k].images)
        for m in range(2):
            assert np.array_equal(found.layers[m]["mask"].planes[k], wanted.fused_masks[m])
            assert np.array_equal(found.layers[m]["probabilities"].planes[k].argmax(0), wanted.fused_masks[m])


def test_a_method_that_needs_masks_is_refused():
    method = Bright("A")
    method.needs_source_masks = True
    with pytest.raises(ValueError, match="needs masks of another modality"):
        predict_subject(method, "a", {}, Preparation(64, 64))
    with pytest.raises(ValueError, match="choose from masks, probabilities"):
        predict_subject(Bright("A"), "a", {}, Preparation(64, 64), what=["mask"])


def test_names_of_modalities_are_safe_and_different_as_files():
    assert file_names(["T1/in", "T1 in", "../x", "é"]) == {"T1/in": "T1_in", "T1 in": "T1_in_1", "../x": "x", "é": "é"}
