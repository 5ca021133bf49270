"""Procedural short-axis cardiac pairs (cine, LGE) with known masks, motion and tissue.

One reference anatomy, in millimetres, is a stack of shapes given by their signed distance to each boundary (`shapes`).
Each modality sees it through its own smooth displacement (`motion`), fills the shapes with its own signal equation
(`signal`), mixes signals where boundaries cross a pixel (`paint`), and adds a coil sensitivity and Rician noise.
Nothing anatomical is drawn in pixels, so a subject is the same at every image size.

The cine may show the heart over its cycle in P phases, the first at end diastole; the LGE is taken in the state of the
first phase. All phases of the cine share its breath hold and displacement; each has its own noise.

`python -m dafnet_core.data.phantom OUT --subjects N --seed S` writes an nnU-Net v2 folder.
"""

from dafnet_core.data.phantom.constants import (
    CINE,
    CLASSES,
    FIELD_OF_VIEW_MM,
    LGE,
    MODALITIES,
    SLICE_DISTANCE_MM,
    SLICES,
    VERSION,
    case_name,
)
from dafnet_core.data.phantom.difficulty import DIFFICULTIES
from dafnet_core.data.phantom.generator import PhantomPair, generate
from dafnet_core.data.phantom.parameters import known_factors
from dafnet_core.data.phantom.tissue import CLASS_OF_TISSUE, TISSUES
from dafnet_core.data.phantom.write import write_folder

__all__ = [
    "CINE",
    "CLASSES",
    "CLASS_OF_TISSUE",
    "DIFFICULTIES",
    "FIELD_OF_VIEW_MM",
    "LGE",
    "MODALITIES",
    "SLICES",
    "SLICE_DISTANCE_MM",
    "TISSUES",
    "VERSION",
    "PhantomPair",
    "case_name",
    "generate",
    "known_factors",
    "write_folder",
]
