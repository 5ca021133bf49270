"""The heart's shapes from base to apex, and the class of each tissue."""

import numpy as np

from dafnet_core.data.phantom import CINE, CLASS_OF_TISSUE, TISSUES


def test_papillary_muscles_are_blood_pool_and_scar_is_myocardium():
    classes = dict(zip(TISSUES, CLASS_OF_TISSUE, strict=True))
    assert classes["papillary muscle"] == classes["LV blood"] == 1
    assert classes["scar"] == classes["myocardium"] == 2
    assert classes["RV blood"] == 3
    assert {name for name, label in classes.items() if label} == {
        "LV blood",
        "papillary muscle",
        "myocardium",
        "scar",
        "RV blood",
        "RV trabecula",
        "microvascular obstruction",
    }


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
