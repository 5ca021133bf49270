"""What several test files share: tiny models, batches, and where real data lie."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.machine import machine
from dafnet_core.config import ModelConfig
from dafnet_core.networks.dafnet import DAFNet
from dafnet_core.types import Batch

pytest.register_assert_rewrite("tests.helpers")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """After `pytest -m trust`, a table of what was tried by folder, which README quotes."""
    if config.getoption("markexpr") != "trust":
        return
    kinds = "passed", "failed", "skipped"
    rows: dict[str, list[int]] = {}
    for kind in (*kinds, "error"):
        for report in terminalreporter.getreports(kind):
            path = Path(report.fspath).relative_to("tests")  # from the root of the repository
            name = path.stem if path.parent == Path() else str(path.parent)
            row = rows.setdefault(name, [0, 0, 0])
            row[kinds.index("failed" if kind == "error" else kind)] += 1
    terminalreporter.write_line(f"\n{datetime.date.today()}, {machine()}\n\n| tests | {' | '.join(kinds)} |")
    terminalreporter.write_line("|---|---|---|---|")
    for name, row in sorted(rows.items()):
        terminalreporter.write_line(f"| {name} | {' | '.join(map(str, row))} |")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real MR data; tests that need it skip where there is none."""
    folder = os.environ.get("DAFNET_TEST_DATA")
    if not folder:
        pytest.skip("DAFNET_TEST_DATA is unset: no real MR data here")
    return Path(folder)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the prepared slices of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAFNET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _app_runs_before_its_pages() -> None:
    """Let AppTest run app.py before each page, as the server does.

    Before every run AppTest forgets that the app calls st.navigation, and runs the page that it switched to without
    app.py, whose sidebar chooses the checkpoint. With a class of its own it forgets nothing.
    """
    if client := sys.modules.get("streamlit.testing.v1.app_test"):
        pages_manager = client.PagesManager
        pages_manager.uses_pages_directory = False
        client.PagesManager = type("PagesManager", (pages_manager,), {})


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def make_config() -> Callable[..., ModelConfig]:
    """Compact configurations small enough for a test; keyword arguments change them."""

    def make(**changes: object) -> ModelConfig:
        names = changes.pop("modalities", ("a", "b"))
        small = dict(
            width=4, segmentor_width=4, modality_grid=2, aligner_width=4, aligner_grid=2, critic_width=4, critic_grid=2
        )
        return ModelConfig.compact(names, ("background", "one", "two"), **(small | changes))

    return make


@pytest.fixture
def make_model(make_config: Callable[..., ModelConfig]) -> Callable[..., DAFNet]:
    def make(**changes: object) -> DAFNet:
        torch.manual_seed(1)
        model = DAFNet(make_config(**changes))
        # away from the identity, or half of the aligner would have no gradient to look at
        torch.nn.init.normal_(model.aligner.offsets.weight, std=0.02)
        return model

    return make


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    def make(b: int = 2, m: int = 2, k: int = 1, height: int = 32, width: int = 48, classes: int = 3) -> Batch:
        g = torch.Generator().manual_seed(2)
        images = torch.rand(b, m, k, height, width, generator=g) * 2 - 1
        masks = torch.randint(0, classes, (b, m, height, width), generator=g)
        return Batch(images, masks, torch.ones(b, m, dtype=torch.bool))

    return make
