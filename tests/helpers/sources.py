"""Whole data sets at once, for tests that look at every subject."""

from types import SimpleNamespace

from dafnet_core.data.chaos import ChaosInPhase, ChaosOutOfPhase
from dafnet_core.data.nnunet import NnUNet


def read_all(source, size, spacing=None):
    """What a source says of itself, and all its studies."""
    preparation = source.preparation(size, spacing)
    return SimpleNamespace(
        name=source.name,
        licence=source.licence,
        modalities=source.modalities,
        classes=source.classes,
        registered=source.registered,
        folds=source.folds,
        preparation=preparation,
        studies=[source.study(name, preparation) for name in source.names()],
    )


def read_nnunet(folder, modalities=(), *, size, spacing=None):
    return read_all(NnUNet(folder, modalities), size, spacing)


def read_chaos(folder, *, size, spacing=None, phase="in"):
    return read_all({"in": ChaosInPhase, "out": ChaosOutOfPhase}[phase](folder), size, spacing)
