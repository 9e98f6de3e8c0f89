"""Pages of other origins."""

import pytest
from flask.testing import FlaskClient
from pydantic import ValidationError

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry

PAGE = "https://app.example"
KEY = "key-of-a-team-1234"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}


def build(loaded: Registry, origins: str | None, **more: object) -> FlaskClient:
    return create_app(ServeSettings(cors_origins=origins, **more), loaded).test_client()


def test_it_is_off_by_default(loaded: Registry) -> None:
    client = build(loaded, None)
    for response in (
        client.options("/predict", headers={"Origin": PAGE, **PREFLIGHT}),
        client.post("/predict", json={"x": "java"}, headers={"Origin": PAGE}),
    ):
        assert not [name for name in response.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118
        assert "Vary" not in response.headers


@pytest.mark.parametrize("origins", [PAGE, f"http://localhost:3000, {PAGE}"])
def test_a_preflight_of_a_named_origin_is_answered_without_a_key(loaded: Registry, origins: str) -> None:
    client = build(loaded, origins, api_keys=KEY)
    response = client.options("/predict", headers={"Origin": PAGE, **PREFLIGHT})
    assert (response.status_code, response.data) == (204, b"")
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert response.headers["Access-Control-Allow-Headers"] == "authorization,content-type"
    assert int(response.headers["Access-Control-Max-Age"]) > 0
    assert "Origin" in response.headers["Vary"]


def test_an_answer_may_be_read_with_its_bill_even_if_it_is_an_error(loaded: Registry) -> None:
    client = build(loaded, PAGE, api_keys=KEY)
    for headers, status in (({"X-API-Key": KEY}, 200), ({}, 401)):
        response = client.post("/predict", json={"x": "java"}, headers={"Origin": PAGE, **headers})
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {name for name, _ in response.headers if name.lower().startswith("x-")} <= set(exposed)


@pytest.mark.parametrize(
    "origin",
    ["https://app.example.evil.com", "http://app.example", "https://app.example:8443", "https://APP.example", "null",
     "*", "", f"{PAGE}, https://evil.example", "https://evil.example"],
)  # fmt: skip
def test_any_other_origin_is_allowed_nothing(loaded: Registry, origin: str) -> None:
    client = build(loaded, PAGE)
    for response in (
        client.options("/predict", headers={"Origin": origin, **PREFLIGHT}),
        client.post("/predict", json={"x": "java"}, headers={"Origin": origin}),
    ):
        assert response.status_code == 200
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
        assert response.headers["Vary"] == "Origin"  # or a cache would hand this answer to the page


def test_the_answer_without_an_origin_says_that_it_depends_on_one(loaded: Registry) -> None:
    response = build(loaded, PAGE).get("/health_check")
    assert response.headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Origin" not in response.headers


def test_a_star_allows_every_page_but_never_credentials(loaded: Registry) -> None:
    client = build(loaded, "*")
    for response in (
        client.options("/predict", headers={"Origin": "null", **PREFLIGHT}),
        client.post("/predict", json={"x": "java"}, headers={"Origin": PAGE}),
    ):
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_preflight_asks_for_odd_headers_in_vain(loaded: Registry) -> None:
    for asked in ("a\tb", "é", "a" * 1001, "<script>", ""):
        response = build(loaded, PAGE).options(
            "/predict", headers={**PREFLIGHT, "Origin": PAGE, "Access-Control-Request-Headers": asked}
        )
        assert response.status_code == 204
        assert "Access-Control-Allow-Headers" not in response.headers


@pytest.mark.parametrize(
    "origins",
    ["app.example", "https://app.example/", "https://app.example/path", "https://*.example", "null", "*, https://a.example",
     "https://APP.example", "ftp://app.example", "https://", "https://a.example https://b.example"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(origins: str) -> None:
    with pytest.raises(ValidationError, match="cors_origins"):
        ServeSettings(cors_origins=origins)
