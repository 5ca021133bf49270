"""Variants of the recipe: decoders, pairing, terms that are switched off."""

import csv

import pytest

from dafnet_core.checkpoints.file import load
from dafnet_core.training.config import TrainConfig
from tests.helpers.commands import TINY, call


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_candidates_are_weighed_and_their_weights_logged_by_epoch(tmp_path):
    run = tmp_path / "run"
    done = call(*TINY, "--steps", 5, "--pairing", "neighbours", "--candidates", 3, "--out", run)
    assert done.returncode == 0, done.stderr
    epochs = rows_of(run / "epochs.csv")
    assert [row["epoch"] for row in epochs] == ["0", "1"]  # 8 slices, batches of 2
    for row in epochs:
        assert sum(float(row[f"weight_{k}"]) for k in (1, 2, 3)) == pytest.approx(1, abs=1e-4)
    assert load(run / "best.safetensors").config.candidates == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ["--annotations", 0, "--target", "LGE", "--rotation", 20, "--warp", 2],
        ["--without", "adv_mask", "adv_image", "rec_z", "fused", "--decoder", "spade", "--averaging", "swa"],
        ["--without", "aligner", "sup", "kl", "rec", "--z-dim", 3, "--channels", 5, "--averaging", "none"],
        ["--pairing", "shuffled", "--precision", "fp16", "--channels-last", "off", "--phases", 2, "--patience", 1],
        ["--phases", 3, "--candidates", 2, "--precision", "bf16"],
    ],
)
def test_every_variant_of_the_recipe_trains(tmp_path, options):
    run = tmp_path / "run"
    done = call(*TINY, "--steps", 2, "--adversarial-from", 0, "--adversarial-ramp", 1, *options, "--out", run)
    assert done.returncode == 0, done.stderr
    found = load(run / "last.safetensors")
    log = rows_of(run / "log.csv")
    if "adv_mask" in options:
        assert not {"adv_mask", "critic_masks"} & set(log[0])
    if "aligner" in options:
        assert found.config.align == "off"
        assert (found.config.z_dim, found.config.channels) == (3, 5)
        validation = found.training.validation.registration
        assert validation.error_after_px == pytest.approx(validation.error_before_px, abs=1e-3)
    if "--annotations" in options:
        validation = found.training.validation.segmentation
        assert validation["LGE"]["fused"].dice_mean is None  # hidden masks must not select weights
        assert validation["cine"]["fused"].dice_mean is not None
        assert found.training.annotated_target_subjects == ()


def test_switched_off_terms_have_weight_zero():
    weights = TrainConfig.of(without=("rec", "kl"), w_sup=3.0).weights_at(10**6)
    assert (weights.rec, weights.kl, weights.sup, weights.adv_mask) == (0, 0, 3, 1)
    with pytest.raises(ValueError, match="expected one of sup"):
        TrainConfig.of(without=("everything",))
