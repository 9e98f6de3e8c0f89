"""The addresses of an application become one OpenAPI 3.1 document, made from what validates them."""

import re
from collections.abc import Iterator
from typing import Any

from flask import Flask
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from retort import __version__
from retort.api.answering import TIMEOUT_HEADER
from retort.api.errors import STATUSES, Envelope, UnsupportedBody
from retort.api.gate import Gate
from retort.api.operation import Operation
from retort.errors import Forbidden, NoSuchModel, NotJson, Overloaded, RetortError, Unauthorized

ALWAYS = (NotJson, Unauthorized, Forbidden, Overloaded)  # what every address may answer
SERVERS_OWN = {  # what is answered before an address is looked at
    404: "NotFound: there is no such address.",
    408: "TooSlow: the request did not come whole in time.",
    414: "AddressTooLong: the address is longer than is read.",
    431: "HeadersTooLong: more or longer headers than are read.",
    500: "InternalError: a fault of ours; the server's log has it under the request's id.",
}
HEADERS_OF_REFUSALS = {401: ("WWW-Authenticate",), 429: ("Retry-After",), 503: ("Retry-After",)}
UNREAD = 499  # its client has left

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key as `Authorization: Bearer <key>`."},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, bare."},
}
PATH_EXAMPLES = {"name": "default"}
PATH_DESCRIPTIONS = {"name": "A model's name; `default` is the one that serves without a name."}

_BILL = {
    "x-queue-time": "Milliseconds from the request's first text in the queue to its first batch.",
    "x-tokenization-time": "Milliseconds that texts took to become tokens.",
    "x-inference-time": "Milliseconds from the first batch to the last logits.",
    "x-total-time": "Milliseconds from the request's arrival to its answer.",
    "x-compute-tokens": "Tokens of the batches that this request was in, padding included.",
}


def build_document(app: Flask, gate: Gate) -> dict[str, Any]:
    """Every described operation of `app`; `gate` says which need a key."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, operation in sorted(described(app), key=lambda found: found[0]):
        if gate.hides(rule):
            continue
        path = re.sub(r"<(?:[^:<>]+:)?(\w+)>", r"{\1}", rule)
        built = _build_operation(path, method, operation, schemas) | {"security": _security(rule, method, gate)}
        paths.setdefault(path, {}).setdefault(method.lower(), built)  # of equal rules the first one answers
    _add_schema(Envelope, "serialization", schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Retort",
            "version": __version__,
            "summary": "Texts become labels.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "headers": _headers(),
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def described(app: Flask) -> Iterator[tuple[str, str, Operation]]:
    """Rule, method and operation of every address whose function is described."""
    for rule in app.url_map.iter_rules():
        operation = getattr(app.view_functions[rule.endpoint], "operation", None)
        if operation is None:
            continue
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield rule.rule, method, operation


def _build_operation(path: str, method: str, operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    arguments = re.findall(r"\{(\w+)\}", path)
    built: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *re.findall(r"\w+", path)]),
        "summary": operation.summary,
        **({"description": operation.note} if operation.note else {}),
        "parameters": [_path_parameter(name) for name in arguments] + _header_parameters(operation),
        "responses": _build_responses(operation, bool(arguments), schemas),
    }
    if operation.takes:
        built["requestBody"] = {
            "required": operation.is_body_needed,
            "content": _content(operation.takes, "validation", schemas),
        }
    return built


def _build_responses(operation: Operation, is_named: bool, schemas: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": "Done.", "headers": _references("X-Request-Id")}
    if operation.gives:
        success["content"] = _content(operation.gives, "serialization", schemas)
    if operation.predicts:
        success["headers"] |= _references(*_BILL)
    responses = {"200": success}
    if operation.is_cached:
        responses["304"] = {"description": "The one that `If-None-Match` names.", "headers": success["headers"]}
    for status, sentences in sorted(_refusals(operation, is_named).items()):
        headers = _references("X-Request-Id", *HEADERS_OF_REFUSALS.get(status, ()))
        content = {"application/json": {"schema": {"$ref": _reference(Envelope)}}}
        responses[str(status)] = {"description": "\n".join(sentences), "headers": headers, "content": content}
    return responses


def _refusals(operation: Operation, is_named: bool) -> dict[int, list[str]]:
    """Sentences by status."""
    found = {status: [sentence] for status, sentence in SERVERS_OWN.items()}
    kinds: list[type[RetortError]] = [*ALWAYS, *operation.errors, *([NoSuchModel] if is_named else [])]
    for kind in dict.fromkeys(kinds):
        if STATUSES[kind] != UNREAD:
            found.setdefault(STATUSES[kind], []).append(f"{kind.__name__}: {_first_sentence(kind)}")
    if operation.takes:
        found[UnsupportedBody.code] = [f"UnsupportedBody: {_first_sentence(UnsupportedBody)}"]
    return found


def _first_sentence(kind: type) -> str:
    return (kind.__doc__ or "").split("\n")[0].split(".  ")[0].rstrip(".") + "."


def _security(rule: str, method: str, gate: Gate) -> list[dict[str, list[str]]]:
    """Without keys every address may be asked without one, and with one."""
    if gate.opens(rule, method):
        return []
    without: list[dict[str, list[str]]] = [] if gate else [{}]
    return without + [{name: []} for name in SECURITY_SCHEMES]


def _path_parameter(name: str) -> dict[str, Any]:
    parameter = {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    if name in PATH_EXAMPLES:
        parameter |= {"example": PATH_EXAMPLES[name], "description": PATH_DESCRIPTIONS[name]}
    return parameter


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    request_id = "An id for the log; a new one is made where this is not 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, `-`."
    parameters = [{"name": "X-Request-Id", "in": "header", "schema": {"type": "string"}, "description": request_id}]
    if operation.predicts:
        schema = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
        deadline = "Milliseconds from arrival after which the answer is 504; the server's own limit holds where lower."
        parameters.append({"name": TIMEOUT_HEADER, "in": "header", "schema": schema, "description": deadline})
    return parameters


def _headers() -> dict[str, Any]:
    def header(description: str, kind: str, required: bool = False) -> dict[str, Any]:
        return {"description": description, "required": required, "schema": {"type": kind}}

    return {
        "X-Request-Id": header("The id that the log knows this request by.", "string", required=True),
        "Retry-After": header("Seconds after which it is worth trying again.", "integer", required=True),
        "WWW-Authenticate": header("How a key is sent.", "string"),
        **{name: header(description, "number") for name, description in _BILL.items()},
    }


def _references(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _content(kinds: Any, mode: JsonSchemaMode, schemas: dict[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": _add_schema(kind, mode, schemas)} for media_type, kind in kinds.items()}


def _add_schema(kind: Any, mode: JsonSchemaMode, schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type; of a model a reference to it, and the models it holds, in `schemas`."""
    schema = TypeAdapter(kind).json_schema(mode=mode, ref_template="#/components/schemas/{model}")
    schemas |= schema.pop("$defs", {})
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        schemas[kind.__name__] = schema
        return {"$ref": _reference(kind)}
    return schema


def _reference(kind: type) -> str:
    return f"#/components/schemas/{kind.__name__}"
