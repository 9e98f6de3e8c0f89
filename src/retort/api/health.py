"""`GET /livez` (`/health_check`): does the process live?  `GET /readyz`: may it be sent requests?"""

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel

from retort.api.operation import describe
from retort.engine.registry import Registry
from retort.errors import ModelNotReady


class Liveness(BaseModel):
    """What a living process answers."""

    status: str


class Readiness(BaseModel):
    """What a process with a model answers."""

    status: str
    model: str


def build_health(registry: Registry, stall_timeout_s: float) -> Blueprint:
    """The addresses that probes ask."""
    health = Blueprint("health", __name__)

    @health.get("/health_check")
    @health.get("/livez")
    @describe("Does the process live?", gives=Liveness, errors=(ModelNotReady,))
    def livez() -> Response:
        """Raises ModelNotReady: a batch is stuck; this process is about to be replaced."""
        if (stuck_s := registry.stuck_s()) > stall_timeout_s:
            raise ModelNotReady(f"The model has been at one batch for {stuck_s:.0f} s; this process is replaced.")
        return jsonify(status="ok")

    @health.get("/readyz")
    @describe("May it be sent requests?", gives=Readiness, errors=(ModelNotReady,))
    def readyz() -> Response:
        """Raises ModelNotReady until the model gave its golden logits."""
        return jsonify(status="ready", model=registry.current.artifact.version)

    return health
