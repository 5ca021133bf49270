"""Independent random streams: each drawn quantity has its own, so that adding one leaves the others unchanged."""

from enum import IntEnum

import numpy as np

from dafnet_core.data.phantom.constants import VERSION


class Purpose(IntEnum):
    """What a stream is for. A new use takes a new number; existing numbers never change."""

    ANATOMY = 0
    SCAR = 1
    SEQUENCE = 2
    TEXTURE = 3
    DEFORMATION = 4
    BREATHING = 5
    BIAS = 6
    NOISE = 7
    BEAT = 8
    PHASE_NOISE = 9
    # Of the wide phantom alone
    VIEW = 10
    WIDE_HEART = 11
    WIDE_TORSO = 12
    WIDE_SEQUENCE = 13
    WIDE_SCAR = 14
    ARTEFACTS = 15
    SLICE_ARTEFACTS = 16


def random_stream(seed: int, subject: int, purpose: Purpose, *indices: int) -> np.random.Generator:
    """The generator of one purpose.

    Args:
        seed, subject: 0 or more.
        purpose: what is drawn.
        indices: further indices of 0 or more that it depends on, such as slice, modality and phase.
    """
    return np.random.default_rng([VERSION, seed, subject, int(purpose), *indices])
