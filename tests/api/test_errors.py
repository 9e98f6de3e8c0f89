"""Every error has its status and the same envelope."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException, default_exceptions

from retort import errors
from retort.api.access_log import AccessLog
from retort.api.errors import STATUSES, register_errors
from retort.engine.metrics import Metrics

PRIVATE = "a text of a user"


def raising(error: Exception) -> FlaskClient:
    app = Flask("test")
    AccessLog(Metrics()).register(app)
    register_errors(app)

    @app.get("/")
    def fail() -> None:
        raise error

    return app.test_client()


TABLE = {
    errors.NotJson: 400, errors.BodyTooLong: 413, errors.TooManyTexts: 413, errors.InvalidInput: 422,
    errors.TooManyTokens: 422, errors.ModelNotReady: 503,
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLE)
def test_each_error_has_its_status_and_says_what_it_says(kind: type[errors.RetortError]) -> None:
    response = raising(kind("Expected this.")).get("/")
    assert response.status_code == TABLE[kind]
    assert response.get_json() == {
        "error": "Expected this.", "error_type": kind.__name__, "request_id": response.headers["X-Request-Id"]
    }  # fmt: skip
    assert ("Retry-After" in response.headers) == (response.status_code == 503)


def test_the_table_holds_every_fault_of_a_client() -> None:
    assert set(errors.BadRequest.__subclasses__()) <= set(STATUSES)


@pytest.mark.parametrize(
    "error", [ValueError(PRIVATE), errors.BadArtifact(PRIVATE), errors.TrainingFailed(PRIVATE), KeyError(PRIVATE)]
)
def test_a_crash_is_a_500_that_keeps_the_exceptions_text_to_itself(error: Exception) -> None:
    response = raising(error).get("/")
    assert response.status_code == 500
    assert response.get_json()["error_type"] == "InternalError"
    assert PRIVATE not in response.text


def test_a_crash_is_logged_under_the_requests_id(caplog: pytest.LogCaptureFixture) -> None:
    response = raising(ValueError("why")).get("/")
    assert response.get_json()["request_id"] in caplog.text
    assert "ValueError: why" in caplog.text


@pytest.mark.parametrize("status", default_exceptions)
def test_every_http_error_is_an_envelope(status: int) -> None:
    kind: type[HTTPException] = default_exceptions[status]
    response = raising(kind()).get("/")
    assert response.status_code == status
    envelope = response.get_json()
    assert list(envelope) == ["error", "error_type", "request_id"]
    assert all(envelope.values())


def test_an_unknown_address_is_an_envelope(client: FlaskClient) -> None:
    for path in ("/nope", "/predict/", "/predict/x", "/x//predict", "/static/a", "/%2e%2e/%2e%2e/etc/passwd"):
        response = client.get(path)
        assert (response.status_code, response.get_json()["error_type"]) == (404, "NotFound"), path


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "TRACE"])
def test_another_method_is_an_envelope_that_names_those_allowed(client: FlaskClient, method: str) -> None:
    response = client.open("/predict", method=method)
    assert (response.status_code, response.get_json()["error_type"]) == (405, "MethodNotAllowed")
    assert response.headers["Allow"] == "OPTIONS, POST"
