"""Models come and go while others answer."""

import itertools
import json
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from artifacts import LABELS, tiny_artifact
from retort.artifact import Artifact
from retort.engine.registry import Registry
from retort.engine.watcher import Watcher
from retort.errors import BadArtifact, ModelNotReady, NoSuchModel
from retort.pointer import FILE, Pointer, write_pointer
from retort.tasks import Input


@pytest.fixture
def older(tmp_path: Path) -> Artifact:
    return tiny_artifact(tmp_path, name="older", seed=1)


@pytest.fixture
def newer(tmp_path: Path, older: Artifact) -> Artifact:
    """Published, but `older` is pointed to."""
    artifact = tiny_artifact(tmp_path, name="newer", labels=("red", "green"), seed=2)
    point(tmp_path, older)
    return artifact


@pytest.fixture
def registry(tmp_path: Path, newer: Artifact) -> Iterator[Registry]:
    registry = Registry(tmp_path, n_threads=1)
    registry.load()
    yield registry
    registry.close()


def entry(artifact: Artifact, **changes: Any) -> dict[str, Any]:
    return {"model_dir": f"trained/{artifact.path.name}", "model_type": "tiny", "max_seq_len": 16} | changes


def point(models_dir: Path, artifact: Artifact, models: dict[str, Any] | None = None, **changes: Any) -> None:
    """Edit the pointer by hand, in place."""
    content = entry(artifact, **changes) | ({"models": models} if models is not None else {})
    (models_dir / FILE).write_text(json.dumps(content))


def versions(registry: Registry) -> dict[str, str]:
    return {name: held.artifact.version for name, held in registry.held.items()}


def counted(registry: Registry, outcome: str) -> int:
    return int(registry.metrics.registry.get_sample_value("retort_reloads_total", {"outcome": outcome}) or 0)


# Following the pointer


def test_an_edit_in_place_and_an_atomic_replacement_are_both_followed(
    tmp_path: Path, registry: Registry, older: Artifact, newer: Artifact
) -> None:
    watcher = Watcher(registry)
    watcher.look()
    assert registry.current.artifact.version == older.version
    point(tmp_path, newer)
    watcher.look()
    assert registry.current.artifact.version == newer.version
    write_pointer(tmp_path, Pointer(f"trained/{older.path.name}"))
    watcher.look()
    assert registry.current.artifact.version == older.version
    assert counted(registry, "loaded") == 2


def test_an_edit_of_the_same_size_within_a_tick_of_the_clock_is_seen(
    tmp_path: Path, registry: Registry, older: Artifact, newer: Artifact
) -> None:
    stat = (tmp_path / FILE).stat()
    point(tmp_path, newer)
    os.utime(tmp_path / FILE, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (tmp_path / FILE).stat().st_size == stat.st_size
    Watcher(registry).look()
    assert registry.current.artifact.version == newer.version


def test_further_models_come_and_go_by_name_and_the_others_are_not_touched(
    tmp_path: Path, registry: Registry, older: Artifact, newer: Artifact
) -> None:
    default = registry.current
    with pytest.raises(NoSuchModel, match="default"), registry.lease("colour"):
        pass
    point(tmp_path, older, {"colour": entry(newer), "short": entry(older, max_seq_len=4)})
    assert registry.reload() == {}
    assert versions(registry) == {"default": older.version, "colour": newer.version, "short": older.version}
    with registry.lease("colour") as colour, registry.lease("short") as short:
        assert colour.predict([Input("java")]).answers[0].prediction.label in ("red", "green")
        assert short.predict([Input("how to sort the list")]).answers[0].n_tokens == 4
    point(tmp_path, older, {"colour": entry(newer)})
    assert registry.reload() == {}
    with pytest.raises(NoSuchModel), registry.lease("short"):
        pass
    assert registry.current is default
    with registry.lease("colour") as still:
        assert still is colour
    assert counted(registry, "loaded") == 2


def test_a_pointer_whose_models_did_not_change_loads_nothing(
    tmp_path: Path, registry: Registry, older: Artifact
) -> None:
    default = registry.current
    point(tmp_path, older, model_type="another name for people")
    Watcher(registry).look()
    assert registry.current is default
    assert counted(registry, "loaded") == 0


def test_a_half_written_pointer_is_not_acted_on(
    tmp_path: Path, registry: Registry, newer: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    watcher, whole = Watcher(registry), json.dumps(entry(newer))
    for cut in ("", whole[:1], whole[: len(whole) // 2]):
        (tmp_path / FILE).write_text(cut)
        watcher.look()
        (tmp_path / FILE).write_text(whole)
        watcher.look()
    (tmp_path / FILE).unlink()
    watcher.look()
    (tmp_path / FILE).write_text(whole)
    watcher.look()
    assert registry.current.artifact.version == newer.version
    assert (caplog.records, counted(registry, "refused")) == ([], 0)


def test_a_pointer_that_stays_broken_is_said_once_and_again_only_when_it_changed(
    tmp_path: Path, registry: Registry, older: Artifact, newer: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    watcher = Watcher(registry)
    (tmp_path / FILE).write_text("{broken")
    for _ in range(5):
        watcher.look()
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
    (tmp_path / FILE).write_text("{broken otherwise")
    for _ in range(5):
        watcher.look()
    assert (len(caplog.records), counted(registry, "refused")) == (2, 2)
    assert registry.current.artifact.version == older.version
    point(tmp_path, newer)
    watcher.look()
    assert registry.current.artifact.version == newer.version


def test_a_bad_model_is_tried_again_when_the_pointer_is_touched(
    tmp_path: Path, registry: Registry, newer: Artifact
) -> None:
    watcher, golden = Watcher(registry), newer.path / "golden.jsonl"
    whole = golden.read_bytes()
    golden.write_bytes(whole[:-1])
    point(tmp_path, newer)
    for _ in range(3):
        watcher.look()
    assert counted(registry, "refused") == 1
    golden.write_bytes(whole)
    watcher.look()
    assert registry.current.artifact.version != newer.version
    os.utime(tmp_path / FILE, ns=(0, 0))
    watcher.look()
    assert registry.current.artifact.version == newer.version


def test_the_watching_thread_follows_and_ends(tmp_path: Path, registry: Registry, newer: Artifact) -> None:
    watcher = Watcher(registry, interval_s=0.001)
    seen = threading.Event()
    registry.metrics.serves = lambda models: seen.set()  # type: ignore[method-assign]
    watcher.start()
    point(tmp_path, newer)
    assert seen.wait(60)
    watcher.stop()
    assert registry.current.artifact.version == newer.version
    assert not [t for t in threading.enumerate() if t.name == "watcher"]


# The first load


def test_a_bad_further_model_at_the_start_is_said_and_the_others_serve(
    tmp_path: Path, older: Artifact, newer: Artifact, caplog: pytest.LogCaptureFixture
) -> None:
    point(tmp_path, older, {"gone": {"model_dir": "trained/gone"}, "../up": entry(newer), "colour": entry(newer)})
    registry = Registry(tmp_path, n_threads=1)
    registry.load()
    assert versions(registry) == {"default": older.version, "colour": newer.version}
    assert (len(caplog.records), counted(registry, "refused")) == (2, 2)
    Watcher(registry).look()
    assert len(caplog.records) == 2
    registry.close()


def test_a_bad_default_model_at_the_start_is_an_error(tmp_path: Path, older: Artifact, newer: Artifact) -> None:
    point(tmp_path, older, {"colour": entry(newer)})
    shutil.rmtree(older.path)
    with pytest.raises(BadArtifact, match="no model folder"):
        Registry(tmp_path, n_threads=1).load()


# Swapping


def test_a_leased_model_answers_until_it_is_given_back(
    tmp_path: Path, registry: Registry, older: Artifact, newer: Artifact
) -> None:
    point(tmp_path, newer)
    with registry.lease() as lent:
        registry.reload()
        assert registry.current.artifact.version == newer.version
        assert not registry.wait_until_drained(0)
        assert lent.artifact.version == older.version
        assert lent.predict([Input("java")]).answers
    assert registry.wait_until_drained(60)
    with pytest.raises(ModelNotReady):
        lent.predict([Input("java")])


def test_a_hundred_swaps_under_load_fail_nobody_mix_up_nothing_and_leave_nothing_behind(
    tmp_path: Path, registry: Registry, older: Artifact, newer: Artifact
) -> None:
    labels = {older.version: set(LABELS), newer.version: {"red", "green"}}
    texts = [Input(text) for text in ("java", "how to join", "a b c d e f")]
    expected: dict[str, Any] = {}
    for artifact in (newer, older):
        point(tmp_path, artifact)
        registry.reload()
        expected[artifact.version] = [a.prediction.probabilities for a in registry.current.predict(texts).answers]
    seen: set[str] = set()

    def ask(finished: threading.Event) -> int:
        for n in itertools.count():
            if finished.is_set():
                return n
            with registry.lease() as predictor:
                version = predictor.artifact.version
                answers = predictor.predict(texts).answers
            seen.add(version)
            for answer, probabilities in zip(answers, expected[version], strict=True):
                assert answer.prediction is not None
                assert answer.prediction.label in labels[version]
                assert np.abs(answer.prediction.probabilities - probabilities).max() < 1e-4
        raise AssertionError

    def swap(n_times: int) -> psutil.Process:
        finished = threading.Event()
        with ThreadPoolExecutor(3) as threads:
            asking = [threads.submit(ask, finished) for _ in range(3)]
            try:
                for artifact in [newer, older] * (n_times // 2):
                    point(tmp_path, artifact)
                    assert registry.reload() == {}
                    assert registry.current.artifact.version == artifact.version
            finally:
                finished.set()
            assert all(each.result() for each in asking)
        assert registry.wait_until_drained(60)
        return psutil.Process()

    before = swap(10).as_dict(["memory_info", "num_threads", "num_fds"])
    after = swap(90).as_dict(["memory_info", "num_threads", "num_fds"])
    assert seen == set(labels)
    assert after["memory_info"].rss < before["memory_info"].rss * 1.05
    assert after["num_threads"] < before["num_threads"] + 9  # a leak would be one a swap
    assert after["num_fds"] <= before["num_fds"]
