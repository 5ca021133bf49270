"""Cards show the measures of clean factors, and say which of them speak against a model."""

from dataclasses import replace

import pytest

from dafnet_core.checkpoints.card import options
from dafnet_core.checkpoints.card_numbers import numbers
from dafnet_core.checkpoints.weaknesses import weaknesses
from dafnet_core.evaluation.measures.cleanness import SpeckleSummary
from dafnet_core.evaluation.measures.information_over_bias import BiasSummary, RatioSummary
from dafnet_core.evaluation.measures.invariance import InvarianceSummary, ModalityAgreement
from dafnet_core.evaluation.measures.leakage import CnnLeakage, LeakageByReader, LeakageSummary
from dafnet_core.evaluation.measures.prior import PriorSummary
from dafnet_core.evaluation.measures.segmentation import DiceSummary
from dafnet_core.evaluation.measures.sensitivity import SensitivitySummary
from dafnet_core.evaluation.measures.style import R2Summary, ReadingSummary, ShapeReading, StyleSummary
from dafnet_core.evaluation.measures.surface_distance import SurfaceSummary
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.metrics.paired import Paired

FLIP, NULLING = "cine flip angle (degrees)", "LGE inversion time / nulling time"


def reading(linear, nonlinear, **parameters):
    """Both means, and R^2 by parameter of ridge regression; those of kernel ridge regression are 0.1 lower."""
    lower = {name: r2 - 0.1 for name, r2 in parameters.items()}
    return ReadingSummary(R2Summary(linear, parameters), R2Summary(nonlinear, lower))


@pytest.fixture
def clean():
    """Of a model with nothing to complain of."""
    contrast = StyleSummary(
        reading(0.611, 0.702, **{FLIP: 0.713}),
        reading(0.021, 0.033, **{FLIP: 0.044}),
        reading(0.798, 0.755, **{FLIP: 0.899, NULLING: 0.255}),
        ShapeReading(reading(0.922, 0.911, across=0.933), reading(0.012, 0.011, across=0.013)),
    )
    return EvaluationResult(
        "phantom",
        kl_per_dimension=(1.251, 1.252),
        posterior_variance_per_dimension=(0.121, 0.989),
        channel_occupancy={"cine": (0.301, 0.302, 0.103, 0.104, 0.105, 0.081, 0.0021, 0.0019)},
        leakage=LeakageByReader(
            LeakageSummary(0.541, (0.402, 0.673), 0.512, Paired(0.029, (-0.051, 0.109), 0.4321, 24)),
            LeakageSummary(0.561, (0.421, 0.692), 0.522, Paired(0.039, (-0.041, 0.119), 0.3217, 24)),
            CnnLeakage(0.0134, (-0.0213, 0.0482)),
        ),
        speckle={"cine": SpeckleSummary(0.0071, 0.0052, 1.123)},
        invariance=InvarianceSummary({"cine": 0.987}, ModalityAgreement(0.953, 0.972)),
        sensitivity={"cine": SensitivitySummary(0.0061, 0.0292)},
        prior=PriorSummary(0.971, 0.962, 0.0831),
        iob=BiasSummary(RatioSummary(2.511, (2.311, 2.711)), RatioSummary(1.411, (1.311, 1.513))),
        style=contrast,
    )


def test_a_clean_model_has_no_weakness_and_all_its_numbers_are_shown(clean):
    assert list(weaknesses(clean)) == []
    text = "\n".join(numbers(clean))
    for row in (
        "| KL, nats | 1.251 | 1.252 |",
        "| mean posterior variance | 0.121 | 0.989 |",
        "| shares of the channels | 0.541 (0.402 to 0.673) | 0.512 | +0.029 (-0.051 to +0.109, p = 0.43) |",
        "| channels on an 8 x 8 grid | 0.561 (0.421 to 0.692) | 0.522 | +0.039 (-0.041 to +0.119, p = 0.32) |",
        "beyond the true masks: +0.013 (95 % interval -0.021 to 0.048)",
        "| speckle of the truth | 0.005 |",
        "| length of the boundaries over the truth's | 1.123 |",
        "| pixels that keep their channel under other intensities | 0.987 |",
        "| change of the image when 1 % of the pixels are flipped | 0.006 |",
        "| change of the image when 5 % of the pixels are flipped | 0.029 |",
        "under the true warp: 0.953 (true tissues 0.972)",
        "masks kept (Dice) 0.971, channels 0.962; mean change of z 0.083",
        "s 2.511 (95 % interval 2.311 to 2.711), z 1.411 (1.311 to 1.513)",
        "| contrast, mean of those that count | 0.702 | 0.033 | 0.798 |",  # of the better reader
        f"| {FLIP} | 0.713 | 0.044 | 0.899 |",
        f"| {NULLING} | n/a | n/a | 0.255 |",  # not counted: the true intensities do not tell it
        "| shape, mean | 0.012 | 0.922 | n/a |",
        "| across | 0.013 | 0.933 | n/a |",
    ):
        assert row in text


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("speckle", {"cine": SpeckleSummary(0.0312, 0.005, 2)}, "3.1% of the pixels of s differ"),
        ("invariance", InvarianceSummary({}, ModalityAgreement(0.89, 0.97)), "only 89.0% of the pixels have the same"),
        (
            "leakage",
            LeakageByReader(LeakageSummary(0.71, (0.6, 0.8), 0.5), LeakageSummary(1.0)),
            "s holds style: the modality is classified from its channels' shares in 71% (from true masks: 50%)",
        ),
        ("prior", PriorSummary(0.94, 0.9, 1.0), "keep their masks with a Dice of only 0.940"),
        ("channel_occupancy", {"cine": (0.4, 0.4, 0.1, 0.05, 0.04, 0.006, 0.004, 0)}, "only 5 of 8 anatomy channels"),
        ("kl_per_dimension", (1.0, 0.09), "1 of 2 z dimensions carry less than 0.1 nats"),
        (
            "style",
            StyleSummary(reading(0.1, 0.57), reading(0.161, 0.1), reading(0.8, 0.7)),
            "s holds style: contrast parameters are predicted from it with R^2 0.16 (from true intensities: 0.80)",
        ),
        (
            "style",
            StyleSummary(reading(0.1, 0.55), reading(0.1, 0.1), reading(0.8, 0.7)),
            "z lacks style: contrast parameters are predicted from it with R^2 0.55 only (from true intensities: 0.80)",
        ),
    ],
)
def test_each_number_that_speaks_against_a_model_is_one_sentence(clean, field, value, words):
    (said,) = weaknesses(replace(clean, **{field: value}))
    assert words in said
    assert said.endswith(".")


def test_distances_of_surfaces_stand_below_dice_where_they_are_known(clean):
    by_kind = {"single": SurfaceSummary(4.125, 1.25, 2), "copy": SurfaceSummary(12.5, 3.75, 2)}
    masks = {"cine": {"single": DiceSummary(0.9)}}
    text = "\n".join(numbers(replace(clean, segmentation=masks, surface={"cine": by_kind})))
    for title, row in (("HD95, mm", "4.125 | 12.500"), ("ASSD, mm", "1.250 | 3.750")):
        assert f"| {title} | single | the other's mask, undeformed |\n|---|---|---|\n| cine | {row} |" in text
    for unknown in (None, {"cine": {"single": SurfaceSummary(), "copy": SurfaceSummary()}}):
        assert "HD95" not in "\n".join(numbers(replace(clean, segmentation=masks, surface=unknown)))


def test_measures_that_were_not_taken_or_have_no_value_are_left_out(clean):
    assert "R^2" not in "\n".join(numbers(replace(clean, style=StyleSummary())))
    assert "small CNN" not in "\n".join(numbers(replace(clean, leakage=replace(clean.leakage, cnn=None))))
    assert list(weaknesses(replace(clean, style=StyleSummary(), prior=PriorSummary(), leakage=None))) == []


def test_the_command_takes_the_slow_measures_if_they_are_stored(clean):
    assert options(clean) == "--data phantom --measures all"
    assert options(replace(clean, style=None, prior=None, iob=None)) == "--data phantom"
    assert options(EvaluationResult("phantom", style=clean.style)) == "--data phantom --measures slow"
