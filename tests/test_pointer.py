"""The pointer is edited by people and by programs, and neither loses what the other wrote."""

import json
import threading
from pathlib import Path

import pytest

from artifacts import tiny_artifact
from retort.errors import BadArtifact, CannotWrite, ModelInUse, UnknownModel
from retort.pointer import (
    FILE,
    MAX_PREVIOUS,
    Pointer,
    look_at_pointer,
    parse_pointers,
    read_pointer,
    remove_pointer,
    rewind_pointer,
    write_pointer,
)


def content(models_dir: Path) -> dict[str, object]:
    found = json.loads((models_dir / FILE).read_text())
    assert isinstance(found, dict)
    return found


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    write_pointer(tmp_path, Pointer("trained/a", "a", 16))
    write_pointer(tmp_path, Pointer("trained/b", "b"), "spam")
    assert content(tmp_path) == {
        "model_dir": "trained/a", "model_type": "a", "max_seq_len": 16,
        "models": {"spam": {"model_dir": "trained/b", "model_type": "b", "max_seq_len": None}},
    }  # fmt: skip
    found = parse_pointers(tmp_path, look_at_pointer(tmp_path))
    assert found.models == {"default": Pointer("trained/a", "a", 16), "spam": Pointer("trained/b", "b")}
    assert found.faults == {}
    assert [p.name for p in tmp_path.iterdir()] == [FILE]


def test_the_models_before_are_kept_the_latest_first_and_each_once(tmp_path: Path) -> None:
    for name in "abcabdefgh":
        write_pointer(tmp_path, Pointer(name))
    assert read_pointer(tmp_path) == Pointer("h", previous=("g", "f", "e", "d", "b"))
    assert len(read_pointer(tmp_path).previous) == MAX_PREVIOUS
    write_pointer(tmp_path, Pointer("h", "renamed"))
    assert read_pointer(tmp_path).previous == ("g", "f", "e", "d", "b")


def test_going_back_shortens_the_history(tmp_path: Path) -> None:
    for name in "abc":
        write_pointer(tmp_path, Pointer(name), "default")
    rewind_pointer(tmp_path, Pointer("b", previous=("a",)))
    assert read_pointer(tmp_path) == Pointer("b", previous=("a",))


def test_each_model_has_a_history_of_its_own(tmp_path: Path) -> None:
    write_pointer(tmp_path, Pointer("a"))
    write_pointer(tmp_path, Pointer("x"), "spam")
    write_pointer(tmp_path, Pointer("y"), "spam")
    assert read_pointer(tmp_path).previous == ()
    assert read_pointer(tmp_path, "spam").previous == ("x",)


def test_what_people_wrote_beside_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"model_dir": "a", "note": "ask Ada", "models": {"spam": {"model_dir": "b"}}}')
    write_pointer(tmp_path, Pointer("c"))
    assert content(tmp_path)["note"] == "ask Ada"
    assert content(tmp_path)["models"] == {"spam": {"model_dir": "b"}}
    remove_pointer(tmp_path, "spam")
    assert "models" not in content(tmp_path)


def test_what_is_not_there_is_not_removed_and_the_default_stays(tmp_path: Path) -> None:
    write_pointer(tmp_path, Pointer("a"))
    with pytest.raises(UnknownModel, match="'spam'"):
        remove_pointer(tmp_path, "spam")
    with pytest.raises(ModelInUse):
        remove_pointer(tmp_path, "default")


@pytest.mark.parametrize("name", ["../up", "", "a b", ".hidden", "-x", "a" * 65, "é"])
def test_a_further_model_has_a_plain_name(tmp_path: Path, name: str) -> None:
    write_pointer(tmp_path, Pointer("a"))
    with pytest.raises(BadArtifact, match="up to 64 letters"):
        write_pointer(tmp_path, Pointer("b"), name)
    assert content(tmp_path)["model_dir"] == "a"


def test_a_further_model_does_not_replace_a_damaged_pointer(tmp_path: Path) -> None:
    for damaged in ("{broken", '{"model_dir": "a", "models": []}'):
        (tmp_path / FILE).write_text(damaged)
        with pytest.raises(BadArtifact, match=FILE):
            write_pointer(tmp_path, Pointer("b"), "spam")
        assert (tmp_path / FILE).read_text() == damaged


def test_a_faulty_model_leaves_the_others_readable(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"model_dir": 1, "models": {"good": {"model_dir": "a"}, "bad": {"model_dir": 2}}}')
    found = parse_pointers(tmp_path, look_at_pointer(tmp_path))
    assert found.models == {"good": Pointer("a")}
    assert list(found.faults) == ["default", "bad"]
    assert read_pointer(tmp_path, "good") == Pointer("a")
    with pytest.raises(BadArtifact, match=r"models\.bad\.model_dir"):
        read_pointer(tmp_path, "bad")
    with pytest.raises(BadArtifact, match="names no model 'none'"):
        read_pointer(tmp_path, "none")


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    write_pointer(tmp_path, Pointer("a"))
    threads = [
        threading.Thread(target=write_pointer, args=[tmp_path, Pointer(f"model-{n}"), f"name-{n}"]) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(parse_pointers(tmp_path, look_at_pointer(tmp_path)).models) == 9


def test_a_pointer_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="gone"):
        write_pointer(tmp_path / "gone", Pointer("a"))


def test_publishing_keeps_the_history(tmp_path: Path) -> None:
    first, second = tiny_artifact(tmp_path, name="first"), tiny_artifact(tmp_path, name="second")
    assert read_pointer(tmp_path).model_dir == f"trained/{second.path.name}"
    assert read_pointer(tmp_path).previous == (f"trained/{first.path.name}",)
