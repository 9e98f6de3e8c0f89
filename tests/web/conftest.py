"""One Chromium and one server for all tests of the page."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import ARGUMENTS, Watched, find_chromium
from hostile_texts import LABELS as HOSTILE_LABELS
from playwright.sync_api import Browser, sync_playwright

from artifacts import LABELS, tiny_artifact
from retort.artifact import Artifact
from retort.pointer import Pointer, write_pointer
from retort.tasks import TASKS
from served import Server, serving

TYPES = ("DATE", "LOC", "MISC", "ORG", "PER", "Product")

Open = Callable[..., Watched]


def publish_all(models_dir: Path) -> None:
    """Models of every task, with labels of every kind."""
    tags, kinds = "token_classification", TASKS["token_classification"].label_names
    further: dict[str, Artifact] = {
        "topics": tiny_artifact(models_dir, ("bug", "praise", "price"), "topics", task="multi_label_classification"),
        "wide": tiny_artifact(models_dir, [f"label {n}" for n in range(25)], "wide"),
        "entities": tiny_artifact(models_dir, kinds(TYPES), "entities", seed=3, task=tags, long_text="windows"),
        "none": tiny_artifact(models_dir, kinds(("LOC",)), "none", seed=1, task=tags, long_text="windows"),
        "hostile": tiny_artifact(models_dir, HOSTILE_LABELS, "hostile"),
        "hostile-entities": tiny_artifact(
            models_dir, kinds(sorted({label for label in HOSTILE_LABELS if label.strip()})), "hostile-entities",
            task=tags, long_text="windows",
        ),
    }  # fmt: skip
    tiny_artifact(models_dir, LABELS, "tiny", change=document)
    for name, artifact in further.items():
        write_pointer(models_dir, Pointer(f"trained/{artifact.path.name}", name), name)


def document(folder: Path) -> None:
    """A card and a report, which would do harm if anything in them ran."""
    (folder / "README.md").write_text("# A card\n<script>owned()</script>\n", encoding="utf-8")
    (folder / "report.html").write_text(
        "<!doctype html><title>Training report</title><style>h1 { color: rgb(1, 2, 3) }</style><h1>A report</h1>"
        "<script>owned()</script><img src=x onerror=owned()>",
        encoding="utf-8",
    )


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
