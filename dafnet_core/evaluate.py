"""Every number of a checkpoint on a data set, as JSON: python -m dafnet_core.evaluate --help

The pages show the same numbers, made by the same functions of analysis/.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from dafnet_core.analysis.decompose import (
    decompose,
    kl_per_dimension,
    overlaps,
    reconstruction_errors,
    registration_errors,
)
from dafnet_core.analysis.segmentation import nanmean, number, summarise
from dafnet_core.checkpoint import Checkpoint, CheckpointError, load, write_aside
from dafnet_core.config import JUDGING_SEED
from dafnet_core.data import phantom
from dafnet_core.data.datasets import PhantomSet
from dafnet_core.model import DAFNet


def phantom_set(spec: str, size: int) -> PhantomSet:
    """A data set from `phantom[:seed=S,subjects=N,difficulty=standard|hard|mixed]`.

    Raises:
        ValueError: an unknown key or a value that does not fit.
    """
    name, _, rest = spec.partition(":")
    values = {"seed": str(JUDGING_SEED), "subjects": "24", "difficulty": "standard"}
    given = dict(part.partition("=")[::2] for part in rest.split(",") if part)
    if name != "phantom" or set(given) - set(values):
        raise ValueError(f"data is {spec!r}; expected phantom[:seed=S,subjects=N,difficulty=standard|hard|mixed]")
    values |= given
    if not (values["seed"].isdigit() and values["subjects"].isdigit() and int(values["subjects"])):
        raise ValueError(f"data is {spec!r}; seed and subjects must be whole numbers, subjects at least 1")
    if values["difficulty"] not in (*phantom.DIFFICULTIES, "mixed"):
        raise ValueError(f"difficulty is {values['difficulty']!r}; expected standard, hard or mixed")
    return PhantomSet(int(values["seed"]), range(int(values["subjects"])), size=size, difficulty=values["difficulty"])


def evaluate_model(model: DAFNet, data: PhantomSet, *, limit: int | None = None) -> dict:
    """Segmentation, registration and reconstruction of a model on phantom subjects it was not trained on.

    Args:
        model: in eval mode, for the data's modalities and classes.
        data: judged whole, or its first `limit` slices.

    Returns:
        n_subjects, n_slices, segmentation, copy, registration (pixels), reconstruction, kl_per_dimension (nats)
        and channel_occupancy, JSON-ready; what cannot be known is None.
    """
    names, classes = model.config.modalities, model.config.classes
    counts: dict[tuple[str, str], list[np.ndarray]] = {}
    values: dict[str, list[float]] = {}
    subjects, kl, shares = [], [], []
    for index in range(len(data) if limit is None else min(limit, len(data))):
        sample = data[index]
        found = decompose(model, sample.images[:, 0])
        truth = dict(enumerate(sample.masks))
        for kind, i, _, counted in overlaps(found, truth, len(classes)):
            counts.setdefault((names[i], kind), []).append(counted)
        for kind, i, _, everywhere, inside in reconstruction_errors(found, truth):
            values.setdefault(f"{names[i]}.{kind}_l1", []).append(everywhere)
            values.setdefault(f"{names[i]}.{kind}_l1_inside", []).append(inside)
        for _, _, before, after in registration_errors(found, truth, data.sampling(index)):
            values.setdefault("error_before_px", []).append(before)
            values.setdefault("error_after_px", []).append(after)
        subjects.append(sample.subject)
        kl.append(kl_per_dimension(found).mean(0))
        shares.append(found.s.mean((2, 3)))
    ids = np.array(subjects)

    def dice(name: str, kind: str) -> dict:
        # one row a source where several are deformed onto the same modality
        stacked = np.stack(counts[name, kind])
        return summarise(stacked, np.repeat(ids, len(stacked) // len(ids)), classes)

    def mean(key: str) -> float | None:
        table = np.array(values[key]).reshape(len(ids), -1)  # one column a pair, where pairs share a key
        return number(nanmean(np.array([nanmean(table[ids == i]) for i in np.unique(ids)])))

    return {
        "n_subjects": len(np.unique(ids)),
        "n_slices": len(ids),
        "segmentation": {n: {k: dice(n, k) for k in ("single", "deformed", "fused")} for n in names},
        "copy": {n: {"dice_mean": dice(n, "copy")["dice_mean"]} for n in names},
        "registration": {k: mean(k) for k in ("error_before_px", "error_after_px")},
        "reconstruction": {n: {k: mean(f"{n}.{k}") for k in ("own_l1", "own_l1_inside", "cross_l1")} for n in names},
        "kl_per_dimension": np.mean(kl, 0).tolist(),
        "channel_occupancy": dict(zip(names, np.mean(shares, 0).tolist(), strict=True)),
    }


def evaluate(checkpoint: Checkpoint, spec: str) -> dict:
    """`evaluate_model` of a checkpoint on a data set named as on the command line."""
    data = phantom_set(spec, checkpoint.preparation.height)
    if (checkpoint.config.modalities, checkpoint.config.classes) != (data.modalities, data.classes):
        raise ValueError(f"the checkpoint knows {checkpoint.config.modalities}; the data hold {data.modalities}")
    facts = {"data": spec, "version": {"phantom": phantom.VERSION, **checkpoint.versions}}
    return facts | evaluate_model(checkpoint.model, data)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m dafnet_core.evaluate", description=__doc__)
    parser.add_argument("checkpoint", help="a .safetensors checkpoint")
    parser.add_argument("--data", default="phantom", help="phantom[:seed=S,subjects=N,difficulty=standard|hard|mixed]")
    parser.add_argument("--json", default="-", metavar="FILE", help="where to write; - is standard output")
    options = parser.parse_args(arguments)
    try:
        found = {"checkpoint": Path(options.checkpoint).name} | evaluate(load(options.checkpoint), options.data)
    except (CheckpointError, ValueError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    text = json.dumps(found, indent=1)
    if options.json == "-":
        print(text)
    else:
        write_aside(Path(options.json), (text + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
