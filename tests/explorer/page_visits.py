"""Helpers of page tests: files to upload, and the text of a page in Streamlit's test client."""

import io
import re
import time
from pathlib import Path

import numpy as np
from PIL import Image
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parent.parent.parent
SHIPPED = ROOT / "checkpoints" / "cardiac-film.safetensors"


def open_app():
    """The app in Streamlit's test client, not run yet."""
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def png_file(name, seed=0, size=(100, 80), mask=False):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 3, size) if mask else rng.integers(0, 255, size)
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(buffer, "PNG")
    return name, buffer.getvalue(), "image/png"


def npy_file(name, shape, seed=0):
    np.save(buffer := io.BytesIO(), np.random.default_rng(seed).normal(size=shape).astype(np.float32))
    return name, buffer.getvalue(), "application/octet-stream"


def page_text(app):
    return " ".join(e.value for kind in ("markdown", "caption", "warning", "info", "error") for e in getattr(app, kind))


def assert_numbers(rows):
    """No cell of a table for download mixes a number with text: a column that has numbers has nothing else."""
    assert rows
    for name in dict.fromkeys(name for row in rows for name in row):
        cells = [row.get(name) for row in rows if row.get(name) not in (None, "")]
        numbers = [cell for cell in cells if _is_number(cell)]
        assert len(numbers) in (0, len(cells)), f"{name}: {cells}"
        assert numbers or not any(re.match(r"[-+]?\d+\.\d", str(cell)) for cell in cells), f"{name}: {cells}"


def _is_number(cell):
    try:
        return np.isfinite(float(cell))
    except ValueError:
        return False


def choose_own_files(app):
    """Select the user's files, whose area opens."""
    if "source" in [group.key for group in app.sidebar.button_group]:
        app.sidebar.button_group(key="source").set_value("My files")
    return app.run()


def drop(app, *files):
    """Drop files, (name, content, type) each, all at once into the area of the user's files."""
    (zone,) = [uploader for uploader in app.main.file_uploader if uploader.key.startswith("drop-")]
    zone.set_value(list(files))
    return app.run()


def shows(app, name, role):
    """Say by hand what a file shows."""
    number = next(u.number for u in app.session_state["uploads"] if u.plain_name == name)
    app.selectbox(key=f"shows-{number}").set_value(role)
    return app.run()


def wait_for_jobs(app):
    """Rerun the page until all jobs are done."""
    last = time.monotonic() + 300
    while any(b.label == "Cancel" for b in app.button):
        assert time.monotonic() < last, "an evaluation did not end within five minutes"
        time.sleep(0.5)
        app.run()
