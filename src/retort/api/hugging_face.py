"""`POST /` and `POST /models/<name>` as Hugging Face's inference endpoints answer.

`InferenceClient(model="http://host:port")` works against it: `.text_classification(...)`, and for a model that finds
entities `.token_classification(...)`.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field, WithJsonSchema

from retort.api.answering import answer_all
from retort.api.body import FORM, read_json_body
from retort.api.fields import INSTANCES, NAMED, TEXT, Count, RequestModel, parse_fields, parse_items
from retort.api.operation import PREDICTS, describe
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.tasks import metrics
from retort.tasks.base import Entity, EntityPrediction, Floats, Kind, LabelPrediction, round_probability

APPLIED: dict[str, Callable[[Floats], Floats]] = {
    "softmax": metrics.softmax, "sigmoid": metrics.sigmoid, "none": lambda logits: logits
}  # fmt: skip


class Parameters(RequestModel):
    """Of labels how many, and what makes scores of logits; of entities which."""

    top_k: Count | None = Field(None, description="The most probable labels; all without it.")
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = Field(
        None, description="What makes scores of the calibrated logits; what the model learned with, without it."
    )
    ignore_labels: list[str] | None = Field(None, description="Kinds of entities to leave out.")
    aggregation_strategy: Literal["none", "simple", "first", "average", "max"] | None = Field(
        None, description="Changes nothing here: tokens of an entity are always one."
    )
    stride: Count | None = Field(None, description="Changes nothing here: long texts are read whole.")


class HuggingFaceRequest(RequestModel):
    """A text or several, as `transformers` pipelines take them."""

    example: ClassVar[str] = '{"inputs": "…"}'
    expected: ClassVar[dict[str, str]] = {
        "inputs": "a string, or a list of strings or of objects with `text` and `text_pair`",
        "parameters": "an object",
        "options": "an object",
        "parameters.top_k": "a whole number of at least 1",
        "parameters.function_to_apply": "`softmax`, `sigmoid` or `none`",
        "parameters.ignore_labels": "a list of strings",
        "parameters.aggregation_strategy": "`none`, `simple`, `first`, `average` or `max`",
        "parameters.stride": "a whole number of at least 1",
    }

    inputs: Annotated[Any, WithJsonSchema({"anyOf": [TEXT, NAMED, INSTANCES]})]
    parameters: Parameters | None = None
    options: dict[str, Any] | None = Field(None, description="Of the hosted service; changes nothing here.")


class Score(BaseModel):
    """One label of a text."""

    label: str
    score: float


class Group(BaseModel):
    """One entity of a text: `word` is its `[start:end]`, in characters."""

    entity_group: str
    score: float
    word: str
    start: int
    end: int

    @classmethod
    def of(cls, entity: Entity) -> "Group":
        """The same in its words."""
        score = round_probability(entity.probability)
        return cls(entity_group=entity.label, score=score, word=entity.text, start=entity.start, end=entity.end)


def build_hugging_face(
    registry: Registry, settings: ServeSettings, answer_form: Callable[[], Response] | None = None
) -> Blueprint:
    """Both addresses; the first answers with the registry's default model, and leaves forms to `answer_form`."""
    blueprint = Blueprint("hugging_face", __name__)

    @blueprint.post("/")
    @blueprint.post("/models/<name>")
    @describe(
        "Label texts, as Hugging Face does",
        takes=HuggingFaceRequest, gives=list[list[Score]] | list[list[Group]] | list[Group], errors=PREDICTS,
    )  # fmt: skip
    def predict(name: str | None = None) -> Response:
        """One list for each text.  The client reads such a list for a bare text too where texts have labels, and the
        text's entities themselves where those are found.
        """
        if answer_form is not None and name is None and request.mimetype == FORM:
            return answer_form()
        body = read_json_body(settings.max_body_bytes)
        with registry.lease(name) as predictor:
            asked = parse_fields(body, HuggingFaceRequest)
            items = asked.inputs if isinstance(asked.inputs, list) else [asked.inputs]
            inputs = parse_items(predictor.artifact.task, "inputs", items, settings.max_texts_per_request, named=True)
            predictions = answer_all(predictor, inputs, settings)
            show = SHOWN[predictor.artifact.task.answers]
        shown = [show(prediction, asked.parameters or Parameters()) for prediction in predictions]
        return jsonify(shown[0] if show is _group and not isinstance(asked.inputs, list) else shown)

    return blueprint


def _score(prediction: LabelPrediction, parameters: Parameters) -> list[dict[str, Any]]:
    applied = parameters.function_to_apply
    scores = prediction.probabilities if applied is None else APPLIED[applied](prediction.logits)
    ranked = sorted(zip(prediction.labels, scores.tolist(), strict=True), key=lambda pair: -pair[1])
    return [{"label": label, "score": round(score, 6)} for label, score in ranked[: parameters.top_k]]


def _group(prediction: EntityPrediction, parameters: Parameters) -> list[dict[str, Any]]:
    ignored = parameters.ignore_labels or []
    kept = [entity for entity in prediction.entities if entity.label not in ignored]
    return [Group.of(entity).model_dump() for entity in kept[: parameters.top_k]]


SHOWN: dict[Kind, Callable[[Any, Parameters], list[dict[str, Any]]]] = {
    "label": _score,
    "labels": _score,
    "entities": _group,
}
