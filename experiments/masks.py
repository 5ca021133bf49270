"""Masks that ship: those of 12 phantom slices of every finished cell, for pictures without a checkpoint."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core.files import atomic_write, describe_error
from experiments.protocol import Setting
from experiments.record import read

SUBJECTS, POSITIONS = 6, 2  # spread over all subjects; in the middle of each


def chosen(keys: Iterable[str]) -> list[str]:
    """Some of the keys of a file of masks, SUBJECT|POSITION|MODALITY|KIND: all masks of the slices that ship."""
    parts = {key: key.split("|") for key in keys}
    positions: dict[str, set[int]] = {}
    for subject, position, *_ in parts.values():
        positions.setdefault(subject, set()).add(int(position))
    subjects = list(positions)[:: max(len(positions) // SUBJECTS, 1)][:SUBJECTS]
    kept = {(subject, position) for subject in subjects for position in middle(positions[subject])}
    return [key for key, (subject, position, *_) in parts.items() if (subject, int(position)) in kept]


def middle(positions: Iterable[int]) -> list[int]:
    """The positions in the middle of a subject."""
    ordered = sorted(positions)
    start = max((len(ordered) - POSITIONS) // 2, 0)
    return ordered[start : start + POSITIONS]


def save_masks(path: Path, masks: dict[str, Any]) -> None:
    """Write labels (H, W) uint8 by SUBJECT|POSITION|MODALITY|KIND as .npz."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **masks)
    atomic_write(path, buffer.getvalue())


def load_masks(path: Path) -> dict[str, np.ndarray]:
    """What `save_masks` has written.

    Raises:
        ValueError: no file of masks.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (ValueError, EOFError, AttributeError, OSError) as error:
        raise ValueError(
            f"{path} is no file of masks ({error}); delete it and its cell's JSON, and run it again"
        ) from error


def ship(setting: Setting) -> tuple[list[Path], list[str]]:
    """Write the chosen masks of every finished cell; returns the files, and the cells whose masks are missing.

    Raises:
        ValueError: data of patients, or a file that cannot be read.
    """
    if not setting.built_in:
        raise ValueError(f"data is {setting.data}; masks of patients are not shipped, only those of the phantom")
    written, missing = [], []
    for name, record in read(setting.results_folder).items():
        source = setting.runs_folder / f"{name}.masks.npz"
        if record.failure:
            continue
        if not source.exists():
            missing.append(name)
            continue
        masks = load_masks(source)
        written.append(setting.results_folder / "masks" / f"{name}.npz")
        save_masks(written[-1], {key: masks[key] for key in chosen(masks)})
    return written, missing


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 with a sentence on standard error if not."""
    parser = argparse.ArgumentParser(prog="python -m experiments masks", description=__doc__)
    Setting.add_to(parser)
    try:
        setting = Setting.of(parser.parse_args(arguments))
        written, missing = ship(setting)
    except (ValueError, OSError) as error:
        print(f"experiments: {describe_error(error)}", file=sys.stderr)
        return 2
    print(f"{len(written)} files in {setting.results_folder / 'masks'}")
    if missing:
        print(f"no masks in {setting.runs_folder} of {', '.join(missing)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
