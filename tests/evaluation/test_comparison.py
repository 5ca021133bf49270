"""Two evaluations compared subject by subject, and what the page Compare says of them."""

import json
from dataclasses import replace

import numpy as np
import pytest

from dafnet_core.evaluation.comparison import better, by_subject_name, compare
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.evaluation.run import Evaluation
from dafnet_core.metrics.paired import holm, least_p, paired
from dafnet_explorer.figures.comparison import correction_note, forest_figure, forest_groups, verdict

DICE, VOLUME, OTHER = "segmentation.LGE.fused.dice_mean", "segmentation.LGE.fused.dice_volume", "copy.LGE.dice_mean"


def evaluation(n=8, subjects=None, **shift):
    rng = np.random.default_rng(0)
    names = [DICE, VOLUME, OTHER, "segmentation.LGE.single.dice_mean", "surface.LGE.fused.hd95_mm"]
    by_subject = {name: rng.normal(0.8, 0.01, n) + shift.get(name.rpartition(".")[2], 0) for name in names}
    return Evaluation(EvaluationResult("data"), by_subject, None, subjects or tuple(map(str, range(n)))).with_subjects()


def test_holm_by_hand_and_its_bounds():
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1, 1]


@pytest.mark.parametrize("n", [2, 8, 13, 20])
def test_the_least_p_is_reached_by_a_difference_without_doubt(n):
    assert paired(np.linspace(1, 2, n), np.zeros(n)).p_value == least_p(n)


def test_every_number_by_subject_is_paired_also_dice_of_volumes():
    a, b = evaluation(), evaluation(dice_volume=-0.1)
    found = compare(a, b)
    assert set(found) == set(a.by_subject)
    assert found[by_subject_name("segmentation.LGE.fused.dice_volume_mean")].paired.difference == pytest.approx(0.1)
    assert found[VOLUME].paired.p_value == least_p(8)
    assert found[VOLUME].p_holm == 4 * least_p(8)  # the other mask's Dice is no property of a checkpoint
    assert (found[OTHER].better, found[OTHER].p_holm) == (0, None)
    assert [name for name, c in found.items() if c.primary] == [DICE]
    assert better("surface.LGE.fused.hd95_mm") == -1 < better(DICE)


def test_nothing_is_paired_where_subjects_differ():
    assert compare(evaluation(), evaluation(subjects=tuple("abcdefgh"))) == {}


def test_numbers_of_subjects_are_kept_without_their_names():
    found = EvaluationResult.from_json(json.loads(json.dumps(evaluation(subjects=tuple("abcdefgh")).to_json())))
    assert "abcdefgh" not in json.dumps(found.to_json())
    assert compare(found, evaluation(subjects=tuple("abcdefgh"), dice_mean=-0.1))[DICE].paired.n == 8
    assert compare(found, replace(found, subjects=None, by_subject=None)) == {}
    unknown = Evaluation(EvaluationResult("data"), {DICE: np.array([0.5, np.nan, 0.25])}, None, tuple("abc"))
    assert unknown.with_subjects().by_subject == {DICE: (0.5, None, 0.25)}
    assert compare(unknown.with_subjects(), unknown.with_subjects())[DICE].paired.n == 2
    with pytest.raises(ValueError, match="expected one a subject in each"):
        replace(found, by_subject={DICE: (0.1,), VOLUME: (0.1, 0.2)})


def test_the_verdict_names_the_better_one_its_difference_and_p():
    said = verdict(compare(evaluation(dice_mean=0.05), evaluation()))
    assert said.startswith("**A segments better** on 8 subjects: Dice of LGE +0.0500")
    assert "p 0.008" in said
    assert verdict(compare(evaluation(), evaluation(dice_mean=0.05))).startswith("**B segments better**")


def test_the_verdict_says_where_none_can_be_given():
    same = compare(evaluation(), evaluation())
    assert verdict(same).startswith("**No difference in segmentation is shown** on 8 subjects")
    few = compare(evaluation(3, dice_mean=0.05), evaluation(3))
    assert "3 subjects are too few for any difference to count" in verdict(few)
    assert "fewer than two subjects" in verdict({})


def test_the_forest_has_every_number_with_a_side_and_marks_what_counts_after_correction():
    found = compare(evaluation(24, dice_mean=0.05, hd95_mm=3), evaluation(24))
    figure = forest_figure(found, dark=False)
    shown = {trace.y[0]: trace for trace in figure.data}
    assert set(shown) == {
        "LGE, fused masks, Dice per slice",
        "LGE, single masks, Dice per slice",
        "LGE, fused masks, Dice per volume",
        "LGE, fused masks, HD95 (mm)",
    }
    assert shown["LGE, fused masks, Dice per slice"].name == "A better, also after correction"
    assert shown["LGE, fused masks, HD95 (mm)"].name == "B better, also after correction"  # less is better
    assert shown["LGE, fused masks, Dice per volume"].name == "no difference shown"
    assert [title for title, _ in forest_groups(found)] == ["Dice", "distance of surfaces, mm"]
    assert "B better →" in figure.layout.xaxis2.title.text
    assert all(axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes()))
    assert not any("colorbar" in trace["marker"] for trace in figure.to_plotly_json()["data"])
    assert "of 4 numbers" in correction_note(found)
    assert "choose more subjects" in correction_note(compare(evaluation(5), evaluation(5)))
