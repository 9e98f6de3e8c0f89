"""The image that serves, as orchestrators run it and as the world treats it."""

import json
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from asking import TEXTS, asking
from engines import HARDENED, Container, ask, environment

from artifacts import CREATED, tiny_artifact

pytestmark = pytest.mark.containers


def mounted(models_dir: Path, mode: str = "ro") -> tuple[str, ...]:
    """Options for any engine; the test's folders are its user's alone."""
    for folder in (models_dir, *models_dir.parents):
        if folder.owner() == models_dir.owner() and folder.name != "tmp":
            folder.chmod(0o755)
    return *HARDENED, "--volume", f"{models_dir}:/models:{mode},z"


@pytest.mark.parametrize("user", ["10001:10001", "12345:0", "65534:65534"])
def test_any_user_serves_with_nothing_to_write_to(engine: str, api_image: str, models_dir: Path, user: str) -> None:
    with Container(engine, api_image, *mounted(models_dir), "--user", user).wait_until_ready() as container:
        status, answer = ask(container.port, "POST", "/predict", {"x": TEXTS})
        assert (status, len(answer["predictions"])) == (200, len(TEXTS))
        with pytest.raises(subprocess.CalledProcessError, match="touch"):
            container.execute("touch", "/opt/retort/file")


def test_without_a_model_it_ends_and_says_where_one_is_expected(engine: str, api_image: str) -> None:
    with Container(engine, api_image, *HARDENED) as container:
        assert container.wait() == 1
        (line,) = container.said().splitlines()
        assert line.startswith("retort serve: There is no models/latest_model_config.json")
        assert "/models" in line


def test_a_damaged_model_ends_it_with_the_name_of_the_file(engine: str, api_image: str, models_dir: Path) -> None:
    (graph,) = models_dir.glob("trained/*/model.onnx")
    content = bytearray(graph.read_bytes())
    content[len(content) // 2] ^= 1
    graph.write_bytes(content)
    with Container(engine, api_image, *mounted(models_dir)) as container:
        assert container.wait() == 1
        (line,) = container.said().splitlines()
        assert f"{graph.parent.name}/model.onnx was changed or damaged" in line


def test_a_folder_that_it_may_not_read_is_said(engine: str, api_image: str, models_dir: Path) -> None:
    options = mounted(models_dir)
    (models_dir / "latest_model_config.json").chmod(0o600)
    with Container(engine, api_image, *options, "--user", "12345:0") as container:
        assert container.wait() == 1
        assert "Permission denied" in container.said()


def test_sigterm_under_load_loses_no_answer(engine: str, api_image: str, models_dir: Path) -> None:
    with Container(engine, api_image, *mounted(models_dir)).wait_until_ready() as container:
        with asking(container.port) as asked:
            asked.wait_for(100)
            container.run("stop", "--time", "30")
        assert asked.faults == []
        assert asked.n_refused > 0
        assert container.wait() == 0
        logged = [json.loads(line) for line in container.said().splitlines() if line.startswith("{")]
        assert len([line for line in logged if line["endpoint"] == "/predict"]) == len(asked.models)


def test_killed_and_started_again_it_answers(engine: str, api_image: str, models_dir: Path) -> None:
    with Container(engine, api_image, *mounted(models_dir)).wait_until_ready() as container:
        container.run("kill")
        assert container.wait() == 137
        container.run("start")
        container.wait_until_ready()
        assert ask(container.port, "POST", "/predict", {"x": TEXTS})[0] == 200


def test_a_full_tmp_keeps_nothing_from_being_answered(engine: str, api_image: str, models_dir: Path) -> None:
    options = [option if option != "/tmp" else "/tmp:size=256k,mode=1777" for option in mounted(models_dir)]  # noqa: S108
    with Container(engine, api_image, *options).wait_until_ready() as container:
        with pytest.raises(subprocess.CalledProcessError, match="dd"):
            container.execute("dd", "if=/dev/zero", "of=/tmp/full", "bs=64k")
        assert container.execute("df", "--output=avail", "/tmp").split()[-1] == "0"  # noqa: S108
        long = ["how to sort the list " * 1000] * 100
        status, answer = ask(container.port, "POST", "/predict", {"x": long})
        assert (status, len(answer["predictions"])) == (200, len(long))


def test_the_health_check_follows_the_server(engine: str, api_image: str, models_dir: Path) -> None:
    image = subprocess.run([engine, "image", "inspect", api_image], check=True, capture_output=True, text=True).stdout
    found = json.loads(image)[0]
    check = (found.get("Healthcheck") or found["Config"]["Healthcheck"])["Test"][1:]  # podman, docker
    with Container(engine, api_image, *mounted(models_dir)).wait_until_ready() as container:
        assert container.execute(*check) == ""
        with pytest.raises(subprocess.CalledProcessError):
            container.execute("env", "RETORT_PORT=1", *check)


def test_a_new_model_in_the_mounted_folder_takes_over_between_two_requests(
    engine: str, api_image: str, models_dir: Path
) -> None:
    with (
        Container(engine, api_image, *mounted(models_dir)).wait_until_ready() as container,
        asking(container.port) as asked,
    ):
        asked.wait_for(20)
        newer = tiny_artifact(models_dir, seed=1, created=CREATED + timedelta(hours=1))
        while asked.models[-1] != newer.version:
            asked.wait_for(1)
    assert asked.faults == []
    assert len({*asked.models}) == 2


def test_a_model_in_the_image_serves_without_a_folder(engine: str, tree: Path) -> None:
    artifact = tiny_artifact(tree / "models")
    shutil.copytree(artifact.path, tree / "models" / "trained" / "20200101000000_forgotten")
    image = build(engine, tree, "retort-api:baked")
    with Container(engine, image, *HARDENED, "--user", "12345:0").wait_until_ready() as container:
        assert ask(container.port, "POST", "/predict", {"x": TEXTS})[1]["model"] == artifact.version
        assert container.execute("ls", "/models/trained").split() == [artifact.path.name]


def test_a_damaged_model_gets_into_no_image(engine: str, tree: Path) -> None:
    artifact = tiny_artifact(tree / "models", name="damaged")
    (artifact.path / "config.json").write_text("{}")
    with pytest.raises(subprocess.CalledProcessError) as raised:
        build(engine, tree, "retort-api:damaged")
    assert f"{artifact.path.name}/config.json was changed or damaged" in raised.value.stdout + raised.value.stderr


def build(engine: str, tree: Path, name: str) -> str:
    """`make build_api` in `tree`, under a name that is nobody's."""
    words = ["make", "build_api", f"CONTAINER_ENGINE={engine}"]
    subprocess.run(words, cwd=tree, env=environment(NAME=name), check=True, capture_output=True, text=True)
    return name
