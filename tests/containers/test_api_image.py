"""What is in the image that serves, and what is not."""

import json
import subprocess

import pytest
from engines import HARDENED, ROOT

from retort import __version__

pytestmark = pytest.mark.containers

MAX_MB = 500  # unpacked, without a model
PARTS = ("/usr", "/opt/retort/lib/python3.11/site-packages/openvino", "/opt/retort/lib/python3.11/site-packages/numpy",
         "/opt/retort/lib/python3.11/site-packages/numpy.libs",
         "/opt/retort/lib/python3.11/site-packages/tokenizers",
         "/opt/retort/lib/python3.11/site-packages/uvloop", "/opt/retort/lib/python3.11/site-packages/retort",
         "/opt/retort")  # fmt: skip


def inside(engine: str, image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """What `command` prints in a container of `image`."""
    words = [engine, "run", "--rm", "--no-healthcheck", "--entrypoint", "", *HARDENED, *options, image, *command]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inspect(engine: str, image: str) -> dict[str, object]:
    """The image's configuration."""
    found = subprocess.run([engine, "image", "inspect", image], check=True, capture_output=True, text=True)
    return dict(json.loads(found.stdout)[0])


def test_the_image_without_a_model_is_small(engine: str, api_image: str, capsys: pytest.CaptureFixture[str]) -> None:
    size_mb = int(str(inspect(engine, api_image)["Size"])) / 1e6
    parts = [line.split() for line in inside(engine, api_image, "du", "-sk", *PARTS).splitlines()]
    where = ", ".join(
        f"{part.removeprefix('/opt/retort/lib/python3.11/')} {int(kb) * 1.024e-3:.0f}" for kb, part in parts
    )
    with capsys.disabled():
        print(f"\nThe api image without a model: {size_mb:.0f} MB of {MAX_MB} MB.  Of these: {where}.")
    assert 100 < size_mb <= MAX_MB


def test_the_image_holds_what_serving_needs_and_no_more(engine: str, api_image: str) -> None:
    list_packages = (
        "import importlib.metadata as m; print(*(d.name.lower().replace('_', '-') for d in m.distributions()))"
    )
    installed = inside(engine, api_image, "python", "-c", list_packages).split()
    locked = [line.split("==")[0] for line in (ROOT / "requirements-api.txt").read_text().splitlines() if "==" in line]
    assert sorted(installed) == sorted([*locked, "retort"])  # so no TensorFlow, and no pip
    look = (
        "for tool in gcc cc c++ make git uv; do command -v $tool; done; ls -d /root/.cache /build /code /opt/uv; true"
    )
    assert inside(engine, api_image, "sh", "-c", f"{look}; true", options=("--user", "0")) == ""


def test_labels_say_what_it_is(engine: str, api_image: str) -> None:
    labels = dict(inspect(engine, api_image)["Config"]["Labels"])  # type: ignore[index,call-overload]
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    named = {key.removeprefix("org.opencontainers.image."): value for key, value in labels.items()}
    assert (named["version"], named["revision"], named["licenses"]) == (__version__, revision.strip(), "MIT")
    assert {"title", "description", "base.name"} <= {*named}


def test_it_stops_by_sigterm_serves_by_default_and_is_not_root(engine: str, api_image: str) -> None:
    found = inspect(engine, api_image)
    config = dict(found["Config"])  # type: ignore[call-overload]
    assert config["Entrypoint"] == ["python", "-m", "retort"]
    assert config["Cmd"] == ["serve"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] in ("SIGTERM", "15")
    check = found.get("Healthcheck") or config["Healthcheck"]  # podman, docker
    assert dict(check)["Test"][0] == "CMD"  # type: ignore[call-overload]


def test_nothing_in_it_belongs_to_whoever_serves(engine: str, api_image: str) -> None:
    writable = inside(engine, api_image, "find", "/opt", "/models", "/usr", "-writable", "-not", "-type", "l")
    assert writable == ""
