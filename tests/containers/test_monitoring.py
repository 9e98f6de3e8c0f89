"""Prometheus, of Debian's package, with our configuration and alerts, before a server that answers."""

import json
import shutil
import subprocess
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import ROOT, ask, free_port, wait_until

from served import Server, serving

pytestmark = pytest.mark.containers

DASHBOARD = ROOT / "docs" / "monitoring" / "grafana-dashboard.json"


@pytest.fixture
def server(served_dir: Path, tmp_path: Path) -> Iterator[Server]:
    with serving(served_dir, log=tmp_path / "log") as server:
        yield server


@pytest.fixture
def configuration(server: Server, tmp_path: Path) -> Path:
    """As it is, but for the server's address and a second for a quarter of a minute."""
    text = (ROOT / "deploy" / "monitoring" / "prometheus.yml").read_text(encoding="utf-8")
    assert "api:5000" in text
    text = text.replace("api:5000", f"127.0.0.1:{server.port}").replace("15s", "1s")
    (tmp_path / "prometheus.yml").write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "docs" / "monitoring" / "alerts.yml", tmp_path)
    return tmp_path / "prometheus.yml"


@pytest.fixture
def prometheus(configuration: Path) -> Iterator[int]:
    """The port of one that scraped the server."""
    assert shutil.which("prometheus"), "expected prometheus, found none; install it: apt-get install prometheus"
    port = free_port()
    command = ["prometheus", f"--config.file={configuration}", f"--web.listen-address=127.0.0.1:{port}",
               f"--storage.tsdb.path={configuration.parent / 'data'}"]  # fmt: skip
    with (configuration.parent / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: bool(query(port, 'up{job="retort"} == 1')), "Prometheus has scraped the server")
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


def query(port: int, expression: str) -> list[Any]:
    """The series that an expression gives now; none before Prometheus is ready."""
    try:
        status, answer = ask(port, "GET", f"/api/v1/query?query={urllib.parse.quote(expression)}")
    except (OSError, ValueError):
        return []
    assert status == 200, f"{expression}: {answer}"
    return list(answer["data"]["result"])


def test_promtool_takes_the_configuration_and_the_alerts(configuration: Path) -> None:
    assert shutil.which("promtool"), "expected promtool, found none; install it: apt-get install prometheus"
    checked = subprocess.run(["promtool", "check", "config", configuration], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_is_evaluated_and_a_server_that_is_well_raises_none(prometheus: int) -> None:
    def rules() -> list[dict[str, Any]]:
        (group,) = ask(prometheus, "GET", "/api/v1/rules")[1]["data"]["groups"]
        return list(group["rules"])

    wait_until(lambda: all(rule["health"] != "unknown" for rule in rules()), "every alert was evaluated")
    assert [rule["name"] for rule in rules() if rule["health"] != "ok" or rule["state"] == "firing"] == []
    assert len(rules()) == (ROOT / "docs" / "monitoring" / "alerts.yml").read_text().count("- alert:")


def test_every_panel_of_the_dashboard_asks_what_prometheus_understands(server: Server, prometheus: int) -> None:
    assert server.ask("POST", "/predict", {"x": ["sort a list"]})[0] == 200
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert asked
    for expression in asked:
        for name, value in (("$job", "retort"), ("$instance", ".*"), ("$__rate_interval", "1m"), ("$__range", "1h")):
            expression = expression.replace(name, value)
        query(prometheus, expression)
