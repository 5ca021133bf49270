"""Paths of the app's files: at the top of the repository, or inside the installed package.

The wheel puts app.py, pages/, experiments/, .streamlit/, docs/icon.png and the MIT-licensed checkpoints into the
package's own folder (pyproject.toml, force-include), in the same arrangement as at the top of the repository. Streamlit
lets Python look for packages in the folder of app.py, so the app finds `experiments` in both.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

INSTALLED = (PACKAGE / "app.py").is_file()
"""Whether this is an installed package, not a checkout of the repository."""

ROOT = PACKAGE if INSTALLED else PACKAGE.parent
"""The folder of app.py and pages/."""

APP = ROOT / "app.py"
"""The script for `streamlit run`."""

ICON = ROOT / "docs" / "icon.png"
"""The icon of the browser's tab."""

CHECKPOINTS = ROOT / "checkpoints"
"""Checkpoints that are part of the project."""

RUNS = (Path.cwd() if INSTALLED else ROOT) / "runs"
"""The user's training runs: in the current folder for an installed app, else in the repository."""
