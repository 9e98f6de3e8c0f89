"""Writes docs/images: the playground as a running server shows it.

python docs/screenshots.py http://localhost:5000 [model that finds entities]
"""

import sys
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
sys.path.insert(0, str(ROOT / "tests" / "web"))

from browser import ARGUMENTS, find_chromium  # noqa: E402  # where the tests find it

QUESTION = "How do I undo the last commit without losing my changes?"
NEWS = (
    "Angela Merkel met engineers of Siemens and Airbus in Berlin on Monday.\n\n"
    "Marie Curie moved from Warsaw to Paris, and won the Nobel Prize."
)


def open_page(browser: Browser, address: str, scheme: str, width: int, height: int, scale: float) -> Page:
    """The page with the default model chosen."""
    viewport = {"width": width, "height": height}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, device_scale_factor=scale)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("#about:visible")
    return page


def main(address: str, entities: str | None = None) -> None:
    """Write `labels-light.png`, and with a model that finds entities `entities-*.png`."""
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = open_page(browser, address, "light", 1080, 720, 1)
        page.fill("#text", QUESTION)
        page.wait_for_selector(".bars li")
        page.screenshot(path=IMAGES / "labels-light.png", full_page=True)
        shots = [("entities-light", "light", 1080, 600, 1), ("entities-phone-dark", "dark", 360, 900, 1.5)]
        for name, scheme, width, height, scale in shots if entities else []:
            page = open_page(browser, address, scheme, width, height, scale)
            page.select_option("#model", entities)
            page.fill("#text", NEWS)
            page.wait_for_selector("mark")
            page.evaluate("document.activeElement.blur()")
            page.screenshot(path=IMAGES / f"{name}.png", full_page=width > 400)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
