import random
import re
from pathlib import Path
from typing import get_args

import pytest
from reports import HOSTILE, make_entity_evaluation, make_entity_report
from test_card import header_of
from test_charts import pixels
from test_report import page_of

from retort.data.spans import Span
from retort.tasks import TASKS
from retort.tasks.base import Entity, Kind
from retort.training.card import WORDS, build_card
from retort.training.charts import draw_confusion
from retort.training.entities import NOTHING, Piece, SpanError, calibration_error, evaluate_entities
from retort.training.evaluate import Evaluation
from retort.training.report import PAGES, build_metrics, marked

TEXT = "Ada Lovelace met Bob in New York City"
GOLD = [Span(0, 12, "per"), Span(17, 20, "per"), Span(24, 37, "loc")]


def entity(start: int, end: int, label: str, probability: float = 0.9, text: str = TEXT) -> Entity:
    return Entity(label, text[start:end], start, end, probability)


def errors_of(evaluation: Evaluation) -> list[SpanError]:
    assert all(isinstance(error, SpanError) for error in evaluation.errors)
    return list(evaluation.errors)  # type: ignore[arg-type]


def test_one_evaluation_holds_all_that_was_measured() -> None:
    found = [
        entity(0, 12, "per", 0.9),
        entity(17, 20, "loc", 0.8),
        entity(24, 32, "loc", 0.6),
        entity(13, 16, "loc", 0.3),
    ]
    result = evaluate_entities([GOLD], [found], ("loc", "per"), [TEXT], [7])
    assert result.n == 1
    assert result.scores == pytest.approx(
        {
            "f1": 2 / 7,
            "precision": 1 / 4,
            "recall": 1 / 3,
            "macro_f1": (0 + 2 / 3) / 2,
            "ece": (0.1 + 0.8 + 0.6 + 0.3) / 4,
        }
    )
    assert [(s.label, s.support, s.n_predicted) for s in result.labels] == [("loc", 1, 3), ("per", 2, 1)]
    assert result.names == ("loc", "per", NOTHING)
    assert result.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [1, 0, 0]]
    assert result.fates == {
        **{"right": 1, "wrong type": 1, "wrong boundaries": 1, "wrong type and boundaries": 0},
        **{"missed": 0, "invented": 1},
    }
    assert sum(b.n for b in result.reliability) == 4
    assert result.ece_before == result.ece
    assert [(e.fate, e.gold, e.predicted, e.probability, e.line) for e in errors_of(result)] == [
        ("wrong type", ("Bob: per",), ("Bob: loc",), 0.8, 7),
        ("wrong boundaries", ("New York City: loc",), ("New York: loc",), 0.6, 7),
        ("invented", (), ("met: loc",), 0.3, 7),
    ]


def test_the_bins_give_the_calibration_error() -> None:
    rng = random.Random(0)  # noqa: S311
    golds = [[span for span in GOLD if rng.random() < 0.7] for _ in range(200)]
    found = [[entity(*span, rng.random()) for span in GOLD if rng.random() < 0.8] for _ in golds]
    result = evaluate_entities(golds, found, ("loc", "per"), [TEXT] * 200, ece_before=0.5)
    n = sum(map(len, found))
    assert sum(b.n for b in result.reliability) == n
    n_right = sum(Span(e.start, e.end, e.label) in gold for gold, each in zip(golds, found, strict=True) for e in each)
    assert sum(b.n * b.accuracy for b in result.reliability) == pytest.approx(n_right)
    gaps = sum(b.n * abs(b.confidence - b.accuracy) for b in result.reliability) / n
    assert gaps == pytest.approx(result.ece, abs=1e-6)
    assert result.ece == calibration_error(golds, found)
    assert result.ece_before == 0.5


def test_the_same_error_is_one_with_its_surest_instance() -> None:
    texts = [f"{i} Paris" for i in range(5)] + ["Rome"]
    found = [[entity(2, 7, "per", i / 10, texts[i])] for i in range(5)] + [[]]
    golds = [[Span(2, 7, "loc")]] * 5 + [[Span(0, 4, "loc")]]
    first, second = errors_of(evaluate_entities(golds, found, ("loc", "per"), texts, [*range(6)]))
    assert (first.fate, first.count, first.probability, first.line, first.text) == ("wrong type", 5, 0.4, 4, "4 Paris")
    assert (second.fate, second.count, second.probability, second.predicted) == ("missed", 1, 0.0, ())
    assert len(evaluate_entities(golds, found, ("loc", "per"), texts, n_errors=1).errors) == 1


def test_errors_stand_in_their_context_with_both_spans_marked() -> None:
    text = "so " * 50 + TEXT + " on" * 50
    shift = 150
    found = [Entity("loc", "York City on", shift + 28, shift + 40, 0.9)]
    (error,) = errors_of(evaluate_entities([[Span(shift + 24, shift + 37, "loc")]], [found], ("loc",), [text]))
    assert [*error.pieces][1:-1] == [
        Piece(error.pieces[1].text),
        Piece("New ", is_gold=True),
        Piece("York City", is_gold=True, is_predicted=True),
        Piece(" on", is_predicted=True),
        Piece(error.pieces[-2].text),
    ]
    assert error.text.startswith("… so so ")
    assert error.text.endswith(" on on …")
    assert error.text.removeprefix("… ").removesuffix(" …") in text
    assert len(error.text) < 160


def test_spans_are_shown_whole_however_long() -> None:
    text = "a " * 99 + "b"
    (error,) = errors_of(evaluate_entities([[Span(0, 199, "x")]], [[Entity("x", "b", 198, 199, 0.5)]], ("x",), [text]))
    assert error.text == text


def test_texts_without_white_space_have_context_too() -> None:
    text = "前" * 100 + "東京" + "後" * 100
    (error,) = errors_of(evaluate_entities([[Span(100, 102, "loc")]], [[]], ("loc",), [text]))
    assert error.text == "… " + "前" * 60 + "東京" + "後" * 60 + " …"


def test_without_a_prediction_there_is_an_evaluation_too() -> None:
    result = evaluate_entities([GOLD, []], [[], []], ("loc", "per"), [TEXT, "x"])
    assert set(result.scores.values()) == {0.0}
    assert result.fates["missed"] == 3
    assert pixels(draw_confusion(result)).std() > 5


def test_nothing_to_evaluate_or_lengths_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="as many"):
        evaluate_entities([], [], ("loc",), [])
    with pytest.raises(ValueError, match="1, 0, 1"):
        evaluate_entities([GOLD], [], ("loc",), [TEXT])
    with pytest.raises(KeyError):
        evaluate_entities([GOLD], [[]], ("loc",), [TEXT])


# --- report and card


def test_the_report_shows_what_became_of_the_entities(tmp_path: Path) -> None:
    report = make_entity_report()
    source, page = page_of(tmp_path, report)
    test = report.measured.test
    for expected in (
        f"{100 * test.scores['f1']:.2f} %",
        f"{100 * test.scores['precision']:.2f} %",
        "2 types of entities",
        "Type by type",
        "12 entities with broken tags",
        "How the errors divide",
        "wrong boundaries",
        "The commonest errors",
        "Ada left: loc",
        NOTHING,
        "exactly right",
        "25.00 %",
    ):
        assert expected in page.text, expected
    assert "The most confident errors" not in page.text
    assert "logistic regression on the frozen encoder" not in page.text
    assert page.tags.count("svg") == 2
    assert '<span class="gold found">Ada</span><span class="found"> left</span>' in source


def test_entities_of_strangers_stay_text(tmp_path: Path) -> None:
    attack = "</td><img/src=x\u202e <script>alert(2)</script>{{7*7}}\0"
    source, page = page_of(tmp_path, make_entity_report(HOSTILE, text=attack))
    assert "script" not in page.tags
    assert page.tags.count("img") == 1
    assert "{{7*7}}" in page.text
    assert "\u202e" not in source
    assert "\0" not in source
    body = re.sub(r"<svg.*?</svg>", "", source, flags=re.DOTALL)
    for tag in ("table", "thead", "tbody", "tr", "figure", "main", "div", "p", "bdi", "h2", "span"):
        assert len(re.findall(rf"<{tag}[ >]", body)) == body.count(f"</{tag}>"), tag


def test_a_very_long_entity_is_shortened(tmp_path: Path) -> None:
    source, _ = page_of(tmp_path, make_entity_report(text="Ada " + "x" * 10**6))
    assert len(source) < 500_000
    assert (
        marked([Piece("a<b", is_gold=True), Piece("\u202e")]) == '<bdi><span class="gold">a&lt;b</span>[U+202E]</bdi>'
    )


def test_no_errors_are_told_too(tmp_path: Path) -> None:
    right = evaluate_entities([GOLD], [[entity(*span) for span in GOLD]], ("loc", "per"), [TEXT])
    report = make_entity_report()
    measured = type(report.measured)(1.0, right, right)
    _, page = page_of(tmp_path, make_entity_report(variants={"int8": measured, "float32": measured}))
    assert "None: every entity" in page.text


@pytest.mark.parametrize("types", [("x",), HOSTILE, [f"type {i}" for i in range(60)]])
def test_the_matrix_of_types_is_drawn(types: tuple[str, ...]) -> None:
    assert pixels(draw_confusion(make_entity_evaluation(types))).std() > 5


def test_the_card_is_that_of_a_token_classifier() -> None:
    report = make_entity_report()
    card = build_card(report)
    header = header_of(card)
    assert header["pipeline_tag"] == "token-classification"
    assert "token-classification" in header["tags"]
    assert "text-classification" not in card
    assert header["metrics"] == ["f1", "precision", "recall"]
    (result,) = header["model-index"][0]["results"]
    assert result["task"] == {"type": "token-classification"}
    assert [(m["type"], m["name"]) for m in result["metrics"]] == [
        *(("f1", "f1"), ("precision", "precision"), ("recall", "recall"), ("f1", "macro f1"))
    ]
    assert result["metrics"][0]["value"] == pytest.approx(report.measured.test.scores["f1"], abs=1e-4)
    assert "`AutoModelForTokenClassification`" in card
    assert "entities in test" in card


def test_metrics_hold_the_scores_of_spans() -> None:
    found = build_metrics(make_entity_report())
    assert [*found["test"]] == ["f1", "precision", "recall", "macro_f1", "ece", "ece_before_calibration", "n"]


def test_report_and_card_know_every_kind_of_answers() -> None:
    assert [*PAGES] == [*WORDS] == [*get_args(Kind)]
    assert {task.answers for task in TASKS.values()} == {*PAGES}
