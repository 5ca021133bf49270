"""How sure a model is: class probabilities, their entropy, and the spread over samples of s and z, as maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from dafnet_core.analysis.uncertainty import Uncertainty, entropy
from dafnet_core.drawing import Bar, Theme, Tile, coloured, grey, sheet
from dafnet_core.methods.decomposition import Decomposition
from dafnet_explorer.figures.downloads import npz

STD_LIMIT = 0.2  # standard deviations of intensity are shown up to this
PROBABILITY = Bar("Viridis", "0", "1", "probability")


def probability_sheet(decomposition: Decomposition, classes: Sequence[str], theme: Theme) -> Image.Image:
    """Probability of every class in the fused masks, and their entropy, a row for each modality that is served."""
    most, rows = float(np.log(len(classes))), []
    for n, i in enumerate(decomposition.served):
        row: list[Tile | None] = [Tile(grey(decomposition.images[i]), "" if n else "image x")]
        for name, plane in zip(classes, decomposition.probabilities[i], strict=True):
            row.append(Tile(coloured(plane, 0, 1), "" if n else name, "", PROBABILITY))
        found = entropy(decomposition.probabilities[i])
        bar = Bar("Viridis", "0", f"{most:.2f}", "nats")
        row.append(Tile(coloured(found, 0, most), "" if n else "entropy", f"mean {found.mean():.4f}", bar))
        rows.append(row)
    return sheet(rows, [decomposition.names[i] for i in decomposition.served], side=150, theme=theme)


def uncertainty_sheet(decomposition: Decomposition, uncertainty: Uncertainty, theme: Theme) -> Image.Image:
    """Entropy and disagreement of masks, and deviations of the image, over samples of s and z."""
    most, rows = float(np.log(uncertainty.probabilities.shape[1])), []
    nats, std = Bar("Viridis", "0", f"{most:.2f}", "nats"), Bar("Viridis", "0", f"{STD_LIMIT:g}", "intensity")
    for n, i in enumerate(decomposition.served):
        maps = (
            ("entropy over samples", uncertainty.total[i], most, nats),
            ("samples disagree", uncertainty.disagreement[i], most, nats),
            ("image, s and z sampled", uncertainty.image_std[i], STD_LIMIT, std),
            ("image, z sampled", uncertainty.image_std_z[i], STD_LIMIT, std),
        )
        row: list[Tile | None] = [Tile(grey(decomposition.images[i]), "" if n else "image x")]
        row += [
            Tile(coloured(values, 0, high), "" if n else title, f"mean {values.mean():.4f}", bar)
            for title, values, high, bar in maps
        ]
        rows.append(row)
    return sheet(rows, [decomposition.names[i] for i in decomposition.served], side=190, theme=theme)


def arrays(
    decomposition: Decomposition, uncertainty: Uncertainty | None, classes: Sequence[str], about: Mapping[str, object]
) -> bytes:
    """Probabilities and entropy of the modalities that are served, and what sampling adds, as .npz."""
    served = list(decomposition.served)
    found = {
        "probabilities": decomposition.probabilities[served],
        "entropy": entropy(decomposition.probabilities[served]).astype(np.float32),
    }
    if uncertainty is not None:
        for name in ("probabilities", "total", "disagreement", "image_std", "image_std_z"):
            found[f"sampled_{name}"] = getattr(uncertainty, name)[served]
    names = [decomposition.names[i] for i in served]
    samples = {"samples": uncertainty.samples} if uncertainty else {}
    return npz(found, {"modalities": names, "classes": list(classes), "entropy_in": "nats", **samples, **about})
