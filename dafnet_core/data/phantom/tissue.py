"""Tissues of the phantom and their relaxation times at 1.5 T.

T1 and T2 before contrast: Stanisz et al., Magn Reson Med 2005;54:507 (blood, heart); de Bazelaire et al., Radiology
2004;230:652 (liver, spleen, muscle, fat, marrow). T1 after contrast: Kellman and Arai, J Magn Reson Imaging
2012;36:529. Lung, bone, scar, obstruction, fluid, food, venous blood and all proton densities are our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dafnet_core.data.phantom.constants import BACKGROUND, LV, MYOCARDIUM, RV

# T1 after contrast agent (ms, low and high) by uptake.
T1_CONTRAST_MS = {
    "blood": (350.0, 400.0),
    "heart": (450.0, 500.0),
    "scar": (250.0, 300.0),
    "fat": (320.0, 350.0),  # takes none up
    "muscle": (560.0, 660.0),
    "marrow": (420.0, 480.0),
    "lung": (420.0, 480.0),
    "liver": (360.0, 420.0),
    "spleen": (400.0, 460.0),
}
NO_UPTAKE = "none"  # T1 is the same before and after


@dataclass(frozen=True)
class Tissue:
    """Name, class, and relaxation times at 1.5 T (ms) of a tissue."""

    name: str
    label: int
    uptake: str  # key of T1_CONTRAST_MS, or NO_UPTAKE
    density: float  # proton density, 1 = water
    t1: float
    t2: float
    texture: float  # relative standard deviation of the signal inside the tissue


NARROW_TABLE = (  # of generator version 1, whose draws depend on its order and length
    Tissue("air", BACKGROUND, "lung", 0.0, 1000, 50, 0.0),
    Tissue("subcutaneous fat", BACKGROUND, "fat", 1.0, 343, 58, 0.08),
    Tissue("torso muscle", BACKGROUND, "muscle", 0.8, 856, 27, 0.15),
    Tissue("cortical bone", BACKGROUND, "marrow", 0.1, 549, 10, 0.0),
    Tissue("marrow", BACKGROUND, "marrow", 0.6, 549, 49, 0.10),
    Tissue("lung", BACKGROUND, "lung", 0.2, 1000, 40, 0.25),
    Tissue("vessel", BACKGROUND, "blood", 0.9, 1441, 290, 0.04),
    Tissue("liver", BACKGROUND, "liver", 0.75, 586, 46, 0.06),
    Tissue("spleen", BACKGROUND, "spleen", 0.8, 1057, 79, 0.06),
    Tissue("pericardial fat", BACKGROUND, "fat", 0.95, 343, 58, 0.08),
    Tissue("RV wall", BACKGROUND, "heart", 0.8, 1030, 40, 0.04),
    Tissue("RV blood", RV, "blood", 0.9, 1441, 230, 0.06),  # venous: T2 falls with the oxygen
    Tissue("myocardium", MYOCARDIUM, "heart", 0.8, 1030, 40, 0.04),
    Tissue("scar", MYOCARDIUM, "scar", 0.85, 1150, 50, 0.08),
    Tissue("LV blood", LV, "blood", 0.9, 1441, 290, 0.04),
    Tissue("papillary muscle", LV, "heart", 0.8, 1030, 40, 0.04),
)
TISSUE_TABLE = (
    *NARROW_TABLE,
    Tissue("RV trabecula", RV, "heart", 0.8, 1030, 40, 0.04),
    Tissue("microvascular obstruction", MYOCARDIUM, "muscle", 0.85, 1150, 50, 0.08),  # no agent reaches it
    Tissue("fluid", BACKGROUND, NO_UPTAKE, 0.95, 2500, 300, 0.06),  # in the stomach or around the heart
    Tissue("food", BACKGROUND, NO_UPTAKE, 0.85, 700, 90, 0.3),
)
TISSUES = tuple(tissue.name for tissue in TISSUE_TABLE)
CLASS_OF_TISSUE = np.array([tissue.label for tissue in TISSUE_TABLE], dtype=np.uint8)
TISSUE_INDEX = {name: index for index, name in enumerate(TISSUES)}
FAT = (TISSUE_INDEX["subcutaneous fat"], TISSUE_INDEX["pericardial fat"])
