"""Data sets by their name on the command line."""

from dataclasses import replace

import pytest

from dafnet_core.data.config import DataConfig
from dafnet_core.data.phantom.source import phantom_values
from dafnet_core.data.sources import evaluation_data, training_data


def test_training_data_of_the_phantom_hides_what_may_not_be_used():
    config = DataConfig(subjects=4, validation_subjects=2, size=64, annotations=0.5)
    found = training_data(config, 0)
    assert (found.target, list(found.annotated)) == (1, sorted(found.annotated))
    assert len(found.annotated) == 2
    assert not set(found.split["train"]) & set(found.split["val"])
    other = training_data(replace(config, target="cine", annotations=0.0), 0)
    assert other.target == 0
    assert not other.train[0].annotated[0]
    assert not other.val[0].annotated[0]
    assert other.val[0].annotated[1]
    with pytest.raises(ValueError, match="expected one of cine, LGE"):
        training_data(replace(config, target="T2"), 0)
    with pytest.raises(ValueError, match=r"w_warp is above 0, but phantom is not registered, warp is 4"):
        training_data(replace(config, warp=4.0), 0, warp_supervised=True)


def test_what_data_are_called():
    assert phantom_values("phantom:subjects=3,phases=2") == {
        "seed": 9000,
        "subjects": 3,
        "phases": 2,
        "difficulty": "standard",
    }
    for wrong in ("phantom:seeds=3", "photos", "phantom:subjects=none", "phantom:difficulty=easy"):
        with pytest.raises(ValueError, match="expected"):
            phantom_values(wrong)
    with pytest.raises(ValueError, match="nnU-Net"):
        training_data(DataConfig(source="/no/such/folder"), 0)
    with pytest.raises(ValueError, match="expected train, val, test or all"):
        evaluation_data("phantom", "best", modalities=())


def test_one_subject_alone_has_the_slices_that_it_has_among_all():
    spec, modalities = "phantom:subjects=3", ("cine", "LGE")
    _, every = evaluation_data(spec, "all", modalities=modalities)
    name = every.subjects[1]
    _, alone = evaluation_data(spec, "all", modalities=modalities, only=name)
    assert alone.subjects == (name,)
    among = next(every[n] for n in range(len(every)) if every[n].subject == name)
    assert (alone[0].images == among.images).all()
    with pytest.raises(ValueError, match="has no subject nobody"):
        evaluation_data(spec, "all", modalities=modalities, only="nobody")
