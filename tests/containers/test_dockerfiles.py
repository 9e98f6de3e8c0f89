"""The Dockerfiles, the scripts and compose.yaml, as tools that know them read them."""

import subprocess
from pathlib import Path

import pytest
import yaml
from engines import ROOT, environment

from retort import __version__

pytestmark = pytest.mark.containers


def check(*command: str) -> str:
    """What a tool of `scripts/checks` prints.  Raises AssertionError with it where the tool objects."""
    words = [ROOT / "scripts" / "checks", *command]
    done = subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("dockerfile", ["api.Dockerfile", "dev.Dockerfile"])
def test_hadolint_has_nothing_to_say(dockerfile: str) -> None:
    assert check("hadolint", dockerfile) == ""


def test_hadolint_would_say_something(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python\nRUN apt-get install gcc\n")
    with pytest.raises(AssertionError, match="DL3006"):
        check("hadolint", str(tmp_path / "Dockerfile"))


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
    if engine != "podman":
        words = ["docker", "compose", *(["--profile", profile] if profile else []), "config"]
        text = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    else:
        text = check("podman-compose", *(["--profile", profile] if profile else []), "config")
    found = yaml.safe_load(text)["services"]
    assert {name for name, one in found.items() if not one.get("profiles") or profile in one["profiles"]} == services
    for one in found.values():
        for volume in one.get("volumes", []):
            source = volume.split(":")[0] if isinstance(volume, str) else volume["source"]
            assert not source.startswith(".") or (ROOT / source).exists(), source


def test_the_version_has_one_source() -> None:
    kustomization = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "kustomization.yaml").read_text())
    assert [image["newTag"] for image in kustomization["images"]] == [__version__]
    runtime = yaml.safe_load((ROOT / "deploy" / "kserve" / "serving-runtime.yaml").read_text())
    assert runtime["spec"]["containers"][0]["image"] == f"retort-api:{__version__}"
