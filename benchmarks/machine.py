"""What numbers were measured on."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """The processor, how many cores there are, and the Python that runs on them."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
