"""Texts become files that a browser shows: typed, tagged, and held to a policy of what they may load."""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Response, request

TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
MAX_AGE_S = 3600
LASTING = f"max-age={MAX_AGE_S}"
ASK_EACH_TIME = "no-cache"  # a browser keeps it, and asks whether it is still the same


@dataclass(frozen=True, slots=True)
class File:
    """What is sent, and the tag by which a browser knows that it has it already."""

    content: bytes
    media_type: str
    tag: str


def encode_file(text: str, media_type: str) -> File:
    """Halves of surrogate pairs, which labels of a file may hold, become question marks."""
    content = text.encode(errors="replace")
    return File(content, media_type, hashlib.sha256(content).hexdigest()[:32])


@cache
def read_file(path: Path) -> File:
    """A file of ours, which does not change while the process lives; its ending says what it is."""
    return encode_file(path.read_text(encoding="utf-8"), TYPES[path.suffix])


def answer_file(file: File, policy: str, caching: str = ASK_EACH_TIME, status: int = 200) -> Response:
    """The file under a content security policy, or 304 to who has it already."""
    response = Response(file.content, status, mimetype=file.media_type)
    headers: Any = response.headers
    headers["Cache-Control"] = caching
    headers["Content-Security-Policy"] = policy
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    if request.method in ("GET", "HEAD"):
        response.set_etag(file.tag)
        response.make_conditional(request)
    return response
