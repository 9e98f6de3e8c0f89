"""`GET /openapi.json`, and `GET /docs`: the same for people, by Swagger UI from files on this disk."""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app
from werkzeug.exceptions import NotFound

from retort.api.gate import Gate
from retort.api.openapi import build_document
from retort.api.operation import describe
from retort.api.pages import ASK_EACH_TIME, LASTING, File, answer_file, encode_file, read_file

# Swagger UI styles elements through the DOM only, which needs no 'unsafe-inline'; its icons are data: addresses.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
OURS = Path(__file__).with_name("static")
FROM_SWAGGER_UI = ("swagger-ui-bundle.js", "swagger-ui.css")
ASSETS = (*FROM_SWAGGER_UI, "docs.js")


def build_docs(gate: Gate) -> Blueprint:
    """Both addresses, of whatever application the blueprint is registered with."""
    docs = Blueprint("docs", __name__)

    @cache
    def document() -> File:
        return encode_file(current_app.json.dumps(build_document(_app(), gate)), "application/json")

    @docs.get("/openapi.json")
    @describe("This document", gives=dict[str, Any], is_cached=True)
    def openapi() -> Response:
        return _answer(document(), ASK_EACH_TIME)

    @docs.get("/docs")
    def show() -> Response:
        return _answer(read_file(OURS / "docs.html"), ASK_EACH_TIME)

    @docs.get("/docs/<file>")
    def asset(file: str) -> Response:
        if file not in ASSETS:
            raise NotFound
        return _answer(read_file((_swagger_ui() if file in FROM_SWAGGER_UI else OURS) / file), LASTING)

    return docs


def _answer(file: File, caching: str) -> Response:
    return answer_file(file, CONTENT_SECURITY_POLICY, caching)


def _swagger_ui() -> Path:
    """Where the package swagger-ui-py keeps its files; it is never imported."""
    found = importlib.util.find_spec("swagger_ui")
    if found is None or found.origin is None:
        raise NotFound
    return Path(found.origin).with_name("static")


def _app() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]
