"""One Chromium and one server for all tests of the page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import ARGUMENTS, Open, Watched, find_chromium
from playground_models import publish_all
from playwright.sync_api import Browser, sync_playwright

from served import Server, serving


@pytest.fixture(scope="session")
def playground_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models_dir = tmp_path_factory.mktemp("playground")
    publish_all(models_dir)
    return models_dir


@pytest.fixture(scope="session")
def server(playground_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("log") / "log"
    with serving(playground_dir, "--max-texts-per-request", "100", log=log) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Open]:
    """Opens the page; what is given goes to the browser's context, `model` is chosen."""
    contexts = []

    def open_page(model: str | None = None, port: int = server.port, **context: object) -> Watched:
        opened = browser.new_context(**({"viewport": {"width": 1200, "height": 900}} | context))  # type: ignore[arg-type]
        opened.set_default_timeout(20_000)
        contexts.append(opened)
        watched = Watched(opened.new_page())
        watched.page.goto(f"http://127.0.0.1:{port}/")
        if model is not None:
            watched.page.wait_for_selector("#about:visible")
            watched.page.select_option("#model", model)
        return watched

    yield open_page
    for context in contexts:
        context.close()
