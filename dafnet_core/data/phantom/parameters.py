"""Parameters drawn for a slice: all of them, and those that a model's factors are compared with."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from dafnet_core.data.phantom.artefacts import draw_artefacts
from dafnet_core.data.phantom.constants import CINE, LGE, MODALITIES
from dafnet_core.data.phantom.difficulty import KNOBS, VERSIONS, WIDE
from dafnet_core.data.phantom.draw import phase_duration_ms
from dafnet_core.data.phantom.motion import draw_beat, draw_breathing, lv_volumes, misregistration_parameters
from dafnet_core.data.phantom.subject import draw_subject
from dafnet_core.data.phantom.tissue import TISSUE_INDEX

# of `known_factors`: those that a style should hold and those of the shape, with the modalities that show them
CONTRAST_PARAMETERS = {
    "cine flip angle (degrees)": (CINE,),
    "LGE inversion time / nulling time": (LGE,),
    "LGE blood T1 / myocardium T1": (LGE,),
    "LGE noise": (LGE,),
}
SHAPE_PARAMETERS = {
    name: (CINE, LGE) for name in ("heart radius (mm)", "heart across (mm)", "heart down (mm)", "chest fat (mm)")
}


def known_factors(seed: int, subject: int, slice_index: int, difficulty: str) -> dict[str, bool | float]:
    """Ground truth of a slice that a model's factors can be compared with, keyed by readable names with units."""
    drawn = draw_subject(seed, subject, difficulty)
    anatomy, sequence, view = drawn.anatomy, drawn.sequence, drawn.view
    across, down = anatomy.centre if difficulty != WIDE else view.place
    blood, heart = (sequence.t1_contrast_ms[TISSUE_INDEX[name]] for name in ("LV blood", "myocardium"))
    breaths = [draw_breathing(seed, subject, slice_index, modality) for modality in (CINE, LGE)]
    factors: dict[str, bool | float] = {
        "scar": drawn.scar is not None,
        "heart radius (mm)": anatomy.radius,
        "heart across (mm)": across,
        "heart down (mm)": down,
        "breathing, cine less LGE (mm)": view.motion[1] * (breaths[0][1] - breaths[1][1]),
        "chest fat (mm)": anatomy.skin_fat,
        "cine flip angle (degrees)": sequence.flip_degrees,
        "LGE inversion time / nulling time": sequence.inversion_ms / sequence.nulling_ms,
        "LGE blood T1 / myocardium T1": blood / heart,
        "LGE noise": sequence.noise[LGE],
    }
    if difficulty == WIDE:
        factors |= {
            "wall thickness (mm)": anatomy.wall,
            "RV depth (mm)": anatomy.rv_depth,
            "heart rotation (degrees)": math.degrees(view.rotation),
            "field of view (mm)": view.field_of_view,
            "cine noise": sequence.noise[CINE],
        }
    return factors


def drawn_parameters(
    seed: int, subject: int, slice_index: int, slices: int, difficulty: str, phases: int
) -> dict[str, Any]:
    """Everything that was drawn for a pair, JSON-serialisable; the beat only if the cine has several phases."""
    drawn = draw_subject(seed, subject, difficulty)
    parameters = {
        "version": VERSIONS[difficulty],
        "seed": seed,
        "subject": subject,
        "slice": slice_index,
        "slices": slices,
        "difficulty": difficulty,
        "knobs": asdict(KNOBS[difficulty]),
        "anatomy": asdict(drawn.anatomy),
        "scar": None if drawn.scar is None else asdict(drawn.scar),
        "sequence": asdict(drawn.sequence),
        "misregistration": misregistration_parameters(seed, subject, slice_index, drawn.view.motion),
    }
    if difficulty == WIDE:
        parameters["view"] = asdict(drawn.view)
        parameters["artefacts"] = [asdict(draw_artefacts(seed, subject, i)) for i in range(len(MODALITIES))]
    if phases > 1:
        parameters["cycle"] = {
            "phases": phases,
            "phase_duration_ms": phase_duration_ms(seed, subject, difficulty, phases),
            "beat": asdict(draw_beat(seed, subject)),
            "lv_volume": lv_volumes(seed, subject, phases),
        }
    return parameters
