"""The page's files, and what stands beside a model: how they are sent."""

import re
from pathlib import Path
from typing import get_args

import pytest
from browser import Open
from flask.testing import FlaskClient
from playground_models import document

from artifacts import tiny_artifact
from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry
from retort.tasks.base import Kind
from retort.web.page import ANSWERS
from retort.web.playground import FILES
from served import serving

KEY = "key-of-a-team-1234"


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    models_dir = tmp_path_factory.mktemp("documented")
    tiny_artifact(models_dir, change=document)
    return create_app(ServeSettings(models_dir=models_dir, n_threads=1)).test_client()


@pytest.mark.parametrize("path", ["/", *(f"/playground/{file}" for file in sorted(FILES)), "/models/default/card"])
def test_each_file_is_kept_by_browsers_and_held_to_this_host(documented: FlaskClient, path: str) -> None:
    response = documented.get(path)
    assert response.status_code == 200
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert {"frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} <= {*policy.split("; ")}
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-cache"
    again = documented.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    head = documented.head(path)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", response.headers["ETag"])


def test_the_page_loads_only_what_is_served_and_holds_no_code(documented: FlaskClient) -> None:
    page = documented.get("/").text
    for address in re.findall(r'(?:src|href)="([^"#]+)"', page):
        assert documented.get(f"/{address}").status_code == 200, address
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|https?://", page)


def test_modules_load_only_each_other(documented: FlaskClient) -> None:
    for file in sorted(FILES):
        if file.endswith(".js"):
            text = documented.get(f"/playground/{file}").text
            assert {*re.findall(r'from "\./([^"]+)"', text)} <= FILES
            assert not re.search(r"\b(eval|innerHTML|outerHTML|insertAdjacentHTML|document\.write|Function)\b", text)


@pytest.mark.parametrize("file", ["playground.html", "../page.py", "..%2fpage.py", "%00", "palette.py"])
def test_no_other_file_is_served(documented: FlaskClient, file: str) -> None:
    assert documented.get(f"/playground/{file}").status_code == 404


def test_scripts_and_the_bare_page_say_the_same_of_models_of_every_kind(open_page: Open) -> None:
    bare = open_page(java_script_enabled=False).page
    scripted = open_page("topics").page
    said = [page.locator("#model option").all_text_contents() for page in (bare, scripted)]
    assert said[0] == said[1]
    assert all(any(answers.split("{n}")[-1] in each for each in said[0]) for answers in ANSWERS.values())
    assert [*ANSWERS] == [*get_args(Kind)]


def test_a_report_is_a_page_that_runs_nothing(documented: FlaskClient) -> None:
    response = documented.get("/models/default/report")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    policy = {*response.headers["Content-Security-Policy"].split("; ")}
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= policy
    assert not any(part.startswith(("script-src", "connect-src", "sandbox ")) for part in policy)
    assert "A report" in response.text


def test_a_card_is_markdown_and_to_browsers_a_page(documented: FlaskClient) -> None:
    plain = documented.get("/models/default/card")
    assert (plain.mimetype, plain.headers["Vary"]) == ("text/markdown", "Accept")
    assert plain.text == "# A card\n<script>owned()</script>\n"
    page = documented.get("/models/default/card", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.mimetype == "text/html"
    assert "&lt;script&gt;owned()&lt;/script&gt;" in page.text


@pytest.mark.parametrize("name", ["card", "report"])
def test_a_model_without_documents_says_so(client: FlaskClient, name: str) -> None:
    missing = client.get(f"/models/default/{name}")
    assert (missing.status_code, missing.get_json()["error_type"]) == (404, "NoSuchDocument")
    unknown = client.get(f"/models/nope/{name}")
    assert (unknown.status_code, unknown.get_json()["error_type"]) == (404, "NoSuchModel")


def test_with_keys_the_page_is_open_and_names_nothing(loaded: Registry) -> None:
    client = create_app(ServeSettings(api_keys=KEY), loaded).test_client()
    page = client.get("/")
    assert page.status_code == client.get("/playground/playground.js").status_code == 200
    assert "<option" not in page.text
    for path in ("/models/default/card", "/models/default/report"):
        assert client.get(path).status_code == 401
    assert client.post("/", data={"text": "java"}).status_code == 401


def test_a_key_is_asked_for_and_kept_in_memory_only(open_page: Open, playground_dir: Path) -> None:
    with serving(playground_dir, "--api-keys", KEY) as server:
        watched = open_page(port=server.port)
        page = watched.page
        assert "API key" in page.inner_text("#hint")
        page.fill("#text", "java")
        page.fill("#key", "a-wrong-key-12345")
        page.wait_for_selector("#fault:not(:empty)")
        assert "does not know" in watched.fault
        page.fill("#key", KEY)
        page.wait_for_selector(".bars li")
        assert "$RETORT_API_KEY" in page.inner_text("#snippet")
        assert KEY not in page.inner_text("#snippet")
        with page.expect_download() as download:
            page.click("#report")
        assert "A report" in Path(download.value.path()).read_text()
        page.route("**/card", lambda route: route.fulfill(status=404, json={"error": "It has no card."}))
        page.click("#card")
        page.wait_for_selector("#fault:not(:empty)")
        assert watched.fault == "It has no card."
        assert page.locator(".bars li").count() > 0, "the answer stays"
        kept = page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.href]")
        assert kept == [0, 0, "", f"http://127.0.0.1:{server.port}/"]
        watched.check()
