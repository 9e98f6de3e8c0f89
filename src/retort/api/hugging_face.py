"""`POST /` and `POST /models/<name>` as Hugging Face's inference endpoints answer for text classification.

`InferenceClient(model="http://host:port").text_classification(...)` works against it.
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
from retort.tasks.base import Floats, Prediction

APPLIED: dict[str, Callable[[Floats], Floats]] = {
    "softmax": metrics.softmax, "sigmoid": metrics.sigmoid, "none": lambda logits: logits
}  # fmt: skip


class ClassificationParameters(RequestModel):
    """How many labels, and what makes scores of logits."""

    top_k: Count | None = Field(None, description="The most probable labels; all without it.")
    function_to_apply: Literal["softmax", "sigmoid", "none"] | None = Field(
        None, description="What makes scores of the calibrated logits; what the model learned with, without it."
    )


class ClassificationRequest(RequestModel):
    """A text or several, as `transformers` pipelines take them."""

    example: ClassVar[str] = '{"inputs": "…"}'
    expected: ClassVar[dict[str, str]] = {
        "inputs": "a string, or a list of strings or of objects with `text` and `text_pair`",
        "parameters": "an object",
        "options": "an object",
        "parameters.top_k": "a whole number of at least 1",
        "parameters.function_to_apply": "`softmax`, `sigmoid` or `none`",
    }

    inputs: Annotated[Any, WithJsonSchema({"anyOf": [TEXT, NAMED, INSTANCES]})]
    parameters: ClassificationParameters | None = None
    options: dict[str, Any] | None = Field(None, description="Of the hosted service; changes nothing here.")


class Score(BaseModel):
    """One label of a text."""

    label: str
    score: float


def build_hugging_face(
    registry: Registry, settings: ServeSettings, answer_form: Callable[[], Response] | None = None
) -> Blueprint:
    """Both addresses; the first answers with the registry's default model, and leaves forms to `answer_form`."""
    blueprint = Blueprint("hugging_face", __name__)

    @blueprint.post("/")
    @blueprint.post("/models/<name>")
    @describe(
        "Label texts, as Hugging Face does", takes=ClassificationRequest, gives=list[list[Score]], errors=PREDICTS
    )
    def predict(name: str | None = None) -> Response:
        """One list of scores for each text, also for a bare one: that is what the client reads."""
        if answer_form is not None and name is None and request.mimetype == FORM:
            return answer_form()
        body = read_json_body(settings.max_body_bytes)
        with registry.lease(name) as predictor:
            asked = parse_fields(body, ClassificationRequest)
            items = asked.inputs if isinstance(asked.inputs, list) else [asked.inputs]
            inputs = parse_items(predictor.artifact.task, "inputs", items, settings.max_texts_per_request, named=True)
            predictions = answer_all(predictor, inputs, settings)
        parameters = asked.parameters or ClassificationParameters()
        return jsonify([_score(p, parameters) for p in predictions])

    return blueprint


def _score(prediction: Prediction, parameters: ClassificationParameters) -> list[dict[str, Any]]:
    applied = parameters.function_to_apply
    scores = prediction.probabilities if applied is None else APPLIED[applied](prediction.logits)
    ranked = sorted(zip(prediction.labels, scores.tolist(), strict=True), key=lambda pair: -pair[1])
    return [{"label": label, "score": round(score, 6)} for label, score in ranked[: parameters.top_k]]
