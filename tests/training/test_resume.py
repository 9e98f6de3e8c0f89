"""Training that was stopped in any way ends with the very weights of training that was not."""

import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tiny_training
from tiny_training import FINGERPRINT, Listener, train_tiny

from retort.errors import TrainingFailed
from retort.training.checkpoints import Checkpoints, State

N_STEPS = 21  # 50 examples in batches of 8, 3 epochs


class Stopped(Exception):
    pass


@pytest.fixture(scope="module")
def never_stopped() -> str:
    """The weights of training that ran through, without checkpoints."""
    return train_tiny(None, Listener())[0]


def stop_at(number: int) -> Listener:
    def at_step(step: int) -> None:
        if step == number:
            raise Stopped

    return Listener(at_step)


def train_until(folder: Path, step: int, every_s: float = 0.0) -> None:
    with pytest.raises(Stopped):
        train_tiny(folder, stop_at(step), every_s, resume=True)


def go_on(folder: Path) -> tuple[str, int]:
    """The final weights, and how many steps were still to do."""
    listener = Listener()
    return train_tiny(folder, listener, resume=True)[0], len(listener.losses)


def test_a_killed_process_ends_with_the_same_weights(tmp_path: Path, never_stopped: str) -> None:
    moment = random.Random(5)  # noqa: S311 - moments of a kill
    command = [sys.executable, tiny_training.__file__, str(tmp_path), "--resume"]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            for _ in range(moment.randint(2, 6)):  # it is killed in whatever it does after these
                assert process.stdout.readline().startswith("step")
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert any((tmp_path / FINGERPRINT).glob("state-*"))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *steps, found = done.stdout.split("\n")[:-1]
    assert len(steps) < N_STEPS - 2
    assert found == never_stopped


@pytest.mark.parametrize("steps", [(7,), (3, 9, 20), (21,)])
def test_stopped_at_any_step_it_ends_with_the_same_weights(
    tmp_path: Path, never_stopped: str, steps: tuple[int, ...]
) -> None:
    for step in steps:
        train_until(tmp_path, step)
    weights, n_left = go_on(tmp_path)
    assert weights == never_stopped
    assert n_left <= N_STEPS - steps[-1] + 1


def test_how_often_it_is_saved_changes_nothing(tmp_path: Path, never_stopped: str) -> None:
    train_until(tmp_path, 12, every_s=1e9)  # only after the first epoch, of 7 steps
    assert go_on(tmp_path) == (never_stopped, 14)


def test_what_was_finished_is_not_trained_again(tmp_path: Path, never_stopped: str) -> None:
    first = train_tiny(tmp_path, Listener())
    again = train_tiny(tmp_path, listener := Listener(), resume=True)
    assert (again[0], listener.losses) == (never_stopped, [])
    assert again[1] == first[1]


def test_without_resume_it_starts_again(tmp_path: Path, never_stopped: str) -> None:
    train_until(tmp_path, 9)
    listener = Listener()
    assert train_tiny(tmp_path, listener)[0] == never_stopped
    assert len(listener.losses) == N_STEPS


@pytest.mark.parametrize("damage", ["cut", "turned", "removed"])
def test_a_damaged_state_means_the_one_before_it(tmp_path: Path, never_stopped: str, damage: str) -> None:
    train_until(tmp_path, 10)
    *_, before, latest = sorted((tmp_path / FINGERPRINT).glob("state-*"))
    content = bytearray(latest.read_bytes())
    if damage == "removed":
        latest.unlink()
    elif damage == "turned":  # one bit of one weight
        content[-5] ^= 1
        latest.write_bytes(content)
    else:
        latest.write_bytes(content[: len(content) // 2])
    (tmp_path / FINGERPRINT / "draft-state").write_bytes(content[:100])  # what a kill leaves behind
    (tmp_path / FINGERPRINT / "state-copy.safetensors").write_bytes(b"somebody else's")
    weights, n_left = go_on(tmp_path)
    assert (weights, n_left) == (never_stopped, N_STEPS - 8)
    assert before.name < latest.name


def test_damage_to_all_states_means_starting_again(tmp_path: Path, never_stopped: str) -> None:
    train_until(tmp_path, 10)
    for file in (tmp_path / FINGERPRINT).glob("state-*"):
        file.write_bytes(b"")
    assert go_on(tmp_path) == (never_stopped, N_STEPS)


def test_lost_weights_of_the_best_epoch_are_an_error(tmp_path: Path) -> None:
    train_until(tmp_path, 10)
    for file in (tmp_path / FINGERPRINT).glob("best-*"):
        file.unlink()
    with pytest.raises(TrainingFailed, match=r"best-000001.*without --resume"):
        go_on(tmp_path)


def test_only_two_states_are_kept_and_none_after_clearing(tmp_path: Path) -> None:
    train_tiny(tmp_path, Listener())
    kinds = [file.name.split("-")[0] for file in (tmp_path / FINGERPRINT).iterdir()]
    assert kinds.count("state") == 2
    assert kinds.count("best") <= 2
    assert len(kinds) == kinds.count("state") + kinds.count("best")
    Checkpoints(tmp_path, FINGERPRINT).clear()
    assert not tmp_path.exists()


@contextmanager
def small_disk(n_bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_ends_training_with_a_message_and_keeps_the_last_state(tmp_path: Path, never_stopped: str) -> None:
    train_until(tmp_path, 10)
    with small_disk(1000), pytest.raises(TrainingFailed, match=r"Cannot save .* Free some space .* --resume"):
        train_tiny(tmp_path, Listener(), resume=True)
    assert not list((tmp_path / FINGERPRINT).glob("draft-*"))
    assert go_on(tmp_path) == (never_stopped, N_STEPS - 9)


def test_a_folder_that_cannot_be_made_is_a_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    with pytest.raises(TrainingFailed, match="Cannot save unfinished training"):
        train_tiny(tmp_path / "file", Listener())


def test_saving_takes_a_twentieth_of_the_time_at_most(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, FINGERPRINT, every_s=0.0)
    assert checkpoints.is_due()
    checkpoints.save(State({}, {}))
    assert not checkpoints.is_due()
