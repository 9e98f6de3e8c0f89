"""The Makefile and its scripts, run for real in a copy; only pip and the container engines are played."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from retort import __version__
from retort.config import TrainSettings

ROOT = Path(__file__).parents[1]
LOCKS = ("constraints-build.txt", *(file.name for file in ROOT.glob("requirements-*.txt")))

# Notes each word it was given on a line of its own, and each call with a line `--`.
RECORDER = """#!/bin/sh
{ echo "-- $(basename "$0") GPU=$GPU PUBLISH=$PUBLISH RETORT_PORT=$RETORT_PORT"; printf '%s\\n' "$@"; } >>"$CALLS"
"""
# Stands for every Python: makes an environment that holds itself, and notes what pip is asked for.
PYTHON = """#!/bin/sh
case "$*" in
    "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    "-m pip install"*) echo "$*" >>"$CALLS"; [ ! -e fail ] ;;
    --version) echo Python 3.11.0 ;;
esac
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what make needs."""
    tree = tmp_path / "a tree"
    (tree / "models").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "dev.Dockerfile", "api.Dockerfile", *LOCKS):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "scripts", tree / "scripts")
    (tree / "src" / "retort").mkdir(parents=True)
    shutil.copy(ROOT / "src" / "retort" / "__init__.py", tree / "src" / "retort")
    return tree


@pytest.fixture
def recorded(tree: Path) -> Path:
    """The same with a `scripts/run` that only notes what it was given."""
    write_program(tree / "scripts" / "run", RECORDER)
    return tree


def write_program(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(0o755)


def environment(tree: Path, **more: str) -> dict[str, str]:
    """Programs in `tree/bin` come first; nothing of a make that runs these tests is left."""
    given = {"CALLS": str(tree / "calls"), "PATH": f"{tree / 'bin'}:{os.environ['PATH']}", "HOME": str(tree)}
    return given | more


def run(tree: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=tree, env=environment(tree, **more), text=True, capture_output=True, stdin=subprocess.DEVNULL
    )


def calls(tree: Path) -> list[list[str]]:
    """The words of each call."""
    file = tree / "calls"
    return [part.splitlines() for part in file.read_text().split("-- ")[1:]] if file.exists() else []


def installs(tree: Path) -> list[str]:
    """The last words of what pip was asked for."""
    file = tree / "calls"
    return [line.split()[-1] for line in file.read_text().splitlines()] if file.exists() else []


def test_make_alone_explains_every_target(tree: Path) -> None:
    shown = run(tree, "make").stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony
    targets = phony[1].split()
    assert {"start_api", "test", "train", "build_dev", "build_api", "download_data", "bench"} < {*targets}
    assert [t for t in targets if not re.search(rf"^  {t} +\w", shown, re.MULTILINE)] == []
    assert [name for name in TrainSettings.model_fields if name.upper() not in shown] == []


@pytest.mark.parametrize("change_case", [str.upper, str.lower])
def test_every_setting_of_training_is_a_variable_in_either_case(recorded: Path, change_case: type[str]) -> None:
    switches = {name for name, field in TrainSettings.model_fields.items() if field.annotation is bool}
    given = [f"{change_case(name)}={1 if name in switches else 'v'}" for name in TrainSettings.model_fields]
    ran = run(recorded, "make", "train", *given)
    assert ran.returncode == 0, ran.stderr
    words = calls(recorded)[0]
    for name in TrainSettings.model_fields:
        option = f"--{name.replace('_', '-')}"
        assert option in words
        assert name in switches or words[words.index(option) + 1] == "v"


def test_training_without_variables_passes_only_the_port_of_tensorboard(recorded: Path) -> None:
    run(recorded, "make", "train")
    assert calls(recorded)[0][1:] == ["dev", "python", "-m", "retort", "train", "--tensorboard-port", "6006"]


def test_an_empty_tensorboard_port_starts_none(recorded: Path) -> None:
    run(recorded, "make", "train", "TENSORBOARD_PORT=")
    assert calls(recorded)[0][1:] == ["dev", "python", "-m", "retort", "train"]


def test_the_environment_counts_too_but_less_than_the_command_line(recorded: Path) -> None:
    run(recorded, "make", "train", "SEED=2", SEED="1", BATCH_SIZE="8")
    words = calls(recorded)[0]
    assert words[words.index("--seed") + 1] == "2"
    assert words[words.index("--batch-size") + 1] == "8"


@pytest.mark.parametrize(
    "value", ["my file.csv", "it's.csv", "a$b $(c).csv", 'say "x".csv', "`x`;y&z.csv", "ü 🙂.csv", "#1.csv"]
)
def test_a_variable_reaches_the_command_as_it_was_typed(recorded: Path, value: str) -> None:
    ran = run(recorded, "make", "train", "DATA=" + value)
    assert ran.returncode == 0, ran.stderr
    words = calls(recorded)[0]
    assert words[words.index("--data") + 1] == value


@pytest.mark.parametrize(("value", "option"), [("1", "--few-shot"), ("0", "--no-few-shot"), ("no", "--no-few-shot")])
def test_a_switch_is_turned_on_and_off(recorded: Path, value: str, option: str) -> None:
    run(recorded, "make", "train", f"FEW_SHOT={value}")
    assert option in calls(recorded)[0]


def test_a_misspelt_variable_is_refused_with_the_known_ones(recorded: Path) -> None:
    ran = run(recorded, "make", "train", "N_EPOCS=2")
    assert ran.returncode == 2
    assert "Unknown variable N_EPOCS; expected one of" in ran.stderr
    assert "N_EPOCHS" in ran.stderr
    assert calls(recorded) == []


def test_start_api_trains_the_demo_only_where_no_model_is_pointed_to(recorded: Path) -> None:
    run(recorded, "make", "start_api")
    train, serve = calls(recorded)
    assert train[1:] == ["dev", "python", "-m", "retort", "train"]
    assert serve[1:] == ["api", "python", "-m", "retort", "serve", "--models-dir", "models"]
    (recorded / "models" / "latest_model_config.json").write_text("{}")
    (recorded / "calls").unlink()
    run(recorded, "make", "start_api", "api_port=8080")
    (serve,) = calls(recorded)
    assert "RETORT_PORT=8080" in serve[0]
    assert "PUBLISH=127.0.0.1:8080:8080" in serve[0]


def test_start_api_does_not_serve_when_the_demo_cannot_be_trained(recorded: Path) -> None:
    write_program(recorded / "scripts" / "run", RECORDER + 'case "$*" in *train*) exit 1;; esac')
    assert run(recorded, "make", "start_api").returncode != 0
    assert len(calls(recorded)) == 1


def test_more_words_reach_the_tests(recorded: Path) -> None:
    run(recorded, "make", "test", 'ARGS=-k "a or b"')
    assert calls(recorded)[0][-2:] == ["-k", "a or b"]


def test_a_client_without_an_engine_is_no_runner(tree: Path) -> None:
    for engine in ("docker", "podman"):
        write_program(tree / "bin" / engine, '#!/bin/sh\n[ "$1" != info ]\n')
    assert run(tree, "scripts/run", "--which").stdout == "local\n"
    ran = run(tree, "scripts/run", "dev", "true", RUNNER="docker")
    assert ran.returncode == 1
    assert "no engine answers `docker info`" in ran.stderr


def test_an_engine_that_answers_is_the_runner_unless_overruled(tree: Path) -> None:
    write_program(tree / "bin" / "docker", "#!/bin/sh\nexit 1\n")
    write_program(tree / "bin" / "podman", RECORDER)
    assert run(tree, "scripts/run", "--which").stdout == "podman\n"
    assert run(tree, "scripts/run", "--which", RUNNER="local").stdout == "local\n"
    assert run(tree, "scripts/run", "--which", RUNNER="lxc").returncode == 2


def test_a_container_gets_the_tree_the_user_and_the_settings_but_no_terminal(tree: Path) -> None:
    write_program(tree / "bin" / "docker", RECORDER + '[ "$1 $2" != "image inspect" ]')
    ran = run(tree, "make", "train", "DATA=my file.csv", "GPU=0", RETORT_SEED="3")
    assert ran.returncode == 0, ran.stderr
    _, inspect, build, started = (words[1:] for words in calls(tree))
    image = inspect[2]
    assert image.startswith("retort-dev:")
    assert build[:3] == ["build", "-f", "dev.Dockerfile"]
    assert build[build.index("-t") + 1] == image
    assert {f"org.opencontainers.image.version={__version__}", "GPU="} <= {*build}
    assert {"--rm", "--init", f"{tree}:/work:z", f"{os.getuid()}:{os.getgid()}", "RETORT_SEED"} <= {*started}
    assert started[started.index("--publish") + 1] == "127.0.0.1:6006:6006"
    assert not {"-it", "-i", "-t"} & {*started}
    assert started[started.index(image) + 1 :][:6] == ["python", "-m", "retort", "train", "--data", "my file.csv"]


def test_a_container_sees_graphics_cards_only_where_there_are_any(tree: Path) -> None:
    write_program(tree / "bin" / "docker", RECORDER)
    write_program(tree / "bin" / "nvidia-smi", "#!/bin/sh\nexit 1\n")
    run(tree, "scripts/run", "dev", "true", GPU="0")
    write_program(tree / "bin" / "nvidia-smi", "#!/bin/sh\nexit 0\n")
    run(tree, "scripts/run", "dev", "true", GPU="0")
    without, with_cards = (words for words in calls(tree) if "run" in words)
    assert "--gpus" not in without
    assert with_cards[with_cards.index("--gpus") + 1] == "all"
    assert [word for word in with_cards if re.fullmatch(r"retort-dev:\w+-gpu", word)]


def test_podman_is_given_graphics_cards_in_its_own_words(tree: Path) -> None:
    write_program(tree / "bin" / "podman", RECORDER)
    write_program(tree / "bin" / "nvidia-smi", "#!/bin/sh\n")
    run(tree, "scripts/run", "dev", "true", GPU="0", RUNNER="podman")
    (words,) = (words for words in calls(tree) if "run" in words)
    assert words[words.index("--device") + 1] == "nvidia.com/gpu=all"


@pytest.mark.parametrize(("rootless", "is_told"), [("true", True), ("false", False)])
def test_podman_without_root_keeps_who_is_who(tree: Path, rootless: str, is_told: bool) -> None:
    write_program(tree / "bin" / "podman", RECORDER + f'[ "$1 $2" != "info --format" ] || echo {rootless}')
    run(tree, "scripts/run", "dev", "true", CONTAINER_ENGINE="podman")
    (words,) = (words for words in calls(tree) if "run" in words)
    assert ("--userns=keep-id" in words) is is_told


def test_what_serves_in_a_container_can_change_nothing_but_the_tree(tree: Path) -> None:
    write_program(tree / "bin" / "docker", RECORDER)
    (tree / "models" / "latest_model_config.json").write_text("{}")
    ran = run(tree, "make", "start_api", "CONTAINER_ENGINE=docker", "API_PORT=8080")
    assert ran.returncode == 0, ran.stderr
    (words,) = (words for words in calls(tree) if "run" in words)
    assert {"--read-only", "--cap-drop", "no-new-privileges"} <= {*words}
    assert words[words.index("--publish") + 1] == "127.0.0.1:8080:8080"
    assert [word for word in words if re.fullmatch(r"retort-api:\w+", word)]


@pytest.mark.parametrize("variable", ["RUNNER", "CONTAINER_ENGINE", "container_engine"])
@pytest.mark.parametrize("target", ["build_dev", "build_api"])
def test_an_image_is_built_by_the_engine_that_was_named(tree: Path, variable: str, target: str) -> None:
    for engine in ("docker", "podman"):
        write_program(tree / "bin" / engine, RECORDER)
    ran = run(tree, "make", target, f"{variable}=podman")
    assert ran.returncode == 0, ran.stderr
    (words,) = (words for words in calls(tree) if "build" in words)
    assert words[0].startswith("podman ")
    assert words[words.index("--format") + 1] == "docker"  # OCI's own has no HEALTHCHECK
    kind = target.removeprefix("build_")
    assert {f"retort-{kind}", f"retort-{kind}:{__version__}"} <= {*words}


def test_a_model_is_left_out_of_the_image_where_that_is_asked(tree: Path) -> None:
    write_program(tree / "bin" / "docker", RECORDER)
    for given in ((), ("BAKE=0",)):
        run(tree, "make", "build_api", "RUNNER=docker", *given)
    with_model, without = (words for words in calls(tree) if "build" in words)
    assert "BAKE=1" in with_model
    assert "BAKE=0" in without


@pytest.fixture
def fresh(tree: Path) -> Path:
    """A tree with a Python of its own and no `.venv`."""
    write_program(tree / "bin" / "python3", PYTHON)
    return tree


def test_an_environment_is_installed_once(fresh: Path) -> None:
    assert run(fresh, "scripts/venv", "dev").returncode == 0
    assert installs(fresh) == ["requirements-build.txt", "requirements-dev.txt", "."]
    second = run(fresh, "scripts/venv", "dev")
    assert (second.returncode, second.stderr, len(installs(fresh))) == (0, "", 3)


def test_serving_alone_takes_the_short_lock_and_is_content_with_the_long_one(fresh: Path) -> None:
    run(fresh, "scripts/venv", "api")
    assert installs(fresh) == ["requirements-build.txt", "requirements-api.txt", "."]
    run(fresh, "scripts/venv", "dev")
    assert installs(fresh)[3:] == ["requirements-build.txt", "requirements-dev.txt", "."]
    run(fresh, "scripts/venv", "api")
    assert len(installs(fresh)) == 6


@pytest.mark.parametrize("lock", ["requirements-dev.txt", "requirements-build.txt"])
def test_a_changed_lock_installs_anew_and_keeps_nothing_of_the_old(fresh: Path, lock: str) -> None:
    run(fresh, "scripts/venv", "dev")
    (fresh / ".venv" / "left-over").touch()
    (fresh / lock).write_text("# changed")
    run(fresh, "scripts/venv", "dev")
    assert len(installs(fresh)) == 6
    assert not (fresh / ".venv" / "left-over").exists()


def test_a_changed_project_installs_only_the_project(fresh: Path) -> None:
    run(fresh, "scripts/venv", "dev")
    (fresh / "pyproject.toml").write_text("# changed")
    run(fresh, "scripts/venv", "dev")
    assert installs(fresh)[3:] == ["."]


def test_an_installation_that_broke_off_is_done_again_from_nothing(fresh: Path) -> None:
    (fresh / "fail").touch()
    assert run(fresh, "scripts/venv", "dev").returncode == 1
    (fresh / ".venv" / "left-over").touch()
    (fresh / "fail").unlink()
    assert run(fresh, "scripts/venv", "dev").returncode == 0
    assert not (fresh / ".venv" / "left-over").exists()
    assert installs(fresh)[-3:] == ["requirements-build.txt", "requirements-dev.txt", "."]


def test_a_broken_python_in_the_environment_is_replaced(fresh: Path) -> None:
    run(fresh, "scripts/venv", "dev")
    (fresh / ".venv" / "bin" / "python").unlink()
    assert run(fresh, "scripts/venv", "dev").returncode == 0
    assert len(installs(fresh)) == 6


@pytest.mark.skipif(not shutil.which("flock"), reason="needs flock to wait with")
def test_two_at_once_install_once(fresh: Path) -> None:
    command = [fresh / "scripts" / "venv", "dev"]
    both = [subprocess.Popen(command, env=environment(fresh), stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait(timeout=60) for one in both] == [0, 0]
    assert len(installs(fresh)) == 3


def test_an_environment_that_somebody_else_made_is_left_alone(fresh: Path) -> None:
    (fresh / ".venv").mkdir()
    (fresh / ".venv" / "theirs").touch()
    ran = run(fresh, "scripts/venv", "dev")
    assert ran.returncode == 1
    assert "Move it away" in ran.stderr
    assert (fresh / ".venv" / "theirs").exists()


def test_without_a_suitable_python_the_message_says_what_was_found(tree: Path) -> None:
    write_program(tree / "bin" / "python3.9", '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    ran = run(tree, "make", "test", "PYTHON=python3.9 no-such-python", "RUNNER=local")
    assert ran.returncode == 2
    assert "expected Python 3.11, 3.12 or 3.13" in ran.stderr
    assert "python3.9: Python 3.9.2" in ran.stderr
    assert not (tree / ".venv").exists()


def test_continuous_integration_calls_make_and_nothing_cleverer() -> None:
    commands = (ROOT / ".ci" / "run").read_text().splitlines()[1:]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    expected = [
        "set -e",
        'cd "$(dirname "$0")/.."',
        "RUNNER=local make test",
        "scripts/machine",
        "make test_containers",
    ]
    assert [line for line in commands if line] == expected


@pytest.fixture
def without_an_engine(tree: Path) -> Path:
    """A machine with the tools that the container tests want, and no engine that answers."""
    for tool in ("nginx", "promtool"):
        write_program(tree / "bin" / tool, "#!/bin/sh\n")
    for engine in ("docker", "podman"):
        write_program(tree / "bin" / engine, "#!/bin/sh\nexit 1\n")
    return tree


def test_a_machine_without_an_engine_is_told_in_one_line_how_to_get_one(without_an_engine: Path) -> None:
    ran = run(without_an_engine, "scripts/machine")
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert "need docker or podman" in line
    assert "apt-get install podman" in line


def test_a_machine_without_an_engine_is_prepared_by_what_lies_beside_the_checkout(without_an_engine: Path) -> None:
    engine = without_an_engine / "bin" / "podman"
    write_program(without_an_engine.parent / "shared" / "containers" / "setup", f"#!/bin/sh\necho >'{engine}'\n")
    assert run(without_an_engine, "scripts/machine").returncode == 0


@pytest.mark.parametrize("dockerfile", ["dev.Dockerfile", "api.Dockerfile"])
def test_an_image_is_made_of_files_that_exist_and_are_not_ignored(dockerfile: str) -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / dockerfile).read_text(), re.MULTILINE)
    names = [name for line in copied for name in line.split()]
    assert {"src", "pyproject.toml", "requirements-build.txt"} <= {*names}
    assert [name for name in names if not any(ROOT.glob(name))] == []
    wanted = [name.replace("models/[.l]*", "models") for name in names]
    assert [name for name in wanted if not any(Path(name).match(pattern) for pattern in kept)] == []
