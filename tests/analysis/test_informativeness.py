"""Informativeness of z, and the cycle through the encoders."""

from dataclasses import replace

import numpy as np
import pytest

from dafnet_core.analysis.encodings import Encoded, Encodings
from dafnet_core.analysis.informativeness import cycle, informativeness
from dafnet_core.methods.decomposition import decompose


def test_informativeness_counts_dimensions_that_say_something(found):
    encoded = Encoded.of(replace(found, z_mean=np.zeros((2, 8)), z_std=np.ones((2, 8))), "one", 0)
    encoded.z_mean[:, 3] = (2.0, -2.0)
    seen = informativeness(Encodings(found.names, ("background", "one", "two"), 8, [encoded, encoded]))
    assert seen.active == 1
    assert seen.kl[3] == pytest.approx(2.0)  # 4 / 2
    assert seen.variance == pytest.approx(np.eye(8)[3] * 4)


def test_cycle_encodes_own_reconstructions_with_their_own_encoder(make_model, found):
    model = make_model().eval()
    seen = cycle(model, found)
    second = decompose(model, found.own[1:], (1,))
    assert seen.z_l1[1] == pytest.approx(np.abs(second.z_mean[0] - found.z_mean[1]).mean(), abs=1e-6)
    assert seen.s_agreement[1] == pytest.approx((second.s[0] == found.s[1]).all(0).mean())
    untouched = cycle(model, replace(found, own=found.images))
    assert untouched.z_l1 == pytest.approx([0, 0], abs=1e-2)  # one image at a time rounds otherwise than two
    assert (untouched.s_agreement > 0.95).all()
