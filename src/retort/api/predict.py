"""`POST /predict`, and `POST /models/<name>/predict`: texts become labels."""

from contextlib import suppress

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from retort.api.access_log import note_answer
from retort.api.answering import answer
from retort.api.errors import UnsupportedBody
from retort.api.schema import build_response, parse_request
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.errors import BodyTooLong, NotJson

MAX_DISCARDED_BYTES = 64 * 2**20


def build_predict(registry: Registry, settings: ServeSettings) -> Blueprint:
    """Both addresses; the first answers with the registry's default model."""
    blueprint = Blueprint("predict", __name__)

    @blueprint.post("/predict")
    @blueprint.post("/models/<name>/predict")
    def predict(name: str | None = None) -> Response:
        """Errors: see `api/errors.py`."""
        body = read_json_body(settings.max_body_bytes)
        with registry.lease(name) as predictor:
            asked = parse_request(body, predictor.artifact.task, settings.max_texts_per_request)
            answered = answer(predictor, asked.inputs, settings)
            response = build_response(predictor.artifact.version, answered.answers, asked.top_k)
        note_answer(response)
        return jsonify(response)

    return blueprint


def read_json_body(max_bytes: int) -> bytes:
    """The whole body of a request that says it is JSON.

    Raises UnsupportedBody: it says something else; BodyTooLong; NotJson: it broke off.
    """
    if request.mimetype != "application/json":
        raise UnsupportedBody("Expected `Content-Type: application/json`.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedBody("Expected JSON in UTF-8; send no other charset.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedBody("Expected a body that is not compressed; send no Content-Encoding.")
    return _read_body(max_bytes)


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
