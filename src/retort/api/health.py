"""`GET /health_check`: does the process live?  `GET /readyz`: may it be sent requests?"""

from flask import Blueprint, Response, jsonify

from retort.engine.registry import Registry


def build_health(registry: Registry) -> Blueprint:
    """Both addresses."""
    health = Blueprint("health", __name__)

    @health.get("/health_check")
    def health_check() -> Response:
        return jsonify(status="ok")

    @health.get("/readyz")
    def readyz() -> Response:
        """Raises ModelNotReady until the model gave its golden logits."""
        return jsonify(status="ready", model=registry.current.artifact.version)

    return health
