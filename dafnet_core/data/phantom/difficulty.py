"""How hard the images are to segment: standard and hard differ in the LGE alone, wide in everything."""

from dataclasses import dataclass

WIDE = "wide"  # the population as varied as hearts in a clinic: anatomy, view, contrast and artefacts
DIFFICULTIES = ("standard", "hard", WIDE)
MIXTURES = {"mixed": ("standard", "hard"), "varied": (WIDE, "standard", WIDE, "hard")}  # of subjects, by turns
VERSIONS = {"standard": 1, "hard": 1, WIDE: 2}  # of the generator: raise it whenever the same seed gives other pixels


@dataclass(frozen=True)
class Difficulty:
    """How hard the LGE images are; within generator version 1, nothing else depends on it.

    Ranges are (low, high) of a uniform draw per subject.
    """

    noise: tuple[float, float]  # standard deviation in each channel, of FULL_MAGNETISATION = 1000
    inversion_error: float  # standard deviation of TI / nulling TI - 1
    blood_to_myocardium: tuple[float, float]  # share of the way from blood's T1 to myocardium's: contrast
    scar_to_blood: tuple[float, float]  # share of the way from scar's T1 to blood's: 1 = equally bright
    fat_signal: tuple[float, float]  # what fat suppression leaves of fat: little = epicardium lost against it
    blur_mm: float  # edge width from resolution and slice thickness, added in quadrature to the pixel
    scar_probability: float
    scar_scale: float  # of the scar's angle, depth and length


KNOBS = {
    "standard": Difficulty(
        noise=(9.0, 15.0),
        inversion_error=0.025,
        blood_to_myocardium=(0.0, 0.0),
        scar_to_blood=(0.0, 0.2),
        fat_signal=(0.6, 1.0),
        blur_mm=2.0,
        scar_probability=0.5,
        scar_scale=1.0,
    ),
    "hard": Difficulty(
        noise=(24.0, 38.0),
        inversion_error=0.13,
        blood_to_myocardium=(0.45, 0.72),
        scar_to_blood=(0.75, 1.1),
        fat_signal=(0.1, 0.35),
        blur_mm=3.0,
        scar_probability=0.8,
        scar_scale=1.3,
    ),
    WIDE: Difficulty(
        noise=(3.0, 22.0),
        inversion_error=0.06,
        blood_to_myocardium=(0.0, 0.45),
        scar_to_blood=(0.0, 0.95),
        fat_signal=(0.1, 0.9),
        blur_mm=1.5,
        scar_probability=0.6,
        scar_scale=1.15,
    ),
}


def kinds_of(difficulty: str) -> tuple[str, ...]:
    """The difficulties of subjects 0, 1, ..., which repeat: several for a mixture, else the difficulty itself."""
    return MIXTURES.get(difficulty, (difficulty,))
