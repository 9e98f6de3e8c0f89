"""The page without JavaScript: a form, and the page that answers it."""

import json
from pathlib import Path

import pytest
from browser import Open
from flask.testing import FlaskClient

from artifacts import tiny_artifact
from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.web.shown import find_direction
from served import Server

FORM = "application/x-www-form-urlencoded"


def test_a_form_is_answered_where_scripts_are_off(open_page: Open, server: Server) -> None:
    watched = open_page(java_script_enabled=False)
    page = watched.page
    assert not page.is_visible("#file-button")
    page.select_option("#model", "wide")
    page.fill("#text", "how to sort\nthe list")
    page.click("#predict")
    _, answer = server.ask("POST", "/models/wide/predict", {"x": ["how to sort\nthe list"], "top_k": 10})
    assert page.inner_text("#status").startswith(answer["predictions"][0])
    assert page.locator(".bars .label").all_inner_texts() == [each["label"] for each in answer["top"][0]]
    assert (page.input_value("#model"), page.input_value("#text")) == ("wide", "how to sort\nthe list")
    assert "%" in page.inner_text(".bars li")


def test_entities_are_marked_and_listed_where_scripts_are_off(open_page: Open, server: Server) -> None:
    text = "👍 java  to Paris,\nand Berlin of python"
    page = open_page(java_script_enabled=False, color_scheme="dark", viewport={"width": 360, "height": 740}).page
    page.select_option("#model", "entities")
    page.fill("#text", text)
    page.click("#predict")
    _, answer = server.ask("POST", "/models/entities/predict", {"x": [text]})
    entities = answer["predictions"][0]
    assert page.locator("mark bdi:first-child").all_text_contents() == [e["text"] for e in entities]
    assert page.locator("tbody tr").count() == len(entities) > 0
    assert page.locator("mark").first.evaluate("(mark) => getComputedStyle(mark).backgroundColor") != "rgba(0, 0, 0, 0)"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize(("text", "direction"), [("1 שלום java", "rtl"), ("java שלום", "ltr"), ("👍", "ltr")])
def test_a_text_begins_where_it_is_read_from(text: str, direction: str) -> None:
    assert find_direction(text) == direction


def test_a_pair_is_one_where_its_box_is_checked(open_page: Open) -> None:
    page = open_page(java_script_enabled=False).page
    assert not page.is_visible("#text-pair")
    page.check("#is-pair")
    page.fill("#text", "java")
    page.fill("#text-pair", "python")
    page.click("#predict")
    assert page.is_visible("#text-pair")
    assert page.input_value("#text-pair") == "python"
    assert page.locator(".bars li").count() == 3


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"text=%FF", 400, "Expected the fields of a form"),
        ("text=é".encode(), 400, "Expected the fields of a form"),
        (b"&".join(b"a%d=1" % n for n in range(100)), 400, "Expected the fields of a form"),
        (b"text=" + b"a" * 200_000, 413, "at most 200000 bytes"),
        (b"text=java&model=nope", 404, "no model of that name"),
        (b"text=%ED%A0%80", 400, "Expected the fields of a form"),
    ],
)
def test_what_is_refused_is_a_sentence_on_the_page(client: FlaskClient, body: bytes, status: int, said: str) -> None:
    response = client.post("/", data=body, content_type=FORM)
    assert (response.status_code, response.mimetype) == (status, "text/html")
    assert said in response.text
    assert 'role="alert" class="fault"></p>' not in response.text


def test_an_empty_form_is_the_page(client: FlaskClient) -> None:
    for data in ({"text": "  "}, {"text": "", "is_pair": "on"}, {"model": "default"}):
        response = client.post("/", data=data)
        assert (response.status_code, response.mimetype) == (200, "text/html")
        assert "The answer appears here." in response.text


def test_other_bodies_are_hugging_faces_as_before(client: FlaskClient) -> None:
    answer = client.post("/", json={"inputs": "java"})
    assert {each["label"] for each in answer.get_json()[0]} == {"java", "python", "sql"}
    assert client.post("/", data="x", content_type="text/plain").status_code == 415
    assert client.post("/models/default", data={"text": "java"}).status_code == 415


def test_the_line_of_a_form_names_its_model_and_not_its_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_artifact(tmp_path)
    app = create_app(ServeSettings(models_dir=tmp_path, n_threads=1))
    capsys.readouterr()
    app.test_client().post("/", data={"text": "a secret"})
    line = capsys.readouterr().out
    assert "secret" not in line
    found = json.loads(line)
    assert (found["endpoint"], found["n_inputs"], found["status_code"]) == ("/", 1, 200)
    assert found["response"]["predictions"][0] in ("java", "python", "sql")
    metrics = app.test_client().get("/metrics").text
    assert 'retort_requests_total{code="200",endpoint="/",model="default"} 1.0' in metrics


def test_before_a_model_is_there_the_page_says_so(tmp_path: Path) -> None:
    client = create_app(ServeSettings(), Registry(tmp_path)).test_client()
    assert "still being loaded" in client.get("/").text
    refused = client.post("/", data={"text": "java"})
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert "still being loaded" in refused.text
