"""What `POST /predict` takes and answers, from bytes to inputs and from answers to JSON.  Knows nothing of Flask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from retort.api.fields import TEXT, Count, RequestModel, Texts, check_fields, parse_items
from retort.api.strict_json import parse_json as parse_json
from retort.engine.predictor import Answer
from retort.errors import InferenceFailed, InvalidInput
from retort.tasks.base import Input, Task, round_probability


def _also_bare_and_upper(schema: dict[str, Any]) -> None:
    """What `parse_request` takes beyond the model: a bare string, and the older project's `X`."""
    keys = ("type", "properties", "required", "additionalProperties")
    taken = {key: schema.pop(key) for key in keys}
    texts, others = taken["properties"].pop("x"), taken["properties"]
    texts["anyOf"] = [{key: texts.pop(key) for key in ("type", "items")}, TEXT]
    schema["anyOf"] = [taken | {"properties": {name: texts, **others}, "required": [name]} for name in ("x", "X")]


class PredictRequest(RequestModel):
    """Texts to label."""

    model_config = ConfigDict(json_schema_extra=_also_bare_and_upper)

    example: ClassVar[str] = '{"x": ["…"]}'
    expected: ClassVar[dict[str, str]] = {
        "x": "a list of strings (or of pairs of strings)",
        "top_k": "a whole number of at least 1",
    }

    x: Annotated[
        Texts,
        Field(description='Texts, or pairs of texts: ["…", …] or [["…", "…"], …]. A bare string is a list of one.'),
    ]
    top_k: Count | None = Field(
        None, description="How many labels to list for each text, the most probable first; all when there are fewer."
    )


class Usage(BaseModel):
    """What one text took."""

    tokens: int
    truncated: bool


class Ranked(BaseModel):
    """One of the `top_k` labels of a text."""

    label: str
    probability: float


class Failure(BaseModel):
    """One text that the model gave no answer to."""

    index: int
    error: str
    error_type: str


class FoundEntity(BaseModel):
    """A part of a text, its `[start:end]` in characters (Unicode code points) of the text as sent."""

    label: str
    text: str
    start: int
    end: int
    probability: float


class PredictResponse(BaseModel):
    """What `POST /predict` answers; all lists are in the order of the texts, with null for those that failed.

    A prediction is a label, a list of labels where several may hold, or a list of entities.
    """

    model: str
    predictions: list[str | list[str] | list[FoundEntity] | None]
    probabilities: list[float | list[float] | None]
    usage: list[Usage]
    top: list[list[Ranked]] | None = None
    errors: list[Failure] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request."""

    inputs: list[Input]
    top_k: int | None


def parse_request(body: bytes, task: Task, max_texts: int) -> Request:
    """The inputs of a body, and how many labels it wants.

    Raises NotJson; InvalidInput, naming the field or the item's index; TooManyTexts.
    """
    return check_request(parse_json(body), task, max_texts)


def check_request(fields: Any, task: Task, max_texts: int) -> Request:
    """The same of a value of JSON.  Raises InvalidInput; TooManyTexts."""
    if isinstance(fields, dict):
        if "X" in fields:
            if "x" in fields:
                raise InvalidInput("Expected `x` or `X`, got both; send `x`.")
            fields["x"] = fields.pop("X")
        if isinstance(fields.get("x"), str):
            fields["x"] = [fields["x"]]
    request = check_fields(fields, PredictRequest)
    return Request(parse_items(task, "x", request.x, max_texts), request.top_k)


def build_response(model: str, answers: Sequence[Answer], top_k: int | None) -> dict[str, Any]:
    """What `PredictResponse` describes, ready for JSON.

    Raises InferenceFailed: no text has an answer.
    """
    predictions = [a.prediction for a in answers]
    failures = [index for index, prediction in enumerate(predictions) if prediction is None]
    if failures and len(failures) == len(answers):
        raise InferenceFailed(_FAILED)
    response: dict[str, Any] = {
        "model": model,
        "predictions": [None if p is None else p.answer for p in predictions],
        "probabilities": [None if p is None else round_probability(p.probability) for p in predictions],
        "usage": [{"tokens": a.n_tokens, "truncated": a.truncated} for a in answers],
    }
    if top_k is not None:
        response["top"] = [
            [{"label": label, "probability": round_probability(probability)} for label, probability in p.ranked[:top_k]]
            if p
            else []
            for p in predictions
        ]
    if failures:
        response["errors"] = [
            {"index": index, "error": _FAILED, "error_type": InferenceFailed.__name__} for index in failures
        ]
    return response


_FAILED = "The model gave no answer to this text; the server's log says why."
