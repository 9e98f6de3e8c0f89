"""`{"instances": [...]}` becomes `{"predictions": [...]}`, one object a text: how clouds ask.

`{"x": [...]}` is answered as by `POST /predict`, because a cloud may be told that its address is that one.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from retort.api.access_log import note_answer
from retort.api.answering import answer, answer_all
from retort.api.fields import Count, Instances, RequestModel, check_fields, parse_items
from retort.api.schema import FoundEntity, PredictRequest, PredictResponse, Ranked, build_response, check_request
from retort.config import ServeSettings
from retort.engine.predictor import Predictor
from retort.tasks.base import Prediction, round_probability


class InstancesParameters(RequestModel):
    """What is wanted beyond the label."""

    top_k: Count | None = Field(None, description="How many labels to list for each text.")


class InstancesRequest(RequestModel):
    """Texts, one an instance."""

    example: ClassVar[str] = '{"instances": ["…"]}'
    expected: ClassVar[dict[str, str]] = {
        "instances": "a list of strings, of pairs of strings, or of objects with `text`",
        "parameters": "an object",
        "parameters.top_k": "a whole number of at least 1",
    }

    instances: Instances
    parameters: InstancesParameters | None = None


class Labelled(BaseModel):
    """What is said of one text; lists where a text may have several labels, and `entities` where those are found."""

    label: str | list[str]
    probability: float | list[float]
    top: list[Ranked] | None = None
    entities: list[FoundEntity] | None = None


class InstancesResponse(BaseModel):
    """One object for each instance, in their order."""

    predictions: list[Labelled]


TAKEN = InstancesRequest | PredictRequest
GIVEN = InstancesResponse | PredictResponse


def answer_instances(fields: Any, predictor: Predictor, settings: ServeSettings) -> dict[str, Any]:
    """What to answer to a body of JSON, `TAKEN`; one of `GIVEN`.  Raises what `answer_all` raises; InvalidInput."""
    task, max_texts = predictor.artifact.task, settings.max_texts_per_request
    if isinstance(fields, dict) and ("x" in fields or "X" in fields):
        asked = check_request(fields, task, max_texts)
        answered = answer(predictor, asked.inputs, settings)
        response = build_response(predictor.artifact.version, answered.answers, asked.top_k)
        note_answer(predictor.artifact.version, answered.answers)
        return response
    request = check_fields(fields, InstancesRequest)
    inputs = parse_items(task, "instances", request.instances, max_texts, named=True)
    return {"predictions": label_rows(answer_all(predictor, inputs, settings), (request.parameters or NONE).top_k)}


NONE = InstancesParameters()


def label_rows(predictions: Sequence[Prediction], top_k: int | None = None) -> list[dict[str, Any]]:
    """One `Labelled` for each prediction."""
    rows = [p.row for p in predictions]
    if top_k is not None:
        for row, p in zip(rows, predictions, strict=True):
            row["top"] = [{"label": label, "probability": round_probability(each)} for label, each in p.ranked[:top_k]]
    return rows
