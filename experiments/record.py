"""The numbers of one cell of the paper's tables, as a JSON file: what the tables print and the page Benchmark shows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dafnet_core.files import atomic_write
from dafnet_core.typed_json import Name, from_json, to_json

METRICS = ("dice", "dice_volume", "hd95_mm", "assd_mm")


@dataclass(frozen=True)
class Record:
    """One method on one data set: its settings, its numbers by subject, and how they were made.

    Attributes:
        cell: its name, which is the stem of its file; the same training serves every table that needs it.
        method, variant: as on the command line, and what differs from the method as it is, such as "clean", "paper" or
            "without-adv_image"; "" for nothing.
        data, protocol: public name and difficulty of the data, such as "chaos:FOLDER" or
            "phantom:difficulty=hard"; name of the sizes, steps and widths.
        target, annotations: modality with limited annotations, and the share of its subjects that has any.
        fold, seed: of the split; of the training.
        subjects: that were judged, in the order of `numbers`.
        numbers: of modality, kind of mask and metric (METRICS), one a subject; None where it cannot be known.
        evaluation: the JSON of `evaluate`; {} without numbers.
        command, minutes, step, parameters, digest: of the training and of its checkpoint; None without training.
        machine, version: that computed it.
        failure: why there are no numbers, such as "diverged at step 310"; None if there are.
    """

    cell: str
    method: str
    variant: str
    data: str
    protocol: str
    target: str
    annotations: float
    fold: int
    seed: int
    subjects: tuple[Name, ...] = ()
    numbers: dict[str, dict[str, dict[str, tuple[float | None, ...]]]] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    command: str | None = None
    minutes: float | None = None
    step: int | None = None
    parameters: int | None = None
    digest: str | None = None
    machine: str = ""
    version: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None

    def values(self, modality: str, kind: str, metric: str) -> tuple[float | None, ...]:
        """Numbers by subject, in the order of `subjects`; () where this method has none."""
        return self.numbers.get(modality, {}).get(kind, {}).get(metric, ())

    def write(self, folder: Path) -> Path:
        """Write the record as CELL.json into a folder, which is made if it is missing."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.cell}.json"
        atomic_write(path, (json.dumps(to_json(self), indent=1) + "\n").encode())
        return path


def read(folder: Path) -> dict[str, Record]:
    """Records of a folder by cell; {} for a folder that does not exist.

    Raises:
        ValueError: a file that is no record, named.
    """
    records = {}
    for path in sorted(folder.glob("*.json")):
        try:
            records[path.stem] = from_json(Record, json.loads(path.read_text()), path.name)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path.name} is not JSON ({error}); delete it, and run its table again") from error
    return records
