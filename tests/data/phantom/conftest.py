"""Phantom subjects that several test files share."""

import pytest

from dafnet_core.data import phantom
from dafnet_core.data.phantom import generate, motion


@pytest.fixture
def motionless(monkeypatch):
    monkeypatch.setattr(motion, "DEFORMATION_MM", 0.0)
    monkeypatch.setattr(motion, "BREATHING_MM", (0.0, 0.0))


@pytest.fixture(scope="session")
def cohort():
    """Six subjects of eight slices at 96 x 96."""
    return [[generate(11, subject, k, size=96) for k in range(phantom.SLICES)] for subject in range(6)]


@pytest.fixture(scope="session")
def beating():
    """Three subjects of eight slices at 96 x 96 over 20 phases."""
    return [[generate(11, subject, k, size=96, phases=20) for k in range(phantom.SLICES)] for subject in range(3)]
