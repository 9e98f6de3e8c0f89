"""Hugging Face's own client, and what it does not try."""

from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from artifacts import LABELS
from hostile import BODIES


def ask(client: FlaskClient, **body: Any) -> Any:
    response = client.post("/", json=body)
    assert response.status_code == 200, response.text
    return response.get_json()


def top(client: FlaskClient, x: Any) -> list[tuple[str, float]]:
    answer = client.post("/predict", json={"x": [x], "top_k": 3}).get_json()
    return [(ranked["label"], ranked["probability"]) for ranked in answer["top"][0]]


@pytest.mark.parametrize("path", ["", "/", "/models/default"])
def test_its_client_gets_the_labels_and_scores_of_predict(address: str, client: FlaskClient, path: str) -> None:
    found = InferenceClient(model=f"http://{address}{path}").text_classification("how to sort")
    assert [(each.label, each.score) for each in found] == top(client, "how to sort")


def test_its_client_gets_as_many_labels_as_it_asks_for(address: str, client: FlaskClient) -> None:
    found = InferenceClient(base_url=f"http://{address}").text_classification("java", top_k=2)
    assert [(each.label, each.score) for each in found] == top(client, "java")[:2]


def test_its_client_gets_the_scores_of_the_function_it_names(address: str, client: FlaskClient) -> None:
    asking = InferenceClient(model=f"http://{address}")

    def scores(function: Any) -> Any:
        found = {e.label: e.score for e in asking.text_classification("java", function_to_apply=function)}
        return np.array([found[label] for label in LABELS])

    logits, usual = scores("none"), dict(top(client, "java"))
    assert scores("softmax") == pytest.approx([usual[label] for label in LABELS])
    assert np.exp(logits) / np.exp(logits).sum() == pytest.approx(scores("softmax"), abs=1e-5)
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(scores("sigmoid"), abs=1e-5)


def test_its_client_raises_our_sentence(address: str) -> None:
    with pytest.raises(HfHubHTTPError, match="no model of that name"):
        InferenceClient(model=f"http://{address}/models/nope").text_classification("java")


def test_one_text_and_several_have_one_list_each(client: FlaskClient) -> None:
    several = ask(client, inputs=["java", {"text": "java"}, {"text": "a", "text_pair": "b"}, ["a", "b"]])
    assert several[0] == several[1] == ask(client, inputs="java")[0]
    assert several[2] == several[3] == ask(client, inputs={"text": "a", "text_pair": "b"})[0]
    assert [(s["label"], s["score"]) for s in several[3]] == top(client, ["a", "b"])
    assert ask(client, inputs=[]) == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"inputs": ["a", 1]}, "inputs[1]: expected a string or a pair of strings, got a number."),
        ({"inputs": [{"text": 1}]}, "inputs[0]: expected a string, got a number."),
        ({"inputs": [{"txt": "a"}]}, "inputs[0]: expected the key `text`, perhaps `text_pair`, and no others."),
        ({"inputs": "a", "parameters": {"top_k": 0}},
         "`parameters.top_k`: expected a whole number of at least 1, got a number."),
        ({"inputs": "a", "parameters": {"function_to_apply": "tanh"}},
         "`parameters.function_to_apply`: expected `softmax`, `sigmoid` or `none`, got a string."),
        ({}, 'Expected a field `inputs`, such as {"inputs": "…"}; it is missing.'),
    ],
    ids=str,
)  # fmt: skip
def test_a_refusal_names_the_field_or_the_item(client: FlaskClient, body: object, message: str) -> None:
    response = client.post("/", json=body)
    assert (response.status_code, response.get_json()["error"]) == (422, message)


@pytest.mark.parametrize("name", [name for name, (_, status) in BODIES.items() if status == 400])
def test_what_is_no_strict_json_is_refused(client: FlaskClient, name: str) -> None:
    assert client.post("/", data=BODIES[name][0], content_type="application/json").status_code == 400
