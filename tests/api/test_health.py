"""A process lives before it is ready."""

import threading
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine import loading
from retort.engine.registry import Registry
from retort.engine.session import open_session
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch


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


class Stuck:
    """A session that stays at every batch once it is told to."""

    def __init__(self, path: Path, n_threads: int, precision: Any) -> None:
        self._session = open_session(path, n_threads, precision)
        self.n_streams, self.max_batch_tokens = 1, 1024
        self.go_on, self.begun = threading.Event(), threading.Event()
        self.go_on.set()

    def run(self, batch: Batch, stream: int | None = None) -> Floats:
        self.begun.set()
        self.go_on.wait()
        return self._session.run(batch, stream)

    def close(self) -> None:
        self._session.close()


def test_a_process_whose_model_is_stuck_does_not_live(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "open_session", Stuck)
    settings = ServeSettings(models_dir=models_dir, n_threads=1, stall_timeout_s=1e-6)
    registry = Registry(models_dir, n_threads=1)
    session: Any = registry.load().session
    client = create_app(settings, registry).test_client()
    assert client.get("/livez").status_code == 200
    session.go_on.clear()
    session.begun.clear()
    late = client.post("/predict", json={"x": "java"}, headers={"X-Request-Timeout-Ms": "20"})
    assert late.status_code == 504
    assert session.begun.wait(60)
    for path in ("/livez", "/health_check"):
        response = client.get(path)
        assert (response.status_code, response.get_json()["error_type"]) == (503, "ModelNotReady")
    assert registry.stuck_s() > 0
    session.go_on.set()
    assert client.post("/predict", json={"x": "java"}).status_code == 200
