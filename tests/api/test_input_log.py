"""What the log holds of the texts."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry

PRIVATE = "zq7secret"


def build(loaded: Registry, capsys: pytest.CaptureFixture[str], **settings: object) -> FlaskClient:
    client = create_app(ServeSettings(**settings), loaded).test_client()
    capsys.readouterr()
    return client


def line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    output = capsys.readouterr().out
    assert output.isascii()
    assert output.count("\n") == len(output.splitlines()) == 1
    return dict(json.loads(output))


def test_by_default_there_is_nothing(loaded: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    build(loaded, capsys).post("/predict", json={"x": [PRIVATE]})
    assert "inputs" not in line(capsys)


def test_texts_and_pairs_are_logged_where_that_is_wanted(loaded: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    texts = ["java", ["how to", 'é "\u2028\n\x1b👍'], ""]
    build(loaded, capsys, log_inputs="text").post("/predict", json={"x": texts})
    assert line(capsys)["inputs"] == texts


def test_a_line_stays_short(loaded: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    build(loaded, capsys, log_inputs="text").post("/predict", json={"x": ["👍" * 5000] * 40})
    found = line(capsys)
    assert found["inputs"] == ["👍" * 256] * 16
    assert found["n_inputs"] == 40


def test_hashes_tell_equal_texts_but_not_which(loaded: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    client = build(loaded, capsys, log_inputs="hash")
    client.post("/predict", json={"x": [PRIVATE, "java", PRIVATE, ["java", PRIVATE]]})
    found = line(capsys)
    one, other, again, pair = found["inputs"]
    assert one == again == pair[1] != other == pair[0]
    assert len(one) == 64
    assert PRIVATE not in json.dumps(found)
    build(loaded, capsys, log_inputs="hash").post("/predict", json={"x": PRIVATE})
    assert line(capsys)["inputs"] != [one]  # another process, another salt


def test_with_a_salt_of_ones_own_hashes_are_the_same_in_every_process(
    loaded: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    found = []
    for salt in ("one", "one", "other"):
        client = build(loaded, capsys, log_inputs="hash", log_inputs_salt=salt)
        client.post("/predict", json={"x": PRIVATE})
        found.append(line(capsys)["inputs"])
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("how", ["hash", "text"])
def test_a_request_without_inputs_has_the_key_too(
    loaded: Registry, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    client = build(loaded, capsys, log_inputs=how)
    client.get("/health_check")
    assert line(capsys)["inputs"] is None
    client.post("/predict", json={"x": [PRIVATE, 1]})  # refused before it became inputs
    assert line(capsys)["inputs"] is None
