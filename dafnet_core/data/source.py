"""The interface of data sources: subjects by name, read on demand, and their splits for training and evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, cast

from dafnet_core.data.config import DataConfig
from dafnet_core.data.formats.scan import clean_name
from dafnet_core.data.patients import spread
from dafnet_core.data.prepare import PERCENTILES, Preparation
from dafnet_core.data.samples import SampleSet, SampleSlices, StudySlices
from dafnet_core.data.splits import Split, read_folds, split_patients
from dafnet_core.data.studies import DataError, StudyLike


class DataSource(Protocol):
    """Subjects of one data set. Constructors read descriptions, not images.

    Attributes:
        kind: its name before the colon on the command line.
        help: how the command line writes it.
        own_options: options of DataConfig that mean something for some sources, this one among them.
        synthetic: whether its images are synthetic.
        knows_warps: whether its studies know the displacement between modalities.
        built_in: whether it needs no files, so that the app can show it at once; its kind alone then opens it.
        evaluated_whole: whether evaluation uses all subjects, whatever the checkpoint's split.
        spec: as on the command line; public_name: without a path of this machine.
        name, licence: readable.
        modalities, classes: in the order of every study's images; class 0 is the background.
        registered: whether the modalities of a subject lie on one grid, so that one mask serves all of them.
        patients: the patient of each subject by name, where several subjects are cases of one; {} where none are.
        version: of what makes or describes the data, by name; {} for files.
        samples: example slices; None for a source without any.
    """

    kind: ClassVar[str]
    help: ClassVar[str]
    own_options: ClassVar[frozenset[str]]
    synthetic: ClassVar[bool]
    knows_warps: ClassVar[bool]
    built_in: ClassVar[bool]
    evaluated_whole: ClassVar[bool]
    spec: str
    public_name: str
    name: str
    licence: str
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    registered: bool
    patients: Mapping[str, str]
    version: dict[str, int]
    samples: SampleSet | None

    @classmethod
    def open(cls, spec: str, modalities: tuple[str, ...] = ()) -> Self:
        """The source of a name on the command line, with some of its modalities or all for ().

        Raises:
            DataError: it cannot be read; ValueError: a name that cannot be.
        """
        ...

    @classmethod
    def for_training(cls, config: DataConfig, seed: int) -> Self:
        """The subjects that a run trains and validates on; errors as in `open`."""
        ...

    def names(self) -> tuple[str, ...]:
        """Of all subjects, in order."""
        ...

    def preparation(
        self, size: int | tuple[int, int], spacing: float | None, percentiles: tuple[float, float] = PERCENTILES
    ) -> Preparation:
        """Preparation to a grid of `size`, a side or (rows, columns), of `spacing` mm a pixel.

        Args:
            spacing: None for the source's own; images are resized to fit the grid if it has none either.
            percentiles: of a slice's intensities that become -1 and 1.
        """
        ...

    def study(self, name: str, preparation: Preparation) -> StudyLike:
        """Read or generate one subject; raises DataError."""
        ...

    def ingredients(self, name: str) -> Any:
        """All that `study` makes a `Study` of, apart from the preparation: lists of JSON values, and of paths of files.

        Subjects with the same ingredients, and the same contents of files, are prepared once and kept on disk
        (cache.py). None: a subject is not kept.
        """
        ...

    def split(self, config: DataConfig, seed: int) -> Split:
        """Names of the subjects of a run's parts; raises ValueError for a fold that does not exist."""
        ...

    def notes(self, split: Split) -> tuple[str, ...]:
        """What a run should warn of, each a sentence; what stands before its first colon names no subject."""
        ...

    def evaluation_specs(self, split: Split) -> dict[str, str]:
        """Data to evaluate an exported checkpoint on: specs by title; {} if there are none."""
        ...

    def sample_slices(
        self, number: int, variant: str, preparation: Preparation, modalities: tuple[str, ...]
    ) -> SampleSlices:
        """The slices of one subject as samples; only for sources with `samples`, which bounds the first two.

        Args:
            number: of the subject, from 0, in the order of `names()`.
            preparation: of the model, which the images are brought to.
            modalities: names of those that are wanted, in this order.

        Raises:
            DataError: files that cannot be read.
        """
        ...

    def evaluation_spec(self, subjects: int, variant: str) -> str:
        """The name on the command line of so many subjects of a variant, never trained on; built-in sources only."""
        ...


class FileSource:
    """Base of sources of files: a split by patient, a path, one test part, samples from its studies."""

    kind: ClassVar[str]
    own_options: ClassVar[frozenset[str]] = frozenset({"fold", "spacing", "splits"})
    synthetic: ClassVar[bool] = False
    knows_warps: ClassVar[bool] = False
    built_in: ClassVar[bool] = False
    evaluated_whole: ClassVar[bool] = False
    modalities: tuple[str, ...]

    def __init__(self, spec: str, name: str, folds: tuple[Split, ...]) -> None:
        self.spec, self.name, self.folds = spec, name, folds
        self.version: dict[str, int] = {}
        self.patients: Mapping[str, str] = {}

    @property
    def public_name(self) -> str:
        return f"{self.kind}:FOLDER" if self.spec.startswith(f"{self.kind}:") else "FOLDER"

    def preparation(
        self, size: int | tuple[int, int], spacing: float | None, percentiles: tuple[float, float] = PERCENTILES
    ) -> Preparation:
        return Preparation.of(size, spacing, percentiles)

    def names(self) -> tuple[str, ...]:
        raise NotImplementedError

    def ingredients(self, name: str) -> Any:
        return None

    def split(self, config: DataConfig, seed: int) -> Split:
        """The data's own split if there is one, else 70 / 15 / 15 per cent of the patients; or as `splits` says."""
        folds = self.folds
        if config.splits not in ("given", "drawn"):
            if not Path(config.splits).is_file():
                raise DataError(f"splits is {config.splits!r}; expected given, drawn, or a file of folds")
            folds = read_folds(Path(config.splits), self.names())
        if not folds or config.splits == "drawn":
            return split_patients(self.names(), self.patients, seed, config.fold)
        if config.fold >= len(folds):
            raise DataError(f"fold is {config.fold}; {self.name} comes with folds 0 to {len(folds) - 1}")
        split = folds[config.fold]
        if not split["train"] or not split["val"]:
            raise DataError(f"fold {config.fold} of {self.name} has no subject to train on, or none to validate on")
        if seen := spread(split, self.patients):
            raise DataError(
                f"fold {config.fold} of {self.name} does not keep a patient's cases together: {seen}; make folds by "
                "patient, or take them away to have the subjects split"
            )
        return split

    def notes(self, split: Split) -> tuple[str, ...]:
        return ()

    def evaluation_specs(self, split: Split) -> dict[str, str]:
        """The test part; folds without one, such as nnU-Net's usual five, leave the validation part."""
        return {"test" if split["test"] else "validation": self.spec}

    def study(self, name: str, preparation: Preparation) -> StudyLike:
        raise NotImplementedError

    @property
    def samples(self) -> SampleSet:
        """All subjects."""
        return SampleSet(
            subjects=len(self.names()),
            slices=None,
            variants=("",),
            about=clean_name(self.name),
            slice_help="Positions that all modalities show, in the order of their positions in the patient",
            variant_help="",
        )

    def sample_slices(
        self, number: int, variant: str, preparation: Preparation, modalities: tuple[str, ...]
    ) -> SampleSlices:
        """The slices of one subject, which is read or found prepared in the cache now; there are no variants."""
        from dafnet_core.data.cache import read_studies  # here: the cache knows this module

        name = self.names()[number]
        (study,) = read_studies(cast("DataSource", self), [name], preparation)
        title = f"{clean_name(self.name)}, subject {clean_name(name)}"
        return StudySlices(title, study, preparation, self.modalities, modalities)

    def evaluation_spec(self, subjects: int, variant: str) -> str:
        raise NotImplementedError(f"{self.kind} is evaluated by its own name")
