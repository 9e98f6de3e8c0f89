"""More than a hundred hostile texts and labels: shown as what they are, never obeyed, and the page stays whole."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from browser import ANSWERED, Open, Watched
from flask.testing import FlaskClient
from hostile_texts import LABELS, TEXTS
from playwright.sync_api import Page

from retort.app import create_app
from retort.config import ServeSettings
from served import Server

PHONE = {"viewport": {"width": 360, "height": 740}}
TABLES = {"table", "thead", "tbody", "tr", "th", "td"}
OURS = TABLES | {"ol", "ul", "li", "bdi", "span", "svg", "rect", "p", "div", "mark", "button"}
ATTRIBUTES = {"title", "tabindex", "role", "class", "dir", "aria-label", "aria-hidden", "width", "height", "scope"}
# Asks one text after the other, within the page: a call for each step of each text would take a minute.
ASK_ALL = """async ([texts, answered]) => {
  const [field, form, answer] = ["text", "ask", "answer"].map((id) => document.getElementById(id));
  const found = [];
  for (const text of texts) {
    field.value = text;
    form.requestSubmit();
    await new Promise((done) => {
      const look = () => document.querySelector(answered) && (observer.disconnect(), done());
      const observer = new MutationObserver(look);
      observer.observe(answer, { subtree: true, childList: true, attributes: true, characterData: true });
    });
    const marked = document.querySelector(".text")?.cloneNode(true);
    marked?.querySelectorAll(".type").forEach((type) => type.remove());
    const isWhole = marked === undefined || marked.textContent === field.value;
    const sideways = document.documentElement.scrollWidth - innerWidth;
    found.push([document.getElementById("fault").textContent, isWhole, Math.max(0, sideways)]);
  }
  return found;
}"""


def tags_of(page: Page) -> set[str]:
    """The kinds of elements in the answer."""
    return {*page.evaluate("[...document.querySelectorAll('#shown *')].map((e) => e.localName)")}


def check_whole(watched: Watched) -> None:
    """The page is ours alone, and answers."""
    assert tags_of(watched.page) <= OURS
    assert watched.page.title() == "Retort playground"
    assert watched.page.evaluate("document.scripts.length") == 1
    watched.check()


def test_there_are_a_hundred() -> None:
    assert len({*TEXTS}) == len(TEXTS) >= 100


@pytest.mark.parametrize("model", ["hostile", "hostile-entities"])
def test_no_text_does_anything_but_be_answered(open_page: Open, model: str) -> None:
    watched = open_page(model, **PHONE)
    answers = watched.page.evaluate(ASK_ALL, [TEXTS, ANSWERED])
    wrong = [(text[:80], answer) for text, answer in zip(TEXTS, answers, strict=True) if answer != ["", True, 0]]
    assert wrong == []
    check_whole(watched)
    watched.ask("java")
    assert watched.sentence
    check_whole(watched)


def test_many_at_once_are_a_table_of_words(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "texts.tsv").write_text("\n".join(f'"{text.replace(chr(34), chr(34) * 2)}"' for text in TEXTS))
    watched = open_page("hostile", **PHONE)
    watched.page.set_input_files("#file", tmp_path / "texts.tsv")
    watched.page.wait_for_selector(f"tbody tr:nth-child({len(TEXTS)})")
    check_whole(watched)


def test_labels_are_words_too(open_page: Open) -> None:
    watched = open_page("hostile", **PHONE)
    watched.ask("java")
    watched.page.click(f"text=Show all {len(LABELS)} labels")
    watched.page.wait_for_selector(f".bars li:nth-child({len(LABELS)})")
    shown = watched.page.locator(".bars .label").all_text_contents()
    assert {*map(whole, shown)} == {*map(whole, LABELS)}
    check_whole(watched)


def whole(text: str) -> str:
    """With a mark for half a character, which gets lost on its way."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").replace("\ufffd" * 3, "\ufffd")


def test_half_a_character_is_refused_in_words(open_page: Open) -> None:
    watched = open_page("wide")
    watched.page.evaluate("document.querySelector('#text').value = 'a\\ud800'")
    watched.page.click("#predict")
    watched.wait()
    assert "lone surrogate" in watched.fault
    watched.ask("java")
    check_whole(watched)


def test_nothing_of_it_is_logged(server: Server, open_page: Open) -> None:
    watched = open_page("entities")
    watched.ask("a secret java to Paris and Berlin")
    form = open_page(java_script_enabled=False)
    form.page.fill("#text", "a secret java")
    form.page.click("#predict")
    assert server.log
    assert "secret" not in server.log.read_text()
    assert {"/", "/models/<name>/predict"} <= {line["endpoint"] for line in server.lines()}


class Reader(HTMLParser):
    """What a page without JavaScript is made of."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.marked = ""
        self._in_text = self._in_type = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self._in_text |= tag == "p" and ("class", "text") in attrs
        self._in_type = ("class", "type") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._in_text &= tag != "p"
        self._in_type &= tag != "bdi"

    def handle_data(self, data: str) -> None:
        if self._in_text and not self._in_type:
            self.marked += data


@pytest.fixture(scope="module")
def form(playground_dir: object) -> FlaskClient:
    return create_app(ServeSettings(models_dir=playground_dir, n_threads=1)).test_client()


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.mark.parametrize("model", ["hostile", "hostile-entities"])
def test_without_javascript_too_everything_is_a_word(form: FlaskClient, model: str) -> None:
    empty = read(form.get("/").text)
    for text in TEXTS:
        response = form.post("/", data={"model": model, "text": text})
        assert response.status_code == 200, text[:80]
        reader = read(response.text)
        assert reader.tags <= empty.tags | OURS
        assert reader.attributes <= empty.attributes | ATTRIBUTES
        if "entities" in model and text.strip():
            assert reader.marked == text.replace("\r\n", "\n"), text[:80]
