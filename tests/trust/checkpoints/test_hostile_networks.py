"""Networks of implausible size: refused before they are created."""

from dataclasses import fields

import pytest

from dafnet_core.checkpoints import file as module
from dafnet_core.config import ModelConfig
from dafnet_core.data.prepare import Preparation
from dafnet_core.losses.weights import LossWeights
from dafnet_core.training.config import TrainConfig
from tests.helpers.checkpoint_bytes import edited, refusal

pytestmark = pytest.mark.trust


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 10**6}, "width is 1000000; expected 1 to 256"),
        ({"channels": 10**9}, "channels is 1000000000"),
        ({"channels": 10**400}, "a number that does not fit in 64 bits"),
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
def test_networks_of_implausible_size_are_refused_before_they_are_created(good, change, words):
    assert words in refusal(edited(good, model=lambda m: m | change))


def test_networks_that_the_weights_do_not_fit_are_never_given_memory(good):
    """The widest model that the limits allow has 4 GB of weights; a file of 1 MB cannot hold them."""
    most = {name: ModelConfig.LIMITS[name][1] for name in ("width", "segmentor_width", "aligner_dense", "channels")}
    said = refusal(edited(good, model=lambda m: m | most, preparation={"height": 128, "width": 128}))
    assert "expected (" in said


def test_every_number_of_the_networks_has_a_limit():
    for section in (ModelConfig, *TrainConfig.SECTIONS.values()):
        numbers = {f.name for f in fields(section) if "int" in str(f.type) or "float" in str(f.type)}
        if section is not LossWeights:  # one limit for all of them
            assert numbers == set(section.LIMITS) | (numbers & {"seed"})  # the seed's has words of its own
    with pytest.raises(ValueError, match=r"w_kl is 2000000\.0; expected 0 to 1e\+06"):
        LossWeights(kl=2e6)


def test_the_limits_hold_the_published_model_and_large_images(make_model):
    for config, side in (
        (ModelConfig.published(("a", "b", "c"), ("background", "x"), candidates=3), 192),
        (ModelConfig.compact(tuple("abcd"), ("background", "x"), channels=16), 256),
        (ModelConfig.compact(("a", "b"), ("background", "x")), 1024),
    ):
        module.check_maps(config, Preparation(side, side))
    with pytest.raises(ValueError, match="are more than this program computes"):
        module.check_maps(ModelConfig.published(("a", "b"), ("background", "x")), Preparation(1024, 1024))
