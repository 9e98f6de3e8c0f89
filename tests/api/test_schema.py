"""Bytes become inputs or one clear sentence."""

import json

import numpy as np
import pytest

from hostile import BODIES
from retort.api.schema import PredictResponse, build_response, parse_request
from retort.api.strict_json import parse_json
from retort.engine.predictor import Answer
from retort.errors import InferenceFailed, InvalidInput, NotJson, TooManyTexts
from retort.tasks import TASKS, Input, LabelPrediction

TASK = TASKS["classification"]
LOGITS = np.zeros(2, np.float32)


def parse(body: object, max_texts: int = 100) -> list[Input]:
    return parse_request(json.dumps(body).encode(), TASK, max_texts).inputs


@pytest.mark.parametrize("key", ["x", "X"])
def test_texts_come_in_their_order(key: str) -> None:
    assert parse({key: ["b", "a", ""]}) == [Input("b"), Input("a"), Input("")]


def test_a_bare_string_is_a_list_of_one() -> None:
    assert parse({"x": "ab"}) == [Input("ab")]


def test_a_pair_is_a_list_in_the_list() -> None:
    assert parse({"x": [["a", "b"], ["c", ""]]}) == [Input("a", "b"), Input("c", "")]


def test_two_texts_are_never_a_pair() -> None:
    assert parse({"x": ["a", "b"]}) == [Input("a"), Input("b")]


def test_texts_and_pairs_may_come_together() -> None:
    assert parse({"x": ["a", ["b", "c"]]}) == [Input("a"), Input("b", "c")]


def test_nothing_asked_is_a_request_too() -> None:
    assert parse({"x": []}) == []


REFUSED = [name for name, (_, status) in BODIES.items() if status in (400, 422) and name != "tokens beyond their limit"]


@pytest.mark.parametrize("name", REFUSED)
def test_hostile_bodies_are_refused_in_one_printable_sentence(name: str) -> None:
    body, status = BODIES[name]
    with pytest.raises(NotJson if status == 400 else InvalidInput) as caught:
        parse_request(body, TASK, 10_000)
    message = str(caught.value)
    assert message.isprintable()
    assert len(message) < 200


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"x": ["a", 3]}, "x[1]: expected a string or a pair of strings, got a number."),
        ({"x": ["a", None]}, "x[1]: expected a string or a pair of strings, got null."),
        ({"x": [["a", 1]]}, "x[0]: expected a pair of strings, got a string and a number."),
        ({"x": [["a", "b"], ["a"]]}, "x[1]: expected a string or a pair of strings, got a list of 1."),
        ({"x": "a", "X": "b"}, "Expected `x` or `X`, got both; send `x`."),
        ({"x": "a", "modle": "b"}, "Unknown field `modle`; expected `x`, `top_k`."),
        ({"top_k": 1}, 'Expected a field `x`, such as {"x": ["…"]}; it is missing.'),
        ({"x": {"a": 1}}, "`x`: expected a list of strings (or of pairs of strings), got an object."),
        ({"x": "a", "top_k": True}, "`top_k`: expected a whole number of at least 1, got a boolean."),
        (["a"], 'Expected an object such as {"x": ["…"]}, got a list.'),
    ],
    ids=str,
)
def test_a_refusal_names_the_field_or_the_item(body: object, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(body)
    assert str(caught.value) == message


def test_more_texts_than_allowed_are_refused_with_both_numbers() -> None:
    assert len(parse({"x": ["a"] * 100})) == 100
    with pytest.raises(TooManyTexts, match="at most 100 texts in one request, got 101"):
        parse({"x": ["a"] * 101})


def test_the_count_is_checked_before_the_items() -> None:
    with pytest.raises(TooManyTexts):
        parse({"x": [None] * 101})


def test_json_of_any_kind_within_the_limits_is_read() -> None:
    value = {"a": [1, -2.5e3, "é\n", None, True, {}], "b": {"c": [[]]}}
    assert parse_json(json.dumps(value).encode()) == value
    assert parse_json(b"\xef\xbb\xbf" + json.dumps(value).encode()) == value
    assert parse_json(b"[" * 32 + b"]" * 32) is not None


def test_a_response_is_what_its_model_describes() -> None:
    labels = ("a", "b")
    one = Answer(LabelPrediction("b", 0.7500001, np.array([0.2499999, 0.7500001]), labels, LOGITS), 5, False)
    several = Answer(LabelPrediction(["b", "a"], [0.9, 0.8], np.array([0.8, 0.9]), labels, LOGITS), 16, True)
    for answer, probability in ((one, 0.75), (several, [0.9, 0.8])):
        response = build_response("BERT", [answer], 1)
        PredictResponse.model_validate(response, strict=True)
        assert response["probabilities"] == [probability]
        assert [r["label"] for r in response["top"][0]] == ["b"]
    assert "top" not in build_response("BERT", [one], None)
    assert build_response("BERT", [], 3) == {
        "model": "BERT", "predictions": [], "probabilities": [], "usage": [], "top": []
    }  # fmt: skip


def test_a_text_without_an_answer_is_null_and_named() -> None:
    good = Answer(LabelPrediction("a", 1.0, np.array([1.0]), ("a",), LOGITS), 5, False)
    bad = Answer(None, 5, False, RuntimeError("secret"))
    response = build_response("BERT", [good, bad], 1)
    PredictResponse.model_validate(response, strict=True)
    assert (response["predictions"], response["probabilities"], response["top"][1]) == (["a", None], [1.0, None], [])
    (failure,) = response["errors"]
    assert (failure["index"], failure["error_type"]) == (1, "InferenceFailed")
    assert "secret" not in json.dumps(response)
    with pytest.raises(InferenceFailed):
        build_response("BERT", [bad, bad], None)
