"""Sec. V-H, "Evaluating disentanglement": FiLM beside SPADE, trained with the paper's terms at compact size.

    python -m experiments section-vh --data chaos:PATH --runs RUNS

trains what is missing in RUNS (three seeds of each decoder, one after the other; --list prints the commands instead),
measures each model that has no result yet, and prints the table. With --figures FOLDER it draws Figures 8 and 9, of
patients: that folder is for your eyes, not for a repository. Results hold numbers only.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from dafnet_core import __version__
from dafnet_core.checkpoints.file import Checkpoint, load
from dafnet_core.data.dataset import PairedSlices, Sample
from dafnet_core.data.sources import evaluation_data, public_name
from dafnet_core.drawing import png
from dafnet_core.evaluation.measures.dependence import DependenceStatistics, factor_distances
from dafnet_core.evaluation.measures.modality_probe import ProbeSummary
from dafnet_core.evaluation.run import encode
from dafnet_core.files import atomic_write
from dafnet_core.methods.decomposition import Decomposition, decompose
from dafnet_core.metrics.dependence import Dependence, dependence
from dafnet_core.metrics.probe import probe, probe_on_others
from dafnet_core.training.cli import main as train
from dafnet_core.typed_json import to_json
from experiments import pictures
from experiments.grids import markdown

DECODERS = ("film", "spade")
SEEDS = (0, 1, 2)
RESULTS = Path(__file__).parent / "results" / "section-vh"
# the paper's terms and weights, its Dice, rotations and scaling, and the default schedule: Sec. IV-A at compact size
TERMS = ("--recipe", "plain", "--w-fused", "0", "--dice", "paper", "--rotation", "20", "--scaling", "range")
PAPER = {  # Sec. V-H
    "film": {"probe": 0.99, "best dimension": 1.00, "others": "0.54 to 0.64", "dCor": 0.55},
    "spade": {"probe": 0.97, "best dimension": 0.97, "others": "0.42 to 0.63", "dCor": 0.78},
}


def cell(decoder: str, seed: int) -> str:
    """Name of a model, of its run and of its result."""
    return f"{decoder}-{seed}"


def training_arguments(data: str, decoder: str, seed: int, runs: Path, options: Sequence[str]) -> list[str]:
    """Arguments of train.py for one cell; `options` come last."""
    run, exported = runs / cell(decoder, seed), runs / f"{cell(decoder, seed)}.safetensors"
    begun = ["--data", data, "--decoder", decoder, "--seed", str(seed), *TERMS, *options]
    if (run / "config.json").exists():
        begun = ["--resume"]
    return [*begun, "--out", str(run), "--export", str(exported)]


def measure(checkpoint: Checkpoint, data: str) -> dict[str, Any]:
    """The numbers of Sec. V-H for one model: probes and distance correlation, on its own split of the data.

    The probe is fitted on z of training patients and tested on the test patients, as in the paper, all dimensions
    together and each alone. Beside it the cross-validated one and the dependence of s and z over all patients; the
    numbers of the test patients alone are those that the checkpoint's export evaluated.
    """
    parts = {part: encode(checkpoint.method, slices_of(checkpoint, data, part)) for part in ("train", "val", "test")}
    fit, test = parts["train"], parts["test"]
    everyone = replace(fit, slices=[encoded for part in parts.values() for encoded in part.slices])
    distances = factor_distances(everyone)
    judged = next(iter(checkpoint.metrics.values()))
    counted = parts | {"all": everyone}
    return {
        "patients": {part: len(np.unique(e.subjects)) for part, e in counted.items()},
        "slices": {part: len(e.slices) for part, e in counted.items()},
        "probe_fitted_on_training_patients": to_json(
            probe_on_others(fit.z, fit.modality, test.z, test.modality, test.subjects)
        ),
        "probe_cross_validated": {
            "test": to_json(judged.probe),
            "all": _summary(ProbeSummary, probe(everyone.z, everyone.modality, everyone.subjects)),
        },
        "swap": {name: to_json(value) for name, value in (judged.swap or {}).items()},
        "dependence": {
            "test": to_json(judged.dependence),
            "all": _dependence(dependence(distances["s"], distances["z"], everyone.subjects)),
        },
        "kl_per_dimension": to_json(judged.kl_per_dimension),
        "dice_volume": {
            name: {kind: summary.dice_volume_mean for kind, summary in kinds.items()}
            for name, kinds in (judged.segmentation or {}).items()
        },
    }


def _summary(kind: type, found: Any) -> dict[str, Any]:
    """The fields of a summary, taken from the object with the whole result, as JSON."""
    return to_json(kind(**{f.name: getattr(found, f.name) for f in fields(kind)}))


def _dependence(found: Dependence) -> dict[str, Any]:
    nulls = {f"{n}_mean": float(np.mean(getattr(found, n))) for n in ("null_dcor", "null_dcor_squared_unbiased")}
    names = [f.name for f in fields(DependenceStatistics) if f.name not in nulls]
    return to_json(DependenceStatistics(**{n: getattr(found, n) for n in names}, **nulls))


def slices_of(checkpoint: Checkpoint, data: str, part: str) -> PairedSlices:
    """Slices of a part of the checkpoint's split."""
    _, slices = evaluation_data(
        data,
        part,
        modalities=checkpoint.config.modalities,
        preparation=checkpoint.preparation,
        seen=checkpoint.training.split.seen(),
    )
    return slices


def _record(checkpoint: Checkpoint, data: str) -> dict[str, Any]:
    training = checkpoint.training
    about = {
        "checkpoint": checkpoint.digest,
        "training": f"{training.command}  # {training.minutes} minutes, step {training.step}",
        "machine": training.machine,
        "data": public_name(data),
        "version": __version__,
    }
    return about | measure(checkpoint, data)


# --- the table ----------------------------------------------------------------------------------------------


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """Results by cell as Markdown, the paper's numbers below each decoder's."""
    head = [
        "model",
        "probe",
        "best dimension",
        "others",
        "cross-validated (all)",
        "dCor, test",
        "its null",
        "dCor, all",
    ]
    rows = [head]
    for decoder in DECODERS:
        for name in sorted(n for n in results if n.startswith(f"{decoder}-")):
            rows.append(_row(name, results[name]))
        paper = PAPER[decoder]
        known = [f"{paper['probe']:.2f}", f"{paper['best dimension']:.2f}", paper["others"], "", f"{paper['dCor']:.2f}"]
        rows.append([f"paper, {decoder}", *map(str, known), "", ""])
    return markdown(rows)


def _row(name: str, result: Mapping[str, Any]) -> list[str]:
    fitted = result["probe_fitted_on_training_patients"]
    order = np.argsort(fitted["per_dimension"])[::-1]
    alone = np.array(fitted["per_dimension"])[order]
    test, everyone = result["dependence"]["test"], result["dependence"]["all"]
    span = everyone["dcor_ci95"]
    return [
        name,
        f"{fitted['accuracy']:.3f}",
        f"{alone[0]:.3f} (z{order[0] + 1})",
        f"{alone[-1]:.2f} to {alone[1]:.2f}",
        _shown(result["probe_cross_validated"]["all"]["accuracy"], 3),
        _shown(test["dcor"]),
        _shown(test["null_dcor_mean"]),
        _shown(everyone["dcor"]) + (f" ({span[0]:.2f} to {span[1]:.2f})" if span else ""),
    ]


def _shown(value: float | None, digits: int = 2) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


# --- Figures 8 and 9 ----------------------------------------------------------------------------------------


def draw_figures(checkpoints: Mapping[str, Checkpoint], data: str, folder: Path) -> None:
    """Figure 8 (reconstructions by both decoders) and Figure 9 (traversals) of one test slice; files of patients."""
    found: dict[str, Decomposition] = {}
    sample = None
    for decoder, checkpoint in checkpoints.items():
        sample = sample or richest(slices_of(checkpoint, data, "test"))
        found[decoder] = decompose(checkpoint.model, sample.images)
        for i, name in enumerate(checkpoint.config.modalities):
            picture = pictures.traversal(checkpoint, found[decoder], next(iter(checkpoint.metrics.values())), i)
            atomic_write(folder / f"figure9-{decoder}-{name}.png", png(picture))
    if sample and len(found) == len(DECODERS):
        both, classes = (found["film"], found["spade"]), len(checkpoints["film"].config.classes)
        atomic_write(folder / "figure8.png", png(pictures.reconstructions(both, sample.masks, classes)))


def richest(slices: PairedSlices) -> Sample:
    """The slice with most classes."""
    return max((slices[n] for n in range(len(slices))), key=lambda sample: len(np.unique(sample.masks)))


def main(arguments: list[str] | None = None) -> int:
    """The command line; 0 if all went well."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments section-vh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="such as chaos:PATH; fold 0")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "section-vh", help="folder of runs and models")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the numbers")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--list", action="store_true", help="print the commands that train, and stop")
    parser.add_argument("--figures", type=Path, help="folder for pictures of patients; never commit it")
    parser.add_argument(
        "--options", default="--steps 1200 --validate-every 400", help="further options of train.py, in one string"
    )
    given = parser.parse_args(arguments)
    options = shlex.split(given.options)
    cells = [(decoder, seed) for seed in given.seeds for decoder in DECODERS]
    if given.list:
        for decoder, seed in cells:
            print("python train.py", shlex.join(training_arguments(given.data, decoder, seed, given.runs, options)))
        return 0
    for decoder, seed in cells:
        exported = given.runs / f"{cell(decoder, seed)}.safetensors"
        result = given.results / f"{cell(decoder, seed)}.json"
        arguments = training_arguments(given.data, decoder, seed, given.runs, options)
        missing = not exported.exists() and not result.exists()
        if missing and (code := train(arguments)):
            return code
        if not result.exists():
            atomic_write(result, (json.dumps(_record(load(exported), given.data), indent=1) + "\n").encode())
    results = {p.stem: json.loads(p.read_text()) for p in sorted(given.results.glob("*-*.json"))}
    print(table(results))
    if given.figures:
        first = {d: load(given.runs / f"{cell(d, given.seeds[0])}.safetensors") for d in DECODERS}
        draw_figures(first, given.data, given.figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
