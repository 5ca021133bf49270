"""What importing the core does not import."""

import subprocess
import sys

import pytest


@pytest.mark.slow
def test_core_never_imports_streamlit_or_plotly():
    code = (
        "import sys, pkgutil, importlib, dafnet_core\n"
        "for m in pkgutil.walk_packages(dafnet_core.__path__, 'dafnet_core.'): importlib.import_module(m.name)\n"
        "sys.exit(any(name in sys.modules for name in ('streamlit', 'plotly')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
