import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from reports import HOSTILE, make_report

from retort.training.report import build_metrics, shown, write_report

VOID = {"meta", "br", "img", "path", "use", "rect"}


class Page(HTMLParser):
    """Text, tags and attributes of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text, self.tags, self.values = "", [], []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value or "" for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(tmp_path: Path, report) -> tuple[str, Page]:
    write_report(tmp_path / "report.html", report)
    source = (tmp_path / "report.html").read_text(encoding="utf-8")
    return source, Page(source)


def test_the_report_says_all_that_was_found(tmp_path: Path):
    report = make_report(("java", "python"))
    _, page = page_of(tmp_path, report)
    test = report.measured.test
    for expected in (
        "8,000",
        "3 with empty text",
        "5 with no label",
        "7 whose text another split holds",
        "12 rows repeat",
        "1 texts carry different labels",
        "line 12",
        "8 bits cost nothing",
        f"{100 * test.scores['accuracy']:.2f} %",
        f"{test.ece_before:.4f}",
        f"{test.labels[0].f1:.3f}",
        "number 2 of 2",
        "6 min 52 s",
        "1,834 MB",
        "46.2 examples/s",
        "retort train --data questions.csv --seed 0",
    ):
        assert expected in page.text, expected
    assert page.tags.count("svg") == 2
    assert page.tags.count("img") == 1


def test_the_page_needs_no_network_and_no_script(tmp_path: Path):
    _, page = page_of(tmp_path, make_report())
    assert not {"script", "link", "iframe", "object", "form", "a"} & set(page.tags)
    references = [v for v in page.values if re.match(r"\s*(https?:|//|file:|javascript:)", v)]
    assert all(v.startswith("http://www.w3.org/") for v in references)  # names of XML, never fetched
    assert all(v.startswith("data:image/png") for v in page.values if v.startswith("data:"))


def test_texts_and_labels_of_strangers_stay_text(tmp_path: Path):
    attack = "</td><img src=x onerror=alert(1)><script>alert(2)</script>{{ 7*7 }} \u202eevil\0"
    source, page = page_of(
        tmp_path,
        make_report(
            HOSTILE,
            text=attack,
            command=attack,
            model=attack,
            reason=attack,
            device=attack,
            files={"train": attack},
            versions={"x": attack},
            settings={attack: attack},
        ),
    )
    assert not {"script"} & set(page.tags)
    assert page.tags.count("img") == 1
    assert "{{ 7*7 }}" in page.text
    assert "49" not in re.findall(r">\s*(\d+) \[U", source)
    assert "\u202e" not in source
    assert "\0" not in source
    assert "[U+202E]" in page.text


def test_a_very_long_text_is_shortened(tmp_path: Path):
    source, page = page_of(tmp_path, make_report(text="word " * 200_000))
    assert len(source) < 500_000
    assert "999,400 characters more" in page.text


def test_arguments_that_are_no_unicode_can_be_shown(tmp_path: Path):
    _, page = page_of(tmp_path, make_report(command="retort train --data caf\udce9.csv"))
    assert "caf[U+DCE9].csv" in page.text


@pytest.mark.parametrize("n_labels", [2, 21, 60])
def test_any_number_of_labels_has_its_tables(tmp_path: Path, n_labels: int):
    _, page = page_of(tmp_path, make_report([f"label {i}" for i in range(n_labels)]))
    assert f"label {n_labels - 1}" in page.text
    assert ("The weakest" in page.text) == (n_labels > 20)


def test_several_labels_a_text_have_a_report_too(tmp_path: Path):
    _, page = page_of(tmp_path, make_report(("bug", "idea", "praise"), task="multi_label_classification"))
    assert "micro F1" in page.text
    assert "none" in page.text  # some text has no label, or was given none


def test_a_head_alone_has_no_learning_curves(tmp_path: Path):
    _, page = page_of(tmp_path, make_report(history=(), best_epoch=0))
    assert page.tags.count("svg") == 1
    assert "only the head was fitted" in page.text


def test_every_element_is_closed(tmp_path: Path):
    source, _ = page_of(tmp_path, make_report(HOSTILE))
    body = re.sub(r"<svg.*?</svg>", "", source, flags=re.DOTALL)
    for tag in ("table", "thead", "tbody", "tr", "details", "figure", "section", "main", "div", "p", "bdi", "h2"):
        assert len(re.findall(rf"<{tag}[ >]", body)) == body.count(f"</{tag}>"), tag


def test_shown_keeps_what_is_harmless():
    assert shown("línea 1\n\tعربي 👩‍🚀 a<b") == "<bdi>línea 1\n\tعربي 👩‍🚀 a&lt;b</bdi>"


def test_metrics_hold_both_splits_of_both_graphs_and_the_cost():
    report = make_report()
    found = json.loads(json.dumps(build_metrics(report), allow_nan=False))
    for part in (found, found["int8"]):
        for split in ("validation", "test"):
            assert {"accuracy", "macro_f1", "ece", "ece_before_calibration", "n"} <= set(part[split])
        assert part["temperature"] == 1.3
    assert found["served"] == "int8"
    assert found["peak_rss_mb"] == 1834.2
    assert found["examples_per_second"] == 46.25
    assert found["seconds"] == {"read": 0.25, "fine-tune": 412.0}
    assert "int8" not in build_metrics(make_report(variants={"float32": report.measured}, served="float32"))
