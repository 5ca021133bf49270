"""A shipped checkpoint, and the bytes of a small one that is whole."""

import pytest

from dafnet_core.checkpoints.file import Checkpoint, load, save
from dafnet_core.checkpoints.schema import training_from_json
from dafnet_core.data.prepare import Preparation
from tests.helpers.paths import SHIPPED


@pytest.fixture(scope="module")
def shipped():
    return load(SHIPPED)


@pytest.fixture
def good(make_model, tmp_path):
    """The bytes of a small checkpoint that is whole."""
    facts = {
        "data": "a test",
        "data_licence": "MIT",
        "step": 3,
        "minutes": 0.1,
        "machine": "a CPU",
        "target": "b",
        "split": {"train": ["x"], "val": ["z"], "test": []},
        "annotated_target_subjects": ["x"],
        "start": None,
        "command": "python train.py",
        "configuration": {"seed": 0, "data": "FOLDER"},
        "validation": {"segmentation": {n: {"fused": {"dice_mean": None}} for n in "ab"}},
    }
    made = make_model().eval()
    training = training_from_json(facts, made.config)
    save(
        Checkpoint(made, Preparation(32, 48), ("#000000", "#D55E00", "#009E73"), training),
        tmp_path / "a",
    )
    return (tmp_path / "a").read_bytes()
