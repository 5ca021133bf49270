"""Procedural short-axis cardiac pairs (cine, LGE) with known masks, motion and tissue.

One reference anatomy, in millimetres, is a stack of shapes given by their signed distance to each boundary (`shapes`).
Each modality sees it through its own smooth displacement (`motion`), fills the shapes with its own signal equation
(`signal`), mixes signals where boundaries cross a pixel (`paint`), and adds a coil sensitivity and Rician noise.
Nothing anatomical is drawn in pixels, so a subject is the same at every image size.

Difficulties `standard` and `hard` are generator version 1, a narrow population. `wide` is version 2 (`wide_draw`,
`wide_shapes`, `artefacts`): another population, whose subjects have each their own field of view, and so their own mm
per pixel.

The cine may show the heart over its cycle in P phases, the first at end diastole; the LGE is taken in the state of the
first phase. All phases of the cine share its breath hold and displacement; each has its own noise.

`python -m dafnet_core.data.phantom OUT --subjects N --seed S` writes an nnU-Net v2 folder.
"""

# `as` says that these names are public here; with __all__, pdoc would leave out the modules below
from dafnet_core.data.phantom.constants import CINE as CINE
from dafnet_core.data.phantom.constants import CLASSES as CLASSES
from dafnet_core.data.phantom.constants import FIELD_OF_VIEW_MM as FIELD_OF_VIEW_MM
from dafnet_core.data.phantom.constants import LGE as LGE
from dafnet_core.data.phantom.constants import MODALITIES as MODALITIES
from dafnet_core.data.phantom.constants import SLICE_DISTANCE_MM as SLICE_DISTANCE_MM
from dafnet_core.data.phantom.constants import SLICES as SLICES
from dafnet_core.data.phantom.constants import VERSION as VERSION
from dafnet_core.data.phantom.constants import case_name as case_name
from dafnet_core.data.phantom.difficulty import DIFFICULTIES as DIFFICULTIES
from dafnet_core.data.phantom.generator import PhantomPair as PhantomPair
from dafnet_core.data.phantom.generator import generate as generate
from dafnet_core.data.phantom.parameters import known_factors as known_factors
from dafnet_core.data.phantom.tissue import CLASS_OF_TISSUE as CLASS_OF_TISSUE
from dafnet_core.data.phantom.tissue import TISSUES as TISSUES
from dafnet_core.data.phantom.write import write_folder as write_folder
