"""`GET /models`: who answers.  Below `/admin/`: other models take their places, as with `retort models`.

Whoever asks there was let in before (`before_request`); this module knows no keys.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel

from retort.api import operation
from retort.api.body import read_json_body
from retort.api.fields import RequestModel
from retort.api.operation import READS
from retort.api.schema import parse_json
from retort.engine.registry import DEFAULT, Held, Registry
from retort.errors import (
    BadArtifact,
    CannotWrite,
    InvalidInput,
    ModelInUse,
    ModelNotReady,
    ModelRefused,
    NoSuchModel,
    UnknownModel,
)
from retort.pointer import Pointer, remove_pointer, rewind_pointer, write_pointer
from retort.shelf import choose, choose_previous, find_published
from retort.tasks.base import Kind

MAX_BODY_BYTES = 65_536


class UseRequest(RequestModel):
    """Which model is to serve."""

    model_dir: str


class RollbackRequest(RequestModel):
    """Of which name; the default one without."""

    name: str = DEFAULT


class ServedModel(BaseModel):
    """What serves under a name."""

    name: str
    model: str
    task: str
    answers: Kind
    n_labels: int
    max_seq_len: int
    model_dir: str
    is_default: bool
    loaded: str


class LabelledModel(ServedModel):
    """The same, with its labels."""

    labels: list[str]


class ServedModels(BaseModel):
    """Everything that serves."""

    models: list[ServedModel]


CHANGES = (UnknownModel, ModelRefused, CannotWrite, ModelNotReady)


def build_models(registry: Registry) -> Blueprint:
    """The addresses that tell of models and change them.

    Changes answer once the new model does: it was loaded and proved itself first, and only then was pointed to.
    """
    blueprint = Blueprint("models", __name__)

    @blueprint.get("/models")
    @operation.describe("What serves", gives=ServedModels, errors=(ModelNotReady,))
    def models() -> Response:
        """Raises ModelNotReady."""
        return _everything(registry)

    @blueprint.get("/models/<name>")
    @operation.describe("What serves under a name", gives=LabelledModel, errors=(ModelNotReady,))
    def model(name: str) -> Response:
        """Raises ModelNotReady, NoSuchModel."""
        return _one(registry, name)

    @blueprint.post("/admin/models/<name>/use")
    @operation.describe("Serve another model", takes=UseRequest, gives=LabelledModel, errors=(*READS, *CHANGES))
    def use(name: str) -> Response:
        """Raises UnknownModel: no such folder; ModelRefused: it cannot serve; what served before still does."""
        folder = find_published(registry.models_dir, _read_string("model_dir", required=True))
        with _faults_told():
            _point(registry, name, choose(registry.models_dir, folder, name), write_pointer)
        return _one(registry, name)

    @blueprint.post("/admin/rollback")
    @operation.describe(
        "Serve the model before", takes=RollbackRequest, gives=LabelledModel, errors=(*READS, *CHANGES),
        is_body_needed=False,
    )  # fmt: skip
    def rollback() -> Response:
        """Raises UnknownModel: nothing served before; ModelRefused: it cannot serve any more."""
        name = _read_string("name") or DEFAULT
        with _faults_told():
            _point(registry, name, choose_previous(registry.models_dir, name), rewind_pointer)
        return _one(registry, name)

    @blueprint.delete("/admin/models/<name>")
    @operation.describe("Serve a model no longer", gives=ServedModels, errors=(ModelInUse, *CHANGES))
    def remove(name: str) -> Response:
        """Serve it no longer; its folder stays.  Raises UnknownModel; ModelInUse: it is the default."""
        with _faults_told():
            registry.drop(name, lambda: remove_pointer(registry.models_dir, name))
        return _everything(registry)

    @blueprint.post("/admin/reload")
    @operation.describe("Follow the pointer now", gives=ServedModels, errors=CHANGES)
    def reload() -> Response:
        """Follow the pointer now.  Raises ModelRefused: something that it names cannot serve."""
        if refused := registry.reload():
            raise ModelRefused(" ".join(str(error) for error in refused.values()))
        return _everything(registry)

    return blueprint


def describe(name: str, held: Held) -> dict[str, Any]:
    """What serves under a name."""
    artifact = held.artifact
    return {
        "name": name,
        "model": artifact.version,
        "task": artifact.served.task,
        "answers": artifact.task.answers,
        "n_labels": len(artifact.served.labels),
        "max_seq_len": artifact.served.max_seq_len,
        "model_dir": artifact.path.name,
        "is_default": name == DEFAULT,
        "loaded": held.loaded.isoformat(timespec="seconds"),
    }


def _everything(registry: Registry) -> Response:
    _ = registry.current  # or ModelNotReady
    return jsonify(models=[describe(name, held) for name, held in registry.held.items()])


def _one(registry: Registry, name: str) -> Response:
    _ = registry.current
    if (held := registry.held.get(name)) is None:
        raise NoSuchModel(f"There is no model of that name here; expected one of {', '.join(registry.held)}.")
    return jsonify(describe(name, held) | {"labels": list(held.artifact.served.labels)})


def _point(registry: Registry, name: str, pointer: Pointer, write: Callable[[Path, Pointer, str], None]) -> None:
    registry.point(name, pointer, lambda: write(registry.models_dir, pointer, name))


@contextmanager
def _faults_told() -> Iterator[None]:
    """An administrator may read what is wrong with a model; elsewhere such a text would be a crash, and kept back."""
    try:
        yield
    except BadArtifact as e:
        raise ModelRefused(str(e)) from e


def _read_string(field: str, required: bool = False) -> str:
    """The one field of a body; empty where there is none and none is needed."""
    if not required and not request.content_length and not request.headers.get("Transfer-Encoding"):
        return ""
    body = parse_json(read_json_body(MAX_BODY_BYTES))
    if not isinstance(body, dict) or set(body) - {field} or (required and field not in body):
        raise InvalidInput(f'Expected an object with the field `{field}` alone: {{"{field}": "..."}}.')
    if not isinstance(value := body.get(field, ""), str):
        raise InvalidInput(f"`{field}`: expected a string.")
    return value
