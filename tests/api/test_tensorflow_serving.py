"""TensorFlow Serving's addresses."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from artifacts import LABELS

MODEL = "/v1/models/default"


def ask(client: FlaskClient, path: str, body: Any) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    return response.get_json()


@pytest.mark.parametrize("path", [f"{MODEL}:predict", f"{MODEL}/versions/20260106220623:predict"])
def test_rows_and_columns_have_the_answers_of_predict(client: FlaskClient, path: str) -> None:
    expected = ask(client, "/predict", {"x": ["how to", "java", ["a", "b"]]})
    columns = {"label": expected["predictions"], "probability": expected["probabilities"]}
    rows = [{"label": label, "probability": p} for label, p in zip(*columns.values(), strict=True)]
    instances = ["how to", {"text": "java"}, {"text": "a", "text_pair": "b"}]
    assert ask(client, path, {"instances": instances}) == {"predictions": rows}
    assert ask(client, path, {"instances": ["how to"], "signature_name": "serving_default"}) == {
        "predictions": rows[:1]
    }
    for inputs in (["how to", "java", ["a", "b"]], {"text": ["how to", "java", ["a", "b"]]}):
        assert ask(client, path, {"inputs": inputs}) == {"outputs": columns}


def test_classify_lists_every_label_the_most_probable_first(client: FlaskClient) -> None:
    top = ask(client, "/predict", {"x": ["java"], "top_k": 3})["top"][0]
    (found,) = ask(client, f"{MODEL}:classify", {"examples": [{"text": "java"}]})["result"]
    assert found == [[ranked["label"], ranked["probability"]] for ranked in top]
    assert len(found) == len(LABELS)


def test_status_and_metadata_name_version_and_signature(client: FlaskClient) -> None:
    status = client.get(MODEL).get_json()["model_version_status"]
    assert [(each["version"], each["state"]) for each in status] == [("20260106220623", "AVAILABLE")]
    assert client.get(f"{MODEL}/versions/20260106220623").status_code == 200
    metadata = client.get(f"{MODEL}/metadata").get_json()
    assert metadata["model_spec"]["name"] == "default"
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert (list(signature["inputs"]), list(signature["outputs"])) == (["text"], ["label", "probability"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/nope"), ("GET", f"{MODEL}/versions/1"), ("POST", "/v1/models/nope:predict"),
        ("POST", f"{MODEL}/versions/1:predict"), ("POST", f"{MODEL}:regress"), ("POST", f"{MODEL}/versions/1:classify"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(client: FlaskClient, method: str, path: str) -> None:
    assert client.open(path, method=method, json={"instances": ["a"]}).status_code == 404


def test_a_colon_is_no_part_of_a_name(client: FlaskClient) -> None:
    response = client.get(f"{MODEL}:predict")
    assert (response.status_code, response.headers["Allow"]) == (405, "OPTIONS, POST")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"instances": ["a"], "signature_name": "b"},
         "`signature_name`: expected `serving_default`, or nothing, got a string."),
        ({"instances": [None]}, "instances[0]: expected a string or a pair of strings, got null."),
        ({"inputs": {"text": "a"}},
         "`inputs`: expected a list of strings or of pairs of strings, perhaps in an object as `text`, got an object."),
        ({}, 'Expected a field `instances`, such as {"instances": ["…"]}; it is missing.'),
    ],
    ids=str,
)  # fmt: skip
def test_a_refusal_names_the_field_or_the_item(client: FlaskClient, body: object, message: str) -> None:
    response = client.post(f"{MODEL}:predict", json=body)
    assert (response.status_code, response.get_json()["error"]) == (422, message)
