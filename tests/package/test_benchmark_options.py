"""The command line that the benchmarks share."""

import importlib
import json

import pytest

from benchmarks.machine import by_rounds, write_json
from tests.helpers.paths import ROOT

SCRIPTS = [
    f"{p.parent.name}.{p.stem}" for folder in ("benchmarks", "tools") for p in sorted((ROOT / folder).glob("[a-z]*.py"))
]


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_finds_what_it_imports(name):
    importlib.import_module(name)


def measure(rounds):
    return {"rounds": rounds, "ms": 1.5}


@pytest.mark.parametrize("options", [(), ("--json", "-")])
def test_a_dash_is_standard_output_and_no_file(options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    by_rounds("A benchmark.", measure, 5, ["--rounds", "2", *options])
    printed = json.loads(capsys.readouterr().out)  # once: two results would be no JSON
    assert printed["rounds"] == 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_holds_what_is_printed(tmp_path, capsys):
    by_rounds("A benchmark.", measure, 5, ["--json", str(tmp_path / "found.json")])
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "found.json").read_text()) == printed
    assert list(printed) == ["date", "machine", "rounds", "ms"]


def test_without_the_option_a_table_is_all_that_is_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_json(measure(1), None)
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []
