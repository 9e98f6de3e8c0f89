"""What containers are told, against what Retort has; that they run is tested in tests/containers."""

import re
from pathlib import Path

import yaml

from retort.config import EvaluateSettings, PredictSettings, ServeSettings, TrainSettings
from test_readme import load_settings_script

ROOT = Path(__file__).parents[1]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
COMPOSE = (ROOT / "compose.yaml").read_text(encoding="utf-8")


def variables() -> list[str]:
    """What .env.example names."""
    return re.findall(r"^#([A-Z][A-Z0-9_]*)=", EXAMPLE, re.MULTILINE)


def test_the_example_lists_every_setting_once_and_is_up_to_date() -> None:
    assert load_settings_script().fill_variables(EXAMPLE) == EXAMPLE, "run: python docs/settings.py"
    settings = [TrainSettings, ServeSettings, PredictSettings, EvaluateSettings]
    expected = {f"RETORT_{name.upper()}" for one in settings for name in one.model_fields}
    found = [name for name in variables() if name.startswith("RETORT_")]
    assert {*found} == expected
    assert len(found) == len({*found})


def test_the_example_changes_nothing_as_it_is() -> None:
    assert [line for line in EXAMPLE.splitlines() if line and not line.startswith("#")] == []


def test_the_example_lists_every_variable_of_compose_and_its_default() -> None:
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE))
    assert {*used} <= {*variables()}
    for name in {*used} - {"USER_ID", "GROUP_ID"}:
        assert f"\n#{name}={used[name]}\n" in EXAMPLE


def test_every_service_of_ours_can_change_nothing() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    for name in ("api", "api_1", "api_2", "nginx", "prometheus"):
        assert services[name]["read_only"] is True
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]


def test_nginx_finds_the_replicas_and_they_trust_it() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    configuration = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
    for name in re.findall(r"server (\w+):5000", configuration):
        environment = services[name]["environment"]
        address = services["nginx"]["networks"]["replicas"]["ipv4_address"]
        assert (environment["RETORT_PORT"], environment["RETORT_TRUSTED_PROXIES"]) == ("5000", address)
    (fail_s,) = {int(found) for found in re.findall(r"fail_timeout=(\d+)s", configuration)}
    (pause_s,) = re.findall(r"^ *sleep (\d+)", (ROOT / "scripts" / "roll").read_text(), re.MULTILINE)
    assert int(pause_s) > fail_s + 1
    read_s = int(re.findall(r"proxy_read_timeout (\d+)s", configuration)[0])
    assert read_s > ServeSettings.model_fields["request_timeout_s"].default
    assert services["api"]["stop_grace_period"] == "40s"
    assert ServeSettings.model_fields["graceful_timeout_s"].default < 40


def test_grafana_is_given_the_dashboard_and_its_source() -> None:
    provisioned = ROOT / "deploy" / "monitoring" / "grafana"
    (source,) = yaml.safe_load((provisioned / "datasources" / "prometheus.yml").read_text())["datasources"]
    services = yaml.safe_load(COMPOSE)["services"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioned / "dashboards" / "retort.yml").read_text())["providers"]
    folder = provider["options"]["path"]
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    assert mounts["./docs/monitoring/grafana-dashboard.json"].startswith(f"{folder}/")
    assert mounts["./deploy/monitoring/grafana"] == "/etc/grafana/provisioning"
