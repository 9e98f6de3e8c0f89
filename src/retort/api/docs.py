"""`GET /openapi.json`, and `GET /docs`: the same for people, by Swagger UI from files on this disk."""

import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import NotFound

from retort.api.gate import Gate
from retort.api.openapi import build_document
from retort.api.operation import describe

# Swagger UI styles elements through the DOM only, which needs no 'unsafe-inline'; its icons are data: addresses.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
OURS = Path(__file__).with_name("static")
FROM_SWAGGER_UI = ("swagger-ui-bundle.js", "swagger-ui.css")
ASSETS = (*FROM_SWAGGER_UI, "docs.js")
MAX_AGE_S = 3600

File = tuple[bytes, str, str]  # content, type, tag


def build_docs(gate: Gate) -> Blueprint:
    """Both addresses, of whatever application the blueprint is registered with."""
    docs = Blueprint("docs", __name__)

    @cache
    def document() -> File:
        return _encode(current_app.json.dumps(build_document(_app(), gate)), "application/json")

    @docs.get("/openapi.json")
    @describe("This document", gives=dict[str, Any], is_cached=True)
    def openapi() -> Response:
        return _answer(document(), "no-cache")

    @docs.get("/docs")
    def show() -> Response:
        return _answer(_read(OURS / "docs.html"), "no-cache")

    @docs.get("/docs/<file>")
    def asset(file: str) -> Response:
        if file not in ASSETS:
            raise NotFound
        return _answer(_read((_swagger_ui() if file in FROM_SWAGGER_UI else OURS) / file), f"max-age={MAX_AGE_S}")

    return docs


def _answer(file: File, caching: str) -> Response:
    """The file, or 304 to who has it already."""
    content, kind, tag = file
    response = Response(content, mimetype=kind)
    headers: Any = response.headers
    headers["Cache-Control"] = caching
    headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    response.set_etag(tag)
    response.make_conditional(request)
    return response


@cache
def _read(path: Path) -> File:
    return _encode(path.read_text(encoding="utf-8"), TYPES[path.suffix])


def _encode(text: str, kind: str) -> File:
    content = text.encode()
    return content, kind, hashlib.sha256(content).hexdigest()[:32]


def _swagger_ui() -> Path:
    """Where the package swagger-ui-py keeps its files; it is never imported."""
    found = importlib.util.find_spec("swagger_ui")
    if found is None or found.origin is None:
        raise NotFound
    return Path(found.origin).with_name("static")


def _app() -> Flask:
    return current_app._get_current_object()  # type: ignore[attr-defined,no-any-return]
