"""`POST /predict`, and `POST /models/<name>/predict`: texts become labels."""

from flask import Blueprint, Response, jsonify

from retort.api.access_log import note_answer
from retort.api.answering import answer
from retort.api.body import read_json_body
from retort.api.operation import PREDICTS, describe
from retort.api.schema import PredictRequest, PredictResponse, build_response, parse_request
from retort.config import ServeSettings
from retort.engine.registry import Registry


def build_predict(registry: Registry, settings: ServeSettings) -> Blueprint:
    """Both addresses; the first answers with the registry's default model."""
    blueprint = Blueprint("predict", __name__)

    @blueprint.post("/predict")
    @blueprint.post("/models/<name>/predict")
    @describe("Label texts", takes=PredictRequest, gives=PredictResponse, errors=PREDICTS)
    def predict(name: str | None = None) -> Response:
        """Errors: see `api/errors.py`."""
        body = read_json_body(settings.max_body_bytes)
        with registry.lease(name) as predictor:
            asked = parse_request(body, predictor.artifact.task, settings.max_texts_per_request)
            answered = answer(predictor, asked.inputs, settings)
            response = build_response(predictor.artifact.version, answered.answers, asked.top_k)
        note_answer(response["model"], answered.answers)
        return jsonify(response)

    return blueprint
