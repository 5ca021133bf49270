"""The wide phantom: deterministic, true, and as varied as it says."""

import json
import math

import numpy as np
import pytest
from phantom_measures import areas, dice, nearest, same
from scipy import ndimage

from dafnet_core.data import phantom
from dafnet_core.data.phantom import CINE, LGE, TISSUES, generate, known_factors, wide_draw
from dafnet_core.data.phantom.artefacts import draw_artefacts
from dafnet_core.data.phantom.difficulty import KNOBS, VERSIONS
from dafnet_core.data.phantom.source import Phantom
from dafnet_core.data.phantom.study import PhantomStudy
from dafnet_core.data.phantom.wide_anatomy import View

SUBJECTS = range(60)


@pytest.fixture(scope="session")
def wide():
    """Sixty subjects, each in one slice from base to apex, at 64 x 64."""
    return [generate(21, s, s % phantom.SLICES, size=64, difficulty="wide") for s in SUBJECTS]


@pytest.fixture(scope="session")
def whole():
    """Six subjects of eight slices at 96 x 96."""
    return [[generate(21, s, k, size=96, difficulty="wide") for k in range(phantom.SLICES)] for s in range(6)]


def test_the_same_call_gives_the_same_bits_even_after_the_caches_are_emptied():
    first = generate(5, 2, 3, size=64, difficulty="wide")
    for draw in (wide_draw.draw_wide_anatomy, wide_draw.draw_view, wide_draw.draw_wide_scar, draw_artefacts):
        draw.cache_clear()
    wide_draw.draw_wide_sequence.cache_clear()
    second = generate(5, 2, 3, size=64, difficulty="wide")
    assert same(first, second)
    assert first.parameters == second.parameters


def test_images_are_finite_and_not_negative_and_masks_are_classes(wide):
    for pair in wide:
        assert (pair.images.dtype, pair.images.shape) == (np.float32, (2, 64, 64))
        assert np.isfinite(pair.images).all()
        assert pair.images.min() >= 0
        assert pair.images.std(axis=(1, 2)).min() > 0
        assert pair.masks.max() <= 3
        assert pair.tissue.max() < len(TISSUES)
        assert np.array_equal(phantom.CLASS_OF_TISSUE[pair.tissues], pair.masks)


def test_masks_are_the_tissue_map_seen_through_the_displacement(whole):
    rows, columns = np.indices((96, 96))
    scores = []
    for slices in whole:
        for pair in slices:
            for modality in (CINE, LGE):
                where = np.stack([columns, rows], -1) + pair.displacement[modality]
                scores.append(dice(nearest(phantom.CLASS_OF_TISSUE[pair.tissue], where), pair.masks[modality]))
    assert np.mean(scores) > 0.93  # nearest neighbour moves edges by half a pixel


def test_the_true_sampling_moves_one_mask_onto_the_other(whole):
    copied, sampled = [], []
    for slices in whole:
        for pair in slices[:6]:
            copied.append(dice(pair.masks[CINE], pair.masks[LGE]))
            sampled.append(dice(pair.masks[CINE], nearest(pair.masks[LGE], pair.sampling(CINE, LGE))))
    assert np.mean(sampled) > 0.9
    assert 0.5 < np.mean(copied) < np.mean(sampled) - 0.05


@pytest.mark.usefixtures("motionless")
def test_without_motion_both_masks_are_the_classes_of_the_tissue_map():
    for subject in range(4):
        pair = generate(0, subject, 3, size=64, difficulty="wide")
        assert np.array_equal(pair.masks[CINE], phantom.CLASS_OF_TISSUE[pair.tissue])
        assert np.array_equal(pair.masks[LGE], pair.masks[CINE])


def test_displacements_never_fold(wide):
    steps = [np.abs(np.diff(pair.displacement, axis=axis)).max() for pair in wide for axis in (1, 2)]
    assert max(steps) < 0.6  # under 1 pixel a pixel: the fixed-point iteration converges


def test_every_variation_occurs_and_stays_in_its_range(wide):
    drawn = [pair.parameters for pair in wide]

    def spread(values, low, high, share=0.6):
        values = np.array(values)
        assert low <= values.min()
        assert values.max() <= high
        assert np.ptp(values) > share * (high - low)

    spread([p["anatomy"]["radius"] for p in drawn], *wide_draw.RADIUS)
    spread([p["anatomy"]["wall"] for p in drawn], *wide_draw.WALL)
    spread([p["view"]["field_of_view"] for p in drawn], *wide_draw.FIELD_OF_VIEW)
    spread([p["view"]["rotation"] for p in drawn], -wide_draw.ROTATION, wide_draw.ROTATION)
    for axis in (0, 1):
        spread([p["view"]["place"][axis] for p in drawn], -wide_draw.PLACE, wide_draw.PLACE)
    spread([p["anatomy"]["rv_depth"] for p in drawn], 10, 44)
    spread([p["anatomy"]["rv_end"] for p in drawn], 0.6, 1.15)
    for modality, noise in enumerate((wide_draw.CINE_NOISE, KNOBS["wide"].noise)):
        spread([p["sequence"]["noise"][modality] for p in drawn], *noise)
    late = [p["sequence"]["inversion_ms"] / p["sequence"]["nulling_ms"] for p in drawn]
    spread(late, 0.7, 1.61)
    assert 0.3 < np.mean(np.abs(np.array(late) - 1) < 0.13) < 0.85  # and many are as they should be
    scars = [p["scar"] for p in drawn if p["scar"]]
    assert 0.4 < len(scars) / len(drawn) < 0.8
    assert any(len(scar["patches"]) > 1 for scar in scars)
    assert any(scar["obstruction"] > 0 for scar in scars)
    assert any(scar["layer"] > 0 for scar in scars)
    cine, lge = zip(*(p["artefacts"] for p in drawn), strict=True)
    for many in ([a["ghost"] for a in cine], [a["band_depth"] for a in cine], [a["offset"] for a in lge]):
        assert 0.1 < np.mean(np.array(many) > 0) < 0.7
    contents = {p["anatomy"]["surroundings"]["stomach_content"] for p in drawn}
    assert contents == {"fluid", "food", "air"}


def test_tissues_that_the_narrow_phantom_lacks_are_seen(wide):
    seen = {TISSUES[index] for pair in wide for index in np.unique(pair.tissue)}
    assert {"fluid", "food", "RV trabecula", "microvascular obstruction", "scar", "air", "liver", "spleen"} <= seen


def test_areas_of_the_classes_are_those_of_hearts(whole, wide):
    for slices in whole:
        area = np.array([[np.sum(pair.masks[CINE] == label) for label in range(4)] for pair in slices])
        area = area * slices[0].spacing ** 2 / 100  # square cm
        assert 4 < area[:, 1].max() < 48
        assert 3 < area[:, 2].max() < 60
        assert area[0, 1] > area[7, 1]
        assert np.mean(area[:, 1:3].min(axis=1) > 0) > 0.8  # most slices have cavity and wall
        assert area[2, 3] > 0
        assert area[0, 3] + area[1, 3] > area[6, 3] + area[7, 3]
    assert np.mean([np.any(pair.masks[CINE] == 3) for pair in wide]) < 1  # some apical slices have no right ventricle
    border = [np.mean((pair.masks[CINE][[0, -1]] == 1) | (pair.masks[CINE][:, [0, -1]].T == 1)) for pair in wide]
    assert max(border) == 0  # no left ventricle is cut off


def test_a_subject_is_the_same_anatomy_at_every_size_and_its_spacing_is_its_own():
    spacings = set()
    for subject in range(4):
        coarse, fine = (generate(8, subject, 2, size=size, difficulty="wide") for size in (64, 128))
        assert coarse.parameters == fine.parameters
        assert coarse.spacing == pytest.approx(2 * fine.spacing)
        assert fine.spacing == pytest.approx(fine.parameters["view"]["field_of_view"] / 128)
        assert dice(coarse.masks[CINE], fine.masks[CINE, ::2, ::2]) > 0.8
        spacings.add(fine.spacing)
    assert len(spacings) == 4


def test_the_left_ventricle_empties_by_the_drawn_ejection_fraction():
    pairs = [generate(11, 1, k, size=96, difficulty="wide", phases=6) for k in range(phantom.SLICES)]
    volume = areas(pairs)[:, 1] / areas(pairs)[0, 1]
    assert volume == pytest.approx(pairs[0].parameters["cycle"]["lv_volume"], abs=0.04)
    one = generate(11, 1, 3, size=96, difficulty="wide")
    assert same(one, pairs[3])
    assert np.array_equal(pairs[3].frames[0], one.images[CINE])


def test_a_view_turns_clockwise_about_the_heart_and_leaves_the_narrow_phantom_alone():
    x, y = np.array([13.0]), np.array([7.0])
    assert View().to_anatomy(x, y)[0] is x
    view = View(rotation=math.pi / 2, place=(10.0, 5.0), pivot=(1.0, 2.0))
    # Down from the heart in the image, after a quarter turn clockwise, is what lay to the right of it.
    turned = view.to_anatomy(np.array([10.0]), np.array([8.0]))
    assert np.ravel(turned) == pytest.approx([4.0, 2.0])


def test_parameters_and_known_factors_survive_json():
    pair = generate(7, 1, 2, size=32, difficulty="wide", phases=2)
    parameters = json.loads(json.dumps(pair.parameters))
    assert parameters["version"] == VERSIONS["wide"] == 2
    factors = json.loads(json.dumps(known_factors(7, 1, 2, "wide")))
    assert set(known_factors(7, 1, 2, "hard")) < set(factors)
    assert factors["field of view (mm)"] == parameters["view"]["field_of_view"]
    assert all(isinstance(value, bool | float) for value in factors.values())


def test_a_study_knows_the_displacements_and_truth_of_its_pairs():
    study = PhantomStudy(3, 1, size=64, slices=4, difficulty="wide")
    pair = generate(3, 1, 2, size=64, slices=4, difficulty="wide")
    assert np.array_equal(study.displacements(2), pair.displacement)
    assert np.array_equal(study.truth(2)[0][CINE, LGE], pair.sampling(CINE, LGE))
    assert study.ground_truth(2) == known_factors(3, 1, 2, "wide")
    assert study.spacing == ((pair.spacing, pair.spacing),) * 2


def test_a_source_tells_the_version_of_its_generator():
    for difficulty, version in (("standard", 1), ("hard", 1), ("mixed", 1), ("wide", 2), ("varied", 2)):
        source = Phantom.open(f"phantom:difficulty={difficulty}")
        assert source.version == {"phantom": version}
        assert source.name == f"cardiac phantom, generator version {version}"


def test_noise_is_that_of_the_parameters_whatever_the_resolution():
    found = []
    for subject in range(30):
        pair = generate(2, subject, 0, size=128, difficulty="wide")
        artefacts = draw_artefacts(2, subject, CINE)
        air = ndimage.binary_erosion(pair.tissue == TISSUES.index("air"), iterations=12)
        if air.sum() > 900 and not artefacts.ghost:
            image = 300 * (pair.images[CINE][air] / 300) ** (1 / artefacts.gamma)
            sigma = pair.parameters["sequence"]["noise"][CINE]
            found.append(math.sqrt(np.mean(image.astype(float) ** 2) / 2) / sigma)
    assert len(found) > 2
    assert np.median(found) == pytest.approx(1, abs=0.15)


# (seed, subject, slice, size, slices), mean of the cine, mean of the LGE, pixels of the heart in both
VERSION_2 = [
    ((0, 0, 0, 128, 8), 76.354, 104.995, 1619),
    ((11, 3, 4, 96, 8), 95.873, 85.092, 3289),
    ((9000, 7, 6, 64, 8), 72.462, 100.963, 462),
]


@pytest.mark.parametrize(("call", "cine", "lge", "heart"), VERSION_2)
def test_version_2_stays_what_it_is(call, cine, lge, heart):
    seed, subject, position, size, slices = call
    pair = generate(seed, subject, position, size=size, slices=slices, difficulty="wide")
    assert pair.images.mean(axis=(1, 2)) == pytest.approx([cine, lge], rel=1e-3)
    assert np.sum(pair.masks > 0) == pytest.approx(heart, abs=3)
