"""Checkpoints from strangers: refused in a sentence, quickly, without memory, and nothing changes."""

import copy
import io
import json
import pickle
import random
import re
import struct
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save as to_safetensors
from streamlit.testing.v1 import AppTest

from dafnet_core.checkpoints import file as module
from dafnet_core.checkpoints.card import card
from dafnet_core.checkpoints.file import Checkpoint, CheckpointError, described, from_bytes, load, save
from dafnet_core.config import ModelConfig, TrainConfig, plain
from dafnet_core.data.prepare import Preparation
from dafnet_explorer import evaluation_figures, report

pytestmark = pytest.mark.trust
ROOT = Path(__file__).resolve().parent.parent
SHIPPED = ROOT / "checkpoints" / "cardiac-film.safetensors"


@pytest.fixture(scope="module")
def shipped():
    return load(SHIPPED)


@pytest.fixture
def good(make_model, tmp_path):
    """The bytes of a small checkpoint that is whole."""
    training = {
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
    save(
        Checkpoint(make_model().eval(), Preparation(32, 48), ("#000000", "#D55E00", "#009E73"), training),
        tmp_path / "a",
    )
    return (tmp_path / "a").read_bytes()


def parts(data):
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def whole(header, weights):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + weights


def told(data, **changes):
    """The same file with other metadata: by key, or as a function of what stands there."""
    header, weights = parts(data)
    for key, value in changes.items():
        known = json.loads(header["__metadata__"][key])
        header["__metadata__"][key] = json.dumps(value(known) if callable(value) else value)
    return whole(header, weights)


def peak_mb():
    """The most memory that this process had since the last call."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    return int(found[1]) / 1024


def refusal(data, name="bad.safetensors"):
    """The sentence with which a file is refused, in less than 5 s and 300 MB."""
    peak_mb()
    before, started = peak_mb(), time.monotonic()
    with pytest.raises(CheckpointError) as caught:
        from_bytes(data, name)
    assert time.monotonic() - started < 5
    assert peak_mb() - before < 300
    said = str(caught.value)
    assert len(said) < 600
    assert "\n" not in said
    assert plain(said, 1000) == said
    return said


def test_the_file_itself_is_read(good):
    assert from_bytes(good, "good").config.modalities == ("a", "b")
    assert from_bytes(told(good), "good").training["step"] == 3  # as the helper writes it


def test_a_file_cut_or_continued_anywhere_is_refused(good):
    start = 8 + int.from_bytes(good[:8], "little")
    for cut in (0, 1, 7, 8, 9, start // 2, start - 1, start, start + 1, (start + len(good)) // 2, len(good) - 1):
        assert "not a whole safetensors file" in refusal(good[:cut])
    assert "not a whole safetensors file" in refusal(good + b"more")


def test_other_files_under_the_name_of_a_checkpoint_are_refused():
    torch_zip = io.BytesIO()
    torch.save({"model": torch.zeros(3)}, torch_zip)
    others = [
        pickle.dumps({"a": 1}),
        torch_zip.getvalue(),
        b"<html><script>alert(1)</script>",
        b"\x89PNG\r\n" * 9,
        b"{}",
    ]
    for data in others:
        assert "not a whole safetensors file" in refusal(data)
    foreign = to_safetensors({"model.diffusion_model.weight": torch.zeros(4, 4)}, {"format": "pt"})
    assert "metadata are not JSON" in refusal(foreign)
    assert "format none" in refusal(to_safetensors({"w": torch.zeros(2)}))


def test_a_header_that_lies_about_its_length_or_is_endless_is_refused(good):
    rest = good[8:]
    for claimed in (2**63 - 1, 2**63, 2**64 - 1, len(good), len(good) - 7):
        assert "not a whole" in refusal(struct.pack("<Q", claimed) + rest)
    assert "a header of 100 MB" in refusal(whole(b'{"a":' + b" " * (100 << 20) + b"1}", b""))
    assert "not a whole" in refusal(whole(b"[" * 100_000, b""))
    assert "not a whole" in refusal(whole(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b""))
    assert "not a whole" in refusal(whole(b"[" + b"1," * (3 << 20) + b"1]", b""))  # millions of values


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 10**6}, "width is 1000000; expected 1 to 256"),
        ({"channels": 10**9}, "channels is 1000000000"),
        ({"channels": 10**400}, "a number that no computer has"),
        ({"z_dim": 10**9}, "z_dim"),
        ({"depth": 60}, "depth is 60"),
        ({"depth": 5}, "32 x 48; 5 poolings need multiples of 32"),
        ({"control_points": 10**4}, "control_points is 10000"),
        ({"aligner_grid": 10**5}, "aligner_grid"),
        ({"film_blocks": 10**9}, "film_blocks"),
        ({"align_passes": 10**9}, "align_passes"),
        ({"candidates": 10**6}, "candidates"),
        ({"spade_widths": [16] * 10**5}, "spade_widths has 100000 entries"),
        ({"spade_widths": [10**9] * 6}, "spade_widths is 1000000000"),
        ({"spade_widths": []}, "spade_widths has 0 entries"),
        ({"modality_widths": "many"}, "modality_widths is 'many'; expected a list"),
        ({"width": -4}, "width is -4"),
        ({"width": 4.0}, "width is 4.0; expected a whole number"),
        ({"width": "4"}, "width is '4'; expected a whole number"),
        ({"width": True}, "width is True; expected a whole number"),
        ({"width": None}, "width is None"),
        ({"width": [4]}, "width is "),
        ({"logvar_bias": 1e300}, "logvar_bias is 1e+300"),
        ({"decoder": ["film"]}, "decoder is "),
        ({"decoder": "__import__('os')"}, "decoder is "),
        ({"modalities": [f"m{n}" for n in range(1000)]}, "at least two different names, at most 8"),
        ({"modalities": ["a", "a"]}, "different names"),
        ({"modalities": ["a", 5]}, "modalities is 5; expected text"),
        ({"modalities": ["a", "![x](http://example.org/x.png)"]}, "without markup"),
        ({"modalities": ["a_to_b", "c"]}, "without _to_"),
        ({"classes": ["background", "<img src=x onerror=alert(1)>", "two"]}, "without markup"),
        ({"classes": ["background", "a\nb", "two"]}, "without markup"),
        ({"classes": ["background", "x" * 5000, "two"]}, "up to 60 letters"),
        ({"classes": ["background"]}, "the background and others"),
        ({"surprise": 1}, "has no surprise"),
    ],
)
def test_networks_that_nobody_trains_are_refused_before_they_are_made(good, change, words):
    assert words in refusal(told(good, model=lambda m: m | change))


def test_networks_that_the_weights_do_not_fit_are_never_given_memory(good):
    """The widest model that the limits allow has 4 GB of weights; a file of 1 MB cannot hold them."""
    most = {name: ModelConfig.LIMITS[name][1] for name in ("width", "segmentor_width", "aligner_dense", "channels")}
    said = refusal(told(good, model=lambda m: m | most, preparation={"height": 128, "width": 128}))
    assert "expected (" in said


def test_every_number_of_the_networks_has_a_limit():
    numbers = {f.name for f in fields(ModelConfig) if "int" in str(f.type) or "float" in str(f.type)}
    assert numbers == set(ModelConfig.LIMITS)
    numbers = {f.name for f in fields(TrainConfig) if "int" in str(f.type) or "float" in str(f.type)}
    assert numbers == set(TrainConfig.LIMITS) | {"seed"}  # the seed's has words of its own


def test_the_limits_hold_the_published_model_and_large_images(make_model):
    for config, side in (
        (ModelConfig.published(("a", "b", "c"), ("background", "x"), candidates=3), 192),
        (ModelConfig.compact(tuple("abcd"), ("background", "x"), channels=16), 256),
        (ModelConfig.compact(("a", "b"), ("background", "x")), 1024),
    ):
        module.check_maps(config, Preparation(side, side))
    with pytest.raises(ValueError, match="are more than this program computes"):
        module.check_maps(ModelConfig.published(("a", "b"), ("background", "x")), Preparation(1024, 1024))


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
    ],
)
def test_a_description_that_cannot_be_is_refused(good, changes, words):
    assert re.search(words, refusal(told(good, **changes)))


def test_json_that_readers_disagree_about_is_refused(good):
    header, weights = parts(good)
    texts = header["__metadata__"]
    for text, words in (
        ('{"data": NaN}', "NaN"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"a": 1e999}', "no computer"),
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
    for key in texts:
        changed = copy.deepcopy(header)
        del changed["__metadata__"][key]
        assert "format none" in refusal(whole(changed, weights)) or key in refusal(whole(changed, weights))
    for wrong in (None, [], 5, {"dafnet_format": 1}):
        refusal(whole(header | {"__metadata__": wrong}, weights))


def test_weights_of_another_type_shape_or_place_are_refused(good):
    header, weights = parts(good)
    name = "segmentor.head.weight"

    def with_entry(**changes):
        return whole(header | {name: header[name] | changes}, weights)

    for kind in ("F64", "BF16", "U8", "BOOL", "I64", "X1", 7, None):
        assert f"{name} is of type" in refusal(with_entry(dtype=kind))
    shape = header[name]["shape"]
    for wrong in ([], [0], shape[::-1], [*shape, 1], [2**62, 2**62], [-1], "x", None, [float(n) for n in shape[:-1]]):
        assert f"{name} is " in refusal(with_entry(shape=wrong))
    low, high = header[name]["data_offsets"]
    for offsets in ([high, low], [low, high + 4], [0, high - low], [low - 4, high - 4], [2**63, 2**64], [-4, 0], "x"):
        assert "not a whole safetensors file" in refusal(with_entry(data_offsets=offsets))
    for entry in ([], 5, None):
        assert "is not described" in refusal(whole(header | {name: entry}, weights))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_not_finite_is_refused_and_never_written(good, value, tmp_path):
    header, weights = parts(good)
    low, _ = header["segmentor.head.weight"]["data_offsets"]
    filled = weights[: low + 4] + np.float32(value).tobytes() + weights[low + 8 :]
    assert "segmentor.head.weight holds NaN or Inf" in refusal(whole(header, filled))
    found = from_bytes(good, "good")
    found.model.segmentor.head.bias.data[0] = value
    with pytest.raises(CheckpointError, match="not written"):
        save(found, tmp_path / "new")
    found.model.segmentor.head.bias.data[0] = 1e6  # finite, but not in float16
    with pytest.raises(CheckpointError, match=r"segmentor\.head\.bias holds NaN or Inf"):
        save(found, tmp_path / "new", half=True)
    assert not (tmp_path / "new").exists()


def shown(found):
    """Everything that cards, pages and reports make of the metrics and facts of a checkpoint."""
    card(found, "a.safetensors")
    for numbers in found.metrics.values():
        report.evaluate_rows(numbers)
        if numbers["probe"]["accuracy"] is not None:
            evaluation_figures.probe_figure(numbers["probe"], dark=False)
            max(numbers["probe"]["per_dimension"])
            [f"{way.split('_to_')[1]} {v['accuracy']:.3f}" for way, v in numbers["swap"].items()]
        else:
            numbers["why"].get("probe.accuracy")
        if "leakage" in numbers:
            evaluation_figures.leakage_rows(numbers)
        d = numbers["dependence"]
        if "within" in d:
            evaluation_figures.dependence_rows(numbers)
        else:
            f"{d['dcor']:.3f} {d['dcor_squared_unbiased']:.3f} {d['p_value']:.3f} {d['n']} {d['n_subjects']}"
        if None not in (numbers["probe"]["accuracy"], d["dcor"]):
            f"{numbers['n_subjects']} {numbers['data']} {d['p_value']:.3f} {numbers['probe']['chance']:.0%}"


def places(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


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


def test_a_few_hundred_mutations_never_crash_the_reader(good):
    rng = random.Random(0)
    start = 8 + int.from_bytes(good[:8], "little")
    read = 0
    for n in range(300):
        data = bytearray(good)
        for _ in range(rng.choice([1, 1, 4, 32])):
            data[rng.randrange(start if n % 4 else len(data))] = rng.randrange(256)
        if n % 5 == 0:
            at, length = rng.randrange(start), rng.randrange(1, 200)
            data[at : at + length] = data[rng.randrange(start) :][: rng.randrange(200)]
        try:
            shown(from_bytes(bytes(data), "mutated"))
            read += 1
        except CheckpointError:
            continue
    assert read < 150  # single letters of names and numbers may change and be right; most may not


def test_a_bad_upload_leaves_the_chosen_model_and_the_pages_as_they_were(good):
    nan = bytearray(SHIPPED.read_bytes())
    nan[-4:] = b"\xff" * 4
    real = SHIPPED.read_bytes()
    bad = {
        "cut.safetensors": real[: len(real) // 2],
        "pickle.safetensors": pickle.dumps({"a": 1}),
        "![x](http://example.org/x.png).safetensors": b"",
        "nan.safetensors": bytes(nan),
        "huge.safetensors": told(real, model=lambda m: m | {"width": 10**6}),
        "html.safetensors": told(real, training=lambda t: t | {"data": "<script>alert(1)</script>"}),
        "metrics.safetensors": told(real, metrics={"x": {"probe": 5}}),
        "version.safetensors": told(real, dafnet_format=2),
    }
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    app.switch_page("pages/checkpoints.py").run()
    app.file_uploader(key="bring").upload("mine.safetensors", good, "application/octet-stream")
    app.run()
    assert not app.error
    assert "mine (uploaded)" in app.sidebar.selectbox(key="checkpoint").options
    before = app.sidebar.selectbox(key="checkpoint").value, app.metric[1].value, app.caption[-1].value
    for name, data in bad.items():
        app.file_uploader(key="bring").upload(name, data, "application/octet-stream")
        app.run()
        assert not app.exception, name
        (error,) = [e.value for e in app.error]
        assert "](" not in error
        assert "<" not in error
        assert app.sidebar.selectbox(key="checkpoint").options.count("mine (uploaded)") == 1
        assert (app.sidebar.selectbox(key="checkpoint").value, app.metric[1].value, app.caption[-1].value) == before
    app.switch_page("pages/start.py").run()
    assert not app.exception
    assert not app.error
