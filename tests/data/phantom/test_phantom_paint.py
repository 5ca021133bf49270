"""Shapes laid over each other mix their signals where a boundary crosses a pixel."""

import numpy as np
import pytest

from dafnet_core.data.phantom import TISSUES
from dafnet_core.data.phantom.paint import paint


def test_partial_volume_of_opposite_signs_is_darker_than_both():
    x = np.tile(np.linspace(-10, 10, 81, dtype=np.float32), (4, 1))
    shapes = [("myocardium", np.full_like(x, -100)), ("scar", x)]
    signals = np.zeros(len(TISSUES), dtype=np.float32)
    signals[TISSUES.index("myocardium")], signals[TISSUES.index("scar")] = -100, 100
    signal = paint(shapes, signals, 2.0, np.zeros_like(x))
    magnitude = np.abs(signal[0])
    assert magnitude[0] == magnitude[-1] == pytest.approx(100)
    assert magnitude[40] == pytest.approx(0, abs=1e-4)
