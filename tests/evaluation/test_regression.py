"""What `evaluate` prints of shipped checkpoints is what it printed before the code was rearranged, and what cards hold.

The JSON file in tests/regression holds the numbers of version 0.1 (commit a090f11, where cardiac-film-leaky was named
cardiac-film), on a processor that computes in bfloat16: others round differently, and single pixels then change their
channel.
"""

import json
import math

import pytest

from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate
from dafnet_core.evaluation.result import EvaluationResult
from tests.helpers.paths import ROOT

PHANTOM = "phantom:seed=9000,subjects=4,difficulty=standard"
ROUNDING = 0.01  # another processor's arithmetic and number of threads, see benchmarks/determinism.json
# of few subjects: one sample on the other side of a threshold moves them by more
COARSE = ("p_value", "ci95", "rate", "leakage", "probe", "swap", "dependence", "paired", "confusion")


def leaves(value, path=""):
    """(dotted path, value) of everything in nested JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        yield path, value
    else:
        for key, inner in items:
            yield from leaves(inner, f"{path}.{key}" if path else str(key))


def same(path, before, now, slices):
    """Whether two values agree; `slices` counts those that a rate of false positives is a share of."""
    if isinstance(before, str) or before is None:
        return before == now
    if type(before) is int:
        return before == now or any(part in path for part in COARSE)
    tolerance = 0.1 if any(part in path for part in COARSE) else ROUNDING
    if path.endswith("false_positive.rate"):
        tolerance = max(tolerance, 1 / slices)  # one pixel makes a slice a false positive
    return math.isclose(before, now, abs_tol=tolerance)


def compare(checkpoint, recorded, data):
    found = json.loads(json.dumps(evaluate(checkpoint, data).to_json()))
    for outside in ("data", "version", "subjects", "by_subject"):  # other places, versions, and what cards keep besides
        recorded.pop(outside, None), found.pop(outside, None)
    now = dict(leaves(found))  # keys are added, never renamed
    before = dict(leaves(recorded))
    assert before.keys() <= now.keys()
    changed = {
        path: (value, now[path])
        for path, value in before.items()
        if not same(path, value, now[path], now.get(path.removesuffix("rate") + "slices"))
    }
    assert changed == {}


@pytest.mark.slow
def test_the_leaky_checkpoint_has_the_numbers_of_version_0_1():
    recorded = json.loads((ROOT / "tests" / "regression" / "cardiac-film-leaky.json").read_text())
    compare(load(ROOT / "checkpoints" / "cardiac-film-leaky.safetensors"), recorded, PHANTOM)


@pytest.mark.slow
def test_patients_give_the_numbers_of_the_card(real_data):
    checkpoint = load(ROOT / "checkpoints" / "brain-spade.safetensors")
    slow = {name for m, names in EvaluationResult.measures().items() if m.slow for name in names}
    recorded = {k: v for k, v in checkpoint.metrics["test"].to_json().items() if k not in slow}
    recorded["why"] = {k: v for k, v in recorded["why"].items() if k.partition(".")[0] not in slow}
    compare(checkpoint, recorded, str(real_data / "lgg_mri"))
