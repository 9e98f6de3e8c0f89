"""Requests that clients should not send, as bytes, and the status of each answer; always the same ones, made by rules.

`REQUESTS` maps a name to what is sent, the statuses that are allowed for each answer in turn, and whether the client
then says that it sends no more.  Bodies for `POST /predict` come from `tests/api/hostile.py`.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hostile import BODIES, ODD

OK, BAD, WRONG = (200,), (400,), (422,)


@dataclass(frozen=True)
class Hostile:
    """Bytes, the statuses allowed for each answer, and whether nothing more comes."""

    sent: bytes
    statuses: tuple[tuple[int, ...], ...]
    ends: bool = False


def post(path: str, body: bytes, *lines: bytes, content_type: bytes | None = b"application/json") -> bytes:
    """A request whose framing is right."""
    more = [b"Content-Type: " + content_type] if content_type is not None else []
    head = [b"POST " + path.encode() + b" HTTP/1.1", b"Host: a", b"Content-Length: %d" % len(body), *more, *lines]
    return b"\r\n".join([*head, b"", body])


def framed(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST of JSON whose framing is what `lines` say."""
    head = [b"POST /predict HTTP/1.1", b"Host: a", b"Content-Type: application/json", *lines]
    return b"\r\n".join([*head, b"", body])


def get(target: bytes, *lines: bytes, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"\r\n".join([b" ".join([method, target, version]), b"Host: a", *lines, b"", b""])


GOOD_BODY = b'{"x": ["java"]}'
GOOD = post("/predict", GOOD_BODY)
CHUNKED = b"Transfer-Encoding: chunked"

# What each address takes, with every field that it knows.
SHAPES: dict[str, Any] = {
    "/predict": {"x": ["a"], "top_k": 1},
    "/models/default/predict": {"X": ["a"], "top_k": 1},
    "/": {"inputs": "a", "parameters": {"top_k": 1, "function_to_apply": "softmax"}, "options": {"use_cache": True}},
    "/models/default": {"inputs": [{"text": "a", "text_pair": "b"}]},
    "/v1/models/default:predict": {"instances": [{"text": "a"}], "signature_name": "serving_default"},
    "/v1/models/default:classify": {"examples": [{"text": "a", "text_pair": "b"}], "signature_name": ""},
    "/v2/models/default/infer": {
        "id": "1",
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"], "parameters": {"a": 1}}],
        "outputs": [{"name": "label", "parameters": {"binary_data": False}}],
        "parameters": {"binary_data_output": False},
    },
    "/invocations": {"instances": ["a"], "parameters": {"top_k": 1}},
}
WRONG_VALUES: dict[str, Any] = {
    "null": None, "false": False, "0": 0, "minus 1": -1, "a huge number": 10**30, "a fraction": 0.5, "a string": "ä",
    "NUL": "\0", "a list": [], "a list of lists": [[[]]], "a list of null": [None], "an object": {},
    "an object with a key": {"\n": "a"},
}  # fmt: skip
BROKEN_VALUES: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "NaN": (b"NaN", BAD),
    "Infinity": (b"-Infinity", BAD),
    "an overflow": (b"1e400", BAD),
    "5,000 digits": (b"9" * 5000, BAD),
    "a lone surrogate": (b'"\\ud800"', WRONG),
    "a surrogate in a list": (b'["\\udc00"]', WRONG),
    "a deep list": (b"[" * 500 + b"]" * 500, BAD),
    "a key twice": (b'{"a": 1, "a": 2}', BAD),
}


def find_paths(value: Any) -> Iterator[tuple[Any, ...]]:
    """The way to every field and item, the whole first."""
    yield ()
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from ((key, *path) for path in find_paths(inner))


def replace(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with `new` at the end of the way."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replace(value[path[0]], path[1:], new)
    return copy


def _bodies() -> Iterator[tuple[str, Hostile]]:
    for name, (body, status) in BODIES.items():
        yield f"body: {name}", Hostile(post("/predict", body), ((status,),))
    for name, body in ODD.items():
        yield f"odd body: {name}", Hostile(post("/predict", body), (OK,))


def _fields() -> Iterator[tuple[str, Hostile]]:
    """Every wrong type at every field of every shape: a sentence, or an answer where it is not wrong there."""
    for address, shape in SHAPES.items():
        for path in find_paths(shape):
            at = f"{address} {'.'.join(map(str, path))}"
            for name, value in WRONG_VALUES.items():
                body = json.dumps(replace(shape, path, value)).encode()
                yield f"{at} is {name}", Hostile(post(address, body), ((200, 422),))
            for name, (value, statuses) in BROKEN_VALUES.items():
                mark = json.dumps(replace(shape, path, "MARK")).encode()
                # what an address does not read may hold a surrogate; what it cannot read as JSON may hold nothing
                allowed = (200, *statuses) if statuses == WRONG else statuses
                yield f"{at} is {name}", Hostile(post(address, mark.replace(b'"MARK"', value)), (allowed,))
        more = json.dumps(shape | {"unknown": 1, "__proto__": {}}).encode()
        yield f"{address} with more fields", Hostile(post(address, more), ((200, 422),))


def _types() -> Iterator[tuple[str, Hostile]]:
    for kind in (None, b"", b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x",
                 b"application/xml", b"json", b"/", b"application/json2", b"application/json, text/plain",
                 b"application/json; charset=utf-16", b"application/json; charset=latin-1", b"*/*",
                 b"application/json\x00", b"\xff\xfe", b"a" * 5000):  # fmt: skip
        status = BAD if kind and b"\0" in kind else (415,)
        yield f"type {(kind or b'none')[:40]!r}", Hostile(post("/predict", GOOD_BODY, content_type=kind), (status,))
    for kind in (b"APPLICATION/JSON", b"application/json;charset=UTF-8", b"application/json ; charset=utf-8",
                 b"application/json;;", b"application/json \t "):  # fmt: skip
        yield f"type {kind!r}", Hostile(post("/predict", GOOD_BODY, content_type=kind), (OK,))
    bomb = gzip.compress(b'{"x": ["' + b"a" * 10**7 + b'"]}')
    for coding in (b"gzip", b"deflate", b"br", b"zstd", b"gzip, gzip", b"GZIP", b"x"):
        body = post("/predict", bomb, b"Content-Encoding: " + coding)
        yield f"a bomb as {coding.decode()}", Hostile(body, ((415,),))
    yield "a bomb that does not say so", Hostile(post("/predict", bomb), (BAD,))
    for address in ("/v2/models/default/infer", "/", "/invocations", "/v1/models/default:predict"):
        yield f"a bomb to {address}", Hostile(post(address, bomb, b"Content-Encoding: gzip"), ((415,),))
    for length in (b"0", b"-1", b"5", b"999999999999", b"a", b"\xb2", b"1" * 400):
        tensor = json.dumps(SHAPES["/v2/models/default/infer"]).encode()
        line = b"Inference-Header-Content-Length: " + length
        sent = post("/v2/models/default/infer", tensor, line, content_type=b"application/octet-stream")
        yield f"a binary tensor whose head is {length[:20]!r} long", Hostile(sent, ((400, 422),))
    for body in (b"", b'"', b"\0", b"a\n\xff", b'{"text":', b'"a"\n[', b'"' * 10**4, b"a," * 10**4):
        lines = post("/invocations", body, content_type=b"application/jsonlines")
        yield f"lines {body[:10]!r}", Hostile(lines, ((200, 400, 422),))
        table = post("/invocations", body, content_type=b"text/csv")
        yield f"csv {body[:10]!r}", Hostile(table, ((200, 400, 422),))


def _framing() -> Iterator[tuple[str, Hostile]]:
    """Lengths and chunks that do not hold."""

    def one(name: str, sent: bytes, *statuses: int, ends: bool = False) -> tuple[str, Hostile]:
        return name, Hostile(sent, (statuses,), ends)

    for value in (b"-1", b"+15", b"1 5", b"15a", b"0x0f", b"1.5", b"", b"\xc2\xb2", b"9" * 40, b"15, 15", b"15,16",
                  b"18446744073709551616", b"NaN"):  # fmt: skip
        yield one(f"length {value!r}", framed(b"Content-Length: " + value, body=GOOD_BODY), 400)
    for value in (b"9" * 18, b"200001", b"9223372036854775807"):
        yield one(f"length {value!r}", framed(b"Content-Length: " + value, body=GOOD_BODY), 413)
    yield one("length 15 behind zeros", framed(b"Content-Length: 0000000015", body=GOOD_BODY), 200)
    yield one("length too short", framed(b"Content-Length: 5", b"Connection: close", body=GOOD_BODY), 400)
    yield one("length too long", framed(b"Content-Length: 100", body=GOOD_BODY), 400, ends=True)
    yield one("no body but a length", framed(b"Content-Length: 15"), 400, ends=True)
    yield one("no length", framed(), 400)
    yield "no length but a body", Hostile(framed(body=GOOD_BODY), (BAD, BAD))
    yield one("two lengths", framed(b"Content-Length: 15", b"Content-Length: 16", body=GOOD_BODY), 400)
    yield one("the same length twice", framed(b"Content-Length: 15", b"Content-Length: 15", body=GOOD_BODY), 400)
    yield one("a length and chunks", framed(b"Content-Length: 15", CHUNKED, body=b"0\r\n\r\n"), 400)
    yield one("chunks and a length", framed(CHUNKED, b"Content-Length: 5", body=b"0\r\n\r\n"), 400)
    yield one("a length with a space before the colon", framed(b"Content-Length : 15", body=GOOD_BODY), 400)
    for coding in (b"chunked, chunked", b"chunked, identity", b"identity", b"gzip", b"xchunked", b"chunked\x0b",
                   b"\x00", b"chunked;a=b", b"\"chunked\""):  # fmt: skip
        line = b"Transfer-Encoding: " + coding
        yield one(f"coding {coding!r}", framed(line, b"Connection: close", body=b"0\r\n\r\n"), 400)
    for coding in (b"CHUNKED", b" chunked ", b"gzip, chunked"):
        body = b"f\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n"
        yield one(f"coding {coding!r}", framed(b"Transfer-Encoding: " + coding, body=body), 200, 400, 415)
    for size in (b"-1", b"+f", b"0xf", b"g", b"", b" f", b"f ;", b"f" * 20, b"1_0", b"\xef\xbc\x91", b"f\n", b"f\r"):
        body = size + b"\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n"
        yield one(f"chunk of size {size!r}", framed(CHUNKED, body=body), 400)
    for size in (b"f", b"F", b"00000f", b"f;name=value", b'f;a="b"'):
        body = size + b"\r\n" + GOOD_BODY + b"\r\n0\r\nX-Request-Id: trailer\r\nContent-Type: text/plain\r\n\r\n"
        yield one(f"chunk of size {size!r}", framed(CHUNKED, body=body), 200)
    yield one("a chunk without its end", framed(CHUNKED, body=b"f\r\n" + GOOD_BODY + b"0\r\n\r\n"), 400)
    yield one("a chunk longer than it says", framed(CHUNKED, body=b"2\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n"), 400)
    yield one("chunks that break off", framed(CHUNKED, body=b"f\r\n" + GOOD_BODY[:5]), 400, ends=True)
    yield one("no last chunk", framed(CHUNKED, body=b"f\r\n" + GOOD_BODY + b"\r\n"), 400, ends=True)
    yield one(
        "chunks of a byte", framed(CHUNKED, body=b"".join(b"1\r\n%c\r\n" % c for c in GOOD_BODY) + b"0\r\n\r\n"), 200
    )
    beyond = b"10000\r\n" + b" " * 0x10000 + b"\r\n30000\r\n" + b" " * 0x30000 + b"\r\n0\r\n\r\n"
    yield one("chunks beyond the limit", framed(CHUNKED, body=beyond), 413)
    old = framed(CHUNKED, body=b"f\r\n" + GOOD_BODY + b"\r\n0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")
    yield one("chunks in HTTP/1.0", old, 200, 400)
    yield one("a body for GET", get(b"/livez", b"Content-Length: 3") + b"abc", 200)
    yield one("a body too long for GET", get(b"/livez", b"Content-Length: 300000"), 200, 413)


def _heads() -> Iterator[tuple[str, Hostile]]:
    """Lines that are not what HTTP/1.1 says."""

    def one(name: str, sent: bytes, *statuses: int, ends: bool = False) -> tuple[str, Hostile]:
        return name, Hostile(sent, (statuses,), ends)

    for sent in (b"GARBAGE\r\n\r\n", b"\0\0\0\0", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 300,
                 b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", b"GET / HTTP/1.1 \r\n\r\n",
                 b"GET\t/ HTTP/1.1\r\n\r\n", b"GET / HTTP/11\r\n\r\n",
                 b"GET / HTTP/1.11\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n", b"GET / http/1.1\r\n\r\n",
                 b"GET / ICY/1.0\r\n\r\n", b"get / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n",
                 b"\xef\xbb\xbfGET / HTTP/1.1\r\n\r\n", b"SSH-2.0-OpenSSH_9.0\r\n", b"EHLO a\r\n",
                 b"*1\r\n$4\r\nPING\r\n", b"M" * 5000, b"GET /\rX HTTP/1.1\r\n\r\n", b" GET / HTTP/1.1\r\n\r\n",
                 b"GET /a b HTTP/1.1\r\n\r\n", b"GET /\0 HTTP/1.1\r\n\r\n"):  # fmt: skip
        yield one(f"begins {sent[:24]!r}", sent, 400)
    yield one("HTTP/0.9", b"GET /livez\r\n", 400, ends=True)
    yield one("two blanks", b"GET  /livez HTTP/1.1\r\n\r\n", 200, 400)
    yield one("HTTP/1.0", b"GET /livez HTTP/1.0\r\n\r\n", 200)
    yield one("no host", b"GET /livez HTTP/1.1\r\n\r\n", 200, 400)
    yield one("two hosts", get(b"/livez", b"Host: b"), 200, 400)
    for host in (b"", b"a:b:c", b"a b", b"[::1", b"\xff", b"../..", b"a" * 3000, b"a\\b", b"a:99999999"):
        yield one(f"host {host[:12]!r}", b"GET /livez HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 200, 400)
    yield one("empty lines first", b"\r\n\r\n\r\n" + get(b"/livez"), 200)
    yield one("only line feeds", b"GET /livez HTTP/1.1\nHost: a\n\n", 200, 400)
    yield one("a line without a colon", get(b"/livez", b"nonsense"), 400)
    yield one("a line without a name", get(b"/livez", b": a"), 400)
    yield one("a name with a space", get(b"/livez", b"a b: c"), 400)
    yield one("a name with a bracket", get(b"/livez", b"a(b: c"), 400)
    yield one("a name that is no ASCII", get(b"/livez", b"\xc3\xa4: c"), 400)
    yield one("a name with NUL", get(b"/livez", b"a\0: c"), 400)
    yield one("a value with NUL", get(b"/livez", b"a: b\0c"), 400)
    yield one("a value with CR", get(b"/livez", b"a: b\rc"), 400)
    yield one("a value with control characters", get(b"/livez", b"a: \x01\x1b\x7f"), 200, 400)
    yield one("a value that is no ASCII", get(b"/livez", b"User-Agent: \xff\xfe\xe4"), 200)
    yield one("a folded value", get(b"/livez", b"a: b\r\n c"), 400)
    yield one("a folded first line", b"GET /livez HTTP/1.1\r\n Host: a\r\n\r\n", 400)
    yield one("100 headers", get(b"/livez", *[b"A%d: b" % n for n in range(99)]), 200)
    yield one("101 headers", get(b"/livez", *[b"A%d: b" % n for n in range(100)]), 431)
    yield one("10,000 headers", get(b"/livez", *[b"A: b"] * 10_000), 431)
    yield one("a header of 60,000", get(b"/livez", b"Cookie: " + b"a" * 60_000), 200)
    yield one("a header of 200,000", get(b"/livez", b"Cookie: " + b"a" * 200_000), 431)
    yield one("a name of 100,000", get(b"/livez", b"a" * 100_000 + b": b"), 431)
    for n in (8189, 8191, 30_000, 500_000):
        yield one(f"a target of {n}", get(b"/" + b"a" * (n - 1)), 404 if n <= 8190 else 414)
    yield one("a query of 100,000", get(b"/livez?" + b"a=b&" * 25_000), 414)
    for method in (b"TRACE", b"TRACK", b"FOO", b"PROPFIND", b"CONNECT", b"PATCH", b"DELETE", b"PUT", b"SOURCE",
                   b"PURGE", b"QUERY", b"DESCRIBE", b"A" * 100):  # fmt: skip
        yield one(f"method {method[:12].decode()}", get(b"/predict", method=method), 400, 404, 405)
    yield one("GET for /predict", get(b"/predict"), 405)
    yield one("HEAD for /predict", get(b"/predict", method=b"HEAD"), 405)
    yield one("OPTIONS *", get(b"*", method=b"OPTIONS"), 200, 400, 404)
    yield one("GET *", get(b"*"), 400, 404)
    for target in (
        b"http://evil.example/livez",
        b"https://evil.example:1/livez",
        b"HTTP://a/livez",
        b"http://a@b/livez",
    ):
        yield one(f"target {target!r}", get(target), 200, 400, 404)
    for target in (b"http://", b"http:///", b"http://a", b"://", b"a", b"evil.example:443", b"//evil.example/x", b"/%",
                   b"?", b"/%zz", b"/%00", b"/%0d%0aX-Evil:%20a", b"/%2e%2e/%2e%2e/etc/passwd", b"/../../etc/passwd",
                   b"/livez/../predict", b"/livez%2f", b"/LIVEZ", b"/livez/", b"/livez;a=b", b"/livez%20", b"/\xff",
                   b"/%ff%fe", b"/%c0%ae%c0%ae", b"/%u0041", b"/\\..\\..", b"/<script>", b"/'or'1'='1", b"/{{7*7}}",
                   b"/#livez", b"/livez#a", b"/.git/config", b"/docs/../../../etc/passwd", b"/docs/%2e%2e%2fsecret",
                   b"/docs/..%5c..%5csecret", b"/docs/%2fetc%2fpasswd"):  # fmt: skip
        yield one(f"target {target!r}", get(target), 200, 308, 400, 404, 405)
    for name in ("..", "%2e%2e", "..%2f..%2fetc%2fpasswd", "a%00b", "%0d%0a", "a" * 7000, "%ff", "' or 1=1", "*",
                 "%F0%9F%91%8D", "default%20", "DEFAULT", "\\..\\..", "a:b", "http://a", ".", "~", "%", "default;",
                 "{0}", "$(id)"):  # fmt: skip
        for address in ("/models/{}/predict", "/v1/models/{}:predict", "/v2/models/{}/infer", "/models/{}"):
            path = address.format(name.replace(" ", "+"))
            yield one(f"model {name[:20]!r} at {address}", post(path, GOOD_BODY), 400, 404, 405, 422)
    for method in (b"GET", b"POST"):
        for version in ("0", "-1", "9" * 50, "a", "%00"):
            target = f"/v2/models/default/versions/{version}".encode()
            yield one(f"{method.decode()} version {version[:5]!r}", get(target, method=method), 404, 405)


def _values() -> Iterator[tuple[str, Hostile]]:
    """Headers with a meaning, and values that have none."""
    forged = b'", "status_code": 500, "endpoint": "/admin'
    for name in (b"X-Request-Id", b"User-Agent", b"Referer", b"X-Forwarded-For", b"X-Real-Ip", b"Forwarded",
                 b"traceparent", b"tracestate", b"X-Api-Key", b"Authorization", b"Cookie", b"Origin", b"Accept",
                 b"Accept-Language", b"If-None-Match", b"If-Modified-Since", b"Range", b"X-Http-Method-Override",
                 b"Via", b"TE"):  # fmt: skip
        for value in (forged, b"10.0.0.1, 127.0.0.1", b"a" * 3000, b"\xff\xfe", b"\xe2\x80\xa8{}", b"%0d%0a{}", b"",
                      b"${jndi:ldap://a/b}", b"() { :; }; id", b"a,b;q=2,,;;="):  # fmt: skip
            yield f"{name.decode()}: {value[:16]!r}", Hostile(post("/predict", GOOD_BODY, name + b": " + value), (OK,))
            yield f"{name.decode()}: {value[:16]!r}, looking", Hostile(get(b"/livez", name + b": " + value), (OK,))
    for value in (b"-1", b"1.5", b"soon", b"", b"1e3", b"\xb2", b"9" * 10, b"+5", b" ", b"1 2", b"0x10", b"NaN"):
        line = b"X-Request-Timeout-Ms: " + value
        yield f"a time of {value!r}", Hostile(post("/predict", GOOD_BODY, line), (WRONG,))
    yield "no time", Hostile(post("/predict", GOOD_BODY, b"X-Request-Timeout-Ms: 0"), ((504,),))
    for value in (b"100-continue-please", b"200-ok", b"", b"nonsense"):
        yield f"expects {value!r}", Hostile(post("/predict", GOOD_BODY, b"Expect: " + value), ((200, 417),))
    for value in (b"websocket", b"h2c", b"TLS/1.0", b"nonsense", b"HTTP/2.0, SHTTP/1.3"):
        lines = (
            b"Upgrade: " + value,
            b"Connection: Upgrade, HTTP2-Settings",
            b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
        )
        yield f"upgrade to {value!r}", Hostile(post("/predict", GOOD_BODY, *lines), (OK,))
        yield f"upgrade to {value!r}, looking", Hostile(get(b"/livez", *lines), (OK,))
    for value in (b"close, keep-alive", b"keep-alive, Content-Length", b"nonsense", b"", b"\xff", b"close" * 500):
        yield f"connection {value[:20]!r}", Hostile(post("/predict", GOOD_BODY, b"Connection: " + value), (OK,))
    for name in (b"Content_Type", b"X_Request_Id", b"Content_Length", b"Transfer_Encoding", b"HTTP_HOST", b"wsgi.input",
                 b"SCRIPT_NAME", b"REMOTE_ADDR", b"Proxy", b"retort.received"):  # fmt: skip
        yield f"{name.decode()} as a header", Hostile(post("/predict", GOOD_BODY, name + b": 1"), (OK,))


def _several() -> Iterator[tuple[str, Hostile]]:
    """More than one request on a connection."""
    for garbage in (
        b"GARBAGE\r\n\r\n",
        b"\0",
        b"{}" * 100,
        b"\x16\x03\x01",
        b"\xff" * 3000,
        b"HTTP/1.1 200 OK\r\n\r\n",
    ):
        yield f"good, then {garbage[:12]!r}", Hostile(GOOD + garbage, (OK, BAD))
        yield f"good twice, then {garbage[:12]!r}", Hostile(GOOD + get(b"/livez") + garbage, (OK, OK, BAD))
    smuggled = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
    body = b"0\r\n\r\n" + smuggled
    both = framed(b"Content-Length: %d" % len(body), CHUNKED, body=body)
    yield "smuggled behind chunks", Hostile(both, (BAD,))
    yield "smuggled behind a length", Hostile(framed(CHUNKED, b"Content-Length: 5", body=body), (BAD,))
    yield (
        "smuggled by a name",
        Hostile(framed(b"Content-Length: 15", b"Transfer_Encoding: chunked", body=GOOD_BODY), (OK,)),
    )
    yield "smuggled by a line feed", Hostile(framed(b"Content-Length: 15\nX: y", body=GOOD_BODY), ((200, 400),))
    yield "blank lines between", Hostile(GOOD + b"\r\n\r\n" + GOOD, (OK, OK))
    yield "fifty at once", Hostile(GOOD * 50, (OK,) * 50)
    yield "fifty of all kinds", Hostile((GOOD + get(b"/nope") + get(b"/livez")) * 17, (OK, (404,), OK) * 17)
    yield "one behind the last", Hostile(post("/predict", GOOD_BODY, b"Connection: close") + GOOD, (OK,))
    too_long = framed(b"Content-Length: 300000", body=b" " * 300_000)
    yield "too long, then good", Hostile(too_long + GOOD, ((413,),))


REQUESTS: dict[str, Hostile] = {
    name: hostile
    for group in (_bodies, _fields, _types, _framing, _heads, _values, _several)
    for name, hostile in group()
}
