"""`/v1/models/<name>...` as TensorFlow Serving's REST API answers, for a model with one signature."""

from typing import Annotated, Any, ClassVar, Literal

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, Field, WithJsonSchema
from werkzeug.routing import BaseConverter

from retort.api.answering import answer_all
from retort.api.body import read_json_body
from retort.api.fields import NAMED, Instances, RequestModel, Texts, check_fields, parse_fields, parse_items
from retort.api.instances import InstancesResponse, label_rows
from retort.api.operation import PREDICTS, describe
from retort.api.strict_json import parse_json
from retort.api.version import check_number, number
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.errors import ModelNotReady

Signature = Annotated[Literal["", "serving_default"], Field(description="There is one; it needs no name.")]
SIGNATURE_NAMES = "`serving_default`, or nothing"


class RowsRequest(RequestModel):
    """Texts, one an instance."""

    example: ClassVar[str] = '{"instances": ["…"]}'
    expected: ClassVar[dict[str, str]] = {
        "instances": "a list of strings, of pairs of strings, or of objects with `text`",
        "signature_name": SIGNATURE_NAMES,
    }

    instances: Instances
    signature_name: Signature = ""


class Column(RequestModel):
    """The column, by name."""

    text: Texts


class ColumnsRequest(RequestModel):
    """Texts as one column."""

    example: ClassVar[str] = '{"inputs": ["…"]}'
    expected: ClassVar[dict[str, str]] = {
        "inputs": "a list of strings or of pairs of strings, perhaps in an object as `text`",
        "signature_name": SIGNATURE_NAMES,
    }

    inputs: Texts | Column
    signature_name: Signature = ""


class ExamplesRequest(RequestModel):
    """Texts as examples to classify."""

    example: ClassVar[str] = '{"examples": [{"text": "…"}]}'
    expected: ClassVar[dict[str, str]] = {
        "examples": "a list of objects with `text`",
        "signature_name": SIGNATURE_NAMES,
    }

    examples: Annotated[list[dict[str, Any]], WithJsonSchema({"type": "array", "items": NAMED})]
    signature_name: Signature = ""


class ColumnOutputs(BaseModel):
    """The columns of the answer to `inputs`."""

    label: list[str | list[str]]
    probability: list[float | list[float]]


class ColumnsResponse(BaseModel):
    """The answer to `inputs`."""

    outputs: ColumnOutputs


class ClassifyResponse(BaseModel):
    """For each example every label with its probability, the most probable first."""

    result: list[list[Annotated[list[str | float], Field(min_length=2, max_length=2)]]]


class VersionError(BaseModel):
    """How the version does."""

    error_code: str
    error_message: str


class VersionStatus(BaseModel):
    """The version that serves."""

    version: str
    state: str
    status: VersionError


class ModelStatus(BaseModel):
    """Which versions of a model serve."""

    model_version_status: list[VersionStatus]


class ModelSpec(BaseModel):
    """Which model is spoken of."""

    name: str
    signature_name: str
    version: str


class ModelMetadata(BaseModel):
    """What a model takes and gives."""

    model_spec: ModelSpec
    metadata: dict[str, Any]


class ModelName(BaseConverter):
    """A name in an address whose colon begins what is asked of the model."""

    regex = "[^/:]+"


def build_tensorflow_serving(registry: Registry, settings: ServeSettings) -> Blueprint:
    """Status, metadata, `:predict` and `:classify` of each model."""
    v1 = Blueprint("tensorflow_serving", __name__, url_prefix="/v1/models")
    v1.record(lambda state: state.app.url_map.converters.update(model_name=ModelName))
    max_texts = settings.max_texts_per_request

    @v1.get("/<model_name:name>")
    @v1.get("/<model_name:name>/versions/<model_name:version>")
    @describe("Status, as TensorFlow Serving says it", gives=ModelStatus, errors=(ModelNotReady,))
    def status(name: str, version: str | None = None) -> Response:
        with registry.lease(name) as predictor:
            check_number(predictor.artifact, version)
            served = number(predictor.artifact)
        fine = {"error_code": "OK", "error_message": ""}
        return jsonify(model_version_status=[{"version": served, "state": "AVAILABLE", "status": fine}])

    @v1.get("/<model_name:name>/metadata")
    @v1.get("/<model_name:name>/versions/<model_name:version>/metadata")
    @describe("Signature, as TensorFlow Serving says it", gives=ModelMetadata, errors=(ModelNotReady,))
    def metadata(name: str, version: str | None = None) -> Response:
        with registry.lease(name) as predictor:
            check_number(predictor.artifact, version)
            served = number(predictor.artifact)
        spec = {"name": name, "signature_name": "", "version": served}
        return jsonify(model_spec=spec, metadata={"signature_def": {"signature_def": {"serving_default": SIGNATURE}}})

    @v1.post("/<model_name:name>:predict")
    @v1.post("/<model_name:name>/versions/<model_name:version>:predict")
    @describe(
        "Label texts, as TensorFlow Serving does",
        takes=RowsRequest | ColumnsRequest, gives=InstancesResponse | ColumnsResponse, errors=PREDICTS,
    )  # fmt: skip
    def predict(name: str, version: str | None = None) -> Response:
        body = read_json_body(settings.max_body_bytes)
        with registry.lease(name) as predictor:
            check_number(predictor.artifact, version)
            field, items = _read_items(parse_json(body))
            inputs = parse_items(predictor.artifact.task, field, items, max_texts, named=field == "instances")
            predictions = answer_all(predictor, inputs, settings)
        rows = label_rows(predictions)
        if field == "instances":
            return jsonify(predictions=rows)
        return jsonify(outputs={name: [row[name] for row in rows] for name in ("label", "probability")})

    @v1.post("/<model_name:name>:classify", endpoint="classify_predict")
    @v1.post("/<model_name:name>/versions/<model_name:version>:classify", endpoint="classify_predict")
    @describe(
        "Every label of each text, as TensorFlow Serving does",
        takes=ExamplesRequest, gives=ClassifyResponse, errors=PREDICTS,
    )  # fmt: skip
    def classify(name: str, version: str | None = None) -> Response:
        body = read_json_body(settings.max_body_bytes)
        with registry.lease(name) as predictor:
            check_number(predictor.artifact, version)
            examples = parse_fields(body, ExamplesRequest).examples
            inputs = parse_items(predictor.artifact.task, "examples", examples, max_texts, named=True)
            predictions = answer_all(predictor, inputs, settings)
        return jsonify(result=[[[label, round(p, 6)] for label, p in each.ranked] for each in predictions])

    return v1


def _read_items(fields: Any) -> tuple[str, list[Any]]:
    """The field's name and its texts.  Raises InvalidInput."""
    if not (isinstance(fields, dict) and "inputs" in fields):
        return "instances", check_fields(fields, RowsRequest).instances
    inputs = check_fields(fields, ColumnsRequest).inputs
    return "inputs", inputs.text if isinstance(inputs, Column) else inputs


def _tensor(name: str, kind: str) -> dict[str, Any]:
    shape = {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}
    return {"name": f"{name}:0", "dtype": kind, "tensor_shape": shape}


SIGNATURE = {
    "inputs": {"text": _tensor("text", "DT_STRING")},
    "outputs": {"label": _tensor("label", "DT_STRING"), "probability": _tensor("probability", "DT_FLOAT")},
    "method_name": "tensorflow/serving/predict",
}
