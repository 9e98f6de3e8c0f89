"""`/v2...` as the Open Inference Protocol (KServe, Triton) says it over HTTP.

A model has one input, `text`: BYTES of shape [N] (texts) or [N, 2] (pairs); `infer_response.py` says its outputs.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel

from retort import __version__
from retort.api.answering import answer_all
from retort.api.body import JSON, read_typed_body
from retort.api.fields import parse_items
from retort.api.infer_request import HEADER_LENGTH, InferRequest, read_infer_request
from retort.api.infer_response import DATATYPES, InferResponse, build_outputs, join_binary
from retort.api.operation import PREDICTS, describe
from retort.api.version import check_number, number
from retort.artifact import Artifact
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.errors import ModelNotReady

BINARY = "application/octet-stream"


class ServerMetadata(BaseModel):
    """Who answers."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """A tensor; -1 is any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelTensors(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class Live(BaseModel):
    """The process lives."""

    live: bool


class Ready(BaseModel):
    """Requests are answered."""

    ready: bool


class ModelReady(BaseModel):
    """The model answers."""

    name: str
    ready: bool


def build_open_inference(registry: Registry, settings: ServeSettings) -> Blueprint:
    """The server, its health, and each model."""
    v2 = Blueprint("open_inference", __name__, url_prefix="/v2")

    @v2.get("")
    @describe("Who answers, by the Open Inference Protocol", gives=ServerMetadata)
    def server() -> Response:
        return jsonify(name="retort", version=__version__, extensions=["binary_tensor_data"])

    @v2.get("/health/live")
    @describe("Does the process live?", gives=Live)
    def live() -> Response:
        return jsonify(live=True)

    @v2.get("/health/ready")
    @describe("May it be sent requests?", gives=Ready, errors=(ModelNotReady,))
    def ready() -> Response:
        """Raises ModelNotReady."""
        return jsonify(ready=bool(registry.current.artifact))

    @v2.get("/models/<name>/ready")
    @v2.get("/models/<name>/versions/<version>/ready")
    @describe("Does the model answer?", gives=ModelReady, errors=(ModelNotReady,))
    def model_ready(name: str, version: str | None = None) -> Response:
        with registry.lease(name) as predictor:
            check_number(predictor.artifact, version)
        return jsonify(name=name, ready=True)

    @v2.get("/models/<name>")
    @v2.get("/models/<name>/versions/<version>")
    @describe("What the model takes and gives", gives=ModelTensors, errors=(ModelNotReady,))
    def model(name: str, version: str | None = None) -> Response:
        with registry.lease(name) as predictor:
            check_number(predictor.artifact, version)
            return jsonify(_describe_tensors(name, predictor.artifact))

    @v2.post("/models/<name>/infer")
    @v2.post("/models/<name>/versions/<version>/infer")
    @describe(
        "Label texts, by the Open Inference Protocol",
        takes=InferRequest, gives={JSON: InferResponse, BINARY: Any}, errors=PREDICTS,
        note=f"Binary tensors follow the JSON where the header `{HEADER_LENGTH}` says how many bytes are JSON; they "
        "come back where `binary_data` or `binary_data_output` asks for them.",
    )  # fmt: skip
    def predict(name: str, version: str | None = None) -> Response:
        body = read_typed_body(settings.max_body_bytes, JSON, BINARY, "")
        with registry.lease(name) as predictor:
            check_number(predictor.artifact, version)
            asked = read_infer_request(body, request.headers.get(HEADER_LENGTH))
            inputs = parse_items(predictor.artifact.task, "text", asked.items, settings.max_texts_per_request)
            outputs, follows = build_outputs(answer_all(predictor, inputs, settings), asked.outputs)
            answer = {"model_name": name, "model_version": number(predictor.artifact), "outputs": outputs}
        if asked.id is not None:
            answer["id"] = asked.id
        return _respond(answer, follows, any(is_binary for _, is_binary in asked.outputs))

    return v2


def _respond(answer: dict[str, Any], follows: bytes, is_binary: bool) -> Response:
    if not is_binary:
        return jsonify(answer)
    body, n_json = join_binary(answer, follows)
    return Response(body, mimetype=BINARY, headers={HEADER_LENGTH: str(n_json)})


def _describe_tensors(name: str, artifact: Artifact) -> dict[str, Any]:
    shape = [-1] if artifact.task.answers == "label" else [-1, -1]
    return {
        "name": name,
        "versions": [number(artifact)],
        "platform": "retort",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
        "outputs": [{"name": output, "datatype": kind, "shape": shape} for output, kind in DATATYPES.items()],
    }
