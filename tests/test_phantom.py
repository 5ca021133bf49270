"""The phantom is deterministic, obeys the signal equations and knows its truth."""

import hashlib
import json
import math

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from dafnet_core.data import phantom
from dafnet_core.data.phantom import CINE, LGE, TISSUES, generate


def same(first, second):
    arrays = ("images", "masks", "displacement", "tissue")
    return all(np.array_equal(getattr(first, name), getattr(second, name)) for name in arrays)


def dice(truth, other):
    """Mean over the classes that the truth has."""
    scores = [
        2 * np.sum((truth == label) & (other == label)) / (np.sum(truth == label) + np.sum(other == label))
        for label in (1, 2, 3)
        if np.any(truth == label)
    ]
    return float(np.mean(scores))


def nearest(labels, sampling):
    columns, rows = (np.clip(np.rint(sampling[..., axis]), 0, len(labels) - 1).astype(int) for axis in (0, 1))
    return labels[rows, columns]


def signal_of(pair, modality, tissue):
    """Mean signal well inside a tissue of the reference, in images without motion."""
    return float(pair.images[modality][pair.tissue == TISSUES.index(tissue)].mean())


@pytest.fixture
def motionless(monkeypatch):
    monkeypatch.setattr(phantom, "DEFORMATION_MM", 0.0)
    monkeypatch.setattr(phantom, "BREATHING_MM", (0.0, 0.0))


@pytest.fixture(scope="module")
def cohort():
    """Six subjects of eight slices at 96 x 96."""
    return [[generate(11, subject, k, size=96) for k in range(phantom.SLICES)] for subject in range(6)]


@pytest.fixture(scope="module")
def beating():
    """Three subjects of eight slices at 96 x 96 over 20 phases."""
    return [[generate(11, subject, k, size=96, phases=20) for k in range(phantom.SLICES)] for subject in range(3)]


def areas(pairs):
    """Pixels of each class at each phase, over all slices: (P, 4)."""
    return np.stack([[np.sum(pair.frame_masks == label, axis=(1, 2)) for label in range(4)] for pair in pairs]).sum(0).T


# --- interface ----------------------------------------------------------------------------------------------


def test_names_are_the_ones_that_data_sets_use():
    assert phantom.MODALITIES == ("cine", "LGE")
    assert phantom.CLASSES == ("background", "LV blood pool", "myocardium", "RV blood pool")
    assert set(phantom.KNOBS) == set(phantom.DIFFICULTIES)


def test_the_same_call_gives_the_same_bits_even_after_the_caches_are_emptied():
    first = generate(5, 2, 3, size=64)
    phantom.draw_anatomy.cache_clear()
    phantom.draw_sequence.cache_clear()
    second = generate(5, 2, 3, size=64)
    assert same(first, second)
    assert first.parameters == second.parameters


@pytest.mark.parametrize("other", [(6, 2, 3), (5, 3, 3), (5, 2, 4)])
def test_another_seed_subject_or_slice_is_another_image(other):
    first, second = generate(5, 2, 3, size=64), generate(*other, size=64)
    assert not np.array_equal(first.images, second.images)
    assert not np.array_equal(first.masks, second.masks)
    assert not np.array_equal(first.displacement, second.displacement)


def test_shapes_types_and_ranges():
    pair = generate(0, 0, 2, size=96)
    assert (pair.images.shape, pair.images.dtype) == ((2, 96, 96), np.float32)
    assert (pair.masks.shape, pair.masks.dtype) == ((2, 96, 96), np.uint8)
    assert (pair.displacement.shape, pair.displacement.dtype) == ((2, 96, 96, 2), np.float32)
    assert (pair.tissue.shape, pair.tissue.dtype) == ((96, 96), np.uint8)
    assert pair.spacing == pytest.approx(200 / 96)
    assert pair.images.min() >= 0
    assert np.isfinite(pair.images).all()
    assert set(np.unique(pair.masks)) == {0, 1, 2, 3}
    assert pair.tissue.max() < len(TISSUES)
    assert pair.sampling(0, 1).shape == (96, 96, 2)


def test_parameters_survive_json_and_name_what_made_the_pair():
    parameters = json.loads(json.dumps(generate(7, 1, 2, size=32, difficulty="hard").parameters))
    named = {key: parameters[key] for key in ("version", "seed", "subject", "slice", "difficulty")}
    assert named == {"version": phantom.VERSION, "seed": 7, "subject": 1, "slice": 2, "difficulty": "hard"}
    assert parameters["sequence"]["inversion_ms"] > 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: generate(0, 0, 0, size=100), "size is 100; expected a multiple of 16, at least 32"),
        (lambda: generate(0, 0, 0, size=16), "size is 16"),
        (lambda: generate(0, 0, 8), "slice_index is 8; expected 0 to 7"),
        (lambda: generate(0, 0, -1), "slice_index is -1"),
        (lambda: generate(0, 0, 0, slices=0), "slices is 0"),
        (lambda: generate(-1, 0, 0), "seed is -1; expected 0 or more"),
        (lambda: generate(0, -2, 0), "subject is -2"),
        (lambda: generate(0, 0, 0, difficulty="easy"), "'easy'; expected one of standard, hard"),
        (lambda: generate(0, 0, 0, phases=0), "phases is 0; expected 1 or more"),
        (lambda: generate(0, 0, 0, phases=-3), "phases is -3"),
    ],
)
def test_bad_arguments_are_named_with_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- signals ------------------------------------------------------------------------------------------------


def test_bssfp_matches_a_hand_computed_value_and_its_short_tr_limit():
    # 90 degrees, TR = T1 ln 2 = T2 ln 4: E1 = 1/2, E2 = 1/4, so (1 - 1/2) / (1 - 1/8) * 1/2 = 2/7.
    assert phantom.bssfp_signal(1.0, 1000.0, 500.0, math.pi / 2, 1000 * math.log(2)) == pytest.approx(2 / 7)
    # TR << T2: sin(a) / (1 + cos(a) + (1 - cos(a)) T1 / T2)
    a = math.radians(50)
    limit = 0.8 * math.sin(a) / (1 + math.cos(a) + (1 - math.cos(a)) * 1000 / 50)
    assert phantom.bssfp_signal(0.8, 1000.0, 50.0, a, 1e-3) == pytest.approx(limit, rel=1e-4)


def test_inversion_recovery_matches_hand_computed_values_and_is_signed():
    t1 = 400.0
    late = 40 * t1  # a repetition so long that its term vanishes
    assert phantom.inversion_recovery_signal(2.0, t1, 0.0, late) == pytest.approx(-2.0)
    assert phantom.inversion_recovery_signal(1.0, t1, t1 * math.log(4), late) == pytest.approx(0.5)
    # TR = T1 ln 4 adds 1/4.
    assert phantom.inversion_recovery_signal(1.0, t1, t1 * math.log(2), t1 * math.log(4)) == pytest.approx(0.25)


def test_nulling_time_gives_no_signal():
    null = phantom.nulling_time(470.0, 1800.0)
    assert phantom.inversion_recovery_signal(1.0, 470.0, null, 1800.0) == pytest.approx(0.0, abs=1e-12)


def test_magnitude_noise_is_rician():
    rng = np.random.default_rng(0)
    background = phantom.rician_magnitude(np.zeros((200, 200), dtype=np.float32), 7.0, rng)
    # Rayleigh: mean sigma sqrt(pi / 2), its standard error over 40,000 pixels is 0.02
    assert background.mean() == pytest.approx(7 * math.sqrt(math.pi / 2), abs=0.1)
    strong = phantom.rician_magnitude(np.full((200, 200), -400, dtype=np.float32), 7.0, rng)
    assert strong.mean() == pytest.approx(400, abs=0.5)
    assert strong.std() == pytest.approx(7, rel=0.05)


def test_air_in_an_image_has_the_noise_of_its_parameters():
    pair = generate(2, 0, 0, size=128)
    sigma = pair.parameters["sequence"]["noise"][LGE]
    corner = pair.images[LGE, :8, :8]
    assert pair.tissue[:8, :8].max() == TISSUES.index("air")
    assert corner.mean() == pytest.approx(sigma * math.sqrt(math.pi / 2), rel=0.25)  # 64 pixels: 6.5 % each way


def test_partial_volume_of_opposite_signs_is_darker_than_both():
    x = np.tile(np.linspace(-10, 10, 81, dtype=np.float32), (4, 1))
    shapes = [("myocardium", np.full_like(x, -100)), ("scar", x)]
    signals = np.zeros(len(TISSUES), dtype=np.float32)
    signals[TISSUES.index("myocardium")], signals[TISSUES.index("scar")] = -100, 100
    signal = phantom._paint(shapes, signals, 2.0, np.zeros_like(x))
    magnitude = np.abs(signal[0])
    assert magnitude[0] == magnitude[-1] == pytest.approx(100)
    assert magnitude[40] == pytest.approx(0, abs=1e-4)


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
def test_cine_has_bright_blood_and_fat_and_dark_lung_at_both_difficulties():
    for difficulty in phantom.DIFFICULTIES:
        pair = generate(0, 1, 3, difficulty=difficulty)
        blood, muscle = signal_of(pair, CINE, "LV blood"), signal_of(pair, CINE, "myocardium")
        assert blood > 1.8 * muscle
        assert signal_of(pair, CINE, "subcutaneous fat") > 1.8 * muscle
        assert signal_of(pair, CINE, "lung") < 0.5 * muscle


def test_hard_changes_lge_and_scar_but_neither_masks_nor_motion_nor_remote_cine():
    scar = TISSUES.index("scar")
    for subject in range(4):
        standard, hard = (generate(3, subject, 4, size=96, difficulty=d) for d in phantom.DIFFICULTIES)
        assert np.array_equal(standard.masks, hard.masks)
        assert np.array_equal(standard.displacement, hard.displacement)
        elsewhere = (standard.tissue != scar) & (hard.tissue != scar)
        assert np.array_equal(standard.tissue[elsewhere], hard.tissue[elsewhere])
        assert standard.parameters["sequence"]["t1_ms"] == hard.parameters["sequence"]["t1_ms"]
        assert not np.array_equal(standard.images[LGE], hard.images[LGE])


# --- truth --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("motionless")
def test_without_motion_both_masks_are_the_classes_of_the_tissue_map():
    for subject in range(6):
        pair = generate(0, subject, 3, difficulty="hard")
        for mask in pair.masks:
            assert np.array_equal(mask, phantom.CLASS_OF_TISSUE[pair.tissue])


def test_papillary_muscles_are_blood_pool_and_scar_is_myocardium():
    classes = dict(zip(TISSUES, phantom.CLASS_OF_TISSUE, strict=True))
    assert classes["papillary muscle"] == classes["LV blood"] == 1
    assert classes["scar"] == classes["myocardium"] == 2
    assert classes["RV blood"] == 3
    assert {name for name, label in classes.items() if label} == {
        "LV blood",
        "papillary muscle",
        "myocardium",
        "scar",
        "RV blood",
    }


def test_masks_are_the_tissue_map_seen_through_the_displacement():
    pair = generate(0, 4, 3)
    rows, columns = np.indices(pair.tissue.shape)
    for modality in (CINE, LGE):
        reference = nearest(
            phantom.CLASS_OF_TISSUE[pair.tissue], np.stack([columns, rows], -1) + pair.displacement[modality]
        )
        assert dice(pair.masks[modality], reference) > 0.93  # nearest neighbour moves edges by half a pixel


def test_every_slice_has_a_left_ventricle_and_the_right_one_ends_before_the_apex(cohort):
    for slices in cohort:
        areas = np.array([[np.sum(pair.masks[CINE] == label) for label in range(4)] for pair in slices])
        assert areas[:, 1].min() > 30
        assert areas[:, 2].min() > 60
        assert areas[0, 3] > areas[4, 3] > areas[7, 3]
        assert areas[0, 1] > 2 * areas[7, 1]
        assert areas[7, 3] < 20


def test_papillary_muscles_are_seen_at_mid_level_only(cohort):
    papillary = TISSUES.index("papillary muscle")
    for slices in cohort:
        assert not np.any(slices[0].tissue == papillary)
        assert np.any(slices[3].tissue == papillary)
        assert not np.any(slices[7].tissue == papillary)


def test_copying_the_other_mask_scores_0_65_to_0_75_and_the_true_sampling_over_0_9(cohort):
    copied, sampled = [], []
    for slices in cohort:
        for pair in slices:
            for fixed, moving in ((CINE, LGE), (LGE, CINE)):
                copied.append(dice(pair.masks[fixed], pair.masks[moving]))
                moved = nearest(pair.masks[moving], pair.sampling(fixed, moving))
                sampled.append(dice(pair.masks[fixed], moved))
    assert 0.65 < np.mean(copied) < 0.75
    assert np.mean(sampled) > 0.9


def test_sampling_solves_its_equation_and_its_two_directions_undo_each_other():
    pair = generate(1, 2, 3, size=64)
    rows, columns = np.indices((64, 64))
    here = np.stack([columns, rows], -1)
    there = pair.sampling(0, 1)
    where = [there[..., 1], there[..., 0]]
    returned = pair.sampling(1, 0)
    back = np.stack([ndimage.map_coordinates(returned[..., axis], where, order=1) for axis in (0, 1)], -1)
    inner = (slice(12, -12), slice(12, -12))
    assert np.abs(back - here)[inner].max() < 0.05  # linear interpolation between pixels
    assert np.abs(pair.sampling(0, 0) - here)[inner].max() < 1e-3


def test_motion_is_drawn_alike_for_both_modalities_and_never_folds():
    fields = np.stack([generate(4, s, k, size=32).displacement for s in range(20) for k in (0, 3, 6)])
    spread = fields.std(axis=(0, 2, 3, 4))
    assert spread[0] == pytest.approx(spread[1], rel=0.15)
    steps = np.abs(np.diff(fields, axis=2)).max(), np.abs(np.diff(fields, axis=3)).max()
    assert max(steps) < 0.6  # under 1 pixel a pixel: the fixed-point iteration converges


def test_a_5x5_spline_follows_the_relative_displacement(cohort):
    basis = spline_basis(96)
    rows, columns = np.indices((96, 96))
    before, after = [], []
    for slices in cohort:
        for pair in slices[::3]:
            shift = (pair.sampling(0, 1) - np.stack([columns, rows], -1)).reshape(-1, 2)
            fit = basis @ np.linalg.lstsq(basis, shift, rcond=None)[0]
            before.append(np.linalg.norm(shift, axis=1).mean())
            after.append(np.linalg.norm(shift - fit, axis=1).mean())
    assert 2.0 < np.mean(before) < 4.0
    assert np.mean(after) < 0.4


def spline_basis(size):
    """Thin-plate spline through 5 x 5 control points on [-1, 1]: (size * size, 25), values to pixels."""
    knots = np.stack(np.meshgrid(*2 * [np.linspace(-1, 1, 5)]), -1).reshape(-1, 2)
    pixels = np.stack(np.meshgrid(*2 * [(np.arange(size) + 0.5) / size * 2 - 1]), -1).reshape(-1, 2)

    def kernel(points):
        squared = ((points[:, None] - knots) ** 2).sum(-1)
        bending = squared * np.log(np.maximum(squared, 1e-12))
        return np.hstack([bending, np.ones((len(points), 1)), points])

    affine = np.hstack([np.ones((25, 1)), knots])
    system = np.vstack([kernel(knots), np.hstack([affine.T, np.zeros((3, 3))])])
    return kernel(pixels) @ np.linalg.inv(system)[:, :25]


def test_a_subject_is_the_same_anatomy_at_every_size():
    for subject in range(4):
        coarse, fine = generate(8, subject, 2, size=64), generate(8, subject, 2, size=128)
        assert coarse.parameters == fine.parameters
        assert dice(coarse.masks[CINE], fine.masks[CINE, ::2, ::2]) > 0.85
        # (x, y) in pixels: the same in mm. Compared at neighbouring, not equal, pixel centres.
        shift = coarse.displacement * coarse.spacing - fine.displacement[:, ::2, ::2] * fine.spacing
        assert np.abs(shift).max() < 1.0


# --- the heart's cycle --------------------------------------------------------------------------------------


# What version 1 gave before a cine had phases: (seed, subject, slice, size, slices, difficulty), digest of all arrays
# and parameters, mean of the cine, mean of the LGE, pixels of the heart in both.
BEFORE = [
    ((0, 0, 0, 128, 8, "standard"), "3d948fc40c16963b", 77.759, 78.093, 4163),
    ((11, 3, 4, 96, 8, "standard"), "7e6870dc572d28ba", 62.515, 73.514, 2418),
    ((5, 2, 3, 64, 8, "hard"), "b92e823955f4ed56", 81.823, 51.513, 996),
    ((9000, 7, 7, 128, 8, "hard"), "dd107fa8ba266832", 56.330, 93.017, 1567),
    ((3, 1, 2, 64, 4, "hard"), "858195ac7d3b8e62", 69.067, 62.519, 773),
    ((8, 2, 5, 160, 12, "standard"), "d28fd553df73e0ae", 61.883, 81.978, 6205),
    ((0, 4, 0, 32, 1, "standard"), "78b88e9e81da77d0", 61.625, 50.844, 284),
]


ARITHMETIC = "7b444a66e59bffbc"  # of the machine that the digests come from


def arithmetic():
    """Digest of what numpy makes of elementary functions: their last bits depend on version and processor."""
    a = np.linspace(-3, 3, 1001, dtype=np.float32)
    b = np.cos(a[:800])
    single, double = (np.sin, np.cos, np.exp), a.astype(float)
    values = [f(x) for f in single for x in (a, double)] + [np.arctan2(a, a[::-1])]
    values += [b.reshape(100, 8) @ np.sin(b[:64]).reshape(8, 8) @ b.reshape(8, 100)]
    values += [np.random.default_rng(0).standard_normal(1000)]
    return hashlib.sha256(b"".join(value.tobytes() for value in values)).hexdigest()[:16]


@pytest.mark.parametrize(("call", "digest", "cine", "lge", "heart"), BEFORE)
def test_one_phase_gives_what_there_was_before_phases(call, digest, cine, lge, heart):
    seed, subject, position, size, slices, difficulty = call
    pair = generate(seed, subject, position, size=size, slices=slices, difficulty=difficulty)
    assert pair.images.mean(axis=(1, 2)) == pytest.approx([cine, lge], rel=1e-4)
    assert np.sum(pair.masks > 0) == pytest.approx(heart, abs=2)
    if arithmetic() != ARITHMETIC:
        pytest.skip("the values are those of before; this machine rounds otherwise, so their bits cannot be compared")
    found = hashlib.sha256()
    for name in ("images", "masks", "displacement", "tissue"):
        found.update(getattr(pair, name).tobytes())
    found.update(json.dumps(pair.parameters).encode())
    assert found.hexdigest()[:16] == digest


@pytest.mark.parametrize("phases", [1, 2, 5])
def test_the_first_phase_is_the_pair_however_many_there_are(phases):
    one, many = generate(5, 2, 3, size=64), generate(5, 2, 3, size=64, phases=phases)
    assert same(one, many)
    assert (many.frames.shape, many.frames.dtype) == ((phases, 64, 64), np.float32)
    assert (many.frame_masks.shape, many.frame_masks.dtype) == ((phases, 64, 64), np.uint8)
    assert np.array_equal(many.frames[0], one.images[CINE])
    assert np.array_equal(many.frame_masks[0], one.masks[CINE])
    rest = {key: value for key, value in many.parameters.items() if key != "cycle"}
    assert rest == one.parameters


def test_phases_are_the_same_again_and_at_the_same_position_in_any_number_of_them():
    first, second = (generate(5, 2, 3, size=64, phases=4) for _ in range(2))
    finer = generate(5, 2, 3, size=64, phases=8)
    assert np.array_equal(first.frames, second.frames)
    assert np.array_equal(first.frame_masks, second.frame_masks)
    assert np.array_equal(first.frame_masks, finer.frame_masks[::2])


def test_the_volume_curve_starts_full_empties_at_end_systole_and_returns_without_a_jump():
    for subject in range(20):
        beat = phantom.draw_beat(0, subject)
        assert 0.45 <= beat.ejection_fraction <= 0.70
        assert 0.35 <= beat.end_systole <= 0.40
        assert beat.lv_volume(0.0) == beat.lv_volume(1.0) == 1.0
        assert beat.lv_volume(beat.end_systole) == pytest.approx(1 - beat.ejection_fraction)
        curve = np.array([beat.lv_volume(position) for position in np.linspace(0, 1, 1001)])
        assert curve.min() == pytest.approx(1 - beat.ejection_fraction, abs=1e-4)
        assert np.abs(np.diff(curve)).max() < 0.005  # per thousandth of the cycle
        assert np.abs(np.diff(curve, 2)).max() < 1e-4  # nor does its slope jump
        # Before the atria contract the ventricle has 80 % of what it will be filled with.
        assert curve[800] == pytest.approx(1 - 0.2 * beat.ejection_fraction)


def test_the_left_ventricle_empties_by_the_drawn_ejection_fraction_and_fills_again(beating):
    drawn, seen = [], []
    for pairs in beating:
        cycle = pairs[0].parameters["cycle"]
        volume = areas(pairs)[:, 1] / areas(pairs)[0, 1]
        assert 0.25 <= volume.argmin() / 20 <= 0.5
        assert np.all(np.diff(volume[: volume.argmin() + 1]) < 0)
        assert volume[-1] > 0.9
        # One volume is 4,000 pixels and more, its outline jagged: a point or two.
        assert volume == pytest.approx(cycle["lv_volume"], abs=0.02)
        drawn.append(cycle["beat"]["ejection_fraction"])
        seen.append(1 - volume.min())
    assert seen == pytest.approx(drawn, abs=0.03)  # 20 phases pass end systole by up to a fortieth of the cycle
    assert len({round(value, 3) for value in drawn}) == len(drawn)


def test_the_wall_thickens_and_keeps_its_area_in_every_slice(beating):
    for pairs in beating:
        systole = areas(pairs)[:, 1].argmin()
        for pair in pairs:
            rest, tight = (pair.frame_masks[phase] for phase in (0, systole))
            assert np.sum(tight == 2) == pytest.approx(np.sum(rest == 2), rel=0.12)
            # A wall's thickness is about twice the mean depth of its pixels.
            rest_depth, tight_depth = (
                ndimage.distance_transform_edt(mask == 2)[mask == 2].mean() for mask in (rest, tight)
            )
            assert tight_depth > 1.15 * rest_depth


def test_the_right_ventricle_empties_with_the_left_one(beating):
    for pairs in beating:
        _, left, _, right = areas(pairs).T
        assert abs(int(right.argmin()) - int(left.argmin())) <= 1
        assert 0.35 < 1 - right.min() / right[0] < 0.7


def test_without_noise_only_the_heart_and_its_fat_differ_between_phases(monkeypatch):
    monkeypatch.setattr(phantom, "rician_magnitude", lambda signal, sigma, rng: np.abs(signal))
    for subject, position in ((0, 1), (1, 3), (2, 6)):
        pair = generate(11, subject, position, size=96, phases=8)
        away = ndimage.distance_transform_edt(pair.masks[CINE] == 0) * pair.spacing
        # Right wall 3 mm, fat up to 8 mm, half a blurred edge 1.3 mm; the heart is largest in the first phase.
        around = pair.frames[:, away > 14]
        assert around.shape[1] > 0.5 * away.size
        assert np.array_equal(around, np.broadcast_to(around[0], around.shape))
        thicker = (pair.frame_masks[0] == 1) & (pair.frame_masks[3] == 2)
        assert pair.frames[3, thicker].mean() < 0.75 * pair.frames[0, thicker].mean()  # blood, then wall


def test_every_phase_has_noise_of_its_own_and_of_the_same_strength():
    pair = generate(2, 0, 0, size=128, phases=3)
    air = pair.frames[:, :16, :16].reshape(3, -1)  # 256 pixels
    assert pair.tissue[:16, :16].max() == TISSUES.index("air")
    off_diagonal = np.corrcoef(air)[~np.eye(3, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.25  # four standard errors
    sigma = pair.parameters["sequence"]["noise"][CINE]
    assert air.mean(axis=1) == pytest.approx(3 * [sigma * math.sqrt(math.pi / 2)], rel=0.13)


# --- command line -------------------------------------------------------------------------------------------


def test_command_line_writes_an_nnunet_folder_with_a_mask_per_modality(tmp_path):
    out = tmp_path / "data"
    arguments = [
        str(out),
        "--subjects",
        "2",
        "--seed",
        "3",
        "--size",
        "64",
        "--slices",
        "4",
        "--difficulty",
        "hard",
    ]
    assert phantom.main(arguments) == 0
    description = json.loads((out / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "cine", "1": "LGE"}
    assert description["labels"] == {name: i for i, name in enumerate(phantom.CLASSES)}
    assert (description["numTraining"], description["file_ending"]) == (2, ".nii.gz")
    assert description["labels_per_modality"] is True
    assert (description["generator_version"], description["seed"]) == (phantom.VERSION, 3)
    assert description["difficulty"] == "hard"
    names = {f"phantom_s3_{subject:04d}_000{i}.nii.gz" for subject in range(2) for i in range(2)}
    for folder in ("imagesTr", "labelsTr"):
        assert {path.name for path in (out / folder).iterdir()} == names
    image = nibabel.load(out / "imagesTr" / "phantom_s3_0001_0001.nii.gz")
    labels = nibabel.load(out / "labelsTr" / "phantom_s3_0001_0001.nii.gz")
    assert np.array_equal(image.affine, np.diag([-3.125, -3.125, 9.0, 1.0]))
    assert nibabel.aff2axcodes(image.affine) == ("L", "P", "S")
    assert np.array_equal(labels.affine, image.affine)
    pair = generate(3, 1, 2, size=64, slices=4, difficulty="hard")
    assert np.array_equal(np.asarray(image.dataobj)[..., 2].T, pair.images[LGE])
    assert np.array_equal(np.asarray(labels.dataobj)[..., 2].T, pair.masks[LGE])


def test_phases_are_the_fourth_axis_of_the_cine_alone(tmp_path):
    out = tmp_path / "data"
    arguments = [str(out), "--subjects", "1", "--seed", "3", "--size", "32", "--slices", "2", "--phases", "5"]
    assert phantom.main(arguments) == 0
    cine, lge, mask = (
        nibabel.load(out / folder / f"phantom_s3_0000_000{i}.nii.gz")
        for folder, i in (("imagesTr", 0), ("imagesTr", 1), ("labelsTr", 0))
    )
    assert (cine.shape, lge.shape, mask.shape) == ((32, 32, 2, 5), (32, 32, 2), (32, 32, 2))
    assert np.array_equal(cine.affine, lge.affine)
    assert cine.header.get_xyzt_units() == ("mm", "msec")
    pair = generate(3, 0, 1, size=32, slices=2, phases=5)
    heartbeat = pair.parameters["sequence"]["lge_tr_ms"] / 2
    assert cine.header.get_zooms()[3] == pytest.approx(heartbeat / 5)
    assert np.array_equal(np.asarray(cine.dataobj)[:, :, 1], pair.frames.T)
    assert np.array_equal(np.asarray(lge.dataobj)[:, :, 1].T, pair.images[LGE])
    assert np.array_equal(np.asarray(mask.dataobj)[:, :, 1].T, pair.frame_masks[0])
    assert json.loads((out / "dataset.json").read_text())["phases"] == {"cine": 5}


def test_command_line_writes_the_same_bytes_again(tmp_path):
    for name in ("first", "second"):
        assert phantom.main([str(tmp_path / name), "--subjects", "1", "--seed", "0", "--size", "32"]) == 0
    written = [sorted((tmp_path / name).rglob("*.*")) for name in ("first", "second")]
    assert [p.read_bytes() for p in written[0]] == [p.read_bytes() for p in written[1]]


def test_command_line_refuses_a_folder_with_something_in_it(tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    assert phantom.main([str(tmp_path), "--subjects", "1", "--seed", "0"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "not an empty folder" in error
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_command_line_refuses_bad_numbers_before_writing(tmp_path, capsys):
    out = tmp_path / "data"
    assert phantom.main([str(out), "--subjects", "0", "--seed", "0"]) == 2
    assert phantom.main([str(out), "--subjects", "1", "--seed", "0", "--size", "50"]) == 2
    assert phantom.main([str(out), "--subjects", "1", "--seed", "0", "--phases", "0"]) == 2
    error = capsys.readouterr().err
    assert "subjects is 0" in error
    assert "phases is 0; expected 1 or more" in error
    assert not out.exists()
