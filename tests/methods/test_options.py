"""Options of training by method: what each may be given, and what it sets on top of a recipe."""

from dataclasses import replace

import pytest
import torch

from dafnet_core.losses.weights import LossWeights
from dafnet_core.methods import METHODS, trainable
from dafnet_core.training.config import CLEAN, TrainConfig
from dafnet_core.training.step import TrainState
from tests.helpers.squares import method_of

OTHERS = tuple(name for name in trainable() if name != "dafnet")


@pytest.mark.parametrize("name", trainable())
def test_own_options_exist_and_presets_are_options_that_the_method_may_be_given(name):
    method = METHODS[name]
    assert method.own_options <= set(TrainConfig.options())
    given = TrainConfig.of(method=name, **method.presets)
    assert given == TrainConfig.of(method=name)
    assert TrainConfig.from_dict(given.to_dict()) == given


@pytest.mark.parametrize("name", OTHERS)
def test_no_recipe_changes_the_weights_of_another_method(name):
    plain, *others = (TrainConfig.of(method=name, recipe=r) for r in ("plain", "clean", "paper"))
    assert all(replace(other.losses, dice=plain.losses.dice, ce=plain.losses.ce) == plain.losses for other in others)


@pytest.mark.parametrize("name", trainable())
def test_a_term_is_refused_where_there_is_none_of_it(name):
    with_cycle = name in ("translation", "dadr")
    for term in ("cycle", *CLEAN):
        meant = term in ("cycle", "rec_s") if with_cycle else name == "dafnet" and term != "cycle"
        if meant:
            assert getattr(TrainConfig.of(method=name, **{f"w_{term}": 0.7}).losses, term) == 0.7
            continue
        with pytest.raises(ValueError, match=f"w_{term} is 0.7, which means nothing for --method {name}; leave it out"):
            TrainConfig.of(method=name, **{f"w_{term}": 0.7})


def test_an_option_given_comes_on_top_of_the_method_s():
    config = TrainConfig.of(method="translation", recipe="clean", w_cycle=3.0)
    assert (config.losses.cycle, config.losses.rec, config.schedule.lr) == (3.0, 10.0, 1.5e-3)
    assert config.in_words()["recipe clean"] == "dice every, ce 0.2, lr 0.0015"
    assert config.in_words()["method translation"].startswith("w_adv_image 1, w_rec 10, rec_phase1 10, ")
    assert "w_cycle 3" in config.in_words()["method translation"]
    first, last = config.weights_at(0), config.final_weights  # without a ramp
    assert all(getattr(first, term) == getattr(last, term) for term in ("adv_image", "rec", "rec_s", "cycle"))


@pytest.mark.parametrize(("name", "term"), [("sdnet-multi", "w_adv_mask"), ("dadr", "w_adv_image")])
def test_discriminators_are_trained_for_the_method_s_own_term_alone(name, term):
    state = TrainState.create(method_of(name, content_width=2).config, TrainConfig.of(method=name), torch.device("cpu"))
    for weight in (1.0, 0.0):
        assert state.trains_critics(TrainConfig.of(method=name, **{term: weight}).final_weights) == bool(weight)


def test_dafnet_has_no_cycle_to_switch_off():
    assert "cycle" in {f.name for f in LossWeights.terms()}
    with pytest.raises(ValueError, match="without is 'cycle'"):
        TrainConfig.of(without=("cycle",))
