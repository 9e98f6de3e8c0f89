"""`GET /metrics`: everything counted, in Prometheus' text format or OpenMetrics, as the scraper asks."""

from flask import Blueprint, Response, request
from prometheus_client.exposition import choose_encoder

from retort.api.operation import describe
from retort.engine.metrics import Metrics

FORMATS = {"text/plain": str, "application/openmetrics-text": str}


def build_metrics(metrics: Metrics) -> Blueprint:
    """The address that Prometheus asks."""
    blueprint = Blueprint("metrics", __name__)

    @blueprint.get("/metrics")
    @describe("Counters and times, for Prometheus", gives=FORMATS)
    def show() -> Response:
        try:
            encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        except (ValueError, TypeError):  # a version that is none
            encode, content_type = choose_encoder("")
        return Response(encode(metrics.registry), content_type=content_type)

    return blueprint
