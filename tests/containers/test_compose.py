"""compose.yaml: as its specification reads it, as the engine's own compose does, and running."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from checks import check
from engines import ROOT, ask, environment, free_port, is_ready, wait_until

pytestmark = pytest.mark.containers


def compose(engine: str, *words: str, **variables: str) -> str:
    """What `docker compose` prints; podman's is a tool of ours.  Raises CalledProcessError."""
    command = ["docker", "compose"] if engine == "docker" else ["scripts/checks", "podman-compose"]
    done = subprocess.run(
        [*command, *words], cwd=ROOT, env=environment(**variables), check=True, capture_output=True, text=True
    )
    return done.stdout


def test_compose_knows_every_key_and_type() -> None:
    assert check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml").startswith("ok")


def test_compose_would_not_know_another_key(tmp_path: Path) -> None:
    text = (ROOT / "compose.yaml").read_text().replace("cap_drop: [ALL]", "cap_dorp: [ALL]")
    (tmp_path / "compose.yaml").write_text(text)
    with pytest.raises(AssertionError, match="cap_dorp"):
        check("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(tmp_path / "compose.yaml"))


@pytest.mark.parametrize(
    ("profile", "services"),
    [
        ("", {"api"}),
        ("train", {"api", "train", "tensorboard"}),
        ("monitoring", {"api", "prometheus", "grafana"}),
        ("replicas", {"api", "api_1", "api_2", "nginx"}),
    ],
)
def test_a_profile_starts_what_it_says(engine: str, profile: str, services: set[str]) -> None:
    text = compose(engine, *(["--profile", profile] if profile else []), "config")
    found = yaml.safe_load(text)["services"]
    assert {name for name, one in found.items() if not one.get("profiles") or profile in one["profiles"]} == services
    for one in found.values():
        for volume in one.get("volumes", []):
            source = volume.split(":")[0] if isinstance(volume, str) else volume["source"]
            assert not source.startswith(".") or (ROOT / source).exists(), source


def test_the_api_comes_up_answers_and_goes_down(engine: str, api_image: str, models_dir: Path, tmp_path: Path) -> None:
    port = free_port()
    service = {"network_mode": "host", "environment": {"RETORT_PORT": str(port), "RETORT_HOST": "127.0.0.1"}}
    (tmp_path / "override.yaml").write_text(yaml.safe_dump({"services": {"api": service}}))  # no engine's network
    files = ("-p", "retort-tested", "-f", "compose.yaml", "-f", str(tmp_path / "override.yaml"))
    variables = {
        "IMAGE_TAG": api_image.split(":")[1], "MODELS": str(models_dir),
        "USER_ID": str(os.getuid()), "GROUP_ID": str(os.getgid()),
    }  # fmt: skip
    try:
        compose(engine, *files, "up", "--detach", "--no-build", "api", **variables)
        wait_until(lambda: is_ready(port), "the API is ready")
        assert ask(port, "POST", "/predict", {"x": ["sort a list"]})[0] == 200
    finally:
        compose(engine, *files, "down", **variables)
    with pytest.raises(ConnectionRefusedError):
        ask(port)
