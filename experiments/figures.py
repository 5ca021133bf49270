"""The paper's Figures 4 to 9 from cells that are there; of patients they are for your eyes, not for a repository.

4: anatomy factors. 5: masks of all methods by share of annotations. 6: weights of candidate pairs over the epochs.
7: an anatomy before and after alignment. 8: reconstructions by both decoders. 9: images over each dimension of z.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from dafnet_core.checkpoints.file import Checkpoint, load
from dafnet_core.data.dataset import PairedSlices, Sample
from dafnet_core.drawing import png
from dafnet_core.evaluate import judged_part
from dafnet_core.evaluation.result import EvaluationResult
from dafnet_core.files import atomic_write, describe_error
from dafnet_core.methods.decomposition import Decomposition, decompose
from experiments import pictures, table1
from experiments.cell import Cell
from experiments.masks import load_masks, middle
from experiments.protocol import Setting
from experiments.record import Record, read
from experiments.section_vh import richest, slices_of
from experiments.table import Row

SHARES = (1.0, 0.5, 0.25, 0.125, 0.0)  # of annotations in Fig. 5
SHOWN = 3  # subjects in Fig. 5
FILM, SPADE, WEIGHTED = (("dafnet", variant) for variant in ("paper", "spade", "neighbours"))
Drawn = Iterator[tuple[str, Image.Image]]  # names of files and their pictures


class MissingCellError(ValueError):
    """What a figure is drawn from is not there; the message names the cell."""


class Figures:
    """Figures of one setting; the last modality is the target, fold and seed are 0."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.target = setting, setting.source.modalities[-1]
        self.records: dict[str, Record] = read(setting.results_folder)

    def cell(self, method: str, variant: str, share: float = 1.0) -> Cell:
        return Cell.of(method, variant, self.target, share, 0, 0, self.target)

    def checkpoint(self, method: str, variant: str) -> tuple[Checkpoint, EvaluationResult]:
        """The best checkpoint of a cell, and its numbers."""
        cell = self.cell(method, variant)
        path = cell.run(self.setting) / "best.safetensors"
        record = self.records.get(cell.name)
        if record is None or record.failure or not path.exists():
            raise MissingCellError(f"{cell.name} is missing")
        return load(path), EvaluationResult.from_json(record.evaluation)

    @cached_property
    def slices(self) -> PairedSlices:
        """The slices that judge FiLM."""
        checkpoint, _ = self.checkpoint(*FILM)
        return slices_of(checkpoint, self.setting.judged, judged_part(checkpoint, self.setting.judged))

    @cached_property
    def sample(self) -> Sample:
        """The slice with most classes."""
        return richest(self.slices)

    def factors(self, method: str, variant: str) -> Decomposition:
        """Of that slice."""
        return decompose(self.checkpoint(method, variant)[0].model, self.sample.images)

    def anatomies(self) -> Drawn:
        """Fig. 4."""
        yield "figure4", pictures.factors(self.factors(*FILM), self.slices.classes)

    def alignment(self) -> Drawn:
        """Fig. 7."""
        fixed = self.slices.modalities.index(self.target)
        yield "figure7", pictures.alignment(self.factors(*FILM), self.slices.classes, fixed)

    def reconstructions(self) -> Drawn:
        """Fig. 8."""
        both = self.factors(*FILM), self.factors(*SPADE)
        yield "figure8", pictures.reconstructions(both, self.sample.masks, len(self.slices.classes))

    def traversals(self) -> Drawn:
        """Fig. 9, a picture for each decoder and modality."""
        for decoder, of in (("film", FILM), ("spade", SPADE)):
            checkpoint, numbers = self.checkpoint(*of)
            found = self.factors(*of)
            for i, name in enumerate(found.names):
                yield f"figure9-{decoder}-{name}", pictures.traversal(checkpoint, found, numbers, i)

    def weights(self) -> Drawn:
        """Fig. 6, from the log of training with weighted candidates."""
        cell = self.cell(*WEIGHTED)
        path = cell.run(self.setting) / "epochs.csv"
        if not path.exists():
            raise MissingCellError(f"{cell.name} is missing")
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        names = [name for name in rows[0] if name.startswith("weight_")]
        values = {f"w{name.removeprefix('weight_')}": [float(row[name]) for row in rows] for name in names}
        yield "figure6", pictures.weights([int(row["epoch"]) for row in rows], values)

    def segmentations(self) -> Drawn:
        """Fig. 5: the middle slice of some subjects; cells that are missing leave gaps, and are named."""
        places = self._places()
        slices = [(image, truth) for image, truth in places.values()]
        found: dict[str, dict[float, list[np.ndarray | None]]] = {}
        missing: list[str] = []
        for row in table1.ROWS:
            found[row.title] = {share: self._masks(row, share, list(places), missing) for share in SHARES}
        yield "figure5", pictures.segmentations(slices, found, len(self.slices.classes))
        if missing:
            raise MissingCellError(f"drawn without {', '.join(dict.fromkeys(missing))}")

    def _places(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Image and true labels (H, W) of the target by SUBJECT|POSITION."""
        target = self.slices.modalities.index(self.target)
        every = {
            (s.subject, s.slices[target]): (s.images[target, 0], s.masks[target])
            for s in (self.slices[n] for n in range(len(self.slices)))
            if s.own[target]
        }
        subjects = list(dict.fromkeys(subject for subject, _ in every))
        at = {s: middle(position for subject, position in every if subject == s)[0] for s in subjects}
        return {f"{s}|{at[s]}": every[s, at[s]] for s in subjects[:: max(len(subjects) // SHOWN, 1)][:SHOWN]}

    def _masks(self, row: Row, share: float, places: list[str], missing: list[str]) -> list[np.ndarray | None]:
        """Labels of a row of Table I by place; None where its cell is missing, which is added to `missing`."""
        cell = self.cell(row.method, row.variant, share)
        record = self.records.get(cell.name)
        if record is not None and record.failure:
            return [None] * len(places)
        path = cell.masks(self.setting)
        if record is None or not path.exists():
            missing.append(cell.name)
            return [None] * len(places)
        masks = load_masks(path)
        return [masks.get(f"{place}|{self.target}|{row.kind}") for place in places]

    def draw(self, folder: Path) -> list[str]:
        """Write all figures as PNG; returns what was missing, a line each."""
        missing = []
        first = (self.anatomies, self.segmentations, self.weights)
        for number, part in enumerate((*first, self.alignment, self.reconstructions, self.traversals), 4):
            try:
                for name, picture in part():
                    atomic_write(folder / f"{name}.png", png(picture, {"data": self.setting.public_name}))
            except MissingCellError as error:
                missing.append(f"figure {number}: {error}")
        return missing


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments figures",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    Setting.add_to(parser)
    parser.add_argument("--out", type=Path, default=Path("figures"), metavar="FOLDER")
    given = parser.parse_args(arguments)
    try:
        missing = Figures(Setting.of(given)).draw(given.out)
    except (ValueError, OSError) as error:
        print(f"experiments: {describe_error(error)}", file=sys.stderr)
        return 2
    for line in missing:
        print(line, file=sys.stderr)
    print(f"figures are in {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
