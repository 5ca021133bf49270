"""Evaluation: the command line, a model that does nothing, and reasons for what is unknown."""

import json

import pytest

from dafnet_core.config import ModelConfig
from dafnet_core.data.phantom.study import phantom_slices
from dafnet_core.evaluation.run import evaluate_method
from dafnet_core.methods.dafnet import DAFNetMethod
from dafnet_core.networks.dafnet import DAFNet
from tests.helpers.commands import TINY, call


@pytest.mark.slow
def test_evaluate_prints_json_that_names_its_data(tmp_path):
    assert call(*TINY, "--steps", 1, "--out", tmp_path / "run").returncode == 0
    done = call(
        tmp_path / "run" / "best.safetensors", "--data", "phantom:seed=9001,subjects=2", module="dafnet_core.evaluate"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["n_subjects"], found["n_slices"], found["data"]) == (2, 16, "phantom:seed=9001,subjects=2")
    assert 0.5 < found["copy"]["LGE"]["dice_mean"] < 0.9
    assert found["segmentation"]["cine"]["fused"]["n_subjects"] == 2
    for wrong in ("phantom:seeds=3", "photos", "phantom:difficulty=easy"):
        refused = call(tmp_path / "run" / "best.safetensors", "--data", wrong, module="dafnet_core.evaluate")
        assert refused.returncode == 2
        assert "expected" in refused.stderr


def test_a_model_that_does_nothing_is_judged_to_do_nothing():
    """With an identity aligner the registration error stays exactly what it was."""
    data = phantom_slices(9000, range(1), size=64)
    model = DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval()
    found = evaluate_method(DAFNetMethod(model), data, limit=3, statistics=False).result
    errors = found.registration
    assert errors.error_after_px == pytest.approx(errors.error_before_px, abs=1e-3)
    assert errors.error_before_px > 1


@pytest.mark.slow
def test_a_checkpoint_against_itself_differs_by_nothing(tmp_path):
    run = tmp_path / "run"
    assert call(*TINY, "--steps", 1, "--out", run).returncode == 0
    one = run / "best.safetensors"
    done = call(one, "--data", "phantom:subjects=3", "--against", one, module="dafnet_core.evaluate")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["against"]
    assert found["checkpoint"] == "best.safetensors"
    change = found["difference"]["segmentation.LGE.fused.dice_mean"]
    assert (change["difference"], change["p_value"], change["n"]) == (0, 1, 3)


def test_every_null_has_its_reason(tmp_path):
    data = phantom_slices(9000, range(2), size=64)
    model = DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval()
    found = evaluate_method(DAFNetMethod(model), data, limit=3).result.to_json()

    def nulls(value, path=""):
        for key, inner in value.items():
            here = f"{path}.{key}".lstrip(".")
            yield from nulls(inner, here) if isinstance(inner, dict) else [here] if inner is None else []

    assert set(found["why"]) == set(nulls({k: v for k, v in found.items() if k != "why"}))
    assert {"warp.rms_px", "probe.accuracy", "dependence.dcor"} <= set(found["why"])
    assert set(found["swap"]) == {"cine_to_LGE", "LGE_to_cine"}


def test_a_brief_evaluation_has_the_same_numbers_but_those_that_take_long():
    data = phantom_slices(9000, range(2), size=64)
    model = DAFNet(ModelConfig.compact(data.modalities, data.classes)).eval()
    shares = {"brief": [], "default": []}
    brief, whole = (
        evaluate_method(DAFNetMethod(model), data, limit=4, measures=m, progress=told.append).result.to_json()
        for m, told in shares.items()
    )
    left_out = {"leakage", "dependence"}
    assert set(whole) - set(brief) == left_out
    assert {k: v for k, v in whole.items() if k not in {*left_out, "why"}} == {
        k: v for k, v in brief.items() if k != "why"
    }
    for told in shares.values():
        assert told == sorted(told)
        assert (told[0], told[-1]) == (0, 1)
