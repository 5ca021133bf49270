"""After each test, torch computes with denormal numbers again."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _denormals():
    yield
    torch.set_flush_denormal(False)  # main sets it, for a process of its own
