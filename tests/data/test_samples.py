"""Samples: slices that a source offers for a look are those that its studies hold."""

import numpy as np
import pytest

from dafnet_core.config import EVALUATION_SEED
from dafnet_core.data.dataset import PairedSlices
from dafnet_core.data.phantom import generate
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.samples import nearest_slices
from dafnet_core.data.sources import SOURCES, open_source
from dafnet_core.data.studies import DataError, ModalityError
from tests.helpers.nnunet_folder import Folder, marked, shown_by

GRID = Preparation(64, 64)


@pytest.mark.parametrize("kind", [kind for kind, source in SOURCES.items() if source.built_in])
def test_a_built_in_source_offers_the_slices_of_its_studies(kind):
    source = open_source(kind)
    samples = source.samples
    for variant in samples.variants:
        spec = source.evaluation_spec(2, variant)
        study = open_source(spec).study(source.names()[1], source.preparation(64, None))
        made = source.sample_slices(1, variant, GRID, source.modalities)[2]
        truth, _ = study.truth(2)
        for m, image in enumerate(made.images):
            assert np.array_equal(image, study.images[m][0, 2])
            assert np.array_equal(made.masks[m], study.masks[m][2])
        assert made.sampling.keys() == truth.keys()
        assert all(np.array_equal(positions, truth[pair]) for pair, positions in made.sampling.items())
        around = made.around(3)
        assert around.shape == (len(source.modalities), 3, 64, 64)
        assert np.array_equal(around[:, 0], made.images)
        assert np.array_equal(around[0, 1], study.images[0][0, 1])


def test_modalities_come_in_the_order_that_was_asked_for():
    source = open_source("phantom")
    there, back = (source.sample_slices(0, "hard", GRID, names)[3] for names in (("cine", "LGE"), ("LGE", "cine")))
    assert np.array_equal(there.images, back.images[::-1])
    assert np.array_equal(there.masks[0], back.masks[1])
    assert np.array_equal(there.sampling[0, 1], back.sampling[1, 0])
    alone = source.sample_slices(0, "hard", GRID, ("LGE",))[3]
    assert np.array_equal(alone.masks[0], generate(EVALUATION_SEED, 0, 3, size=64, difficulty="hard").masks[1])
    assert alone.sampling == {}


def folder_of(root, **more):
    """Two cases of three channels on one grid: one with labels of its own for each channel, one without any."""
    folder = Folder(root, ("T1", "T2", "FLAIR"), **more)
    for channel in range(3):
        folder.image(f"a_000{channel}", shown_by(marked(4)) * (channel + 1))
        folder.image(f"b_000{channel}", shown_by(marked(2)) * (channel + 1))
    folder.label("a_0002", marked(4))
    return folder


def test_samples_of_files_are_the_slices_that_are_trained_on(tmp_path):
    folder = folder_of(tmp_path, name="My study", licence="CC0")
    source = open_source(str(folder.root), ("flair", "T1"))
    assert source.samples.subjects == 2
    assert source.samples.variants == ("",)
    slices = source.sample_slices(0, "", GRID, ("FLAIR", "t1"))
    paired = PairedSlices(source.modalities, source.classes, GRID, [source.study("a", GRID)])
    assert len(slices) == len(paired) == 4
    for position in range(4):
        made, known = slices[position], paired[position]
        assert made.title == f"My study, subject a, slice {position + 1} of 4"
        assert np.array_equal(made.images, known.images[:, 0])
        assert list(made.masks) == [0]  # of FLAIR alone, which has a label
        assert np.array_equal(made.masks[0], known.masks[0])
        assert made.masks[0].any()
        assert made.sampling == {}
    around = slices[3].around(3)
    assert around.shape == (2, 3, 64, 64)
    assert np.array_equal(around[:, 1], slices[2].images)
    swapped = source.sample_slices(0, "", GRID, ("T1", "FLAIR"))[1]
    assert np.array_equal(swapped.images, slices[1].images[::-1])
    assert list(swapped.masks) == [1]


def test_subjects_of_files_have_as_many_slices_as_they_have(tmp_path):
    source = open_source(str(folder_of(tmp_path).root))
    short = source.sample_slices(1, "", GRID, source.modalities)
    assert len(short) == 2
    assert short[0].masks == {}
    assert short[0].around(3).shape == (3, 2, 64, 64)  # no slice comes twice
    with pytest.raises(IndexError):
        short[2]


def test_a_modality_that_is_missing_is_told_from_other_errors(tmp_path):
    folder = folder_of(tmp_path)
    with pytest.raises(ModalityError, match="no modality 'cine'"):
        open_source(str(folder.root), ("T1", "cine"))
    with pytest.raises(DataError) as caught:
        open_source(str(tmp_path / "imagesTr"))
    assert not isinstance(caught.value, ModalityError)


@pytest.mark.parametrize(
    ("spec", "modalities"),
    [("chaos:{}/chaos_mr/CHAOS_Train_Sets", ("T2", "T1")), ("{}/lgg_mri", ("T1", "FLAIR"))],
)
def test_samples_of_real_patients_load(real_data, spec, modalities):
    source = open_source(spec.format(real_data), modalities)
    slices = source.sample_slices(1, "", GRID, modalities)
    middle = slices[len(slices) // 2]
    assert middle.images.shape == (2, 64, 64)
    assert middle.images.std() > 0.1
    assert set(middle.masks) == {0, 1}
    assert any(slices[k].masks[0].any() for k in range(len(slices)))
    assert middle.around(3).shape == (2, 3, 64, 64)


def test_the_nearest_slices_come_first_and_end_with_the_stack():
    assert nearest_slices(3, 8, 3) == [3, 2, 4]
    assert nearest_slices(0, 8, 3) == [0, 1, 2]
    assert nearest_slices(1, 2, 3) == [1, 0]
