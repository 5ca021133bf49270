"""Anatomies with modality factors of other images: cells are what decode gives, verdicts what encoding says."""

import numpy as np
import pytest
import torch

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.mixing import mix, mix_rows
from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate_checkpoint
from dafnet_core.methods.decomposition import decompose
from dafnet_core.metrics.probe import probe
from dafnet_core.metrics.segmentation import dice_per_class, nanmean
from tests.helpers.paths import CHECKPOINTS


@pytest.fixture(params=["film", "spade"])
def model(make_model, request):
    return make_model(decoder=request.param).eval()


@pytest.fixture
def found(model):
    rng = np.random.default_rng(0)
    slices = []
    for n in range(6):
        images = rng.uniform(-1, 1, (2, 32, 48)).astype(np.float32)
        taken = decompose(model, images)
        encoded = Encoded.of(taken, f"p{n}", 0)
        encoded.z_mean[:, 2] += (-3, 3)  # a modality that can be read
        slices.append(encoded)
    return Encodings(model.config.modalities, model.config.classes, model.config.channels, slices)


def one_hot(found, rows):
    return np.eye(found.channels, dtype=np.float32)[found.anatomies[rows]].transpose(0, 3, 1, 2).copy()


@pytest.mark.slow
def test_every_cell_is_decoded_and_encoded_again_by_its_column_s_encoder(model, found):
    s, z, modalities = one_hot(found, [0, 3, 5]), found.z[[1, 2]], (1, 0)
    made = mix(model, s, z, modalities)
    for r in range(3):
        for k, m in enumerate(modalities):
            with torch.inference_mode():
                image = model.decode(torch.from_numpy(s[r : r + 1]), torch.from_numpy(z[k : k + 1]).float())[0, 0]
                mask = model.segment(torch.from_numpy(s[r : r + 1])).argmax(1)[0].numpy()
            assert made.images[r, k] == pytest.approx(image.numpy(), abs=1e-5)
            again = decompose(model, made.images[r, k][None], (m,))
            # several images in one batch round otherwise than one alone, in bfloat16 where predict uses it
            assert made.agreement[r, k] == pytest.approx((again.s[0].argmax(0) == s[r].argmax(0)).mean(), abs=0.03)
            assert made.z[r, k] == pytest.approx(again.z_mean[0], abs=0.05)
            dice = nanmean(dice_per_class(again.single[0], mask, 3))
            assert np.isnan(dice) == np.isnan(made.dice[r, k])
            assert made.dice[r, k] == pytest.approx(dice, abs=0.05, nan_ok=True)


@pytest.mark.slow
def test_columns_have_the_modality_of_their_image_and_random_ones_what_the_probe_names(model, found):
    classifier = probe(found.z, found.modality, found.subjects)
    mixed = mix_rows(model, found, classifier, [0, 4], [1, 2, -1, -2], seed=5)
    assert mixed.modalities[:2] == (1, 0)
    drawn = np.random.default_rng(5).standard_normal((2, found.z.shape[1]))
    assert np.array_equal(mixed.z, [*found.z[[1, 2]], *drawn])
    assert mixed.modalities[2:] == tuple(classifier.classify(drawn, found.subjects[[0, 0]]))
    # the verdict is by the classifier that never saw the anatomy's subject
    expected = classifier.probability(mixed.made.z[1], np.repeat(found.subjects[4], 4))
    assert mixed.reached[1] == pytest.approx(expected[np.arange(4), mixed.modalities])
    again = mix_rows(model, found, classifier, [0], [-1], seed=6)
    assert not np.array_equal(again.z[0], drawn[0])


@pytest.mark.slow
def test_what_does_not_fit_is_refused(model, found):
    with pytest.raises(ValueError, match="one a z"):
        mix(model, one_hot(found, [0]), found.z[:2], (0,))
    with pytest.raises(ValueError, match="was not among"):
        mix_rows(model, found, probe(found.z[:8], found.modality[:8], found.subjects[:8]), [10], [0])


@pytest.mark.slow
def test_verdicts_on_swapped_styles_are_those_of_evaluate():
    checkpoint = load(CHECKPOINTS / "cardiac-spade.safetensors")
    evaluation = evaluate_checkpoint(checkpoint, "phantom:subjects=3,difficulty=hard")
    e, probe = evaluation.statistics.encodings, evaluation.statistics.probe
    for i, j in ((0, 1), (1, 0)):
        rows = np.flatnonzero(e.modality == i)
        reached = [mix_rows(checkpoint.model, e, probe, [r], [r - i + j]).reached[0, 0] > 0.5 for r in rows]
        wanted = evaluation.result.swap[f"{e.names[i]}_to_{e.names[j]}"].accuracy
        assert np.mean(reached) == pytest.approx(wanted, abs=1e-9)
