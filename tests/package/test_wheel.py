"""The wheel: which files are in it, and whether its commands work where nothing else of the repository is."""

import json
import os
import subprocess
import sys
import sysconfig
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

import dafnet_core
from tools.screenshots import run_server
from tools.visitor import Visitor

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = "dafnet-explorer", "dafnet-train", "dafnet-evaluate", "dafnet-predict", "dafnet-read"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel of this repository, built without a network."""
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-q"]
    subprocess.run([*pip, "-w", str(out), str(ROOT)], check=True)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the commands of an environment that has the wheel, and the packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "-q"]
    subprocess.run([*pip, str(wheel)], check=True)
    ours = sysconfig.get_path("purelib", vars={"base": str(folder)})
    here = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    # after pip, which would take a package that is installed here for the one to install
    (Path(ours) / "packages_of_the_tests.pth").write_text("\n".join(here))
    return python.parent


@pytest.fixture
def clean():
    """The environment's variables, without those that would lead back to the repository."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "STREAMLIT"))}


def files(*folders):
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    return {path.relative_to(ROOT).as_posix() for path in paths if path.is_file() and "__pycache__" not in path.parts}


def test_the_wheel_holds_two_packages_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {name for name in names if ".dist-info/" in name}
    shipped = {path for path in files("checkpoints") if path.startswith("checkpoints/cardiac-")}
    moved = {"app.py", ".streamlit/config.toml", "docs/icon.png"} | files("pages", "experiments") | shipped
    assert names - metadata == files("dafnet_core", "dafnet_explorer") | {f"dafnet_explorer/{name}" for name in moved}
    assert {name.rpartition("/")[2] for name in metadata} == {
        "METADATA",
        "WHEEL",
        "RECORD",
        "LICENSE",
        "entry_points.txt",
    }


def test_the_only_weights_in_the_wheel_are_under_the_mit_licence_each_with_its_card(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    weights = [name for name in names if name.endswith(".safetensors")]
    assert weights
    assert all(Path(name).name.startswith("cardiac-") for name in weights)
    assert {name.replace(".safetensors", ".md") for name in weights} <= set(names)


def test_the_version_is_the_one_of_dafnet_core(wheel):
    assert wheel.name == f"dafnet_explorer-{dafnet_core.__version__}-py3-none-any.whl"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_how_it_is_used(installed, clean, tmp_path, command):
    asked = [str(installed / command), "--help"]
    done = subprocess.run(asked, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage:")
    assert list(tmp_path.iterdir()) == []


def test_the_installed_app_shows_a_checkpoint_from_any_folder_under_the_project_s_settings(installed, clean, tmp_path):
    python = str(installed / "python")
    where = [python, "-c", "import dafnet_core, dafnet_explorer; print(dafnet_core.__file__, dafnet_explorer.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=clean, capture_output=True, text=True, check=True).stdout.split()
    assert all(Path(path).is_relative_to(installed.parent) for path in found)

    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "config.toml").write_text('[client]\nallowedOrigins = ["https://elsewhere.example"]\n')
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    weights = ROOT / "checkpoints" / "cardiac-spade.safetensors"
    (tmp_path / "runs" / "mine" / "best.safetensors").write_bytes(weights.read_bytes())
    with run_server([str(installed / "dafnet-explorer")], "--data", "mine", folder=tmp_path, env=clean) as (url, _):
        with urllib.request.urlopen(f"{url}/_stcore/host-config", timeout=20) as answer:
            assert json.load(answer)["allowedOrigins"] == []
            assert "Content-Security-Policy" in answer.headers
        visitor = Visitor(url)
        checkpoints = next(box for box in visitor.elements("selectbox") if box.label == "Checkpoint")
        shipped = ["cardiac-film", "cardiac-film-zero", "cardiac-spade", "cardiac-film-leaky"]
        assert list(checkpoints.options) == [*shipped, "runs/mine"]
        assert visitor.pictures
        assert not visitor.problems
        visitor.open("probe")
        data = next(box for box in visitor.elements("selectbox") if box.label == "Data")
        assert list(data.options) == ["phantom", "mine"]
        visitor.open("benchmark")  # which imports the experiments' tables
        assert not visitor.problems
        visitor.close()
