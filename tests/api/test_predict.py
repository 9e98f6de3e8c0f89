"""`POST /predict`, from body to answer."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from artifacts import LABELS, tiny_artifact
from hostile import BODIES, ODD
from retort.app import create_app
from retort.config import ServeSettings


def post(client: FlaskClient, body: bytes, **headers: str) -> TestResponse:
    return client.post("/predict", data=body, content_type=headers.pop("content_type", "application/json"),
                       headers={name.replace("_", "-"): value for name, value in headers.items()})  # fmt: skip


def ask(client: FlaskClient, **body: Any) -> dict[str, Any]:
    response = post(client, json.dumps(body).encode())
    assert response.status_code == 200, response.text
    return response.get_json()


def test_texts_are_answered_in_their_order(client: FlaskClient) -> None:
    texts = ["how to sort", "java", "", "join " * 30]
    answer = ask(client, x=texts)
    assert list(answer) == ["model", "predictions", "probabilities", "usage"]
    assert answer["model"].startswith("BERT 2026-01-06 22:06:23 ")
    single = [ask(client, x=text) for text in texts]
    for key in ("predictions", "usage"):
        assert answer[key] == [one[key][0] for one in single]
    assert answer["probabilities"] == pytest.approx([one["probabilities"][0] for one in single], abs=1e-4)
    assert set(answer["predictions"]) <= set(LABELS)
    assert answer["usage"][1:] == [
        {"tokens": 3, "truncated": False}, {"tokens": 2, "truncated": False}, {"tokens": 16, "truncated": True}
    ]  # fmt: skip


def test_top_k_lists_the_most_probable_labels_first(client: FlaskClient) -> None:
    for k in (1, 2, 3, 50):
        answer = ask(client, x=["java", "how"], top_k=k)
        for top, label, probability in zip(answer["top"], answer["predictions"], answer["probabilities"], strict=True):
            assert len(top) == min(k, len(LABELS))
            assert top[0] == {"label": label, "probability": probability}
            assert sorted((r["probability"] for r in top), reverse=True) == [r["probability"] for r in top]


def test_pairs_are_answered_and_are_not_two_texts(client: FlaskClient) -> None:
    pair, two = ask(client, x=[["java", "python"]]), ask(client, x=["java", "python"])
    assert pair["usage"] == [{"tokens": 5, "truncated": False}]
    assert len(two["predictions"]) == 2


def test_an_empty_list_is_answered_with_empty_lists(client: FlaskClient) -> None:
    answer = ask(client, x=[])
    assert (answer["predictions"], answer["probabilities"], answer["usage"]) == ([], [], [])


def test_a_list_of_thousands_is_answered_in_order(client: FlaskClient) -> None:
    words = ["java", "how to", "sql ?", "a b c d"]
    single = {word: ask(client, x=word) for word in words}
    answer = ask(client, x=words * 700)
    assert answer["predictions"] == [single[word]["predictions"][0] for word in words] * 700
    assert answer["usage"] == [single[word]["usage"][0] for word in words] * 700


def test_requests_at_once_get_the_answers_of_single_ones(client: FlaskClient) -> None:
    lists = [[f"how to {n}", "java " * (n % 20), "sql"][: 1 + n % 3] for n in range(64)]
    expected = [ask(client, x=texts) for texts in lists]

    def ask_alone(texts: list[str]) -> dict[str, Any]:
        return ask(client.application.test_client(), x=texts)

    with ThreadPoolExecutor(16) as pool:
        for one, other in zip(expected, pool.map(ask_alone, lists), strict=True):
            assert one["predictions"] == other["predictions"]
            assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


@pytest.mark.parametrize("name", BODIES)
def test_hostile_bodies_get_their_status(client: FlaskClient, name: str) -> None:
    body, status = BODIES[name]
    response = post(client, body)
    envelope = response.get_json()
    assert response.status_code == status, envelope
    assert list(envelope) == ["error", "error_type", "request_id"]
    assert envelope["error_type"] in {
        400: {"NotJson"}, 413: {"BodyTooLong", "TooManyTexts"}, 422: {"InvalidInput", "TooManyTokens"}
    }[status]  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_odd_bodies_are_answered(client: FlaskClient, name: str) -> None:
    response = post(client, ODD[name])
    assert response.status_code == 200, response.text
    assert response.get_json()["predictions"]


@pytest.mark.parametrize("length", [199_999, 200_000, 200_001])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_byte_limit_is_exact(client: FlaskClient, length: int, chunked: bool) -> None:
    body = b'{"x": ["a"]}'.ljust(length)
    as_by_gunicorn = {"wsgi.input_terminated": True} | ({"HTTP_TRANSFER_ENCODING": "chunked"} if chunked else {})
    response = client.post("/predict", data=body, content_type="application/json", environ_overrides=as_by_gunicorn)
    assert response.status_code == (200 if length <= 200_000 else 413)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", "application/jsonp",
     "application/json; charset=latin-1", "application/json; charset=utf-16", "text/json"],
)  # fmt: skip
def test_other_types_are_refused(client: FlaskClient, content_type: str) -> None:
    response = post(client, b'{"x": "a"}', content_type=content_type)
    assert (response.status_code, response.get_json()["error_type"]) == (415, "UnsupportedBody")


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON"]
)
def test_json_in_utf_8_is_taken_however_it_is_written(client: FlaskClient, content_type: str) -> None:
    assert post(client, b'{"x": "a"}', content_type=content_type).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "identity, gzip"])
def test_compressed_bodies_are_refused(client: FlaskClient, encoding: str) -> None:
    response = post(client, b'{"x": "a"}', Content_Encoding=encoding)
    assert (response.status_code, response.get_json()["error_type"]) == (415, "UnsupportedBody")


def test_several_labels_are_lists(tmp_path: Path) -> None:
    tiny_artifact(tmp_path, task="multi_label_classification", threshold=0.3)
    client = create_app(ServeSettings(models_dir=tmp_path, n_threads=1)).test_client()
    answer = ask(client, x=["java", "how to"], top_k=3)
    for labels, probabilities, top in zip(answer["predictions"], answer["probabilities"], answer["top"], strict=True):
        assert labels == [r["label"] for r in top if r["probability"] >= 0.3]
        assert probabilities == [r["probability"] for r in top if r["probability"] >= 0.3]


def test_labels_of_any_characters_come_back(tmp_path: Path) -> None:
    labels = ("c++", 'quote"\\', "žluťoučký 你好 👍\n")
    tiny_artifact(tmp_path, labels=labels)
    client = create_app(ServeSettings(models_dir=tmp_path, n_threads=1)).test_client()
    assert {r["label"] for r in ask(client, x="a", top_k=3)["top"][0]} == set(labels)
