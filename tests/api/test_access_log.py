"""One line of JSON a request, and no text of users in it."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from hostile import BODIES, ODD

KEYS = ["endpoint", "response", "status_code", "response_time", "user_ip", "user_agent", "request_id", "timestamp",
        "n_inputs", "n_tokens", "trace_id"]  # fmt: skip
PRIVATE = "zq7secret"


@pytest.fixture(autouse=True)
def _quiet(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_an_answer_is_one_line(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    answer = client.post("/predict", json={"x": ["java", "how to"]}, headers={"User-Agent": "curl/8"}).get_json()
    (line,) = lines(capsys)
    assert list(line) == KEYS
    assert line["endpoint"] == "/predict"
    assert line["response"] == {key: answer[key] for key in ("model", "predictions", "probabilities")}
    assert (line["status_code"], line["user_ip"], line["user_agent"]) == (200, "127.0.0.1", "curl/8")
    assert (line["n_inputs"], line["n_tokens"]) == (2, 7)
    assert 0 <= line["response_time"] < 60
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "status"),
    [
        ("GET", "/health_check", "/health_check", 200),
        ("GET", "/readyz", "/readyz", 200),
        ("HEAD", "/health_check", "/health_check", 200),
        ("OPTIONS", "/predict", "/predict", 200),
        ("GET", f"/{PRIVATE}?q={PRIVATE}", "unmatched", 404),
        ("GET", "/predict", "unmatched", 405),
        ("POST", "/predict", "/predict", 415),
    ],
)
def test_whatever_is_asked_is_one_line(
    client: FlaskClient, capsys: pytest.CaptureFixture[str], method: str, path: str, endpoint: str, status: int
) -> None:
    client.open(path, method=method)
    (line,) = lines(capsys)
    assert list(line) == KEYS
    assert (line["endpoint"], line["status_code"], line["response"]) == (endpoint, status, None)
    assert PRIVATE not in json.dumps(line)


@pytest.mark.parametrize("name", [*BODIES, *ODD])
def test_hostile_bodies_are_one_line_too(client: FlaskClient, capsys: pytest.CaptureFixture[str], name: str) -> None:
    body = BODIES[name][0] if name in BODIES else ODD[name]
    client.post("/predict", data=body, content_type="application/json")
    (line,) = lines(capsys)
    assert list(line) == KEYS


def test_no_text_of_a_user_is_logged(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    for body in (
        {"x": [PRIVATE, f"a {PRIVATE} b"]}, {"x": [[PRIVATE, PRIVATE]]}, {"x": [PRIVATE, 1]}, {PRIVATE: 1},
        {"x": PRIVATE * 9}, {"x": [f"{PRIVATE}\ud800"]}, {"x": [{PRIVATE: PRIVATE}]},
    ):  # fmt: skip
        client.post("/predict", json=body)
    client.post("/predict", data=f'{{"x": ["{PRIVATE}', content_type="application/json")
    client.post(f"/predict?{PRIVATE}", json={"x": "a"}, headers={"Cookie": PRIVATE, "Referer": PRIVATE})
    output = "".join(capsys.readouterr())
    assert output.count("\n") == 9
    assert PRIVATE not in output


def test_no_client_can_forge_a_line(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    forged = '"}\u2028{"endpoint": "/predict"}\x85\x1b[2J'
    for headers in ({"User-Agent": forged}, {"X-Request-Id": forged}, {"X-Forwarded-For": forged}):
        client.post("/predict", json={"x": "a"}, headers=headers)
    output = capsys.readouterr().out
    assert output.isascii()
    assert "\x1b" not in output
    assert len(output.splitlines()) == 3


def test_a_user_agent_is_cut(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    client.get("/health_check", headers={"User-Agent": "a" * 5000})
    assert len(lines(capsys)[0]["user_agent"]) == 256


@pytest.mark.parametrize("given", ["abc", "A-1_2.3", "f" * 64])
def test_a_plain_request_id_is_kept(client: FlaskClient, capsys: pytest.CaptureFixture[str], given: str) -> None:
    response = client.get("/nope", headers={"X-Request-Id": given})
    assert response.headers["X-Request-Id"] == response.get_json()["request_id"] == given
    assert lines(capsys)[0]["request_id"] == given


@pytest.mark.parametrize("given", ["", "a b", "a" * 65, "é", "<script>", "a;b", 'a"b', "a\tb"])
def test_any_other_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    found = client.get("/health_check", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{32}", found)


def test_a_log_that_nobody_reads_any_more_costs_no_answer(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, text: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Gone())
    assert client.get("/health_check").status_code == 200
