"""`retort models`: people and programs choose what serves."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from artifacts import CREATED, tiny_artifact
from retort.cli import main
from retort.pointer import FILE, read_pointer


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models_dir = tmp_path_factory.mktemp("models")
    for n, name in enumerate(("first", "second", "third")):
        tiny_artifact(models_dir, name=name, created=CREATED + timedelta(days=n), change=write_scores)
    return models_dir


@pytest.fixture
def models_dir(three: Path, tmp_path: Path) -> Path:
    shutil.copytree(three, tmp_path / "models")
    return tmp_path / "models"


def write_scores(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"test": {"accuracy": 0.9375, "n": 16}}')


FOLDERS = ["20260106220623_first", "20260107220623_second", "20260108220623_third"]
FIRST, SECOND, THIRD = FOLDERS


def run(models_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["models", *arguments, "--models-dir", str(models_dir)])


def done(models_dir: Path, *arguments: str) -> dict[str, Any]:
    result = run(models_dir, *arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def serving(models_dir: Path, name: str = "default") -> str:
    return Path(read_pointer(models_dir, name).model_dir).name


def test_the_list_shows_the_newest_first_and_what_serves(models_dir: Path) -> None:
    done(models_dir, "use", "first", "--as", "spam")
    shown = run(models_dir, "list").output.splitlines()
    assert [line.split()[0] for line in shown] == ["FOLDER", THIRD, SECOND, FIRST]
    assert shown[1].split() == [THIRD, "2026-01-08", "22:06", "classification", "3", "accuracy", "0.938", "default"]
    assert shown[3].endswith("spam")
    (newest, *_) = done(models_dir, "list")["models"]
    assert newest | {"model": "", "labels": 3} == {
        "model_dir": THIRD, "name": "third", "serves_as": ["default"], "model": "", "labels": 3,
        "created": "2026-01-08T22:06:23+00:00", "task": "classification", "test": {"accuracy": 0.9375, "n": 16},
    }  # fmt: skip


def test_a_list_shows_what_is_damaged_and_what_was_imported(models_dir: Path) -> None:
    (models_dir / "trained" / SECOND / "config.json").write_text("{")
    (models_dir / "trained" / FIRST / "metrics.json").unlink()
    (models_dir / FILE).write_text("{")
    result = run(models_dir, "list")
    assert result.exit_code == 0
    assert "damaged: " in result.stdout
    assert "is not JSON" in result.stderr
    assert run(models_dir / "nowhere", "list").stdout == "No model was trained yet.\n"


@pytest.mark.parametrize("given", ["first", FIRST, f"trained/{FIRST}", f"trained/{FIRST}/"])
def test_a_model_is_used_by_name_or_folder(models_dir: Path, given: str) -> None:
    assert done(models_dir, "use", given) == {"name": "default", "model_dir": f"trained/{FIRST}"}
    assert (serving(models_dir), read_pointer(models_dir).model_type) == (FIRST, "first")


def test_a_folder_elsewhere_is_used_by_its_path(models_dir: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(models_dir / "trained" / FIRST, elsewhere)
    assert done(models_dir, "use", str(elsewhere))["model_dir"] == str(elsewhere)
    assert done(models_dir, "use", str(models_dir / "trained" / FIRST))["model_dir"] == f"trained/{FIRST}"


def test_of_models_with_one_name_the_newest_is_used(models_dir: Path) -> None:
    newest = tiny_artifact(models_dir, name="first", created=CREATED + timedelta(days=9))
    done(models_dir, "use", "second")
    done(models_dir, "use", "first")
    assert serving(models_dir) == newest.path.name


def test_rolling_back_goes_further_each_time(models_dir: Path) -> None:
    done(models_dir, "use", "first")
    assert done(models_dir, "rollback")["model_dir"] == f"trained/{THIRD}"
    assert [done(models_dir, "rollback") and serving(models_dir) for _ in range(2)] == [SECOND, FIRST]
    result = run(models_dir, "rollback")
    assert (result.exit_code, "no older one" in result.output) == (2, True)


def test_without_a_history_the_next_older_one_serves(models_dir: Path) -> None:
    pointer = models_dir / FILE
    pointer.write_text(json.dumps({"model_dir": f"trained/{THIRD}"}))
    assert done(models_dir, "rollback")["model_dir"] == f"trained/{SECOND}"
    done(models_dir, "remove", THIRD)
    assert done(models_dir, "rollback")["model_dir"] == f"trained/{FIRST}"


def test_a_model_of_the_history_that_was_removed_is_passed_over(models_dir: Path) -> None:
    done(models_dir, "remove", SECOND)
    assert done(models_dir, "rollback")["model_dir"] == f"trained/{FIRST}"


def test_a_further_model_is_used_rolled_back_and_stopped(models_dir: Path) -> None:
    done(models_dir, "use", "first", "--as", "spam")
    done(models_dir, "use", "second", "--as", "spam")
    done(models_dir, "rollback", "--as", "spam")
    assert (serving(models_dir, "spam"), serving(models_dir)) == (FIRST, THIRD)
    done(models_dir, "stop", "spam")
    assert "models" not in json.loads((models_dir / FILE).read_text())
    assert run(models_dir, "stop", "spam").exit_code == 2
    assert run(models_dir, "stop", "default").exit_code == 2


def test_a_model_that_serves_is_not_removed(models_dir: Path) -> None:
    done(models_dir, "use", "first", "--as", "spam")
    for serves in ("first", THIRD):
        result = run(models_dir, "remove", serves)
        assert (result.exit_code, "serves as" in result.output) == (2, True)
    done(models_dir, "remove", SECOND)
    assert sorted(p.name for p in (models_dir / "trained").iterdir()) == [FIRST, THIRD]


@pytest.mark.parametrize("command", [["use", FIRST], ["use", FIRST, "--as", "spam"], ["rollback"]])
def test_what_is_damaged_is_not_pointed_to(models_dir: Path, command: list[str]) -> None:
    done(models_dir, "use", "first")
    done(models_dir, "use", "third")
    before = (models_dir / FILE).read_bytes()
    graph = models_dir / "trained" / FIRST / "model.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    result = run(models_dir, *command, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error_type"] == "BadArtifact"
    assert f"retort models {command[0]}: " in result.stderr
    assert (models_dir / FILE).read_bytes() == before


@pytest.mark.parametrize("given", ["nothing", "", "..", "../..", "trained", "/nowhere", ".draft-1"])
def test_what_is_not_published_is_neither_used_nor_removed(models_dir: Path, given: str) -> None:
    assert run(models_dir, "remove", given).exit_code == 2
    assert run(models_dir, "use", given).exit_code in (1, 2)
    assert serving(models_dir) == THIRD
    assert len(list((models_dir / "trained").iterdir())) == 3
