"""Signals follow the sequences' equations, noise is Rician, and tissues have the contrast of cine and LGE."""

import math

import numpy as np
import pytest
from phantom_measures import signal_of

from dafnet_core.data.phantom import CINE, LGE, TISSUES, generate, signal


def test_bssfp_matches_a_hand_computed_value_and_its_short_tr_limit():
    # 90 degrees, TR = T1 ln 2 = T2 ln 4: E1 = 1/2, E2 = 1/4, so (1 - 1/2) / (1 - 1/8) * 1/2 = 2/7.
    assert signal.bssfp_signal(1.0, 1000.0, 500.0, math.pi / 2, 1000 * math.log(2)) == pytest.approx(2 / 7)
    # TR << T2: sin(a) / (1 + cos(a) + (1 - cos(a)) T1 / T2)
    a = math.radians(50)
    limit = 0.8 * math.sin(a) / (1 + math.cos(a) + (1 - math.cos(a)) * 1000 / 50)
    assert signal.bssfp_signal(0.8, 1000.0, 50.0, a, 1e-3) == pytest.approx(limit, rel=1e-4)


def test_inversion_recovery_matches_hand_computed_values_and_is_signed():
    t1 = 400.0
    late = 40 * t1  # a repetition so long that its term vanishes
    assert signal.inversion_recovery_signal(2.0, t1, 0.0, late) == pytest.approx(-2.0)
    assert signal.inversion_recovery_signal(1.0, t1, t1 * math.log(4), late) == pytest.approx(0.5)
    # TR = T1 ln 4 adds 1/4.
    assert signal.inversion_recovery_signal(1.0, t1, t1 * math.log(2), t1 * math.log(4)) == pytest.approx(0.25)


def test_nulling_time_gives_no_signal():
    null = signal.nulling_time(470.0, 1800.0)
    assert signal.inversion_recovery_signal(1.0, 470.0, null, 1800.0) == pytest.approx(0.0, abs=1e-12)


def test_magnitude_noise_is_rician():
    rng = np.random.default_rng(0)
    background = signal.rician_magnitude(np.zeros((200, 200), dtype=np.float32), 7.0, rng)
    # Rayleigh: mean sigma sqrt(pi / 2), its standard error over 40,000 pixels is 0.02
    assert background.mean() == pytest.approx(7 * math.sqrt(math.pi / 2), abs=0.1)
    strong = signal.rician_magnitude(np.full((200, 200), -400, dtype=np.float32), 7.0, rng)
    assert strong.mean() == pytest.approx(400, abs=0.5)
    assert strong.std() == pytest.approx(7, rel=0.05)


def test_air_in_an_image_has_the_noise_of_its_parameters():
    pair = generate(2, 0, 0, size=128)
    sigma = pair.parameters["sequence"]["noise"][LGE]
    corner = pair.images[LGE, :8, :8]
    assert pair.tissue[:8, :8].max() == TISSUES.index("air")
    assert corner.mean() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.25)  # 64 pixels: 6.5 % each way


@pytest.mark.usefixtures("motionless")
def test_lge_nulls_remote_myocardium_and_shows_scar_brighter_than_blood():
    scarred = 0
    for subject in range(12):
        pair = generate(0, subject, 3)
        remote, blood = signal_of(pair, LGE, "myocardium"), signal_of(pair, LGE, "LV blood")
        assert remote < 0.75 * blood
        if np.sum(pair.tissue == TISSUES.index("scar")) > 30:
            scarred += 1
            assert signal_of(pair, LGE, "scar") > 1.2 * blood
    assert scarred >= 2


@pytest.mark.usefixtures("motionless")
def test_cine_has_bright_blood_and_fat_and_dark_lung_in_standard_and_hard_data():
    for difficulty in ("standard", "hard"):
        pair = generate(0, 1, 3, difficulty=difficulty)
        blood, muscle = signal_of(pair, CINE, "LV blood"), signal_of(pair, CINE, "myocardium")
        assert blood > 1.8 * muscle
        assert signal_of(pair, CINE, "subcutaneous fat") > 1.8 * muscle
        assert signal_of(pair, CINE, "lung") < 0.5 * muscle


@pytest.mark.parametrize("difficulty", ["standard", "wide"])
def test_an_image_without_noise_has_the_same_truth_and_less_of_everything_random(difficulty):
    pairs = [generate(7, 2, 3, size=64, difficulty=difficulty, noise=noise) for noise in (True, False)]
    noisy, clean = pairs
    assert np.array_equal(noisy.tissues, clean.tissues)
    assert np.array_equal(noisy.displacement, clean.displacement)
    assert not np.array_equal(noisy.images, clean.images)
    again = generate(7, 2, 3, size=64, difficulty=difficulty, noise=False)
    assert np.array_equal(clean.images, again.images)
    for i in range(2):
        lung = clean.tissues[i] == TISSUES.index("lung")  # whose signal is small
        assert clean.images[i][lung].std() < noisy.images[i][lung].std()
