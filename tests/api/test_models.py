"""Who answers is told, and an administrator changes it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from artifacts import LABELS, tiny_artifact
from retort.app import create_app
from retort.artifact import Artifact
from retort.config import ServeSettings
from retort.engine.registry import Registry, open_registry
from retort.engine.watcher import Watcher
from retort.pointer import FILE, read_pointer

KEY = "an-administrators-key"


@pytest.fixture
def older(tmp_path: Path) -> Artifact:
    return tiny_artifact(tmp_path, name="older", seed=1)


@pytest.fixture
def newer(tmp_path: Path, older: Artifact) -> Artifact:
    return tiny_artifact(tmp_path, name="newer", labels=("red", "green"), seed=2)


@pytest.fixture
def registry(tmp_path: Path, newer: Artifact) -> Registry:
    registry = open_registry(ServeSettings(models_dir=tmp_path, n_threads=1))
    registry.load()
    return registry


@pytest.fixture
def client(registry: Registry) -> FlaskClient:
    settings = ServeSettings(models_dir=registry.models_dir, n_threads=1, admin_keys=KEY)
    client = create_app(settings, registry).test_client()
    client.environ_base["HTTP_X_API_KEY"] = KEY
    return client


def answer(client: FlaskClient, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    response = client.open(path, method=method, json=body)
    return response.status_code, response.get_json()


def serving(client: FlaskClient) -> dict[str, str]:
    return {model["name"]: model["model_dir"] for model in client.get("/models").get_json()["models"]}


def test_models_are_listed_and_described(client: FlaskClient, newer: Artifact) -> None:
    status, found = answer(client, "GET", "/models")
    (model,) = found["models"]
    assert (status, list(found)) == (200, ["models"])
    assert model.pop("loaded").endswith("+00:00")
    assert model == {
        "name": "default", "model": newer.version, "task": "classification", "answers": "label",
        "n_labels": 2, "max_seq_len": 16, "model_dir": newer.path.name, "is_default": True,
    }  # fmt: skip
    status, described = answer(client, "GET", "/models/default")
    assert described["labels"] == ["red", "green"]
    assert answer(client, "GET", "/models/none")[1]["error_type"] == "NoSuchModel"


def test_before_a_model_is_loaded_nothing_is_listed(tmp_path: Path) -> None:
    client = create_app(ServeSettings(models_dir=tmp_path), Registry(tmp_path)).test_client()
    for path in ("/models", "/models/default"):
        assert answer(client, "GET", path)[0] == 503


def test_another_model_takes_over_and_the_one_before_comes_back(
    client: FlaskClient, tmp_path: Path, older: Artifact, newer: Artifact
) -> None:
    status, found = answer(client, "POST", "/admin/models/default/use", {"model_dir": f"trained/{older.path.name}"})
    assert (status, found["model"], found["labels"]) == (200, older.version, list(LABELS))
    assert answer(client, "POST", "/predict", {"x": "java"})[1]["model"] == older.version
    assert read_pointer(tmp_path).model_dir == f"trained/{older.path.name}"
    status, found = answer(client, "POST", "/admin/rollback")
    assert (status, found["model"]) == (200, newer.version)
    assert read_pointer(tmp_path).model_dir == f"trained/{newer.path.name}"


def test_further_models_come_and_go(client: FlaskClient, tmp_path: Path, older: Artifact, newer: Artifact) -> None:
    path = "/admin/models/spam/use"
    assert answer(client, "POST", path, {"model_dir": older.path.name})[1]["is_default"] is False
    assert answer(client, "POST", "/models/spam/predict", {"x": "java"})[1]["model"] == older.version
    answer(client, "POST", path, {"model_dir": newer.path.name})
    assert answer(client, "POST", "/admin/rollback", {"name": "spam"})[1]["model"] == older.version
    assert serving(client) == {"default": newer.path.name, "spam": older.path.name}
    status, left = answer(client, "DELETE", "/admin/models/spam")
    assert (status, [model["name"] for model in left["models"]]) == (200, ["default"])
    assert answer(client, "POST", "/models/spam/predict", {"x": "java"})[0] == 404
    assert "models" not in json.loads((tmp_path / FILE).read_text())
    assert older.path.is_dir()


def test_the_pointer_is_followed_at_once_when_asked(client: FlaskClient, tmp_path: Path, older: Artifact) -> None:
    (tmp_path / FILE).write_text(json.dumps({"model_dir": f"trained/{older.path.name}"}))
    status, found = answer(client, "POST", "/admin/reload")
    assert (status, found["models"][0]["model"]) == (200, older.version)
    (tmp_path / FILE).write_text(json.dumps({"model_dir": "trained/gone"}))
    status, found = answer(client, "POST", "/admin/reload")
    assert (status, found["error_type"], "trained/gone" in found["error"]) == (422, "ModelRefused", True)
    assert serving(client) == {"default": older.path.name}


def spoil_checksum(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"")


def spoil_golden(folder: Path) -> None:
    """Only running it shows."""
    lines = [json.loads(line) for line in (folder / "golden.jsonl").read_text().splitlines()]
    (folder / "golden.jsonl").write_text("\n".join(json.dumps(line | {"logits": [9, 9, 9]}) for line in lines))
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["golden.jsonl"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("spoil", [spoil_checksum, spoil_golden])
def test_a_model_that_cannot_serve_is_refused_and_never_pointed_to(
    client: FlaskClient, registry: Registry, tmp_path: Path, older: Artifact, newer: Artifact, spoil: Any
) -> None:
    spoil(older.path)
    before = (tmp_path / FILE).read_bytes()
    body = {"model_dir": older.path.name}
    for method, path, sent in (
        ("POST", "/admin/models/default/use", body),
        ("POST", "/admin/models/spam/use", body),
        ("POST", "/admin/rollback", None),
    ):
        status, found = answer(client, method, path, sent)
        assert (status, found["error_type"]) == (422, "ModelRefused"), path
    assert (tmp_path / FILE).read_bytes() == before
    assert serving(client) == {"default": newer.path.name}
    answering = registry.current
    Watcher(registry).look()
    assert registry.current is answering


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error_type"),
    [
        ("POST", "/admin/models/default/use", {"model_dir": "../.."}, 404, "UnknownModel"),
        ("POST", "/admin/models/default/use", {"model_dir": "/etc"}, 404, "UnknownModel"),
        ("POST", "/admin/models/default/use", {"model_dir": ""}, 404, "UnknownModel"),
        ("POST", "/admin/models/default/use", {"model_dir": 1}, 422, "InvalidInput"),
        ("POST", "/admin/models/default/use", {}, 422, "InvalidInput"),
        ("POST", "/admin/models/default/use", [], 422, "InvalidInput"),
        ("POST", "/admin/models/default/use", {"model_dir": "a", "more": 1}, 422, "InvalidInput"),
        ("POST", "/admin/models/default/use", None, 415, "UnsupportedBody"),
        ("POST", "/admin/models/no%20name/use", {"model_dir": "older"}, 422, "ModelRefused"),
        ("POST", "/admin/rollback", {"name": "none"}, 404, "UnknownModel"),
        ("POST", "/admin/rollback", {"name": None}, 422, "InvalidInput"),
        ("POST", "/admin/rollback", {"name": "default", "to": "older"}, 422, "InvalidInput"),
        ("DELETE", "/admin/models/none", None, 404, "UnknownModel"),
        ("DELETE", "/admin/models/default", None, 409, "ModelInUse"),
        ("GET", "/admin/reload", None, 405, "MethodNotAllowed"),
    ],
)
def test_what_cannot_be_done_changes_nothing(
    client: FlaskClient, newer: Artifact, method: str, path: str, body: Any, status: int, error_type: str
) -> None:
    found = answer(client, method, path, body)
    assert (found[0], found[1]["error_type"]) == (status, error_type)
    assert serving(client) == {"default": newer.path.name}


def test_a_pointer_that_cannot_be_written_leaves_the_old_model(
    client: FlaskClient, tmp_path: Path, older: Artifact, newer: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(Path, "replace", full)
    status, found = answer(client, "POST", "/admin/models/default/use", {"model_dir": older.path.name})
    assert (status, found["error_type"]) == (507, "CannotWrite")
    assert serving(client) == {"default": newer.path.name}


def test_what_was_served_and_is_gone_from_the_disk_still_answers(client: FlaskClient, newer: Artifact) -> None:
    shutil.rmtree(newer.path)
    assert answer(client, "POST", "/predict", {"x": "java"})[0] == 200
