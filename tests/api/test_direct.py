"""The event loop's own `POST /predict` and the application's cannot be told apart."""

import json
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask

from artifacts import VOCABULARY, tiny_artifact
from hostile import BODIES, ODD
from retort.api.direct import MAX_BODY_BYTES
from retort.app import create_app
from retort.config import ServeSettings
from retort.engine import loading
from retort.engine.registry import Registry
from retort.engine.session import Session, open_session
from retort.tasks.base import Floats
from retort.tokenization.batch import Batch

VARIES = {"response_time", "timestamp"}
VARYING = re.compile(r"x-[a-z]+-time|x-compute-tokens")
RAISES, IS_NAN = "sql", "9"  # texts with these words; no golden text has them

GOOD = {
    "a text": b'{"x": "how to sort"}',
    "a list": b'{"x": ["how to", "java", "", "join the list"], "top_k": 2}',
    "a pair": b'{"x": [["java", "python"], "java"]}',
    "no texts": b'{"x": []}',
    "a letter in upper case": b'{"X": ["java"], "top_k": 1}',
    "texts cut short": json.dumps({"x": ["how to sort the list " * 20] * 9}).encode(),
}
TROUBLE = {
    "one that raises": json.dumps({"x": ["java", RAISES, "how to", ""], "top_k": 1}).encode(),
    "one without a number": json.dumps({"x": ["java", "how to", IS_NAN]}).encode(),
    "several of both": json.dumps({"x": [RAISES, IS_NAN, "java", RAISES, IS_NAN, ""]}).encode(),
    "all of them": json.dumps({"x": [RAISES, IS_NAN]}).encode(),
    "one alone": json.dumps({"x": RAISES}).encode(),
}
SHORT = {
    name: body for name, body in (GOOD | {n: b for n, (b, _) in BODIES.items()} | ODD).items()
    if len(body) <= MAX_BODY_BYTES["label"]
}  # fmt: skip
HEADERS: dict[str, dict[str, str]] = {
    "an id": {"X-Request-Id": "abc.D-1_2"},
    "an id of 64": {"X-Request-Id": "a" * 64},
    "a browser": {"User-Agent": "curl/8 \xe9\x7f", "Accept": "text/html", "Accept-Encoding": "gzip", "Cookie": "a=b"},
    "a long agent": {"User-Agent": "a" * 1000},
    "a forged line": {"User-Agent": '", "status_code": 500, "a": "'},
    "a short time": {"X-Request-Timeout-Ms": "60000"},
    "no time": {"X-Request-Timeout-Ms": "0"},
    "a time in words": {"X-Request-Timeout-Ms": "soon"},
    "an empty time": {"X-Request-Timeout-Ms": ""},
    "a negative time": {"X-Request-Timeout-Ms": "-1"},
    "another digit": {"X-Request-Timeout-Ms": "\xb2"},
    "a forged address": {"X-Forwarded-For": "10.0.0.1", "X-Real-Ip": "10.0.0.1", "Forwarded": "for=10.0.0.1"},
    "another method": {"X-Http-Method-Override": "GET"},
    "a condition": {"If-None-Match": "*", "Range": "bytes=0-1"},
    "an origin": {"Origin": "https://example.com"},
}


@dataclass(frozen=True)
class Seen:
    """What a client got, and the line that says so, without what differs by time."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    line: dict[str, Any]


def settle(status: int, headers: Sequence[tuple[str, str]], body: bytes, printed: str) -> Seen:
    (line,) = printed.splitlines()
    kept = {key: value for key, value in json.loads(line).items() if key not in VARIES}
    fixed = [(name.lower(), "" if VARYING.fullmatch(name) else value) for name, value in headers]
    return Seen(status, sorted(fixed), body, kept)


def ask_both(
    app: Flask, body: bytes, capsys: pytest.CaptureFixture[str], more: dict[str, str] | None = None
) -> tuple[Seen, Seen]:
    headers = {"Content-Type": "application/json", "X-Request-Id": "the-same"} | (more or {})
    capsys.readouterr()
    response = app.test_client().post("/predict", data=body, headers={"User-Agent": ""} | headers)
    by_flask = settle(response.status_code, list(response.headers), response.data, capsys.readouterr().out)
    given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    call = app.extensions["direct"].begin(given, body, time.perf_counter(), "127.0.0.1")
    assert call is not None
    done = threading.Event()
    call.on_done(done.set)
    assert done.wait(60)
    return by_flask, settle(*call.finish(), capsys.readouterr().out)


@pytest.fixture(scope="module")
def app(served_dir: Path, loaded: Registry) -> Flask:
    settings = ServeSettings(models_dir=served_dir, max_texts_per_request=3000, max_tokens_per_request=20_000)
    return create_app(settings, loaded)


@pytest.mark.parametrize("name", SHORT)
def test_every_body_gets_the_same_bytes_headers_and_line(
    app: Flask, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    by_flask, direct = ask_both(app, SHORT[name], capsys)
    assert direct == by_flask
    assert by_flask.status == BODIES.get(name, (b"", 200))[1]


@pytest.mark.parametrize("name", HEADERS)
def test_every_header_means_the_same(app: Flask, capsys: pytest.CaptureFixture[str], name: str) -> None:
    by_flask, direct = ask_both(app, GOOD["a list"], capsys, HEADERS[name])
    assert direct == by_flask


def test_before_a_model_is_there_both_say_so(served_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(ServeSettings(models_dir=served_dir), Registry(served_dir))
    by_flask, direct = ask_both(app, GOOD["a text"], capsys)
    assert direct == by_flask
    assert direct.status == 503
    assert ("retry-after", "1") in direct.headers


UNUSUAL: dict[str, list[tuple[bytes, bytes]]] = {
    "no type": [],
    "a type with a charset": [(b"Content-Type", b"application/json; charset=utf-8")],
    "another type": [(b"Content-Type", b"text/plain")],
    "two types": [(b"Content-Type", b"application/json"), (b"content-type", b"text/plain")],
    "a compressed body": [(b"Content-Type", b"application/json"), (b"CONTENT-ENCODING", b"gzip")],
    "a trace": [(b"Content-Type", b"application/json"), (b"traceparent", b"00-1-2-01")],
    "two times": [
        (b"Content-Type", b"application/json"), (b"X-Request-Timeout-Ms", b"1"), (b"x-request-timeout-ms", b"2")
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_unusual_is_left_to_the_application(app: Flask, name: str) -> None:
    assert app.extensions["direct"].begin(UNUSUAL[name], GOOD["a text"], time.perf_counter(), "") is None


def test_long_bodies_are_left_to_the_application(app: Flask) -> None:
    headers = [(b"Content-Type", b"application/json")]
    body = b'{"x": "' + b"a" * MAX_BODY_BYTES["label"] + b'"}'
    assert app.extensions["direct"].begin(headers, body, time.perf_counter(), "") is None


GATES: list[dict[str, Any]] = [
    {"api_keys": "a-key-of-a-team-1234"}, {"cors_origins": "*"}, {"rate_limit_per_minute": 1},
    {"trusted_proxies": "10.0.0.0/8"},
]  # fmt: skip


@pytest.mark.parametrize("setting", GATES, ids=str)
def test_whoever_has_to_be_let_in_first_goes_to_the_application(
    served_dir: Path, loaded: Registry, setting: dict[str, Any]
) -> None:
    assert "direct" not in create_app(ServeSettings(models_dir=served_dir, **setting), loaded).extensions


class Troubled:
    """A real session that raises for some words and gives no number for others."""

    def __init__(self, path: Path, n_threads: int, precision: Any) -> None:
        self._session: Session = open_session(path, n_threads, precision)
        self.n_streams, self.max_batch_tokens = self._session.n_streams, self._session.max_batch_tokens

    def run(self, batch: Batch, stream: int | None = None) -> Floats:
        if (batch.input_ids == VOCABULARY.index(RAISES)).any():
            raise RuntimeError("a secret of the runtime")
        logits = self._session.run(batch, stream)
        logits[(batch.input_ids == VOCABULARY.index(IS_NAN)).any(axis=1)] = np.nan
        return logits

    def close(self) -> None:
        self._session.close()


@pytest.mark.parametrize("name", TROUBLE)
def test_an_input_that_the_model_cannot_answer_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    tiny_artifact(tmp_path)
    monkeypatch.setattr(loading, "open_session", Troubled)
    app = create_app(ServeSettings(models_dir=tmp_path, n_threads=1))
    by_flask, direct = ask_both(app, TROUBLE[name], capsys)
    assert direct == by_flask
    assert b"secret" not in direct.body
    asked, answer = json.loads(TROUBLE[name])["x"], json.loads(direct.body)
    if not {"java"} & {*asked}:
        assert (direct.status, answer["error_type"]) == (500, "InferenceFailed")
        return
    failed = [index for index, text in enumerate(asked) if text in (RAISES, IS_NAN)]
    assert direct.status == 200
    assert [index for index, label in enumerate(answer["predictions"]) if label is None] == failed
    assert [index for index, p in enumerate(answer["probabilities"]) if p is None] == failed
    assert [(error["index"], error["error_type"]) for error in answer["errors"]] == [
        (index, "InferenceFailed") for index in failed
    ]
    assert len(answer["usage"]) == len(asked)
