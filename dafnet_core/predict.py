"""Predictions of whole subjects on the grids of their own files, as NIfTI: python -m dafnet_core.predict --help

OUT/SUBJECT/ holds masks, probabilities, anatomies, warps and reconstructions of each modality, z.csv, and
prediction.json, which says what each file is and how it was made. Subjects that are there already are not predicted
again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dafnet_core.checkpoints.file import Checkpoint, CheckpointError, load
from dafnet_core.data.sources import DATA_HELP
from dafnet_core.files import atomic_write, check_writable, describe_error
from dafnet_core.prediction.folder import check_own, is_done, read_record, subject_folder, write_subject
from dafnet_core.prediction.inputs import Inputs, open_inputs
from dafnet_core.prediction.record import FORMAT, RECORD, content_digest, files, settings_of
from dafnet_core.prediction.slices import WHAT, predict_subject


def predict_all_subjects(
    checkpoint: Checkpoint, inputs: Inputs, out: Path, record: Mapping[str, Any], *, quiet: bool = False
) -> dict[str, str]:
    """Predict subjects into OUT/SUBJECT; one that fails is left out, with the reason on standard error.

    Args:
        record: what the JSON of each subject says besides its content; with `settings_of` the checkpoint.
        quiet: without a progress bar.

    Returns:
        What became of each subject: "predicted", "already there", or "failed: " and the reason.
    """
    became: dict[str, str] = {}
    with tqdm(total=len(inputs.names), unit="subject", disable=quiet) as bar:
        for number, name in enumerate(inputs.names):
            bar.set_postfix_str(name)
            try:
                folder, progress = subject_folder(out, name), partial(_show, bar, number)
                became[name] = _predict(checkpoint, inputs, name, folder, record, progress)
            except OSError as error:
                became[name] = f"failed: {describe_error(error)}"
            except ValueError as error:
                became[name] = f"failed: {error}"
            if became[name] != "predicted":
                bar.write(f"{name}: {became[name]}", file=sys.stderr)
            _show(bar, number, 1.0)
    return became


def _predict(
    checkpoint: Checkpoint, inputs: Inputs, name: str, folder: Path, record: Mapping[str, Any], progress: Any
) -> str:
    check_own(folder)
    stacks = inputs.stacks(name)
    record = {**record, "content": content_digest({m: stack.scan for m, stack in stacks.items()})}
    if is_done(folder, record):
        return "already there"
    settings = record["settings"]
    found = predict_subject(
        checkpoint.method,
        name,
        stacks,
        checkpoint.preparation,
        what=settings["what"],
        pairing=settings["pairing"],
        candidates=settings["candidates"],
        progress=lambda share: progress(0.9 * share),
    )
    write_subject(folder, files(found, record))
    return "predicted"


def _show(bar: Any, number: int, share: float) -> None:
    bar.n = round(number + share, 2)
    bar.refresh()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dafnet-predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="a .safetensors checkpoint")
    parser.add_argument(
        "--data",
        nargs="+",
        required=True,
        metavar="DATA",
        help=f"{DATA_HELP}; or MODALITY=FILE for one or more modalities, such as T1=a.nii.gz T2=b.nii.gz, where FILE "
        "may be a folder with the files of one DICOM series. Masks are not read",
    )
    parser.add_argument("--out", required=True, type=Path, help="folder; each subject gets a folder of its own in it")
    parser.add_argument(
        "--only", nargs="+", default=tuple(WHAT), choices=tuple(WHAT), metavar="WHAT", help=f"of {', '.join(WHAT)}"
    )
    parser.add_argument(
        "--images", default="imagesTr", choices=("imagesTr", "imagesTs"), help="which images of an nnU-Net folder"
    )
    parser.add_argument(
        "--split",
        default="all",
        choices=("train", "val", "test", "all"),
        help="by the split stored in the checkpoint; subjects that it does not name are test",
    )
    parser.add_argument(
        "--subjects", nargs="+", default=(), metavar="NAME", help="these alone; the name of single files"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well, 2 if a subject or all could not be predicted, 130 if interrupted."""
    options = _arguments().parse_args(arguments)
    try:
        checkpoint = load(options.checkpoint)
        inputs = open_inputs(
            options.data, checkpoint, images=options.images, split=options.split, subjects=options.subjects
        )
        summary = options.out / RECORD
        check_writable(summary)
        if summary.exists() and read_record(summary) is None:
            raise ValueError(f"{summary} was not written by dafnet-predict; name another --out, or move it away")
        record = {
            **settings_of(checkpoint, options.only),
            "checkpoint_file": Path(options.checkpoint).name,
            "data": inputs.about,
        }
        became = predict_all_subjects(checkpoint, inputs, options.out, record, quiet=options.quiet)
        states = {name: state.partition(":")[0] for name, state in became.items()}  # reasons may name local folders
        text = json.dumps({"dafnet_prediction": FORMAT, **record, "subjects": states}, indent=1)
        atomic_write(summary, (text + "\n").encode())
    except KeyboardInterrupt:
        print("predict: interrupted; the same command goes on with the next subject", file=sys.stderr)
        return 130
    except (CheckpointError, ValueError, OSError) as error:
        print(f"predict: {describe_error(error)}", file=sys.stderr)
        return 2
    return 2 if "failed" in states.values() else 0


if __name__ == "__main__":
    sys.exit(main())
