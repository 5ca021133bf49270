"""What `evaluate` prints of shipped checkpoints is what it printed before the code was rearranged.

The JSON files in tests/regression hold the numbers of version 0.1 (commit a090f11, where cardiac-film-leaky was named
cardiac-film), on a processor that computes in bfloat16: others round differently, and single pixels then change their
channel.
"""

import json
import math

import pytest

from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate
from tests.helpers.paths import ROOT

RECORDED = ROOT / "tests" / "regression"
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


def compare(name, data):
    recorded = json.loads((RECORDED / f"{name}.json").read_text())
    found = json.loads(json.dumps(evaluate(load(ROOT / "checkpoints" / f"{name}.safetensors"), data).to_json()))
    for outside in ("data", "version"):  # the folder's place and the versions at hand may be others
        recorded.pop(outside), found.pop(outside)
    now = dict(leaves(found))
    assert now.pop("method") == "dafnet"  # keys are added, never renamed
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
    compare("cardiac-film-leaky", PHANTOM)


@pytest.mark.slow
def test_brain_spade_has_the_numbers_of_version_0_1(real_data):
    compare("brain-spade", str(real_data / "lgg_mri"))
