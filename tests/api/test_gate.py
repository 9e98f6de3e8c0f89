"""Who is let in where."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry

KEY, ADMIN = "key-of-a-team-1234", "key-of-an-admin-12"
OPEN = {
    "/livez",
    "/readyz",
    "/health_check",
    "/ping",
    "/v2/health/live",
    "/v2/health/ready",
    "/docs",
    "/openapi.json",
    "/",
}

Build = Callable[..., FlaskClient]


@pytest.fixture
def build(loaded: Registry) -> Build:
    """A client of an application with the given settings and one address for admins."""

    def build(**settings: object) -> FlaskClient:
        app: Flask = create_app(ServeSettings(**settings), loaded)
        app.add_url_rule("/admin/try", "try", lambda: "done", methods=["POST"])
        return app.test_client()

    return build


def ask(client: FlaskClient, key: str | None = None, path: str = "/predict", method: str = "POST") -> TestResponse:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return client.open(path, method=method, json={"x": "java"} if method == "POST" else None, headers=headers)


def id_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def test_without_keys_everybody_may_predict(build: Build) -> None:
    assert ask(build()).status_code == ask(build(), "any").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer   {KEY}"},
        {"X-API-Key": KEY},
        {"Authorization": "Basic dTpw", "X-API-Key": KEY},
        {"Authorization": "Bearer of-a-gateway", "X-API-Key": KEY},
        {"Authorization": f"Bearer {ADMIN}"},
    ],
)
def test_a_known_key_is_let_in(build: Build, headers: dict[str, str]) -> None:
    client = build(api_keys=KEY, admin_keys=ADMIN)
    assert client.post("/predict", json={"x": "java"}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer {KEY[:-1]}"},
        {"Authorization": f"Bearer {KEY},{ADMIN}"},
        {"Authorization": "Bearer é\xff"},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": "x" * 5000},
        {"Cookie": f"X-API-Key={KEY}"},
    ],
)
def test_whoever_has_none_gets_401_and_hears_how(build: Build, headers: dict[str, str]) -> None:
    client = build(api_keys=KEY, admin_keys=ADMIN)
    for path in ("/predict", f"/predict?api_key={KEY}", "/models/any/predict", "/nope", "/admin/try"):
        response = client.post(path, json={"x": "java"}, headers=headers)
        assert (response.status_code, response.get_json()["error_type"]) == (401, "Unauthorized")
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert KEY not in response.text


def test_every_address_wants_a_key_but_probes_and_the_description(build: Build) -> None:
    client = build(api_keys=KEY)
    for rule in client.application.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "default", rule.rule)
        for method in rule.methods or ():
            is_open = method in ("GET", "HEAD") and (
                rule.rule in OPEN or rule.rule.startswith(("/docs/", "/playground/"))
            )
            assert (client.open(path, method=method).status_code == 401) == (not is_open), (method, path)


def test_a_probe_of_vertex_needs_no_key(build: Build) -> None:
    client = build(api_keys=KEY, health_route="/probe", predict_route="/ask")
    assert client.get("/probe").status_code == 200
    assert client.post("/probe").status_code == client.post("/ask").status_code == 401


def test_a_probe_that_is_set_to_the_address_of_predictions_opens_none(build: Build) -> None:
    assert ask(build(api_keys=KEY, health_route="/predict")).status_code == 401


@pytest.mark.parametrize("is_public", [False, True])
def test_the_description_says_which_addresses_need_a_key(build: Build, is_public: bool) -> None:
    client = build(api_keys=KEY, health_route="/probe", public_metrics=is_public)
    paths = client.get("/openapi.json").get_json()["paths"]
    assert len(paths) > 10
    for path, operations in paths.items():
        for method, operation in operations.items():
            asked = client.open(re.sub(r"\{\w+\}", "default", path), method=method)
            assert (asked.status_code == 401) == bool(operation["security"]), path
            assert {} not in operation["security"]


def test_metrics_want_a_key_unless_they_are_public(build: Build) -> None:
    client = build(api_keys=KEY)
    assert ask(client, path="/metrics", method="GET").status_code == 401
    assert ask(client, KEY, path="/metrics", method="GET").status_code == 200
    assert ask(build(api_keys=KEY, public_metrics=True), path="/metrics", method="GET").status_code == 200


def test_admins_may_do_everything_and_others_only_predict(build: Build) -> None:
    client = build(api_keys=KEY, admin_keys=ADMIN)
    assert ask(client, ADMIN, "/admin/try").text == "done"
    refused = ask(client, KEY, "/admin/try")
    assert (refused.status_code, refused.get_json()["error_type"]) == (403, "Forbidden")
    assert ask(client, ADMIN).status_code == 200


def test_keys_of_admins_alone_close_everything_too(build: Build) -> None:
    client = build(admin_keys=ADMIN)
    assert ask(client).status_code == 401
    assert ask(client, ADMIN).status_code == 200


@pytest.mark.parametrize("path", ["/admin/try", "/admin/", "/admin", "//admin/try", "/admin//try", "/%61dmin/try"])
@pytest.mark.parametrize("method", ["POST", "GET", "OPTIONS"])
@pytest.mark.parametrize("settings", [{}, {"api_keys": KEY}, {"api_keys": KEY, "cors_origins": "*"}])
def test_without_keys_of_admins_their_addresses_are_not_there(
    build: Build, settings: dict[str, str], method: str, path: str
) -> None:
    client = build(**settings)
    headers = {"Authorization": f"Bearer {KEY}"}
    found = client.open(f"http://localhost{path}", method=method, headers=headers)
    unknown = client.open("/nope", method=method, headers=headers)
    assert found.status_code == unknown.status_code == 404
    assert {**found.get_json(), "request_id": ""} == {**unknown.get_json(), "request_id": ""}
    assert [name for name, _ in found.headers] == [name for name, _ in unknown.headers]


def test_the_log_names_a_key_by_its_id_only(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    client = build(api_keys=KEY, admin_keys=ADMIN)
    capsys.readouterr()
    for key in (KEY, ADMIN, "some-unknown-key-12"):
        ask(client, key)
    output = "".join(capsys.readouterr())
    assert [json.loads(line)["key_id"] for line in output.splitlines()] == [id_of(KEY), id_of(ADMIN), None]
    assert not [key for key in (KEY, ADMIN, "some-unknown-key") if key in output]


def test_without_keys_the_log_has_no_key_for_them(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    client = build()
    capsys.readouterr()
    ask(client, KEY)
    assert "key_id" not in json.loads(capsys.readouterr().out)


def test_a_key_written_to_the_file_is_let_in_without_a_restart(build: Build, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(KEY)
    client = build(api_keys_file=file)
    assert (ask(client, KEY).status_code, ask(client, ADMIN).status_code) == (200, 401)
    file.write_text(ADMIN)
    assert (ask(client, KEY).status_code, ask(client, ADMIN).status_code) == (401, 200)
