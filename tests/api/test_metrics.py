"""What Prometheus is told, and that it is what clients saw."""

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from hostile import BODIES, ODD
from retort.app import create_app
from retort.config import ServeSettings
from retort.engine.registry import Registry

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "docs" / "monitoring" / "grafana-dashboard.json"
ALERTS = ROOT / "docs" / "monitoring" / "alerts.yml"
STAGES = ("tokenization", "queue", "inference", "total")


@pytest.fixture
def client(models_dir: Path) -> FlaskClient:
    """Of a server that nobody has asked before."""
    settings = ServeSettings(
        models_dir=models_dir, n_threads=1, max_body_bytes=200_000, max_texts_per_request=3000,
        max_tokens_per_request=20_000,
    )  # fmt: skip
    return create_app(settings).test_client()


def scrape(client: FlaskClient) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Each sample by name and labels."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(client: FlaskClient, sample: str, /, **labels: str) -> float:
    return scrape(client)[sample, frozenset(labels.items())]


def test_answers_are_counted_as_clients_saw_them(client: FlaskClient) -> None:
    seen: Counter[tuple[str, str, int]] = Counter()

    def ask(body: bytes, path: str = "/predict", **more: Any) -> tuple[str, str, int]:
        status = client.application.test_client().post(path, data=body, content_type="application/json", **more)
        return path, "default", status.status_code

    bodies = [body for body, _ in BODIES.values()] + list(ODD.values())
    with ThreadPoolExecutor(8) as pool:
        seen.update(pool.map(ask, bodies))
    seen.update(ask(b'{"x": "a"}', headers={"X-Request-Timeout-Ms": "soon"}) for _ in range(3))
    found = {
        (labels["endpoint"], labels["model"], int(labels["code"])): n
        for (name, given), n in scrape(client).items()
        if name == "retort_requests_total" and (labels := dict(given))
    }
    assert found == seen


def test_every_stage_of_every_prediction_is_observed(client: FlaskClient) -> None:
    for texts in (["java"], ["how to", "sort"], []):
        client.post("/predict", json={"x": texts})
    client.post("/predict", json={"x": [1]})
    client.get("/health_check")
    found = scrape(client)
    for stage in STAGES:
        assert found["retort_stage_seconds_count", frozenset({("stage", stage)})] == 3
    spent = [found["retort_stage_seconds_sum", frozenset({("stage", stage)})] for stage in STAGES]
    assert 0 < sum(spent[:3]) <= spent[3]
    assert found["retort_texts_total", frozenset()] == 3
    assert found["retort_tokens_total", frozenset()] > 3
    assert found["retort_batch_texts_sum", frozenset()] == 3


def test_texts_that_are_refused_or_too_late_are_counted_by_reason(client: FlaskClient) -> None:
    late = client.post("/predict", json={"x": ["how to sort"] * 2000}, headers={"X-Request-Timeout-Ms": "1"})
    assert late.status_code == 504
    assert value(client, "retort_dropped_total", reason="DeadlinePassed") == 1


def test_the_model_that_answers_is_named_and_its_predecessor_no_longer(client: FlaskClient, models_dir: Path) -> None:
    version = client.get("/readyz").get_json()["model"]
    assert value(client, "retort_model_info", name="default", version=version) == 1
    registry = Registry(models_dir, n_threads=1)
    registry.metrics.serves({"default": "old", "other": "kept"})
    registry.metrics.serves({"default": "new", "other": "kept"})
    names = {dict(s.labels)["version"] for f in registry.metrics.registry.collect() for s in f.samples
             if s.name == "retort_model_info"}  # fmt: skip
    assert names == {"new", "kept"}


def test_ten_thousand_odd_requests_add_no_series(client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    def ask_oddly(n: int) -> None:
        client.get(f"/{n}/x?{n}")
        client.post(f"/models/m{n}/predict", json={"x": "a"})
        client.post(f"/models/m{n}/predict", data=b"", content_type="text/plain")
        client.open("/predict", method=f"M{n}")
        client.get("/readyz", headers={"X-Request-Id": f"r{n}", "User-Agent": f"u{n}", "Accept": f"a/{n}"})

    ask_oddly(0)
    scrape(client)
    before = scrape(client).keys()
    for n in range(2000):
        ask_oddly(n)
    assert scrape(client).keys() == before
    capsys.readouterr()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text; version=99.9.9", "application/openmetrics-text; version=99.9.9"),
        ("application/openmetrics-text; version=x, text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0'\"\x01", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_scraper_chooses_the_format(client: FlaskClient, accept: str | None, content_type: str) -> None:
    response = client.get("/metrics", headers={} if accept is None else {"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith(content_type)
    assert response.text.endswith("# EOF\n") == content_type.startswith("application/openmetrics")


def names_in(expressions: list[str]) -> set[str]:
    """Metrics of ours, and of the process."""
    return {name for text in expressions for name in re.findall(r"\b(?:retort|process)_[a-z_]+\b", text)}


def expressions_of_the_dashboard() -> list[str]:
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    return queries + [str(variable["query"]) for variable in board["templating"]["list"]]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_metric_that_the_dashboard_and_the_alerts_name_is_there(client: FlaskClient) -> None:
    client.post("/predict", json={"x": "java"})
    there = {name for name, _ in scrape(client)}
    named = names_in([*expressions_of_the_dashboard(), *(rule["expr"] for rule in rules())])
    assert len(named) > 12
    assert named - there == set()


def test_every_reason_that_an_alert_names_is_there(client: FlaskClient) -> None:
    there = {pair for _, labels in scrape(client) for pair in labels}
    for rule in rules():
        for label, wanted in re.findall(r'(reason|outcome|stage)="(\w+)"', rule["expr"]):
            assert (label, wanted) in there, rule["alert"]


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert len(rule["annotations"]["summary"]) > 20
        assert len(rule["annotations"]["description"]) > 40


def test_panels_have_titles_and_places_of_their_own() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert all(panel["title"] for panel in panels)
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}) == len(panels)
