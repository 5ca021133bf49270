"""The app for tests: by Streamlit's test client, and in a browser."""

import os

import pytest
from browser_visits import CHROMIUM
from page_visits import SHIPPED, open_app

from dafnet_core.checkpoints.file import load
from dafnet_explorer import background_evaluation
from tools.screenshots import serve


@pytest.fixture
def app():
    return open_app()


@pytest.fixture(autouse=True)
def _no_evaluation_outlives_its_test():
    """Evaluations that nobody waits for are cancelled, so that those of the next test need not queue behind them."""
    yield
    jobs = background_evaluation._jobs()
    for key, job in list(jobs._jobs.items()):
        for client in list(job.waiting):
            jobs.withdraw(key, client)


@pytest.fixture(scope="module")
def checkpoint():
    return load(SHIPPED)


@pytest.fixture
def few(monkeypatch):
    """Pages evaluate three subjects; the results are cached for the next test."""
    monkeypatch.setattr(background_evaluation, "POPULATIONS", (3, 4))


@pytest.fixture(scope="module")
def browser():
    if not CHROMIUM and not os.environ.get("DAFNET_REQUIRE_BROWSER"):
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        chromium = p.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def server(browser):
    """Address and process of a server; only where there is a browser to visit it."""
    with serve() as found:
        yield found


@pytest.fixture
def page(browser):
    """A fresh page; fails its test on any page error or any request that leaves this machine."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(20_000)
    errors, outside = [], []
    page.on("pageerror", lambda e: errors.append(str(e)))
    page.on(
        "request",
        lambda r: (
            outside.append(r.url)
            if not r.url.startswith(("http://127.0.0.1", "ws://127.0.0.1", "data:", "blob:"))
            else None
        ),
    )
    yield page
    context.close()
    assert errors == []
    assert outside == []
