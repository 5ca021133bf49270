"""Metadata that cannot be: refused, and what is accepted can be shown."""

import copy
import json
import random
import re
from dataclasses import replace

import pytest

from dafnet_core.checkpoints.file import described
from tests.helpers.checkpoint_bytes import edited, parts, refusal, shown, whole
from tests.helpers.paths import SHIPPED

pytestmark = pytest.mark.trust


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dafnet_format": 2}, "format 2, expected 1"),
        ({"dafnet_format": True}, "format True"),
        ({"dafnet_format": 1.0}, "format 1.0"),
        ({"dafnet_format": [1]}, "format "),
        ({"model": []}, "incomplete or wrong"),
        ({"model": None}, "incomplete or wrong"),
        ({"preparation": {"height": 10**8, "width": 48}}, "poolings need|are more than"),
        ({"preparation": {"height": 2**20, "width": 2**20}}, "are more than this program computes"),
        ({"preparation": {"height": 16, "width": 16}}, "poolings"),
        ({"preparation": {"height": 32.0, "width": 48}}, "preparation.height is 32.0"),
        ({"preparation": {"height": 32}}, "preparation.width is missing"),
        ({"preparation": {"height": 32, "width": 48, "spacing": -1}}, "spacing is -1"),
        ({"preparation": {"height": 32, "width": 48, "percentiles": [99, 1]}}, "percentiles"),
        ({"preparation": {"height": 32, "width": 48, "percentiles": ["a", "b"]}}, "percentiles"),
        ({"preparation": {"height": 32, "width": 48, "surprise": 1}}, "surprise"),
        ({"colours": ["#000000", "red", "#009E73"]}, "colours.1"),
        ({"colours": ["#000000", "#D55E00;background:url(x)", "#009E73"]}, "colours.1"),
        ({"colours": ["#000000"]}, "colours is .*a list of 3"),
        ({"colours": "#000000"}, "colours is "),
        ({"versions": {"torch": ["x"]}}, "versions.torch"),
        ({"tries": [["a", "b"], ["1"]]}, "tries.1"),
        ({"tries": [[]]}, "tries.0"),
        ({"tries": [["<b>"]]}, "tries.0. .0"),
        ({"versions": None}, "versions is None"),
        ({"training": {}}, "training.step is missing"),
        ({"training": lambda t: t | {"data": "<script>alert(1)</script>"}}, "training.data"),
        ({"training": lambda t: t | {"data_licence": "[x](javascript:alert)"}}, "training.data_licence"),
        ({"training": lambda t: t | {"target": None}}, "training.target"),
        ({"training": lambda t: t | {"split": {"train": 7}}}, "training.split"),
        ({"training": lambda t: t | {"split": {"train": [{}], "val": [], "test": []}}}, "training.split.train.0"),
        ({"training": lambda t: t | {"configuration": None}}, "training.configuration is None"),
        ({"training": lambda t: t | {"configuration": {"data": "x"}}}, "configuration.seed is missing"),
        ({"training": lambda t: t | {"validation": {}}}, "validation.segmentation is missing"),
        ({"training": lambda t: t | {"start": {"name": "x"}}}, "training.start.step is missing"),
        ({"training": lambda t: {k: v for k, v in t.items() if k != "configuration"}}, "configuration is missing"),
        ({"metrics": []}, "metrics is "),
        ({"metrics": {"x": {}}}, "metrics.x.data is missing"),
        ({"metrics": {"<b>": {}}}, "a key of metrics"),
        ({"metrics": {"x": {"data": "x", "surface": {"x": {}}}}}, "metrics.x.surface, by its keys"),
    ],
)
def test_a_description_that_cannot_be_is_refused(good, changes, words):
    assert re.search(words, refusal(edited(good, **changes)))


def test_json_that_readers_disagree_about_is_refused(good):
    header, weights = parts(good)
    texts = header["__metadata__"]
    for text, words in (
        ('{"data": NaN}', "NaN"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": 1e999}', "does not fit in 64 bits"),
        ("[" * 5000, ""),
        ("[" * 40 + "]" * 40, "levels"),
        ('{"a": ' + "9" * 5000 + "}", ""),
        ('"\\ud800"', ""),
    ):
        changed = copy.deepcopy(header)
        changed["__metadata__"]["training"] = text
        assert words in refusal(whole(changed, weights))
    twice = json.dumps(header)[:-1] + ', "__metadata__": ' + json.dumps(texts) + "}"
    assert "twice" in refusal(whole(twice.encode(), weights))
    for key in texts.keys() - {"method"}:  # files of earlier versions do not name it
        changed = copy.deepcopy(header)
        del changed["__metadata__"][key]
        assert "format none" in refusal(whole(changed, weights)) or key in refusal(whole(changed, weights))
    for wrong in (None, [], 5, {"dafnet_format": 1}):
        refusal(whole(header | {"__metadata__": wrong}, weights))


def places(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


@pytest.mark.slow
def test_whatever_facts_and_numbers_are_accepted_can_be_shown(shipped):
    """Something else, or nothing, in any place of them: refused, or shown on every card and page."""
    texts = {k: v for k, v in parts(SHIPPED.read_bytes())[0]["__metadata__"].items()}
    known = {key: json.loads(texts[key]) for key in ("training", "metrics")}
    rng = random.Random(0)
    everywhere = [p for p in places(known) if len(p) > 1 and p[1] not in ("split", "annotated_target_subjects")]
    refused = 0
    for _ in range(300):
        changed = copy.deepcopy(known)
        *way, last = rng.choice(everywhere)
        inside = changed
        for key in way:
            inside = inside[key]
        if rng.random() < 0.2:
            inside.pop(last)
        else:
            inside[last] = rng.choice([None, "x", -1, 10**30, 1.5, True, [], {}, [None], {"x": 1}, "<b>", [1, 2]])
        try:
            _, _, facts = described(texts | {key: json.dumps(value) for key, value in changed.items()})
        except ValueError:
            refused += 1
            continue
        shown(replace(shipped, **facts))
    assert 100 < refused < 300
