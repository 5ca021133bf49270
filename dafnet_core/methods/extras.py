"""Packages that only some methods need."""

from __future__ import annotations

import importlib
from typing import Any


def optional(module: str, method: str) -> Any:
    """A module of a package of the extra `experiments`.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("skimage", "scikit-image")
        raise ValueError(f"{method} needs the package {package}: pip install .[experiments]") from error
