"""A real Chromium for tests of pages: where it is, and what a page did that it should not have done."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import ConsoleMessage, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HOW = "Expected Chromium for the tests of the web page; install it. On Debian: apt install chromium"
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage"]  # containers have neither namespaces nor much shared memory

# Playwright's own waiting for functions is `eval`, which our policy forbids: tests wait for selectors.
ANSWERED = "#answer:has(#shown:not(.stale)):is(:has(#shown > *), :has(#fault:not(:empty)))"

# Runs before anything of a page does.
WATCH = """
window.owned = () => { window.wasOwned = true };
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
});
"""


def find_chromium() -> str:
    """Its path; the test fails where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail(HOW, pytrace=False)
    return found


@dataclass
class Watched:
    """A page, and everything that went wrong in it."""

    page: Page
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.add_init_script(WATCH)
        self.page.on("dialog", lambda dialog: (self.faults.append(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("pageerror", lambda error: self.faults.append(f"error {error}"))
        self.page.on("console", self._hear)
        self.page.on("popup", lambda popup: self.faults.append(f"popup {popup.url}"))

    def _hear(self, message: ConsoleMessage) -> None:
        # A browser says of every refused request that it was; pages are told so too, and show it.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console {message.text}")

    def check(self) -> None:
        """Nothing ran that is not ours, nothing was forbidden, nothing sticks out of the window."""
        assert self.faults == []
        assert self.page.evaluate("[window.wasOwned, ...window.violations]") == [None]
        self.check_width()

    def check_width(self) -> None:
        """There is nothing to scroll to at the side."""
        width, window = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width <= window

    def ask(self, text: str) -> None:
        """Write a text and wait until its answer stands there."""
        self.page.fill("#text", text)
        self.page.evaluate("document.querySelector('#ask').requestSubmit()")  # as a click, which takes much longer
        self.wait()

    def wait(self) -> None:
        """Until what stands there is no answer to an older question."""
        self.page.wait_for_selector(ANSWERED, state="attached")

    @property
    def sentence(self) -> str:
        return self.page.inner_text("#status")

    @property
    def fault(self) -> str:
        return self.page.inner_text("#fault")


Open = Callable[..., Watched]
