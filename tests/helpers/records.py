"""Records and masks of experiments with made-up numbers, for tests of the page Benchmark."""

from __future__ import annotations

import numpy as np

from dafnet_core.data.sources import evaluation_data, open_source
from experiments.record import METRICS, Record

SPEC = "phantom:seed=9800,subjects=2,difficulty=hard"
SIDE = 64


def record(
    method,
    dice,
    *,
    variant="",
    target="LGE",
    annotations=1.0,
    kinds=("single",),
    modalities=("cine", "LGE"),
    failure=None,
    **fields,
):
    """A record whose subjects have these Dice, None where unknown; distances are 10 mm times what Dice lacks to 1.

    Args:
        dice: by subject, or a list for subjects a, b, c ... that all modalities and kinds share.
    """
    by_subject = dice if isinstance(dice, dict) else dict(zip("abcdefghijklmnop", dice, strict=False))
    values = {metric: tuple(by_subject.values()) for metric in METRICS}
    for metric in ("hd95_mm", "assd_mm"):
        values[metric] = tuple(None if d is None else 10 * (1 - d) for d in by_subject.values())
    served = (target,) if method.endswith("-single") else modalities
    named = "-".join(filter(None, (method, variant)))
    given = {
        "cell": f"{named}_{target}_{100 * annotations:g}_f{fields.get('fold', 0)}_s{fields.get('seed', 0)}",
        "data": "phantom:difficulty=hard",
        "protocol": "smoke",
        "fold": 0,
        "seed": 0,
        "subjects": () if failure else tuple(by_subject),
        "numbers": {} if failure else {name: dict.fromkeys(kinds, values) for name in served},
        "evaluation": {} if failure else {"data": SPEC, "segmentation": {name: {} for name in modalities}},
        "failure": failure,
    }
    return Record(method=method, variant=variant, target=target, annotations=annotations, **given | fields)


def judged_slices():
    """The subjects of SPEC: of each slice its subject, position, and masks by modality."""
    preparation = open_source(SPEC).preparation(SIDE, None)
    source, data = evaluation_data(SPEC, "all", preparation=preparation, modalities=("cine", "LGE"))
    for sample in (data[n] for n in range(len(data))):
        yield sample.subject, sample.position, dict(zip(source.modalities, sample.masks, strict=True))


def write_masks(folder, name, kinds, change=lambda labels, position: labels):
    """Masks of a record of SPEC into its file beside the records: the true ones, changed."""
    arrays = {
        f"{subject}|{position}|{modality}|{kind}": change(labels, position).astype(np.uint8)
        for subject, position, masks in judged_slices()
        for modality, labels in masks.items()
        for kind in kinds
    }
    (folder / "masks").mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "masks" / f"{name}.npz", **arrays)
