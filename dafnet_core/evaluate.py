"""Every number of a checkpoint on a data set, as JSON: python -m dafnet_core.evaluate --help

The pages show the same numbers, made by the same functions of analysis/.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch

from dafnet_core.analysis.registration import grid_to_pixels, identity_pixels, position_error
from dafnet_core.analysis.segmentation import nanmean, number, overlap_counts, summarise
from dafnet_core.checkpoint import Checkpoint, CheckpointError, load, write_aside
from dafnet_core.data import phantom
from dafnet_core.data.datasets import PhantomSet, collate
from dafnet_core.engine import describe_factors
from dafnet_core.factors import Prediction, Reconstruction
from dafnet_core.model import DAFNet

JUDGING_SEED = 9000


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
    errors: dict[str, list[float]] = {}
    subjects, batches = [], []
    for index in range(len(data) if limit is None else min(limit, len(data))):
        sample, pair = data[index], data.pair(index)
        batch = collate([sample])
        prediction = model.predict(batch.images)
        made = model.reconstruct(prediction, batch.images)
        for key, labels, i in _labels(prediction, sample.masks):
            counts.setdefault((names[i], key), []).append(overlap_counts(labels, sample.masks[i], len(classes)))
        for key, value in _errors(prediction, made, sample.images[:, 0], sample.masks, pair, names):
            errors.setdefault(key, []).append(value)
        subjects.append(sample.subject)
        batches.append(batch)
    ids = np.array(subjects)

    def dice(name: str, key: str) -> dict:
        return summarise(np.stack(counts[name, key]), ids, classes)

    def mean(key: str) -> float | None:
        values = np.array(errors[key]).reshape(len(ids), -1)  # one column a pair, where pairs share a key
        return number(nanmean(np.array([nanmean(values[ids == i]) for i in np.unique(ids)])))

    return {
        "n_subjects": len(np.unique(ids)),
        "n_slices": len(ids),
        "segmentation": {n: {k: dice(n, k) for k in ("single", "deformed", "fused")} for n in names},
        "copy": {n: {"dice_mean": dice(n, "copy")["dice_mean"]} for n in names},
        "registration": {k: mean(k) for k in ("error_before_px", "error_after_px")},
        "reconstruction": {
            n: {k: mean(f"{n}.{k}") for k in ("own_l1", "own_l1_inside", "cross_l1")} for n in names
        },
        **_named_factors(model, describe_factors(model, batches)),
    }


def _named_factors(model: DAFNet, found: dict) -> dict:
    shares = dict(zip(model.config.modalities, found["channel_occupancy"], strict=True))
    return {"kl_per_dimension": found["kl_per_dimension"], "channel_occupancy": shares}


def _labels(prediction: Prediction, masks: np.ndarray) -> list[tuple[str, np.ndarray, int]]:
    """(kind, labels (H, W), modality) of every mask of a batch of one; the pair (i, j) belongs to i."""
    found = [("single", m, i) for i, m in enumerate(prediction.single)]
    found += [("fused", m, i) for i, m in enumerate(prediction.fused_masks)]
    found += [("deformed", m, i) for (i, _), m in zip(prediction.pairs, prediction.deformed_masks, strict=True)]
    labels = [(kind, m[0].argmax(0).numpy(), i) for kind, m, i in found]
    return labels + [("copy", masks[j], i) for i, j in prediction.pairs]


def _errors(
    prediction: Prediction, made: Reconstruction, images: np.ndarray, masks: np.ndarray,
    pair: phantom.PhantomPair, names: tuple[str, ...],
) -> list[tuple[str, float]]:  # fmt: skip
    found = []
    still = identity_pixels(*masks.shape[1:])
    for i, name in enumerate(names):
        difference = np.abs(made.own[i, 0].numpy() - images[i])
        inside = difference[masks[i] > 0]
        found += [(f"{name}.own_l1", float(difference.mean()))]
        found += [(f"{name}.own_l1_inside", float(inside.mean()) if inside.size else float("nan"))]
    for p, (i, j) in enumerate(prediction.pairs):
        cross = made.cross[p, 0, 0].numpy()
        found += [(f"{names[i]}.cross_l1", float(np.abs(cross - images[i]).mean()))]
        true, organs = pair.sampling(i, j), masks[i] > 0
        after = grid_to_pixels(prediction.grid[p, 0, 0].double().numpy())
        found += [("error_before_px", position_error(still, true, organs))]
        found += [("error_after_px", position_error(after, true, organs))]
    return found


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
