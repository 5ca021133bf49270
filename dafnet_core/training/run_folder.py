"""A run's folder: its configuration, its split, and the state that it resumes from."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch

from dafnet_core.config import sanitize
from dafnet_core.files import atomic_write
from dafnet_core.training.config import STANDARD_RECIPE, MachineConfig, TrainConfig
from dafnet_core.training.step import TrainState


def save_state(state: TrainState, run: Path, **facts: Any) -> None:
    """Write all that resuming needs, and further `facts`, to state.pt."""
    buffer = io.BytesIO()
    torch.save({"train": state.state_dict(), **facts}, buffer)
    atomic_write(run / "state.pt", buffer.getvalue())


def restore(state: TrainState, path: Path) -> dict[str, Any]:
    """Restore a saved state; returns the other facts saved with it.

    Raises:
        ValueError: the file is broken, or of another run.
    """
    try:
        saved = torch.load(path, weights_only=True, map_location=state.device)
        state.load_state_dict(saved.pop("train"))
    except OSError:
        raise
    except Exception as error:  # whatever torch and pickle make of bytes that are no state, a dozen kinds
        what = sanitize(f"{type(error).__name__}: {error}", 120)
        raise ValueError(
            f"{path} is not a whole state of this run ({what}); "
            "put it back from a copy, or start again in another folder"
        ) from error
    return saved


def check_same_subjects(path: Path, split: dict[str, Any]) -> None:
    """Check that a resumed run has its original split: else it could validate on subjects that it was trained on.

    Raises:
        ValueError: naming a subject that is missing, new, or in another part.
    """
    try:
        before = json.loads(path.read_text())
        moved = {(part, name) for part in split for name in {*before[part]} ^ {*split[part]}}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no split ({error!r}); put it back from a copy, or start again") from error
    if moved:
        part, name = min(moved)
        what = "left" if name in before[part] else "came to"
        raise ValueError(
            f"the data are no longer those that this run started with: {name} {what} the {part} part; "
            "put the data back, or start a new run"
        )


def configured(given: dict[str, Any], run: Path, resume: bool) -> TrainConfig:
    """The configuration of a new run, or the saved one of a resumed run.

    Raises:
        ValueError: an invalid value, or one that differs from the run's.
        OSError: the folder is in use, or holds no run.
    """
    path = run / "config.json"
    if not resume:
        if run.exists() and (not run.is_dir() or any(p.suffix != ".part" for p in run.iterdir())):
            raise FileExistsError(f"{run} is not empty; choose a new folder, or --resume to continue that run")
        return TrainConfig.of(**{"recipe": STANDARD_RECIPE, **given})
    if not path.is_file():
        raise FileNotFoundError(f"{run} holds no config.json and state.pt to resume from; start it without --resume")
    try:
        config = TrainConfig.from_dict(json.loads(path.read_text()))
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is no configuration ({sanitize(str(error))}); put it back from a copy") from error
    has = config.flat()
    for name, value in given.items():
        if has[name] != value and name not in MachineConfig.FREE:
            raise ValueError(
                f"{name} is {value}, but the run in {run} has {has[name]}; it resumes with its own "
                "configuration: leave the option out, or start a new run"
            )
    return config.with_options(**{name: value for name, value in given.items() if name in MachineConfig.FREE})


def prepare_folder(run: Path, config: TrainConfig, split: dict[str, Any]) -> None:
    """Write configuration and split of a run, and remove partly written files of a killed process."""
    for name, content in (("config", config.to_dict()), ("split", split)):
        if not (run / f"{name}.json").exists():
            atomic_write(run / f"{name}.json", json.dumps(content, indent=1).encode())
    for part_written in run.rglob(".*.part"):
        part_written.unlink()
