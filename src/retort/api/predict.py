"""`POST /predict`: texts become labels."""

from contextlib import suppress

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from retort.api.access_log import note_answer
from retort.api.errors import UnsupportedBody
from retort.api.schema import build_response, parse_request
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.errors import BodyTooLong, NotJson

MAX_DISCARDED_BYTES = 64 * 2**20


def build_predict(registry: Registry, settings: ServeSettings) -> Blueprint:
    """The address, answering with the registry's current model."""
    blueprint = Blueprint("predict", __name__)

    @blueprint.post("/predict")
    def predict() -> Response:
        """Errors: see `api/errors.py`."""
        _check_headers()
        predictor = registry.current
        asked = parse_request(
            _read_body(settings.max_body_bytes), predictor.artifact.task, settings.max_texts_per_request
        )
        answers = predictor.predict(asked.inputs, settings.max_tokens_per_request)
        response = build_response(predictor.artifact.version, answers, asked.top_k)
        note_answer(response)
        return jsonify(response)

    return blueprint


def _check_headers() -> None:
    if request.mimetype != "application/json":
        raise UnsupportedBody("Expected `Content-Type: application/json`.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedBody("Expected JSON in UTF-8; send no other charset.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedBody("Expected a body that is not compressed; send no Content-Encoding.")


def _read_body(max_bytes: int) -> bytes:
    """The whole body, also a chunked one.

    Raises BodyTooLong; NotJson: the client left, or its chunks are damaged.
    """
    request.max_content_length = max_bytes + 1  # of longer chunked ones werkzeug returns so much and says nothing
    try:
        body = request.get_data(cache=False)
        if len(body) <= max_bytes:
            return body
    except RequestEntityTooLarge:
        pass
    except Exception as e:  # the server's own classes
        raise NotJson("Expected a body as long as the headers say; it broke off or its chunks are damaged.") from e
    _discard_body()
    raise BodyTooLong(f"Expected a body of at most {max_bytes} bytes, got more; send several requests.")


def _discard_body() -> None:
    """Clients that get an answer while they still send see a broken connection instead of the answer."""
    left = min(request.content_length or MAX_DISCARDED_BYTES, MAX_DISCARDED_BYTES)
    with suppress(Exception):
        while left > 0 and (piece := request.environ["wsgi.input"].read(min(left, 2**16))):
            left -= len(piece)
