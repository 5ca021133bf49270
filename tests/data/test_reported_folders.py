"""nnU-Net folders rebuilt from public reports of problems, where the test data are."""

import pytest

from dafnet_core.data.config import DataConfig
from dafnet_core.data.nnunet import NnUNet
from dafnet_core.data.sources import training_data
from dafnet_core.data.studies import DataError


@pytest.fixture
def case(real_data):
    """The folder of a case by the beginning of its name."""

    def find(name):
        found = list((real_data / "cases").glob(f"{name}-*"))
        if not found:
            pytest.skip(f"there is no case {name} in the folder of DAFNET_TEST_DATA")
        return str(found[0])

    return find


def data_of(folder, **options):
    return training_data(DataConfig(source=folder, size=64, **options), 0)


def test_five_folds_without_a_test_part(case):
    for fold in range(5):
        data = data_of(case("13"), fold=fold)
        assert [len(data.split[part]) for part in ("train", "val", "test")] == [8, 2, 0]
        assert data.source.evaluation_specs(data.split) == {"validation": case("13")}
        assert data.warnings == ()


def test_colour_pictures(case):
    with pytest.raises(DataError, match=r"R, G, B. Colour pictures \(RGB, as nnU-Net's NaturalImage2DIO reads them\)"):
        NnUNet(case("14"))


def test_a_table_of_files(case):
    data = data_of(case("18"))
    assert data.source.names() == tuple(f"s{n:02d}" for n in range(7))
    assert data.source.registered
    assert all(mask[4].any() for study in data.train.studies for mask in study.masks)
    assert data.warnings == ()


def test_slices_as_cases(case):
    (warning,) = data_of(case("25")).warnings
    assert "pat00_sl00 and pat00_sl01 (pat00)" in warning
    data = data_of(case("25"), subject_pattern=r"pat\d+")
    parts = [{name[:5] for name in names} for names in data.split.values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 6
    assert sum(map(len, data.split.values())) == 30
