"""The station on cheating: its sheet and verdict from made-up numbers, and the checkpoints that it compares."""

from types import SimpleNamespace

import numpy as np
import pytest

from dafnet_core.analysis.halftone import Halftone
from dafnet_core.checkpoints.file import CheckpointError
from dafnet_core.config import ModelConfig
from dafnet_core.drawing import LIGHT, grey, rgb
from dafnet_explorer import catalogue, counter_example, state
from dafnet_explorer.catalogue import COUNTER_EXAMPLE
from dafnet_explorer.figures import halftone
from dafnet_explorer.figures.pixels import MIXED, labels_map
from dafnet_explorer.sidebar import DEFAULT_CHECKPOINT

HEART, HEAD = ("cine", "LGE"), ("T1", "FLAIR")
COLOURS = "#000000", "#ff0000", "#00ff00"
CLEAN = np.repeat([[0], [1]], 32, 0).repeat(64, 1).astype(np.uint8)  # (64, 64): two halves
DOTS = np.indices((64, 64)).sum(0).astype(np.uint8) % 2
DOTS[::4, ::4] = 2


def model(name, own, shuffled, flipped=0.1, channels=CLEAN):
    """Results with these errors, and with anatomies and images that differ from kind to kind."""
    labels = [np.full_like(channels, k) for k in (1, 2)]
    images = [np.full(channels.shape, level, np.float32) for level in (-0.5, 0, 0.5)]
    return halftone.Model(name, channels, Halftone(*labels, *images, (own, shuffled, flipped)), COLOURS)


LEAKY, ALSO_LEAKY = model("leaky", 0.1, 0.13, 0.12, DOTS), model("again", 0.2, 0.3, 0.2, DOTS)
PURE, ALSO_PURE = model("pure", 0.1, 0.101), model("too", 0.2, 0.2)


def test_the_rise_of_an_error_is_relative_to_that_of_the_anatomy_as_it_is():
    assert [LEAKY.rise(k) for k in range(3)] == pytest.approx([0, 0.3, 0.2])
    assert np.isfinite(model("perfect", 0.0, 0.1).rise(1))


@pytest.mark.parametrize(("shuffled", "expected"), [(0.1, False), (0.109, False), (0.111, True), (0.05, False)])
def test_a_model_carries_intensities_if_shuffling_raises_its_error_by_a_tenth(shuffled, expected):
    assert halftone.carries(model("m", 0.1, shuffled)) is expected


def test_the_verdict_names_the_only_model_that_loses_by_shuffling():
    text = halftone.verdict([LEAKY, PURE], 0)
    assert "raises the error of **leaky** from 0.100 to 0.130 (+30%): the *place* of its dots carries" in text
    assert "changes the error of **pure** from 0.100 to 0.101 (+1%)" in text
    assert "only **leaky** depends" in text
    assert text.endswith("Flipped pixels change the error by +20% for leaky and +0% for pure.")
    assert "only **leaky** depends" in halftone.verdict([PURE, LEAKY], 0)


def test_the_verdict_on_models_that_are_alike_prefers_none():
    both, neither = halftone.verdict([LEAKY, ALSO_LEAKY], 0), halftone.verdict([PURE, ALSO_PURE], 0)
    assert "each model here depends" in both
    assert "no model here depends on the place of dots: try another image or slice" in neither
    assert "only" not in both + neither


def test_the_verdict_on_one_model_compares_nothing():
    for alone in (LEAKY, PURE):
        text = halftone.verdict([alone], 0)
        assert alone.name in text
        assert "So on this image" not in text


def test_dots_whose_place_does_not_matter_may_still_carry_intensities_by_their_density():
    dotted = model("dotted", 0.1, 0.1, channels=DOTS)
    assert "*density* may still carry" in halftone.verdict([dotted], 0)
    assert "hardly any dots" in halftone.verdict([dotted], 0.9)  # the true tissues have as many
    assert "hardly any dots" in halftone.verdict([PURE], 0)


def test_the_region_holds_the_heart_is_square_and_stays_within_the_image():
    for top, left, height, width in ((60, 20, 10, 60), (0, 0, 5, 5), (120, 100, 8, 12), (0, 90, 50, 10)):
        labels = np.zeros((128, 112), int)
        labels[top : top + height, left : left + width] = 2
        rows, columns = halftone.region_around(labels)
        shown = labels[rows, columns]
        assert (shown > 0).sum() == (labels > 0).sum()
        assert shown.shape[0] == shown.shape[1] >= halftone.LEAST
    everything = halftone.region_around(np.ones((30, 50), int))
    assert np.zeros((30, 50))[everything].shape == (30, 30)


def test_without_a_heart_the_region_is_the_middle():
    assert halftone.region_around(np.zeros((100, 60), int)) == (slice(30, 70), slice(10, 50))


def test_the_main_tissue_of_a_class_has_its_colour_its_others_are_darker_and_the_rest_is_muted():
    tissues, mask = np.array([[0, 9, 5], [5, 5, 7]], np.uint8), np.array([[0, 0, 1], [1, 1, 1]])
    picture = halftone.tissue_map(tissues, mask, COLOURS)
    red = [255, 0, 0]
    assert picture[0, 2].tolist() == picture[1, 0].tolist() == picture[1, 1].tolist() == red
    assert picture[1, 2].tolist() == [153, 0, 0]  # another tissue of the class, such as a scar
    assert [picture[0, x].tolist() for x in (0, 1)] == [rgb(MIXED[k]).astype(int).tolist() for k in (0, 1)]
    assert np.array_equal(halftone.tissue_map(tissues, None, COLOURS), labels_map(tissues % len(MIXED), MIXED))


@pytest.mark.parametrize("kind", range(len(halftone.KINDS)))
def test_the_sheet_shows_each_model_s_anatomy_and_image_of_this_kind_beside_the_truth(kind):
    truth = halftone.Truth(np.full((64, 64), 1, np.float32), CLEAN, np.full((64, 64, 3), 77, np.uint8))
    models, where = [PURE, LEAKY], np.s_[10:50, 0:40]
    picture = halftone.halftone_sheet(models, kind, truth, where, LIGHT)
    shown, tiles = np.asarray(picture), {tile[:2]: tile[2:] for tile in picture.info["tiles"]}
    assert set(tiles) == {(row, column) for row in range(2) for column in range(3)}

    def at(row, column):
        """The first pixel of a tile."""
        left, top, _, _ = tiles[row, column]
        return shown[top, left].tolist()

    for column, found in enumerate(models):
        assert at(0, column) == labels_map(found.anatomies()[kind], COLOURS)[where][0, 0].tolist()
        assert at(1, column) == grey(found.images()[kind])[where][0, 0].tolist()
    assert at(0, 2) == [77, 77, 77]
    assert at(1, 2) == [255, 255, 255]


def entry(modalities=HEART, decoder="film", data="hearts", digest=""):
    """What the catalogue reads of a checkpoint."""
    config = ModelConfig.compact(modalities, ("background", "organ"), decoder=decoder)
    model = SimpleNamespace(encode_modality=None)
    return SimpleNamespace(
        config=config,
        digest=digest or f"{modalities}{decoder}{data}",
        training=SimpleNamespace(data=data),
        model=model,
        method_name="dafnet",
    )


@pytest.fixture
def entries(monkeypatch):
    """Fill the catalogue, and select one of its checkpoints."""

    def fill(selected, **found):
        found = {name.replace("_", "-"): value for name, value in found.items()}
        monkeypatch.setattr(counter_example.st, "session_state", {state.CHECKPOINT: selected})
        monkeypatch.setattr(catalogue, "entries", lambda: found)

        def load(value):
            if value is None:
                raise CheckpointError("not valid")
            return value

        monkeypatch.setattr(catalogue, "load_entry", load)
        return counter_example.checkpoints(found[selected])

    return fill


def test_the_counter_example_comes_first_and_the_selected_checkpoint_second(entries):
    assert list(entries("mine", mine=entry(), cardiac_film=entry(), cardiac_film_leaky=entry())) == [
        COUNTER_EXAMPLE,
        "mine",
    ]


def test_the_counter_example_itself_is_compared_with_the_default_checkpoint(entries):
    compared = entries(COUNTER_EXAMPLE, cardiac_film=entry(), mine=entry(), cardiac_film_leaky=entry())
    assert list(compared) == [COUNTER_EXAMPLE, DEFAULT_CHECKPOINT]
    assert list(entries(COUNTER_EXAMPLE, cardiac_film_leaky=entry())) == [COUNTER_EXAMPLE]


def test_a_missing_or_broken_counter_example_leaves_the_selected_checkpoint(entries):
    assert list(entries("mine", mine=entry())) == ["mine"]
    assert list(entries("mine", mine=entry(), cardiac_film_leaky=None)) == ["mine"]


def test_a_checkpoint_of_other_modalities_or_classes_is_not_compared(entries):
    assert list(entries("mine", mine=entry(HEAD), cardiac_film_leaky=entry())) == ["mine"]
    assert "counter-example" not in counter_example.legend(entry(HEAD))
    entries("mine", mine=entry(), cardiac_film_leaky=entry())
    assert counter_example.legend(entry()).startswith(f"{COUNTER_EXAMPLE} is the counter-example")


def test_the_counter_example_is_the_last_of_the_shipped_checkpoints(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(catalogue, "RUNS", tmp_path / "runs")
    for name in ("a", COUNTER_EXAMPLE, "z", DEFAULT_CHECKPOINT):
        (tmp_path / f"{name}.safetensors").touch()
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "best.safetensors").touch()
    assert list(catalogue.entries()) == ["a", DEFAULT_CHECKPOINT, "z", COUNTER_EXAMPLE, "runs/mine"]


def test_the_counterpart_is_the_counter_example_only_if_there_is_no_other(entries):
    mine, leaky, spade = entry(decoder="spade"), entry(digest="leaky"), entry(data="other hearts", digest="other")
    entries("mine", mine=mine, cardiac_film_leaky=leaky, other=spade)
    assert catalogue.counterpart(mine) is spade  # although the counter-example was trained on the same data
    entries("mine", mine=mine, cardiac_film_leaky=leaky)
    assert catalogue.counterpart(mine) is leaky
    entries("mine", mine=mine, cardiac_film_zero=entry(decoder="spade", digest="zero"))
    assert catalogue.counterpart(mine) is None
