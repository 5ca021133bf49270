"""Where the repository and what it ships lie."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = ROOT / "checkpoints"
SHIPPED = CHECKPOINTS / "cardiac-film.safetensors"
