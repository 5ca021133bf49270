"""The API documentation: it builds from the docstrings, and the examples in them give what they say."""

import doctest
import importlib
import pkgutil
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

import dafnet_core
import dafnet_explorer

MODULES = [module.name for module in pkgutil.walk_packages(dafnet_core.__path__, "dafnet_core.")]
EXPLORER = [module.name for module in pkgutil.walk_packages(dafnet_explorer.__path__, "dafnet_explorer.")]
EXAMPLES = [name for name in (*MODULES, *EXPLORER) if ">>> " in Path(find_spec(name).origin).read_text()]


def test_the_main_functions_have_examples():
    assert {f"dafnet_core.metrics.{name}" for name in ("segmentation", "registration", "dependence")} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_give_what_they_say(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0  # standard output shows which


@pytest.mark.slow
def test_the_api_documentation_builds_with_every_module(tmp_path):
    pdoc = pytest.importorskip("pdoc", reason="pdoc is not installed: pip install '.[dev]'")
    render = pytest.importorskip("pdoc.render")

    render.configure(docformat="google", search=False, show_source=False)  # these take longer than all the rest
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # what pdoc says of a module that it cannot import
        pdoc.pdoc("dafnet_core", output_directory=tmp_path)
    pages = {path.relative_to(tmp_path).with_suffix("").as_posix() for path in tmp_path.rglob("*.html")}
    wanted = {name.replace(".", "/") for name in MODULES if not name.endswith(".__main__")}  # a script has no page
    assert {"dafnet_core", *wanted} <= pages
    assert "dice_per_class" in (tmp_path / "dafnet_core" / "metrics" / "segmentation.html").read_text()
