"""A small picture of which the tests make files, and a folder that is read as a data set."""

import pytest

from tests.helpers.nnunet_folder import Folder
from tests.helpers.valid_files import PIXELS


@pytest.fixture
def pixels():
    return PIXELS.copy()


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "set")
