"""The document says what the application does, all of it and no more."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from flask.testing import FlaskClient

from hostile import BODIES, ODD
from retort.api.errors import STATUSES
from retort.api.openapi import ALWAYS
from retort.api.operation import PREDICTS
from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.errors import NoSuchModel
from retort.server import connection

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KEY = "k" * 32
UNDESCRIBED = {"/docs", "/docs/{file}", "/playground/{file}"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    settings = ServeSettings(health_route="/vertex", predict_route="/vertex:predict", admin_keys=KEY)
    app = create_app(settings, Registry(Path("models")))
    found: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def schemas(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema in the document, its references resolved by `$defs`."""
    yield from document["components"]["schemas"].values()
    for _, _, operation in operations(document):
        holders = [*operation.get("requestBody", {}).get("content", {}).values(), *operation["parameters"]]
        for response in operation["responses"].values():
            holders += response.get("content", {}).values()
        yield from (holder["schema"] for holder in holders)


def validator(document: dict[str, Any], name: str) -> jsonschema_rs.Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def test_every_address_is_in_it_with_its_methods(client: FlaskClient, document: dict[str, Any]) -> None:
    said = {(path, method) for path, method, _ in operations(document)}
    for rule in client.application.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        if path not in UNDESCRIBED:
            assert {(path, method) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}} <= said


def test_every_schema_is_one(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert "jsonSchemaDialect" not in document  # Swagger UI warns of any but the default
    for schema in schemas(document):
        jsonschema_rs.meta.validate(schema | {"$schema": DIALECT})


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document))):
        found = document
        for part in reference.split("/"):
            found = found[part]


def test_ids_are_different_and_every_name_in_a_path_is_a_parameter(document: dict[str, Any]) -> None:
    found = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(found) == len(set(found))
    for path, _, operation in operations(document):
        named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))


def test_predictions_may_have_every_status_of_the_table(document: dict[str, Any]) -> None:
    responses = document["paths"]["/models/{name}/predict"]["post"]["responses"]
    assert {str(STATUSES[kind]) for kind in (*ALWAYS, *PREDICTS, NoSuchModel)} <= set(responses)
    for status, response in responses.items():
        assert "X-Request-Id" in response["headers"]
        assert ("Retry-After" in response["headers"]) == (status in ("429", "503"))


def test_what_the_server_itself_answers_is_said_of_every_address(document: dict[str, Any]) -> None:
    faults = {fault.status for fault in vars(connection).values() if isinstance(fault, connection.Fault)}
    assert faults
    for _, _, operation in operations(document):
        assert {str(status) for status in faults} <= set(operation["responses"])


@pytest.mark.parametrize("keys", [{}, {"api_keys": KEY}, {"admin_keys": KEY, "public_metrics": True}], ids=str)
def test_a_key_is_asked_for_where_it_says_so(keys: dict[str, Any]) -> None:
    settings = ServeSettings(health_route="/vertex", predict_route="/vertex:predict", **keys)
    client = create_app(settings, Registry(Path("models"))).test_client()
    for path, method, operation in operations(client.get("/openapi.json").get_json()):
        address = path.replace("{name}", "default").replace("{version}", "1")
        refused = client.open(address, method=method).status_code == 401
        assert refused == (operation["security"] != [] and {} not in operation["security"])


IN_LIMITS = {name: body for name, (body, status) in BODIES.items() if status == 422 and "surrogate" not in name}


@pytest.mark.parametrize("name", IN_LIMITS.keys() - {"tokens beyond their limit"})
def test_the_schema_refuses_what_is_refused(document: dict[str, Any], name: str) -> None:
    assert not validator(document, "PredictRequest").is_valid(json.loads(IN_LIMITS[name]))


@pytest.mark.parametrize("name", ODD)
def test_the_schema_takes_what_is_taken(document: dict[str, Any], name: str) -> None:
    assert validator(document, "PredictRequest").is_valid(json.loads(ODD[name].decode("utf-8-sig")))


ANSWERED = [
    ("POST", "/predict", {"x": ["a", ["b", "c"]], "top_k": 2}),
    ("POST", "/models/{name}/predict", {"X": "a"}),
    ("POST", "/", {"inputs": ["a"]}),
    ("POST", "/v1/models/{name}:predict", {"instances": ["a"]}),
    ("POST", "/v1/models/{name}:predict", {"inputs": ["a"]}),
    ("POST", "/v1/models/{name}:classify", {"examples": [{"text": "a"}]}),
    ("POST", "/v2/models/{name}/infer",
     {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}]}),
    ("POST", "/invocations", {"instances": ["a"]}),
    *[("GET", path, None) for path in ("/health_check", "/livez", "/readyz", "/ping", "/v2")],
    *[("GET", path, None) for path in ("/v1/models/{name}", "/v1/models/{name}/metadata")],
    *[("GET", f"/v2/{path}", None) for path in ("health/live", "health/ready", "models/{name}", "models/{name}/ready")],
    ("POST", "/predict", {"x": 1}),
    ("GET", "/v2/models/{name}/versions/{version}", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), ANSWERED)
def test_bodies_and_answers_are_what_it_says(
    client: FlaskClient, document: dict[str, Any], method: str, path: str, body: Any
) -> None:
    address = path.replace("{name}", "default").replace("{version}", "1")
    response = client.open(address, method=method, json=body)
    operation = document["paths"][path][method.lower()]
    described = operation["responses"][str(response.status_code)]
    schema = described["content"]["application/json"]["schema"] | {"components": document["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(response.get_json())
    for name, header in described["headers"].items():
        required = document["components"]["headers"][header["$ref"].rsplit("/", 1)[1]]["required"]
        assert name in response.headers or not required
    if body is not None:
        taken = operation["requestBody"]["content"]["application/json"]["schema"] | {
            "components": document["components"]
        }
        assert jsonschema_rs.Draft202012Validator(taken).is_valid(body) == (response.status_code == 200)
