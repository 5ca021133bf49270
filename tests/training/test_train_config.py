"""Configurations: sections, the flat options of the command line, and what older runs wrote."""

import json
from dataclasses import fields

import pytest

from dafnet_core.checkpoints.file import load
from dafnet_core.training.config import TrainConfig
from tests.helpers.paths import ROOT


def test_a_configuration_goes_to_json_and_back():
    config = TrainConfig.of(steps=7, w_kl=0.5, size=96, without=("aligner",), model="published", device="cpu")
    found = json.loads(json.dumps(config.to_dict()))
    assert list(found) == ["data", "model", "schedule", "losses", "machine"]
    assert found["losses"]["kl"] == 0.5
    assert TrainConfig.from_dict(found) == config


def test_the_flat_file_of_an_older_run_is_read():
    options = load(ROOT / "checkpoints" / "cardiac-film.safetensors").training.configuration  # as that run wrote them
    config = TrainConfig.from_dict({**options, "start": ""})
    assert config.schedule.steps == options["steps"]
    assert config.losses.swap == options["w_swap"]
    assert config.data.source == options["data"]
    assert TrainConfig.of(**config.flat()) == config


def test_every_option_has_one_name_and_a_help():
    names = [name for section in TrainConfig.SECTIONS.values() for name in section.options()]
    assert len(names) == len(set(names)) == len(TrainConfig.options())
    for name, (_, f) in TrainConfig.options().items():
        assert f.metadata["help"], name
    numbers = {
        (section, f.name)
        for section, kind in TrainConfig.SECTIONS.items()
        for f in fields(kind)
        if str(f.type) in ("int", "float", "tuple[int, ...]")
        and "term" not in f.metadata  # all weights of terms have one limit
    }
    limited = {(section, name) for section, kind in TrainConfig.SECTIONS.items() for name in kind.LIMITS}
    assert numbers == limited | {("schedule", "seed")}  # the seed's limit has words of its own


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"surprise": 1}, "has no surprise"),
        ({"w_kl": -1.0}, r"w_kl is -1\.0; expected 0 to"),
        ({"data": 3}, "data is 3; expected text"),
        ({"model": "huge"}, "model is 'huge'; expected one of compact, published"),
        ({"method": "copy"}, "method is 'copy'; expected one of dafnet"),
    ],
)
def test_a_wrong_option_is_named_as_the_command_line_has_it(values, words):
    with pytest.raises(ValueError, match=words):
        TrainConfig.of(**values)


@pytest.mark.parametrize(
    "values", [{"data": {}, "surprise": {}}, {"data": {"surprise": 1}}, {"steps": 3, "nothing": 1}]
)
def test_an_unknown_key_of_a_file_is_refused(values):
    with pytest.raises(ValueError, match=r"has no (surprise|nothing)"):
        TrainConfig.from_dict(values)
