"""SageMaker's two addresses."""

import csv
import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from artifacts import tiny_artifact
from hostile import BODIES
from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry

TEXTS = ["how to", 'a "quoted", word', "java"]


def expected(client: FlaskClient) -> list[tuple[str, float]]:
    answer = client.post("/predict", json={"x": TEXTS}).get_json()
    return list(zip(answer["predictions"], answer["probabilities"], strict=True))


def test_a_ping_is_answered_by_200_once_there_is_a_model(client: FlaskClient, tmp_path: Path) -> None:
    assert client.get("/ping").status_code == 200
    assert create_app(ServeSettings(), Registry(tmp_path)).test_client().get("/ping").status_code == 503


def test_instances_have_an_object_each(client: FlaskClient) -> None:
    answer = client.post("/invocations", json={"instances": TEXTS, "parameters": {"top_k": 2}}).get_json()
    assert [(row["label"], row["probability"]) for row in answer["predictions"]] == expected(client)
    assert all(len(row["top"]) == 2 and row["top"][0]["label"] == row["label"] for row in answer["predictions"])


@pytest.mark.parametrize("key", ["x", "X"])
def test_x_is_answered_as_by_predict(client: FlaskClient, key: str) -> None:
    body = {key: TEXTS, "top_k": 1}
    assert client.post("/invocations", json=body).get_json() == client.post("/predict", json=body).get_json()


def test_lines_of_json_and_csv_come_back_as_json_unless_asked_for(client: FlaskClient) -> None:
    lines = "\n".join(json.dumps(text) for text in TEXTS) + "\n\n"
    rows = 'how to\r\n"a ""quoted"", word"\r\n\r\njava'
    for body, content_type in ((lines, "application/jsonlines"), (rows, "text/csv"), (rows, "text/csv; charset=utf-8")):
        for accept in ("", "*/*", "application/json", "image/png"):
            response = client.post("/invocations", data=body, content_type=content_type, headers={"Accept": accept})
            predictions = response.get_json()["predictions"]
            assert [(row["label"], row["probability"]) for row in predictions] == expected(client)


def test_answers_are_lines_or_csv_where_the_client_accepts_these(client: FlaskClient) -> None:
    body = {"instances": TEXTS}
    lines = client.post("/invocations", json=body, headers={"Accept": "application/jsonlines"})
    assert lines.mimetype == "application/jsonlines"
    found = [json.loads(line) for line in lines.text.splitlines()]
    assert [(row["label"], row["probability"]) for row in found] == expected(client)
    table = client.post("/invocations", json=body, headers={"Accept": "text/csv, application/json;q=0.1"})
    assert table.mimetype == "text/csv"
    assert [(label, float(p)) for label, p in csv.reader(table.text.splitlines())] == expected(client)


def test_several_labels_share_a_field_of_csv(tmp_path: Path) -> None:
    tiny_artifact(tmp_path, task="multi_label_classification", threshold=0.1)
    client = create_app(ServeSettings(models_dir=tmp_path, n_threads=1)).test_client()
    (labels,) = client.post("/predict", json={"x": ["java"]}).get_json()["predictions"]
    table = client.post("/invocations", data="java", content_type="text/csv", headers={"Accept": "text/csv"})
    assert table.text.split(",")[0] == "|".join(labels)


def test_two_columns_and_objects_are_pairs(client: FlaskClient) -> None:
    pair = client.post("/invocations", json={"instances": [["a", "b"]]}).get_json()
    asked = ("a,b", "text/csv"), ('{"text": "a", "text_pair": "b"}', "application/jsonlines")
    for body, content_type in asked:
        assert client.post("/invocations", data=body, content_type=content_type).get_json() == pair


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"a,b,c", "text/csv", 422),
        (b"\xff", "text/csv", 400),
        (b'"' + b"a" * 150_000 + b'"', "text/csv", 422),
        (b'"a"\nb', "application/jsonlines", 400),
        (b"1", "application/jsonlines", 422),
        (b'"a"', "text/plain", 415),
        (b'["a"]', "application/json", 422),
        (b'{"instances": ["a"], "x": ["a"]}', "application/json", 422),
        (b"a\n" * 3001, "text/csv", 413),
    ],
)
def test_what_cannot_be_read_is_refused(client: FlaskClient, body: bytes, content_type: str, status: int) -> None:
    assert client.post("/invocations", data=body, content_type=content_type).status_code == status


@pytest.mark.parametrize("name", BODIES)
def test_hostile_bodies_get_their_status(client: FlaskClient, name: str) -> None:
    body, status = BODIES[name]
    assert client.post("/invocations", data=body, content_type="application/json").status_code == status
