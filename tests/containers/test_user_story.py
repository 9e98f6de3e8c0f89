"""What the README promises, typed by a user: build, train, serve, train again under load, stop.  All in containers."""

import http.client
import os
import signal
import subprocess
from pathlib import Path

import pytest
from asking import asking
from engines import Container, ask, environment, free_port, is_ready, wait_until

pytestmark = pytest.mark.containers

BUILD_S = 1200  # an image that trains is built on the way
SOMEBODY = 12345
# Root's own container tests play somebody else, so that a file of root would show.
PLAYED_ID = f'#!/bin/sh\ncase "$*" in -u | -g) echo {SOMEBODY} ;; *) exec /usr/bin/id "$@" ;; esac\n'


class User:
    """Somebody in a checkout, who types commands."""

    def __init__(self, engine: str, tree: Path, programs: Path) -> None:
        self.tree, self.uid, self.log = tree, os.getuid(), tree.parent / "log"
        self.environment = environment(CONTAINER_ENGINE=engine)
        if self.uid == 0:
            self.uid = SOMEBODY
            programs.mkdir()
            (programs / "id").write_text(PLAYED_ID)
            (programs / "id").chmod(0o755)
            self.environment["PATH"] = f"{programs}:{self.environment['PATH']}"
            for path in [tree, *tree.rglob("*")]:
                os.chown(path, SOMEBODY, SOMEBODY)
            for folder in (tree.parent, tree.parent.parent, tree.parent.parent.parent):
                folder.chmod(0o755)

    def type(self, *words: str) -> "subprocess.Popen[bytes]":
        """A command that goes on; what it prints goes to `self.log`."""
        with self.log.open("wb") as log:
            return subprocess.Popen(
                words, cwd=self.tree, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def do(self, *words: str) -> str:
        """What a command prints.  Raises AssertionError with it where the command fails."""
        with self.log.open("wb") as log:
            done = subprocess.run(words, cwd=self.tree, env=self.environment, stdout=log, stderr=log)
        assert done.returncode == 0, self.log.read_text()
        return self.log.read_text()


@pytest.fixture
def user(engine: str, tree: Path, tmp_path: Path) -> User:
    return User(engine, tree, tmp_path / "programs")


def is_board(port: int) -> bool:
    """Whether TensorBoard answers at `port`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return b"TensorBoard" in connection.getresponse().read()
    except OSError:
        return False
    finally:
        connection.close()


def test_a_user_trains_serves_and_trains_again_while_clients_ask(user: User, engine: str) -> None:
    board, port = free_port(), free_port()
    with user.type("make", "train", "N_EPOCHS=1", f"TENSORBOARD_PORT={board}") as training:
        wait_until(lambda: is_board(board) or training.poll() is not None, "TensorBoard answers", BUILD_S)
        was_training = training.poll() is None
        assert training.wait(BUILD_S) == 0, user.log.read_text()
    assert was_training, user.log.read_text()

    user.environment["NAME"] = "retort-api:story"
    assert "In the image: BERT" in user.do("make", "build_api")
    del user.environment["NAME"]
    with Container(engine, "retort-api:story").wait_until_ready() as container:
        first = ask(container.port, "POST", "/predict", {"x": ["undo the last commit"]})[1]
        assert first["predictions"] == ["git"]

    with user.type("make", "start_api", f"API_PORT={port}") as serving:
        wait_until(lambda: is_ready(port) or serving.poll() is not None, "the API is ready", BUILD_S)
        assert ask(port, "POST", "/predict", {"x": ["undo the last commit"]})[1] == first
        with asking(port, n_clients=2) as asked:
            asked.wait_for(20)
            user.log = user.log.with_name("second.log")
            user.do("make", "train", "FEW_SHOT=1", "TENSORBOARD_PORT=")
            asked.wait_for(1)
            wait_until(lambda: asked.models[-1] != first["model"] or bool(asked.faults), "the new model answers")
            serving.send_signal(signal.SIGTERM)
            serving.wait(60)
    assert asked.faults == []
    assert len({*asked.models}) == 2
    assert asked.n_refused > 0

    assert [str(path) for path in user.tree.rglob("*") if path.lstat().st_uid != user.uid] == []


def test_tests_run_in_the_image_that_trains(user: User) -> None:
    printed = user.do("scripts/run", "dev", "python", "-m", "pytest", "tests/tokenization", "-p", "no:cacheprovider")
    assert " passed" in printed


def test_an_image_that_is_there_is_not_built_again(user: User) -> None:
    user.do("scripts/run", "api", "true")
    assert user.do("scripts/run", "api", "python", "-m", "retort", "--version").startswith("retort, version")
