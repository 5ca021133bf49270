"""Both ends of the versions that pyproject.toml allows: python -m tools.supported [--oldest PYTHON] [--newest PYTHON]

Makes a virtual environment at each end, the lowest versions with the oldest Python and the highest with the newest one,
and lets each import everything, predict, evaluate, train three steps and open the first page. Prints a table; needs a
package index, and takes some minutes and gigabytes. Packages whose range has one version are the same at both ends.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from benchmarks.machine import machine

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CHECKPOINT = "checkpoints/cardiac-film.safetensors"
STEPS = {
    "import": "import app, train, dafnet_core.evaluate",
    "predict": f"""
from dafnet_core.methods.decomposition import decompose
from dafnet_core.checkpoints.file import load
from dafnet_explorer import subjects
checkpoint = load("{CHECKPOINT}")
subject = subjects.sample(checkpoint, 0, 3, "standard")
found = decompose(checkpoint.model, subject.images, subject.modalities)
truth, mask = subject.truth[0], found.single[0]
dice = 2 * ((mask == 1) & (truth == 1)).sum() / ((mask == 1).sum() + (truth == 1).sum())
assert dice > 0.9, dice
""",
    "evaluate": f"""
from dafnet_core.checkpoints.file import load
from dafnet_core.evaluate import evaluate_checkpoint
found = evaluate_checkpoint(load("{CHECKPOINT}"), "phantom:seed=9000,subjects=2,difficulty=standard")
""",
    "train": """
import subprocess, sys, tempfile
with tempfile.TemporaryDirectory() as out:
    options = ["--data", "phantom", "--decoder", "film", "--steps", "3", "--size", "64", "--subjects", "6"]
    subprocess.run([sys.executable, "train.py", *options, "--out", out + "/run"], check=True, stdout=subprocess.DEVNULL)
""",
    "start page": """
from streamlit.testing.v1 import AppTest
app = AppTest.from_file("app.py", default_timeout=120).run()
assert not app.exception and not app.error, (app.exception, app.error)
assert "show the same body" in " ".join(m.value for m in app.markdown)
""",
}


def lowest() -> list[str]:
    """Every direct dependency at its lower bound."""
    return [re.sub(r"^([\w-]+)[>=]=([\w.]+).*", r"\1==\2", line) for line in PROJECT["dependencies"]]


def versions(inside: Path) -> dict[str, str]:
    """Versions of the direct dependencies that are installed."""
    names = [re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]]
    code = f"import json; from importlib.metadata import version as v; print(json.dumps({{n: v(n) for n in {names}}}))"
    return json.loads(subprocess.run([inside, "-c", code], capture_output=True, text=True, check=True).stdout)


def attempt(python: str, wanted: list[str]) -> dict[str, object]:
    """What one end of the ranges can do: its versions, and for each step the seconds or the last line of its error."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        inside = Path(folder) / "bin" / "python"
        version = subprocess.run([inside, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
        done = subprocess.run([inside, "-m", "pip", "install", "-q", *wanted], capture_output=True, text=True)
        if done.returncode:
            return {"python": version, "import": done.stderr.strip().splitlines()[-1]}
        found: dict[str, object] = {"python": version, **versions(inside)}
        for step, code in STEPS.items():
            start = time.perf_counter()
            here = os.environ | {"PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                [inside, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True, env=here
            )
            said = (done.stderr.strip().splitlines() or ["failed"])[-1]
            found[step] = said if done.returncode else round(time.perf_counter() - start, 1)
            print(f"  {step}: {found[step]}", file=sys.stderr)
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--oldest", default="python3.11", metavar="PYTHON", help="interpreter for the lowest versions")
    parser.add_argument("--newest", default="python3.13", metavar="PYTHON", help="interpreter for the highest versions")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the result as well")
    options = parser.parse_args()
    ends = {"lowest": (options.oldest, lowest()), "highest": (options.newest, PROJECT["dependencies"])}
    result = {"date": datetime.date.today().isoformat(), "machine": machine()}
    for end, (python, wanted) in ends.items():
        print(f"{end}, {python}", file=sys.stderr)
        result[end] = attempt(python, wanted)
    print(f"{result['date']}, {result['machine']}")
    for row in result["highest"] | result["lowest"]:
        print(f"{row:14} {result['lowest'].get(row, '')!s:24} {result['highest'].get(row, '')!s}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return any(isinstance(result[end].get(step, ""), str) for end in ends for step in STEPS)


if __name__ == "__main__":
    sys.exit(main())
