"""The addresses that Vertex AI chooses."""

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from pydantic import ValidationError

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry

ROUTES = [
    ("/v1/endpoints/7/deployedModels/8", "/v1/endpoints/7/deployedModels/8:predict"),
    ("/health_check", "/predict"),
    ("/", "/"),
    ("/ping", "/v1/models/default:predict"),
]


def serve(models_dir: Path, monkeypatch: pytest.MonkeyPatch, health: str, predict: str) -> FlaskClient:
    monkeypatch.setenv("AIP_HEALTH_ROUTE", health)
    monkeypatch.setenv("AIP_PREDICT_ROUTE", predict)
    return create_app(ServeSettings(models_dir=models_dir, n_threads=1)).test_client()


@pytest.mark.parametrize(("health", "predict"), ROUTES)
def test_both_answer_wherever_they_are_put(
    served_dir: Path, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, health: str, predict: str
) -> None:
    vertex = serve(served_dir, monkeypatch, health, predict)
    assert vertex.get(health).status_code == 200
    answer = vertex.post(
        predict, json={"instances": ["java", {"text": "how to"}], "parameters": {"top_k": 1}}
    ).get_json()
    usual = client.post("/predict", json={"x": ["java", "how to"], "top_k": 1}).get_json()
    assert [row["label"] for row in answer["predictions"]] == usual["predictions"]
    assert [row["top"] for row in answer["predictions"]] == usual["top"]
    assert vertex.post(predict, json={"x": "java"}).get_json()["predictions"] == usual["predictions"][:1]


def test_without_a_model_the_health_route_says_503(tmp_path: Path) -> None:
    settings = ServeSettings(health_route="/health", predict_route="/p")
    assert create_app(settings, Registry(tmp_path)).test_client().get("/health").status_code == 503


@pytest.mark.parametrize("route", ["", "predict", "/a<b>", "/a b", "/a?b", "http://a/b"])
def test_a_route_is_a_path(route: str) -> None:
    with pytest.raises(ValidationError, match="predict_route"):
        ServeSettings(predict_route=route)
