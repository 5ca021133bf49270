"""Readers in processes of their own that fail."""

import pytest

from dafnet_core.data import reader_process
from tests.helpers.failing_decoder import SICK


@pytest.fixture(scope="module")
def sick():
    """Readers whose decoder crashes, hangs and eats memory as the file says."""
    return reader_process.Readers(count=1, seconds=3, program=SICK)
