"""Data sources by their names on the command line; to add one, write its file and add a line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from dafnet_core.config import short
from dafnet_core.data.cache import read_studies
from dafnet_core.data.chaos import ChaosInPhase, ChaosOutOfPhase
from dafnet_core.data.config import SCALINGS, DataConfig
from dafnet_core.data.dataset import PairedSlices, by_patient
from dafnet_core.data.formats.scan import clean_name
from dafnet_core.data.nnunet import NnUNet
from dafnet_core.data.phantom.source import Phantom
from dafnet_core.data.prepare import Preparation
from dafnet_core.data.source import DataSource
from dafnet_core.data.splits import Split, draw_patients
from dafnet_core.data.studies import DataError

SOURCES: dict[str, Any] = {
    "phantom": Phantom,
    "chaos": ChaosInPhase,
    "chaos-out": ChaosOutOfPhase,
    "nnunet": NnUNet,
}
FOLDER = "nnunet"  # a path without a name before it
DATA_HELP = f"{', '.join(s.help for k, s in SOURCES.items() if k != FOLDER)}, or {SOURCES[FOLDER].help}"
UNTRAINED_SIDE = 128  # pixels of the grid on which methods without training are evaluated
EVALUATION_WARP = 4.0  # pixels of a 96-pixel side: relative RMS displacement of registered data in evaluation


@dataclass(frozen=True)
class TrainingData:
    """Training and validation data of a run.

    Attributes:
        source: where it came from.
        train, val: samples; hidden masks are marked as not annotated in both.
        split: names of the subjects of each part.
        target: index of the modality with limited annotations.
        annotated: names of training subjects whose target masks are used.
        warnings: what looks wrong with the data, each a sentence.
        notes: what was assumed about the files, each a sentence.
    """

    source: DataSource
    train: PairedSlices
    val: PairedSlices
    split: Split
    target: int
    annotated: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def source_class(spec: str) -> Any:
    """The class of a source by its name on the command line; a bare path is a folder."""
    return SOURCES.get(spec.partition(":")[0], SOURCES[FOLDER])


def open_source(spec: str, modalities: tuple[str, ...] = ()) -> DataSource:
    """A source by its name on the command line.

    Raises:
        ValueError: naming what was found and what was expected.
    """
    return source_class(spec).open(spec, modalities)


def public_name(spec: str) -> str:
    """A source's name without its local path, for files that are shared."""
    kind, colon, _ = spec.partition(":")
    source = source_class(spec)
    return spec if source.built_in else f"{kind}:FOLDER" if colon and kind in SOURCES else "FOLDER"


def check_options(config: DataConfig) -> None:
    """Check that no option is set that has no effect for the source.

    Raises:
        ValueError: naming the first one.
    """
    ours = source_class(config.source).own_options
    for name in sorted({name for source in SOURCES.values() for name in source.own_options} - ours):
        default = next(f.default for f in fields(config) if f.name == name)
        if default is not MISSING and getattr(config, name) != default:
            raise ValueError(
                f"{name} is {short(getattr(config, name))}, which means nothing for --data {short(config.source)}; "
                "leave it out"
            )


def training_data(
    config: DataConfig, seed: int, *, warp_supervised: bool = False, agreeing: bool = False
) -> TrainingData:
    """Training and validation subjects of a run (Sec. IV-A); disjoint from each other and from the test subjects.

    Args:
        warp_supervised: whether the run needs the known warps of registered data (w_warp above 0).
        agreeing: whether it uses warps that are known in any way, where they are (w_agree above 0).

    Raises:
        ValueError: the data, of whichever part, the split or the annotations do not fit the configuration.
    """
    source = source_class(config.source).for_training(config, seed)
    _check_warps(source, config, warp_supervised)
    known = config.pairing == "expert" and (source.knows_warps or bool(source.registered and config.warp))
    split = source.split(config, seed)
    target = _target(config, source.modalities)
    annotated = {
        part: draw_patients(split[part], source.patients, config.annotations, seed) for part in ("train", "val")
    }
    preparation = source.preparation(config.grid, config.spacing or None, SCALINGS[config.scaling])
    read_studies(source, split["test"], preparation)  # a file that cannot be used is found now, not after hours

    def samples(part: str, **options: Any) -> PairedSlices:
        studies = by_patient(read_studies(source, split[part], preparation), source.patients)
        hidden = {target: frozenset(split[part]) - annotated[part]}
        return PairedSlices(
            source.modalities,
            source.classes,
            preparation,
            studies,
            unannotated=hidden,
            patients=source.patients,
            **options,
        )

    val_options = {"warp": config.warp} if source.registered else {}
    options = {"pairing": config.pairing, "candidates": config.candidates}
    train = samples("train", **options, known_warps=agreeing and known and source.knows_warps, unknown_warps=not known)
    val = samples("val", **options, **val_options)
    for data, part in ((train, "training"), (val, "validation")):
        if not len(data):
            raise DataError(f"{config.source}: no slices for {part}; its modalities have no position in common")
        if not any(data[n].annotated.any() for n in range(len(data))):
            raise DataError(f"{config.source}: no {part} subject is annotated; add masks to labelsTr")
    assumed = (*(f"training: {note}" for note in train.notes), *(f"validation: {note}" for note in val.notes))
    annotated_names = tuple(sorted(annotated["train"]))
    if agreeing and not known:
        assumed += ("w_agree has no effect: the warps between these pairs are not known",)
    return TrainingData(source, train, val, split, target, annotated_names, source.notes(split), assumed)


def _check_warps(source: DataSource, config: DataConfig, supervised: bool) -> None:
    """Check that warps are known where a run needs them: arguments of `training_data`."""
    if supervised and not (source.registered and config.warp and config.pairing == "expert"):
        lies = "registered" if source.registered else "not registered"
        raise DataError(
            f"w_warp is above 0, but {config.source} is {lies}, warp is {config.warp:g} and pairing is "
            f"{config.pairing}; known warps are the truth of registered data only, with --warp above 0 and "
            "--pairing expert"
        )


def _target(config: DataConfig, modalities: tuple[str, ...]) -> int:
    """Index of the target modality: by name, the last one by default (LGE, T2: Sec. V)."""
    if not config.target:
        return len(modalities) - 1
    names = [m.lower() for m in modalities]
    if config.target.lower() not in names:
        raise DataError(f"target is {config.target!r}; expected one of {', '.join(modalities)}")
    return names.index(config.target.lower())


def evaluation_data(
    spec: str,
    part: str,
    *,
    modalities: tuple[str, ...],
    preparation: Preparation | None = None,
    pairing: str = "expert",
    candidates: int = 1,
    seen: Mapping[str, str] | None = None,
    patients: Mapping[str, str] | None = None,
    warp_seed: int = 0,
    only: str = "",
) -> tuple[DataSource, PairedSlices]:
    """Data to evaluate a checkpoint on.

    Args:
        spec: as on the command line.
        part: train, val, test or all. All subjects are used if none is in `seen`, or if the source is
            `evaluated_whole`; subjects not in `seen` count as test.
        modalities, pairing, candidates: of the checkpoint.
        preparation: of the checkpoint; by default the source's own of UNTRAINED_SIDE pixels a side.
        seen: the part of each subject in the checkpoint's split.
        patients: of its subjects, where several are cases of one patient; those of the source come on top.
        warp_seed: of the known warps applied to registered data.
        only: the subject of a sample (a patient, where cases are known to be of one), whose slices alone are wanted.

    Raises:
        ValueError: naming what was found and what was expected.
    """
    if part not in ("train", "val", "test", "all"):
        raise ValueError(f"split is {part!r}; expected train, val, test or all")
    source, seen = open_source(spec, modalities), seen or {}
    names = source.names()
    if part != "all" and not source.evaluated_whole and set(names) & set(seen):
        names = tuple(n for n in names if seen.get(n, "test") == part)
        if not names and part == "test" and "test" not in seen.values():
            raise DataError(
                f"{spec}: the checkpoint's split has no test part, and all these subjects trained or validated it; "
                "use --split val, whose numbers are optimistic because the best weights were selected on them"
            )
        if not names:
            raise DataError(f"{spec}: no subject belongs to the checkpoint's {part} part; choose another --split")
    if only:
        of = {**(patients or {}), **source.patients}
        names = tuple(name for name in names if of.get(name, name) == only)
        if not names:
            raise DataError(f"{spec} has no subject {clean_name(only)}")
    options: dict[str, Any] = {"pairing": pairing, "candidates": candidates, "warp_seed": warp_seed}
    return source, _judged(source, names, preparation, patients or {}, **options)


def tuning_data(
    spec: str,
    *,
    modalities: tuple[str, ...] = (),
    preparation: Preparation | None = None,
    pairing: str = "expert",
    seen: Mapping[str, str] | None = None,
) -> tuple[PairedSlices, dict[str, str]]:
    """Training subjects for methods that have parameters but no training, and the part of each subject by name.

    Args:
        spec, modalities, preparation, pairing: of the data to evaluate on, as in `evaluation_data`.
        seen: the part of each subject; by default, and for built-in sources, that of fold 0 and seed 0.

    Raises:
        ValueError: as in `evaluation_data`.
    """
    kind = source_class(spec)
    config = DataConfig(source=kind.kind if kind.built_in else spec, modalities=modalities)
    source = kind.for_training(config, 0)
    parts = {name: part for part, names in source.split(config, 0).items() for name in names}
    parts = parts if kind.built_in or not seen else dict(seen)
    names = tuple(name for name in source.names() if parts.get(name) == "train")
    if not names:
        raise DataError(f"{spec}: none of its subjects is for training, so nothing can be tuned on them")
    return _judged(source, names, preparation, {}, pairing=pairing), parts


def _judged(
    source: DataSource,
    names: tuple[str, ...],
    preparation: Preparation | None,
    patients: Mapping[str, str],
    **options: Any,
) -> PairedSlices:
    """Slices of subjects with all their masks, registered ones under known warps."""
    preparation = preparation or source.preparation((UNTRAINED_SIDE, UNTRAINED_SIDE), None)
    patients = {**patients, **source.patients}
    return PairedSlices(
        source.modalities,
        source.classes,
        preparation,
        by_patient(read_studies(source, names, preparation), patients),
        patients=patients,
        warp=EVALUATION_WARP if source.registered else 0.0,
        **options,
    )
