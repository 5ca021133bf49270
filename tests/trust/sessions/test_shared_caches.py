"""Caches shared by all users are bounded and immutable."""

import ast
import gc
import sys
import threading
import types
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from dafnet_core.analysis.candidates import weigh
from dafnet_core.analysis.editing import realign
from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.halftone import halftone
from dafnet_core.analysis.misregistration import misregister
from dafnet_core.analysis.quiz import ask
from dafnet_core.analysis.traversal import condition, interpolate, steps_between, traverse, traverse_one
from dafnet_core.analysis.uncertainty import sample_factors
from dafnet_core.checkpoints.file import load
from dafnet_core.data.phantom import SLICES
from dafnet_core.methods.base import SliceInput
from dafnet_core.methods.decomposition import decompose
from dafnet_explorer import background_evaluation, caches, results, subjects, traversals
from tests.helpers.paths import ROOT

pytestmark = pytest.mark.trust
SOURCES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "dafnet_explorer").rglob("*.py"))]
SPADE = ROOT / "checkpoints" / "cardiac-spade.safetensors"
MOST = 1500  # MB that all caches may hold at worst


@pytest.fixture(scope="module")
def checkpoint():
    return load(ROOT / "checkpoints" / "cardiac-film.safetensors")


@pytest.fixture(scope="module")
def subject(checkpoint):
    return subjects.sample(checkpoint, 0, 3, "standard")


def decorators(tree):
    """Names of decorators with the arguments of their calls, and of calls that make a cache."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node
        elif isinstance(node, ast.FunctionDef):
            for bare in node.decorator_list:
                if not isinstance(bare, ast.Call):
                    yield ast.unparse(bare), None


def test_every_cache_has_a_bound():
    found = 0
    for path in [*SOURCES, *sorted((ROOT / "dafnet_core").rglob("*.py"))]:
        for name, call in decorators(ast.parse(path.read_text())):
            keywords = {k.arg: k.value for k in call.keywords} if call else {}
            if name in ("st.cache_resource", "st.cache_data"):
                assert "max_entries" in keywords, f"{path.name}: {name} without max_entries"
            elif name in ("lru_cache", "functools.lru_cache"):
                assert isinstance(keywords["maxsize"].value, int), f"{path.name}: {name} without maxsize"
            elif name == "cached":
                assert isinstance(call.args[0].value, int)
            else:
                assert name not in ("cache", "functools.cache"), f"{path.name}: functools.cache keeps everything"
                continue
            found += 1
    assert found > 20


def entries():
    """How many results each cache of the explorer keeps."""
    trees, found = [ast.parse(path.read_text()) for path in (ROOT / "dafnet_explorer").rglob("*.py")], {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        for call in getattr(node, "decorator_list", []):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "cached":
                found[node.name] = call.args[0].value
            elif isinstance(call, ast.Call) and ast.unparse(call.func) == "st.cache_resource":
                found[node.name] = next(k.value.value for k in call.keywords if k.arg == "max_entries")
    return found


def megabytes(*found):
    """Of all arrays, tensors and bytes that objects lead to, each once."""
    seen, waiting, total = set(), list(found), 0
    while waiting:
        o = waiting.pop()
        while isinstance(o, np.ndarray) and isinstance(o.base, np.ndarray):
            o = o.base  # a view keeps all of it
        if id(o) in seen or isinstance(o, type | types.ModuleType | types.FunctionType):
            continue
        seen.add(id(o))
        total += o.nbytes if isinstance(o, np.ndarray) else sys.getsizeof(o)
        waiting += gc.get_referents(o)
    return total / 2**20


def test_all_caches_together_stay_below_their_bound(checkpoint, subject):
    """Each filled with the largest results that the shipped checkpoints and the pages' own limits allow."""
    model = checkpoint.model
    found = decompose(model, subject.images)
    s, z = found.s[0], found.z_mean[0]
    around = subject.neighbour_images()
    one = Encoded.of(found, "1", 3, masks=np.stack([subject.truth[0], subject.truth[1]]))
    encodings = Encodings(checkpoint.config.modalities, checkpoint.config.classes, 8, [one])
    assert all(part.size for part in (encodings.images, encodings.anatomies, encodings.masks))  # pages ask for all
    reference = subject.truth[0]
    sizes = {
        "_checkpoint": 2 * sum(p.nbytes for p in model.parameters()) / 2**20,  # and what torch needs besides weights
        "_sample": megabytes(subject.images, subject.truth, subject.sampling),
        "_decomposition": megabytes(found),
        "_estimate": megabytes(checkpoint.method.predict(SliceInput(subject.images[:, None], subject.modalities))),
        "_traversal": megabytes(traverse(model, s, z, steps_between(count=9))),
        "_frames": megabytes(traverse_one(model, s, z, np.eye(len(z))[0], steps_between(count=25))),
        "_between": megabytes(interpolate(model, s, z, z, 21)),
        "_losses": 2 * subject.images[0].nbytes * 1.5 / 2**20,  # numbers, and for each pair an image and two scars
        "_encoded": 1.5,  # as PNG
        "_conditioning": sum(t.nbytes for t in condition(load(SPADE).model, s)) / 2**20,
        "_style_mixture": 2 * 6 * subject.images[0].nbytes / 2**20,  # two contents, two styles and four random ones
        **dict.fromkeys(("_kept", "_directions", "_style_changes"), 0.001),
        "_question": megabytes(ask(model, found, 0, 0, None)),
        "_realigned": megabytes(realign(model, found, 0, found.offsets[0])),
        "_misregistered": megabytes(misregister(model, subject.images, (0, 1), (0, 1), reference, 6.0)),
        "_halftone": megabytes(halftone(model, found, 0, subject.tissues[0])),
        "_candidates": megabytes(around, weigh(model, around, (0, 1), (0, 1))),
        "_mixture": 6 * 7 * subject.images[0].nbytes / 2**20,  # six by six images, and a single one
        "_own_mixture": 4 * subject.images[0].nbytes / 2**20,  # two by two
        "_uncertainty": megabytes(sample_factors(model, subject.images, (0, 1), samples=2)),
        "_jobs": 0.0,
        "_connection": 0.001,
        "_summary": 0.001,
        "named": 0.001,
        "_opened": 0.5,  # names and files of some hundred cases
        "_slices": 200 * 2 * 128 * 128 * 5 / 2**20,  # both modalities of a volume of 200 slices, float32, and masks
        "named_results": 0.001,
        "_tables": 10.0,  # records of a hundred cells with their evaluations
        "_differing": 0.2,  # names of two thousand slices
        "_subjects": 0.01,
        "_scene": 256 * 256 * 5 / 2**20,  # an image, float32, and its mask
        "_thumbnail": subject.images[0].nbytes / 2**20,
        "_freeze": 0.001,
        "_readers": 0.001,
        "_ranges": 0.01,
        **dict.fromkeys(("_readings", "_all_readings", "_dependence_curve", "_sample_distances", "_gallery"), 0.5),
    }
    known = entries()
    assert known.keys() == sizes.keys(), "a new cache: say how large its results are"
    each = {name: count * sizes[name] for name, count in known.items()}
    kept = 2 * (subject.truth[0].size + 96 * 96) / 2**20  # masks and thumbnails of a slice, one byte a pixel
    each["_jobs"] = (
        6 * (megabytes(encodings) + kept) * max(background_evaluation.POPULATIONS) * SLICES
    )  # results are kept there
    print({name: round(value) for name, value in sorted(each.items(), key=lambda item: -item[1])})
    assert sum(each.values()) < MOST
    own = sum(max(2, known[n] // caches.PRIVATE_SHARE) * sizes[n] for n in known if n in KEPT_APART)
    assert own < 80  # of one session that brought files


KEPT_APART = {
    "_uncertainty",
    "_conditioning",
    "_style_changes",
    "_style_mixture",
    "_sample",
    "_decomposition",
    "_estimate",
    "_traversal",
    "_frames",
    "_between",
    "_losses",
    "_kept",
    "_directions",
    "_question",
    "_realigned",
    "_misregistered",
    "_candidates",
    "_mixture",
    "_own_mixture",
    "_readings",
    "_all_readings",
    "_dependence_curve",
    "_sample_distances",
    "_gallery",
    "_ranges",
}


def arrays(found):
    if isinstance(found, np.ndarray):
        yield found
    elif isinstance(found, dict):
        yield from arrays(list(found.values()))
    elif isinstance(found, list | tuple):
        for part in found:
            yield from arrays(part)
    elif is_dataclass(found):
        yield from arrays([getattr(found, f.name) for f in fields(found)])


def test_what_all_share_cannot_be_changed(checkpoint, subject):
    found = results.decomposition_of(checkpoint, subject)
    assert results.decomposition_of(checkpoint, subject) is found
    moved = traversals.traversal(checkpoint, found.s[0], found.z_mean[0], 5)
    shared = list(arrays([found, moved, results.warps(checkpoint, subject, found, 0)]))
    assert len(shared) > 20
    assert not any(a.flags.writeable for a in shared)
    with pytest.raises(ValueError, match="read-only"):
        found.s[0] = 0


def test_results_of_many_threads_equal_those_of_one_and_leave_the_model_as_it_was(checkpoint, subject):
    model = checkpoint.model

    def insides():
        return {
            name: sorted((k, id(v)) for k, v in vars(module).items() if not isinstance(v, dict))
            for name, module in model.named_modules()
        }

    def work(k):
        found = decompose(model, np.roll(subject.images, 8 * k, axis=-1))
        moved = traverse(model, found.s[k % 2], found.z_mean[k % 2], steps_between(count=3))
        warped = realign(model, found, k % 2, found.offsets[k % 2] * 2)
        return [a.copy() for a in arrays([found, moved, warped])]

    alone = [work(k) for k in range(4)]
    weights, state = [p.detach().clone() for p in model.state_dict().values()], insides()
    together = [None] * 8

    def run(k):
        together[k] = work(k % 4)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, found in enumerate(together):
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(found, alone[k % 4], strict=True))
    assert all((a == b).all() for a, b in zip(model.state_dict().values(), weights, strict=True))
    assert insides() == state
