"""A request's body becomes bytes: whole, of a type that is taken, within the limit."""

from contextlib import suppress

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from retort.api.errors import UnsupportedBody
from retort.errors import BodyTooLong, ForeignPage, NotJson

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
UNASKED = (FORM, "")  # browsers send these to any server and ask it nothing first, as they do for JSON
OWN_SITES = ("same-origin", "none")  # of `Sec-Fetch-Site`; none: a person reloads the answer
MAX_DISCARDED_BYTES = 64 * 2**20


def read_json_body(max_bytes: int) -> bytes:
    """The whole body of a request that says it is JSON.  Raises what `read_typed_body` raises."""
    return read_typed_body(max_bytes, JSON)


def read_typed_body(max_bytes: int, *types: str) -> bytes:
    """The whole body of a request that says it is one of `types` ("": says nothing), in UTF-8.

    Raises UnsupportedBody: it says something else; ForeignPage; BodyTooLong; NotJson: it broke off.
    """
    if request.mimetype not in types:
        raise UnsupportedBody(f"Expected `Content-Type: {' or '.join(kind for kind in types if kind)}`.")
    if request.mimetype_params.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedBody("Expected text in UTF-8; send no other charset.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedBody("Expected a body that is not compressed; send no Content-Encoding.")
    if request.mimetype in UNASKED and _is_foreign():
        raise ForeignPage(
            f"Expected a form of our own page, or `Content-Type: {JSON}`; got a form or a body without a type from a "
            "page of another site."
        )
    return read_body(max_bytes)


def _is_foreign() -> bool:
    """Whether a page of another site sent it, perhaps without its visitor's will.

    Browsers say so, to a server without TLS by `Origin` alone; what says neither is no browser.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    return site not in OWN_SITES if site else origin is not None and origin.partition("://")[2] != request.host


def read_body(max_bytes: int) -> bytes:
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
