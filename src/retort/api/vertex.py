"""The two addresses that Vertex AI chooses for a container, `health_route` and `predict_route` of the settings."""

from flask import Blueprint, Response, jsonify

from retort.api.body import read_json_body
from retort.api.health import Readiness
from retort.api.instances import GIVEN, TAKEN, answer_instances
from retort.api.operation import PREDICTS, describe
from retort.api.strict_json import parse_json
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.errors import ModelNotReady


def build_vertex(registry: Registry, settings: ServeSettings) -> Blueprint:
    """Whichever of both is set; registered first, they come before addresses of ours that are equal."""
    blueprint = Blueprint("vertex", __name__)

    @describe("May it be sent requests? (Vertex AI)", gives=Readiness, errors=(ModelNotReady,))
    def ready() -> Response:
        """Raises ModelNotReady."""
        return jsonify(status="ready", model=registry.current.artifact.version)

    @describe("Label texts (Vertex AI)", takes=TAKEN, gives=GIVEN, errors=PREDICTS)
    def predict() -> Response:
        body = read_json_body(settings.max_body_bytes)
        with registry.lease() as predictor:
            return jsonify(answer_instances(parse_json(body), predictor, settings))

    if settings.health_route:
        blueprint.add_url_rule(settings.health_route, view_func=ready, methods=["GET"])
    if settings.predict_route:
        blueprint.add_url_rule(settings.predict_route, view_func=predict, methods=["POST"])
    return blueprint
