"""The page in a real browser, in front of a real server."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from browser import Open
from playwright.sync_api import Route

from served import Server

PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


def contrast(page: Any, selector: str) -> float:
    """Of an element's ink on its own background."""
    return float(page.evaluate(CONTRAST, selector))


def background(page: Any, selector: str) -> list[float]:
    """Red, green and blue, to 255."""
    found: list[float] = page.evaluate(BACKGROUND, selector)
    return found


BACKGROUND = "(s) => getComputedStyle(document.querySelector(s)).backgroundColor.match(/[\\d.]+/g).map(Number)"
CONTRAST = """(selector) => {
  const bend = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map((c) => bend(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = getComputedStyle(document.querySelector(selector));
  const [a, b] = [light(style.color), light(style.backgroundColor)].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""


def test_an_answer_comes_when_the_writer_pauses(open_page: Open, server: Server) -> None:
    watched = open_page()
    watched.page.type("#text", "how to sort the list")
    watched.wait()
    asked, answer = server.ask("POST", "/predict", {"x": ["how to sort the list"], "top_k": 3})
    assert asked == 200
    assert watched.sentence.startswith(answer["predictions"][0])
    bars = watched.page.locator(".bars li")
    assert bars.locator(".label").all_inner_texts() == [each["label"] for each in answer["top"][0]]
    assert watched.page.inner_text(".bars .chosen .label") == answer["predictions"][0]
    watched.check()


def test_an_answer_that_comes_late_is_not_shown(open_page: Open) -> None:
    watched = open_page("wide")
    held: list[Route] = []
    watched.page.route("**/predict", lambda route: held.append(route) if not held else route.continue_())
    with watched.page.expect_request("**/predict"):
        watched.page.fill("#text", "first")
    watched.page.fill("#text", "second")
    watched.wait()
    shown = watched.page.inner_text("#shown")
    held[0].fulfill(json={"model": "late", "predictions": ["late"], "probabilities": [1], "usage": [], "top": [[]]})
    watched.page.evaluate("new Promise((done) => setTimeout(done))")
    assert watched.page.inner_text("#shown") == shown
    assert "second" in watched.page.inner_text("#snippet")


def test_another_model_answers_the_same_text(open_page: Open) -> None:
    watched = open_page()
    watched.ask("java")
    watched.page.select_option("#model", "wide")
    watched.page.wait_for_selector(".bars li >> text=label")
    assert watched.page.locator(".bars li").count() == 10
    watched.page.click("text=Show all 25 labels")
    watched.page.wait_for_selector(".bars li:nth-child(25)")
    assert "/models/wide/predict" in watched.page.inner_text("#snippet")
    watched.check()


def test_any_number_of_labels_may_be_chosen(open_page: Open, server: Server) -> None:
    watched = open_page("topics")
    for text in ("java", "sort the list", "how to"):
        watched.ask(text)
        _, answer = server.ask("POST", "/models/topics/predict", {"x": [text]})
        assert {*watched.page.locator(".bars .chosen .label").all_inner_texts()} == {*answer["predictions"][0]}
        assert watched.sentence.count("%") == len(answer["predictions"][0])


def test_two_texts_are_sent_as_a_pair(open_page: Open) -> None:
    watched = open_page()
    assert not watched.page.is_visible("#text-pair")
    watched.page.check("#is-pair")
    watched.page.fill("#text", "java")
    watched.page.fill("#text-pair", "python ?")
    watched.wait()
    assert '[["java","python ?"]]' in watched.page.inner_text("#snippet")
    watched.page.select_option("#model", "entities")  # which knows single texts only
    watched.page.wait_for_selector(".text")
    assert not watched.page.is_visible("#is-pair")


def test_lines_become_a_table_that_sorts(open_page: Open, server: Server) -> None:
    watched = open_page()
    texts = ["sort the list", "java", "how to join"]
    watched.page.check("#is-lines")
    watched.page.fill("#text", "\n".join(texts))
    watched.page.wait_for_selector("tbody tr")
    assert watched.sentence == "3 texts predicted."
    cells = watched.page.locator("tbody td:nth-child(2)")
    assert cells.all_inner_texts() == texts
    watched.page.click("th >> text=Text")
    assert cells.all_inner_texts() == sorted(texts)
    watched.page.click("th >> text=Text")
    assert cells.all_inner_texts() == sorted(texts, reverse=True)
    assert watched.page.get_attribute("th:nth-child(2)", "aria-sort") == "descending"
    _, answer = server.ask("POST", "/predict", {"x": sorted(texts, reverse=True)})
    assert watched.page.locator("tbody td:nth-child(3)").all_inner_texts() == answer["predictions"]
    watched.check()


def test_a_file_is_asked_in_parts_and_exported(open_page: Open, server: Server, tmp_path: Path) -> None:
    texts = [f"java {n}" for n in range(150)] + ['=1+1, "quoted"', "-2\nlines", "@a", "\t=1"]
    with (tmp_path / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *([n, text] for n, text in enumerate(texts))])
    watched = open_page()
    sent: list[int] = []
    watched.page.on(
        "request", lambda request: sent.append(len(json.loads(request.post_data)["x"])) if request.post_data else None
    )
    watched.page.set_input_files("#file", tmp_path / "texts.csv")
    watched.page.wait_for_selector("tbody tr")
    assert sent == [64, 64, 26]
    assert watched.page.input_value("#column") == "1"
    with watched.page.expect_download() as download:
        watched.page.click("text=Export as CSV")
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"), newline="")))
    assert rows[0] == ["text", "prediction", "probability", "error"]
    assert [row[0] for row in rows[1:151]] == texts[:150]
    assert [row[0] for row in rows[151:]] == ["'" + text for text in texts[150:]]
    _, answer = server.ask("POST", "/predict", {"x": texts[:100]})
    assert [row[1] for row in rows[1:101]] == answer["predictions"]
    watched.page.click("text=Remove")
    assert watched.page.evaluate("document.activeElement.id") == "text"
    watched.check()


def test_a_long_file_can_be_cancelled(open_page: Open, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("java\n" * 300)
    watched = open_page()
    held: list[Route] = []
    watched.page.route(
        "**/predict",
        lambda route: (
            held.append(route)
            if held or route.request.post_data.count("java") < 64
            else (held.append(route), route.continue_())
        ),
    )  # type: ignore[union-attr]
    watched.page.set_input_files("#file", tmp_path / "texts.txt")
    watched.page.wait_for_selector("#done[value='64']")
    assert watched.page.inner_text("#hint") == "64 of 300 texts"
    watched.page.click("text=Cancel")
    assert not watched.page.is_visible("#progress")
    watched.page.unroute("**/predict")
    watched.page.click("#predict")
    watched.page.wait_for_selector("tbody tr")
    assert watched.sentence == "300 texts predicted."


@pytest.mark.parametrize(("content", "said"), [(b"\xff\xfe\xfa", "UTF-8"), (b"\x80abc", "UTF-8")])
def test_a_file_that_is_no_text_is_refused(open_page: Open, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    watched = open_page()
    watched.page.set_input_files("#file", tmp_path / "a.txt")
    watched.wait()
    assert said in watched.fault


def test_entities_are_marked_where_the_api_finds_them(open_page: Open, server: Server) -> None:
    text = "  👍 java  to\tParis 👩‍👩‍👧‍👦 and\n é你 Berlin,  so  ACME Corp. of python  "
    watched = open_page("entities")
    watched.ask(text)
    _, answer = server.ask("POST", "/models/entities/predict", {"x": [text]})
    entities = answer["predictions"][0]
    assert entities
    marks = watched.page.locator("mark")
    assert marks.locator("bdi:first-child").all_text_contents() == [text[e["start"] : e["end"]] for e in entities]
    assert marks.locator(".type").all_text_contents() == [e["label"] for e in entities]
    shown = watched.page.evaluate(
        "() => { const copy = document.querySelector('.text').cloneNode(true);"
        " copy.querySelectorAll('.type').forEach((type) => type.remove()); return copy.textContent }"
    )
    assert shown == text
    assert watched.sentence == f"{len(entities)} entit{'y' if len(entities) == 1 else 'ies'} found."
    counts = {label: sum(e["label"] == label for e in entities) for label in {e["label"] for e in entities}}
    legend = watched.page.locator(".legend li")
    assert {item.split()[0]: int(item.split()[1]) for item in legend.all_inner_texts()} == counts
    watched.check()


def test_entities_of_many_texts_are_counted_together_and_exported(open_page: Open, server: Server) -> None:
    texts = ["java to Paris", "and Berlin of python", "你 é 👍"]
    watched = open_page("entities")
    watched.page.check("#is-lines")
    watched.page.fill("#text", "\n".join(texts))
    watched.page.wait_for_selector("tbody tr:nth-child(3)")
    _, answer = server.ask("POST", "/models/entities/predict", {"x": texts})
    found = [(n, text, e) for n, (text, p) in enumerate(zip(texts, answer["predictions"], strict=True), 1) for e in p]
    assert watched.page.locator("tbody mark bdi:first-child").all_text_contents() == [e["text"] for *_, e in found]
    counts = watched.page.locator(".legend .count").all_inner_texts()
    assert sum(map(int, counts)) == len(found) > 0
    with watched.page.expect_download() as download:
        watched.page.click("text=Export as CSV")
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8-sig"), newline="")))
    exported = [(int(r["row"]), r["text"], r["label"], r["entity"], int(r["start"])) for r in rows if r["label"]]
    assert exported == [(n, text, e["label"], e["text"], e["start"]) for n, text, e in found]
    watched.check()


def test_a_text_without_entities_gets_a_sentence(open_page: Open) -> None:
    watched = open_page("entities")
    watched.page.route("**/predict", lambda route: route.fulfill(json={
        "model": "m", "predictions": [[]], "probabilities": [[]], "usage": [{"tokens": 3, "truncated": False}]
    }))  # fmt: skip
    watched.ask("nothing here")
    assert watched.sentence == "No entities found."
    assert (watched.fault, watched.page.inner_text(".text")) == ("", "nothing here")


FAMILIES = {"org": "green", "loc": "red", "per": "blue", "misc": "purple"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_colour_can_be_read_and_told(open_page: Open, scheme: str) -> None:
    watched = open_page(color_scheme=scheme)
    slots = [*FAMILIES, *(f"other-{n}" for n in range(24))]
    watched.page.evaluate(
        "(slots) => document.querySelector('main').append(...slots.map((slot) => {"
        " const mark = document.createElement('mark'); mark.className = slot; mark.textContent = slot; return mark }))",
        slots,
    )
    assert min(contrast(watched.page, f"mark.{slot}") for slot in slots) >= 4.5
    colours = {slot: background(watched.page, f"mark.{slot}") for slot in slots}
    assert len({tuple(colour) for colour in colours.values()}) == len(slots)
    red, green, blue, purple = (colours[slot] for slot in ("loc", "org", "per", "misc"))
    assert red[0] > max(red[1:])
    assert green[1] > max(green[0], green[2])
    assert blue[2] > blue[1] > blue[0]
    assert min(purple[0], purple[2]) > purple[1]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_scheme_and_stays_readable(open_page: Open, scheme: str) -> None:
    watched = open_page(color_scheme=scheme)
    watched.ask("java")
    paper = background(watched.page, "body")
    assert (sum(paper) > 600) == (scheme == "light")
    for selector in ("body", "#text", "#predict", "#model"):
        assert contrast(watched.page, selector) >= 4.5


def test_marks_and_everything_else_are_reached_by_the_keyboard(open_page: Open) -> None:
    watched = open_page("entities")
    page = watched.page
    page.focus("#model")
    page.keyboard.press("Tab")
    seen = []
    for _ in range(60):
        tag, name, outline = page.evaluate(
            "[document.activeElement.tagName, document.activeElement.id || document.activeElement.className,"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        if tag == "BODY":
            break
        assert outline != "none" or name == "file", name
        seen.append(name or tag)
        if name == "text":
            page.keyboard.insert_text("java to Paris, Berlin and python")
            watched.wait()
            page.wait_for_selector("mark")
            found = page.locator("mark").count()
        if tag == "MARK":
            assert "%" in page.inner_text(".detail")
            assert page.evaluate("document.activeElement.getAttribute('aria-label')").count("%") == 1
        page.keyboard.press("Tab")
    assert {"text", "is-lines", "predict", "file", "copy", "snippet"} <= {*seen}
    assert (
        page.locator("mark").count()
        == found
        == sum(name.startswith(("org", "loc", "per", "misc", "other")) for name in seen)
    )


@pytest.mark.parametrize(
    ("text", "direction"),
    [("java", "ltr"), ("1 - שלום java", "rtl"), ("مرحبا", "rtl"), ("\U0001e900 a", "rtl"), ("👍 é", "ltr")],
)
def test_texts_begin_where_they_are_read_from(open_page: Open, text: str, direction: str) -> None:
    watched = open_page("entities")
    watched.ask(text)
    assert watched.page.get_attribute("#text", "dir") == direction
    assert watched.page.evaluate("getComputedStyle(document.querySelector('.text')).direction") == direction


def test_control_enter_asks(open_page: Open) -> None:
    watched = open_page()
    watched.page.wait_for_selector("#about:visible")
    watched.page.fill("#text", "java")
    watched.page.press("#text", "Control+Enter")
    watched.wait()
    assert watched.sentence


def test_readers_of_screens_hear_names_and_answers(open_page: Open) -> None:
    watched = open_page()
    watched.ask("java")
    nameless = watched.page.evaluate(
        "[...document.querySelectorAll('input, select, textarea, button, a, progress')].filter((element) =>"
        " !(element.labels?.length || element.textContent.trim() || element.ariaLabel)).map((e) => e.outerHTML)"
    )
    assert nameless == []
    assert watched.page.locator("[role=status]").first.get_attribute("aria-live") == "polite"
    assert [watched.page.locator(name).count() for name in ("main", "header", "footer", "nav", "h1")] == [1] * 5
    tree = watched.page.locator("body").aria_snapshot()
    for role in ('combobox "Model"', 'textbox "Text"', 'button "Predict"', 'region "Answer"', "status"):
        assert role in tree


def test_a_phone_has_nothing_to_scroll_at_the_side(open_page: Open) -> None:
    watched = open_page(**PHONE)
    watched.check()
    watched.ask("java " * 50 + "w" * 500)
    watched.check()
    watched.page.check("#is-lines")
    watched.page.fill("#text", "w" * 500 + "\njava")
    watched.page.wait_for_selector("tbody tr")
    watched.check()
    watched.page.uncheck("#is-lines")
    watched.page.select_option("#model", "entities")
    watched.page.wait_for_selector(".text")
    watched.check()


def test_card_and_report_are_one_press_away_and_run_nothing(open_page: Open) -> None:
    watched = open_page()
    watched.page.wait_for_selector("#about:visible")
    for name, heading in (("card", "# A card"), ("report", "A report")):
        address = watched.page.get_attribute(f"#{name}", "href")
        assert address
        other = open_page()
        other.page.goto(address)
        assert heading in other.page.inner_text("body")
        assert other.page.evaluate("document.scripts.length") == (name == "report")
        assert not [
            fault
            for fault in other.faults
            if "Refused" not in fault and "Blocked" not in fault and "Content Security" not in fault
        ]
    assert other.page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(1, 2, 3)"


REFUSALS = [
    (429, {"Retry-After": "7"}, "busy", "Trying again in 7 seconds."),
    (503, {"Retry-After": "1"}, "loaded", "Trying again in a second."),
    (413, {}, "Shorten", "Expected less."),
    (422, {}, "", "Expected less."),
    (500, {}, "log", "(request r1)"),
    (504, {}, "longer", "Shorten"),
]


@pytest.mark.parametrize(("status", "headers", "first", "second"), REFUSALS)
def test_refusals_become_sentences(
    open_page: Open, status: int, headers: dict[str, str], first: str, second: str
) -> None:
    watched = open_page("wide")
    envelope = {"error": "x[0]: Expected less.", "error_type": "T", "request_id": "r1"}
    watched.page.route("**/predict", lambda route: route.fulfill(status=status, headers=headers, json=envelope))
    watched.ask("java")
    assert first in watched.fault
    assert second in watched.fault
    assert "x[0]" not in watched.fault
    watched.page.unroute("**/predict")
    watched.ask("java")
    assert (watched.fault, watched.sentence.split()[0]) == ("", "label")


def test_a_server_that_is_busy_is_asked_again(open_page: Open) -> None:
    watched = open_page("wide")
    watched.page.clock.install()
    watched.page.route(
        "**/predict", lambda route: route.fulfill(status=429, headers={"Retry-After": "9"}, json={}), times=1
    )
    watched.ask("java")
    assert "busy" in watched.fault
    watched.page.clock.run_for(9_000)
    watched.page.wait_for_selector(".bars li")
    assert watched.fault == ""


def test_a_server_that_is_gone_is_said(open_page: Open) -> None:
    watched = open_page("wide")
    watched.page.route("**/predict", lambda route: route.abort())
    watched.ask("java")
    assert "cannot be reached" in watched.fault
