"""Modalities, classes and image geometry of the phantom."""

VERSION = 1  # of the narrow generator, and of every random stream's seed; difficulty.VERSIONS has all versions
MODALITIES = ("cine", "LGE")
CLASSES = ("background", "LV blood pool", "myocardium", "RV blood pool")
CINE, LGE = 0, 1  # indices into MODALITIES
BACKGROUND, LV, MYOCARDIUM, RV = range(4)  # indices into CLASSES
FIELD_OF_VIEW_MM = 200.0
SLICES = 8
SLICE_DISTANCE_MM = 9.0


def case_name(seed: int, subject: int) -> str:
    """Name of a subject, which its files start with."""
    return f"phantom_s{seed}_{subject:04d}"
