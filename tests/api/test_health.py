"""A process lives before it is ready."""

from pathlib import Path

from flask.testing import FlaskClient

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry


def test_a_loaded_model_is_ready_and_named(client: FlaskClient) -> None:
    assert client.get("/health_check").get_json() == {"status": "ok"}
    ready = client.get("/readyz").get_json()
    assert ready["status"] == "ready"
    assert ready["model"].startswith("BERT 2026-01-06")


def test_while_the_model_loads_the_process_lives_and_is_not_ready(models_dir: Path) -> None:
    registry = Registry(models_dir, n_threads=1)
    client = create_app(ServeSettings(models_dir=models_dir), registry).test_client()
    assert client.get("/health_check").status_code == 200
    for response in (client.get("/readyz"), client.post("/predict", json={"x": "a"})):
        assert (response.status_code, response.get_json()["error_type"]) == (503, "ModelNotReady")
        assert int(response.headers["Retry-After"]) >= 1
    registry.load()
    assert client.get("/readyz").status_code == 200
    assert client.post("/predict", json={"x": "a"}).status_code == 200
