"""The page that shows the document comes from this machine alone."""

import re

import pytest
from flask.testing import FlaskClient

PAGES = ["/docs", "/openapi.json", "/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"]


@pytest.mark.parametrize("path", PAGES)
def test_each_file_is_kept_by_browsers_and_held_to_this_host(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    again = client.get(path, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_page_loads_only_what_is_served(client: FlaskClient) -> None:
    page = client.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    for address in loaded:
        assert address == "data:," or client.get(f"/{address}").status_code == 200
    assert "docs/swagger-ui-bundle.js" in loaded
    assert "<script>" not in page
    assert "style=" not in page


@pytest.mark.parametrize("file", ["index.html", "swagger-editor.js", "../docs.py", "..%2fdocs.py", "docs.html", "%00"])
def test_no_other_file_is_served(client: FlaskClient, file: str) -> None:
    assert client.get(f"/docs/{file}").status_code == 404
