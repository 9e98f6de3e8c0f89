"""A request's bytes become checked inputs, strictly; answers become JSON.  Knows nothing of Flask."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retort.engine.predictor import Answer
from retort.errors import InferenceFailed, InvalidInput, NotJson, TooManyTexts
from retort.tasks.base import Input, Task

MAX_DEPTH = 32


class PredictRequest(BaseModel):
    """What `POST /predict` takes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    x: Annotated[
        list[Any],
        Field(description='Texts, or pairs of texts: ["…", …] or [["…", "…"], …]. A bare string is a list of one.'),
    ]
    top_k: Annotated[int, Field(ge=1)] | None = Field(
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


class PredictResponse(BaseModel):
    """What `POST /predict` answers; all lists are in the order of the texts, with null for those that failed."""

    model: str
    predictions: list[str | list[str] | None]
    probabilities: list[float | list[float] | None]
    usage: list[Usage]
    top: list[list[Ranked]] | None = None
    errors: list[Failure] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A checked request."""

    inputs: list[Input]
    top_k: int | None


def parse_json(body: bytes) -> Any:
    """Strict JSON: UTF-8 (a byte order mark is skipped), no duplicate keys, no NaN or Infinity, no number that
    becomes one, nesting of at most `MAX_DEPTH`.

    Raises NotJson.
    """
    try:
        value = json.loads(
            body.decode("utf-8-sig"),
            object_pairs_hook=_object_of,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except UnicodeDecodeError as e:
        raise NotJson(f"Expected JSON in UTF-8; byte {e.start} is not.") from e
    except RecursionError as e:
        raise NotJson(f"Expected JSON nested at most {MAX_DEPTH} deep.") from e
    except json.JSONDecodeError as e:
        raise NotJson(f"Expected JSON: {e.msg} at line {e.lineno}, column {e.colno}.") from e
    except ValueError as e:  # an integer of more digits than Python converts
        raise NotJson("Expected JSON; it holds a number with too many digits.") from e
    if _is_deeper(value, MAX_DEPTH):
        raise NotJson(f"Expected JSON nested at most {MAX_DEPTH} deep.")
    return value


def parse_request(body: bytes, task: Task, max_texts: int) -> Request:
    """The inputs of a body, and how many labels it wants.

    Raises NotJson; InvalidInput, naming the field or the item's index; TooManyTexts.
    """
    fields = parse_json(body)
    if not isinstance(fields, dict):
        raise InvalidInput(f'Expected an object such as {{"x": ["…"]}}, got {_kind(fields)}.')
    if "X" in fields:
        if "x" in fields:
            raise InvalidInput("Expected `x` or `X`, got both; send `x`.")
        fields["x"] = fields.pop("X")
    if isinstance(fields.get("x"), str):
        fields["x"] = [fields["x"]]
    try:
        request = PredictRequest.model_validate(fields)
    except ValidationError as e:
        raise InvalidInput(_explain(e)) from e
    if len(request.x) > max_texts:
        raise TooManyTexts(f"Expected at most {max_texts} texts in one request, got {len(request.x)}; send several.")
    return Request([_parse_item(task, index, item) for index, item in enumerate(request.x)], request.top_k)


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
        "predictions": [p and p.label for p in predictions],
        "probabilities": [p and _rounded(p.probability) for p in predictions],
        "usage": [{"tokens": a.n_tokens, "truncated": a.truncated} for a in answers],
    }
    if top_k is not None:
        response["top"] = [
            [{"label": label, "probability": _rounded(probability)} for label, probability in p.ranked[:top_k]]
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


def _rounded(probability: Any) -> Any:
    """To six digits, which is all that float32 holds; a number, or a list of them."""
    return [_rounded(p) for p in probability] if isinstance(probability, list) else round(probability, 6)


def _parse_item(task: Task, index: int, item: Any) -> Input:
    """A string is a text, a list of two strings a pair; the task's own `parse` checks the rest."""
    if isinstance(item, str):
        fields = {"text": item}
    elif isinstance(item, list) and len(item) == 2:
        fields = {"text": item[0], "text_pair": item[1]}
    else:
        got = f"a list of {len(item)}" if isinstance(item, list) else _kind(item)
        raise InvalidInput(f"x[{index}]: expected a string or a pair of strings, got {got}.")
    if not all(isinstance(value, str) for value in fields.values()):
        kinds = " and ".join(_kind(value) for value in item)
        raise InvalidInput(f"x[{index}]: expected a pair of strings, got {kinds}.")
    try:
        return task.parse(fields)
    except InvalidInput as e:
        raise InvalidInput(f"x[{index}]: {e}") from e


def _explain(error: ValidationError) -> str:
    """The first fault of a request's fields, in our words; values of users are not repeated."""
    first = error.errors(include_url=False, include_context=False)[0]
    if not first["loc"]:
        return "The name of a field holds a lone surrogate, which is no character."
    name = ascii(str(first["loc"][0])[:50])[1:-1]
    if first["type"] == "extra_forbidden":
        return f"Unknown field `{name}`; expected {', '.join(f'`{f}`' for f in PredictRequest.model_fields)}."
    if first["type"] == "missing":
        return f'Expected a field `{name}`, such as {{"x": ["…"]}}; it is missing.'
    expected = {"x": "a list of strings (or of pairs of strings)", "top_k": "a whole number of at least 1"}[name]
    return f"`{name}`: expected {expected}, got {_kind(first['input'])}."


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotJson("Expected each key of an object once; one comes twice.")
    return found


def _finite(number: str) -> float:
    if math.isinf(value := float(number)):
        raise NotJson("Expected finite numbers; one is too large.")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"Expected JSON; {name} is none of its numbers.")


def _is_deeper(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            child
            for container in level
            if isinstance(container, dict | list)
            for child in (container.values() if isinstance(container, dict) else container)
        ]
    return any(isinstance(value, dict | list) for value in level)
