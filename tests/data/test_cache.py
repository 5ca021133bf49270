"""Prepared subjects on disk: what they are known by, and what becomes of them when something goes wrong."""

import multiprocessing
import os
import shutil
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.machine import private_bytes
from dafnet_core.data import cache
from dafnet_core.data.cache import StudyCache, cache_folder, clear, main, read_studies, usage
from dafnet_core.data.chaos import ChaosInPhase, ChaosOutOfPhase
from dafnet_core.data.nnunet import NnUNet
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.studies import DataError, Study
from tests.helpers.chaos_tree import write_chaos

GRID = Preparation(48, 48, 2.0)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("DAFNET_CACHE", str(tmp_path / "cache"))
    cache._say.cache_clear()
    return tmp_path / "cache"


@pytest.fixture
def prepared(monkeypatch):
    """How often each case was read from its files."""
    counts = Counter()
    for source in (NnUNet, ChaosInPhase):

        def study(self, name, preparation, really=source.study):
            counts[name] += 1
            return really(self, name, preparation)

        monkeypatch.setattr(source, "study", study)
    return counts


def read(folder, preparation=GRID):
    source = NnUNet(folder.root)
    return read_studies(source, source.names(), preparation)


def same(first, second):
    assert (first.name, len(first.images), len(first.masks)) == (second.name, len(second.images), len(second.masks))
    for i, images in enumerate(second.images):
        assert images.shape == first.images[i].shape
        for at in np.ndindex(images.shape[:2]):
            a, b = first.images[i][at], second.images[i][at]
            assert a.dtype == b.dtype == np.float32
            assert np.array_equal(a, b)
        assert (first.masks[i] is None) == (second.masks[i] is None)
        for at in range(images.shape[1]) if first.masks[i] is not None else ():
            assert first.masks[i][at].dtype == second.masks[i][at].dtype == np.uint8
            assert np.array_equal(first.masks[i][at], second.masks[i][at])
        assert np.array_equal(first.positions[i], second.positions[i])
    assert [mm and tuple(mm) for mm in first.spacing] == [mm and tuple(mm) for mm in second.spacing]


def test_what_is_read_again_is_bitwise_what_was_prepared(folder, prepared, tmp_path):
    folder.case("a")
    folder.image("b_0000", np.random.default_rng(0).normal(size=(3, 4, 32, 48)).astype(np.float32), np.eye(4))
    folder.image("b_0001", np.random.default_rng(1).normal(size=(4, 32, 48)).astype(np.float32), np.eye(4))
    source = NnUNet(folder.root)
    for name, found, again in zip(source.names(), read(folder), read(folder), strict=True):
        same(source.study(name, GRID), found)
        same(found, again)
    assert prepared == {"a": 2, "b": 2}  # once for the cache, once just here
    tree = ChaosInPhase(write_chaos(tmp_path / "chaos", (1, 2), annotated=(1,)))
    for name, study in zip(tree.names(), read_studies(tree, tree.names(), GRID), strict=True):
        same(tree.study(name, GRID), study)


def test_every_plain_field_of_a_study_comes_back(place):
    stack = np.zeros((1, 2, 16, 16), np.float32)
    study = Study("a", (stack,) * 2, (None,) * 2, (np.arange(2.0),) * 2, ("one", "two"), ((1.5, 2.0), None))
    cache._write(place / ("0" * 40), study)
    found = cache._opened(place / ("0" * 40), "a")
    assert found.notes == ("one", "two")
    assert [mm and tuple(mm) for mm in found.spacing] == [(1.5, 2.0), None]
    same(study, found)


def test_other_contents_another_preparation_and_other_code_are_other_subjects(folder, prepared, monkeypatch):
    folder.case("a")
    read(folder)
    read(folder)
    assert prepared["a"] == 1
    read(folder, Preparation(48, 48, 3.0))
    assert prepared["a"] == 2
    image = folder.root / "imagesTr" / "a_0000.nii.gz"
    before, kept = image.stat(), image.read_bytes()
    folder.image("a_0000", np.ones((3, 32, 48), np.float32))
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a copy that keeps times has it
    assert read(folder)[0].images[0][0, 0].max() == -1
    assert prepared["a"] == 3
    image.write_bytes(kept)
    read(folder)
    assert prepared["a"] == 3  # the old one is still there
    folder.describe(labels={"background": 0, "one": 2, "two": 1})
    read(folder)
    assert prepared["a"] == 4
    monkeypatch.setattr(cache, "_code", lambda: ["another version"])
    read(folder)
    assert prepared["a"] == 5


def test_the_phases_of_chaos_are_not_taken_for_each_other(tmp_path, place):
    tree = write_chaos(tmp_path / "chaos", (1,))
    inside, outside = (read_studies(s, s.names(), GRID)[0] for s in (ChaosInPhase(tree), ChaosOutOfPhase(tree)))
    assert not np.array_equal(inside.images[0][0, 0], outside.images[0][0, 0])
    assert usage(place)[0] == 2


def test_a_label_that_only_one_sequence_has_is_not_taken_for_the_other_s(tmp_path):
    trees = [write_chaos(tmp_path / name, (1,), slices={"T1DUAL": 4, "T2SPIR": 4}) for name in ("one", "two")]
    for tree, sequence in zip(trees, ("T1DUAL", "T2SPIR"), strict=True):
        shutil.rmtree(tree / "1" / sequence / "Ground")
    found = [read_studies(s, s.names(), GRID)[0] for s in map(ChaosInPhase, trees)]
    assert [[mask is None for mask in study.masks] for study in found] == [[True, False], [False, True]]


def test_the_same_contents_under_two_names_are_stored_once(folder, place, prepared):
    folder.case("a")
    folder.case("b")
    first, second = read(folder)
    assert (first.name, second.name) == ("a", "b")
    assert usage(place)[0] == sum(prepared.values()) == 1


def test_the_other_half_of_an_image_in_two_files_counts(tmp_path):
    head, data = tmp_path / "a.hdr", tmp_path / "a.img"
    head.write_bytes(b"head")
    data.write_bytes(b"one")
    known = StudyCache(tmp_path / "cache")
    before = known._contents(head)
    data.write_bytes(b"two")
    assert known._contents(head) != before


def test_files_that_have_not_changed_are_not_even_hashed_again(folder, monkeypatch):
    monkeypatch.setattr(cache, "_SETTLED", 0)  # else files as young as these are not trusted
    folder.case("a")
    time.sleep(0.02)
    read(folder)
    for path in folder.root.rglob("*.nii.gz"):
        monkeypatch.setattr(cache.hashlib, "file_digest", lambda *_, path=path: pytest.fail(f"{path} is read"))
    read(folder)


def test_a_file_as_young_as_the_clock_is_coarse_is_hashed_each_time(folder):
    folder.case("a")
    read(folder)
    assert not (cache_folder() / "digests.json").exists()


@pytest.mark.parametrize("harm", ["cut", "no json", "half json", "lost", "empty", "other numbers"])
def test_a_damaged_subject_is_made_again_and_that_is_said(folder, place, prepared, capsys, harm):
    folder.case("a")
    (study,) = read(folder)
    expected = study.images[1][0, 2]
    (entry,) = (path for path in place.iterdir() if path.is_dir())
    stack = entry / "images1.npy"
    if harm == "cut":
        stack.write_bytes(stack.read_bytes()[:-1])
    elif harm == "no json":
        (entry / "study.json").unlink()
    elif harm == "half json":
        (entry / "study.json").write_text((entry / "study.json").read_text()[:20])
    elif harm == "lost":
        stack.unlink()
    elif harm == "empty":
        stack.write_bytes(b"")
    else:
        np.save(stack, np.zeros((1, 1, 48, 48)))
    (again,) = read(folder)
    assert "a prepared subject is damaged; it is made again" in capsys.readouterr().err
    assert np.array_equal(again.images[1][0, 2], expected)
    assert prepared["a"] == 2
    assert [path.name for path in place.iterdir()] == [entry.name]


def test_a_slice_that_changed_on_disk_is_refused_and_the_next_start_mends_it(folder, place, prepared):
    folder.case("a")
    (study,) = read(folder)
    expected = study.images[0][0, 1]
    stack = next(place.glob("*/images0.npy"))
    content = bytearray(stack.read_bytes())
    content[-48 * 48 * 4 * 2 + 1000] ^= 1
    stack.write_bytes(content)
    (study,) = read(folder)
    study.images[0][0, 0]
    with pytest.raises(DataError, match=r"images0.npy: a prepared slice is damaged or gone; start again"):
        study.images[0][0, 1]
    assert np.array_equal(read(folder)[0].images[0][0, 1], expected)
    clear(place)
    with pytest.raises(DataError, match="damaged or gone"):
        study.images[0][0, 1]


def test_a_file_that_changes_while_it_is_read_is_not_kept(folder, place, monkeypatch):
    folder.case("a")
    really = NnUNet.study

    def study(self, name, preparation):
        found = really(self, name, preparation)
        folder.image("a_0001", np.zeros((3, 32, 48), np.float32))
        return found

    monkeypatch.setattr(NnUNet, "study", study)
    (found,) = read(folder)
    assert isinstance(found.images[0], np.ndarray)
    assert usage(place)[0] == 0


def _prepare(root, ready):
    ready.wait()
    source = NnUNet(root)
    for study in read_studies(source, source.names(), GRID):
        study.images[0][0, 0]


def test_several_processes_prepare_the_same_subjects(folder, place):
    for name in "abcd":
        folder.case(name, labels=np.full((3, 32, 48), ord(name) % 2, np.uint8), channels=2)
        folder.image(f"{name}_0000", np.random.default_rng(ord(name)).normal(size=(3, 32, 48)).astype(np.float32))
    context = multiprocessing.get_context("fork")
    ready = context.Barrier(4)
    processes = [context.Process(target=_prepare, args=(folder.root, ready)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert usage(place)[0] == 4
    assert all(path.is_dir() and not path.name.startswith(".") for path in place.iterdir())


def test_where_nothing_can_be_written_slices_stay_in_memory_and_that_is_said_once(
    folder, place, tmp_path, monkeypatch, capsys
):
    folder.case("a")
    folder.case("b", labels=np.ones((3, 32, 48), np.uint8))
    place.write_text("a file, no folder")
    assert all(isinstance(study.images[0], np.ndarray) for study in read(folder))
    said = capsys.readouterr().err
    assert said.count("Prepared slices stay in memory; DAFNET_CACHE names another folder") == 1
    assert str(place) in said

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("DAFNET_CACHE", str(tmp_path / "full"))
    with monkeypatch.context() as patch:
        patch.setattr(np.lib.format, "write_array", full)
        assert all(isinstance(study.images[0], np.ndarray) for study in read(folder))
    said = capsys.readouterr().err
    assert f"{tmp_path / 'full'}: no space left on device; free some space" in said
    assert list((tmp_path / "full").iterdir()) == []
    monkeypatch.setenv("DAFNET_CACHE", "off")
    assert all(isinstance(study.images[0], np.ndarray) for study in read(folder))


def test_where_the_folder_is(monkeypatch, tmp_path):
    monkeypatch.setenv("DAFNET_CACHE", "off")
    assert cache_folder() is None
    monkeypatch.setenv("DAFNET_CACHE", "")
    assert cache_folder() is None
    monkeypatch.delenv("DAFNET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "dafnet-explorer"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "dafnet-explorer"


def test_the_command_tells_and_clears_what_was_written_here_and_nothing_else(folder, place, capsys):
    folder.case("a")
    read(folder)
    (place / "digests.json").write_text("{}")
    mine = place / ("f" * 40)
    mine.mkdir()
    (mine / "holiday.jpg").write_bytes(b"mine")
    (place / f".{'0' * 40}.abc.part").mkdir()
    assert main([]) == 0
    assert f"1 prepared subjects, {usage(place)[1] / 1e9:.2g} GB, in {place}" in capsys.readouterr().out
    assert main(["--clear"]) == 0
    assert list(place.rglob("*")) == [mine, mine / "holiday.jpg"]
    shutil.rmtree(mine)
    assert main(["--clear"]) == 0
    assert not place.exists()


def test_only_the_owner_may_look(folder, place):
    folder.case("a")
    read(folder)
    assert [path.stat().st_mode & 0o077 for path in (place, *(p for p in place.iterdir() if p.is_dir()))] == [0, 0]


@dataclass
class _Noise:
    """A source of subjects of noise, 2 modalities of 50 slices."""

    count: int
    kind: str = "noise"

    def names(self):
        return tuple(f"{n:03d}" for n in range(self.count))

    def ingredients(self, name):
        return [name]

    def study(self, name, preparation):
        rng = np.random.default_rng(int(name))
        shape = (50, preparation.height, preparation.width)
        images = tuple(rng.uniform(-1, 1, (1, *shape)).astype(np.float32) for _ in range(2))
        return Study(name, images, (np.zeros(shape, np.uint8),) * 2, (np.arange(50.0),) * 2)


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps_rollup"), reason="private memory is read as Linux has it")
def test_a_data_set_on_disk_is_not_in_memory():
    source = _Noise(8)
    before = private_bytes(os.getpid())
    studies = read_studies(source, source.names(), Preparation(128, 128))
    total = sum(study.images[i][0, k].sum() for study in studies for i in range(2) for k in range(50))
    assert np.isfinite(total)
    size = usage(cache_folder())[1]
    assert size > 8 * 100 * 128 * 128 * 4
    assert private_bytes(os.getpid()) - before < 0.3 * size  # a single subject takes an eighth
