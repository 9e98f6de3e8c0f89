"""A trained model on disk is whole or not there, whatever happens while it is written; damage is named."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from artifacts import CREATED, LABELS, tiny_artifact
from retort.artifact import load_artifact, load_pointed, publish
from retort.errors import BadArtifact, CannotWrite
from retort.pointer import read_pointer

POINTER = "latest_model_config.json"


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


def test_what_is_published_is_pointed_to_and_whole(tmp_path: Path) -> None:
    artifact = tiny_artifact(tmp_path, name="minilm")
    assert artifact.path == tmp_path / "trained" / "20260106220623_minilm"
    assert load_pointed(tmp_path) == artifact
    assert artifact.served.labels == LABELS
    assert json.loads((tmp_path / POINTER).read_text()) == {
        "model_dir": "trained/20260106220623_minilm", "model_type": "minilm", "max_seq_len": 16
    }  # fmt: skip
    listed = json.loads((artifact.path / "manifest.json").read_text())["files"]
    assert set(listed) == set(contents(artifact.path)) - {"manifest.json"}


def test_the_version_names_family_date_and_the_manifests_checksum(tmp_path: Path) -> None:
    artifact = tiny_artifact(tmp_path)
    checksum = hashlib.sha256((artifact.path / "manifest.json").read_bytes()).hexdigest()
    assert artifact.version == f"BERT 2026-01-06 22:06:23 {checksum[:8]}"


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("../../evil", "20260106220623_evil"),
        ("/etc/passwd", "20260106220623_etc-passwd"),
        ("my model: é 你", "20260106220623_my-model"),
        ("", "20260106220623_model"),
        ("..", "20260106220623_model"),
        ("a\nb\x00c", "20260106220623_a-b-c"),
    ],
)
def test_any_name_becomes_a_plain_folder(tmp_path: Path, name: str, folder: str) -> None:
    assert tiny_artifact(tmp_path, name=name).path == tmp_path / "trained" / folder


def test_models_of_one_second_get_folders_of_their_own(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda seed: tiny_artifact(tmp_path, seed=seed).path, range(8)))
    assert len(set(paths)) == 8
    for path in paths:
        load_artifact(path)
    assert load_pointed(tmp_path).path in paths


def test_without_a_date_it_is_now_in_utc(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    artifact = publish(tmp_path, "b", lambda folder: copy(tiny_artifact(tmp_path / "other").path, folder))
    assert before <= artifact.created <= datetime.now(UTC)


def copy(source: Path, target: Path) -> None:
    for file in source.iterdir():
        if file.name != "manifest.json":
            shutil.copy(file, target)


# What goes wrong while publishing


def fail_at_full_disk(folder: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "model.onnx"))


def fail_by_ctrl_c(folder: Path) -> None:
    raise KeyboardInterrupt


def fail_by_writing_nonsense(folder: Path) -> None:
    (folder / "config.json").write_text("{}")


@pytest.mark.parametrize("fail", [fail_at_full_disk, fail_by_ctrl_c, fail_by_writing_nonsense])
@pytest.mark.parametrize("first", [True, False])
def test_a_failure_while_writing_leaves_everything_as_it_was(
    tmp_path: Path, fail: Callable[[Path], None], first: bool
) -> None:
    if not first:
        tiny_artifact(tmp_path)
    before = contents(tmp_path)
    with pytest.raises((OSError, KeyboardInterrupt, BadArtifact)):
        tiny_artifact(tmp_path, name="next", change=fail)
    assert contents(tmp_path) == before
    assert not list(tmp_path.rglob(".draft*"))


def test_a_folder_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match=r"^Cannot write .*model\.onnx: No space left on device\. Make room"):
        tiny_artifact(tmp_path, change=fail_at_full_disk)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "models"):
        with pytest.raises(CannotWrite, match=rf"^Cannot write {folder}/trained: Not a directory\. .*--models-dir"):
            tiny_artifact(folder)


@pytest.mark.parametrize("nth", range(1, 9))
def test_a_disk_that_fills_up_at_any_sync_leaves_the_old_model_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    old = tiny_artifact(tmp_path)
    calls = iter(range(1, 100))

    def sync(descriptor: int) -> None:
        if next(calls) == nth:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(CannotWrite, match=rf"{tmp_path}.*No space left"):
        tiny_artifact(tmp_path, name="next", seed=1)
    served = load_pointed(tmp_path)
    assert served == old or served.path.name.endswith("_next")
    for folder in (tmp_path / "trained").iterdir():
        load_artifact(folder)
    assert not list(tmp_path.glob(f".{POINTER}*"))


KILLED_EVERYWHERE = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from retort.artifact import load_artifact, load_pointed, publish

models_dir, source = Path(sys.argv[1]), Path(sys.argv[2])

def write(folder):
    for file in source.iterdir():
        if file.name != "manifest.json":
            (folder / file.name).write_bytes(file.read_bytes())

def die_at(n):
    calls = iter(range(10**6))
    def hook(event, args):
        if event.startswith(("open", "os.", "shutil.")) and next(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

for n in range(10**6):
    child = os.fork()
    if not child:
        die_at(n)
        publish(models_dir, "next", write)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    load_pointed(models_dir)
    for folder in (models_dir / "trained").glob("[!.]*"):
        load_artifact(folder)
    if status == 0:
        break
    assert os.WTERMSIG(status) == signal.SIGKILL, status
print(n, load_pointed(models_dir).path.name)
"""


def test_kill_9_at_any_step_leaves_the_old_model_or_the_new_one_whole(tmp_path: Path) -> None:
    source = tiny_artifact(tmp_path)
    program = KILLED_EVERYWHERE.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(source.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    n_kills, name = done.stdout.split()
    assert int(n_kills) > 20
    assert "_next" in name


# What is wrong when loading


def test_every_byte_counts(tmp_path: Path) -> None:
    artifact = tiny_artifact(tmp_path)
    for name in json.loads((artifact.path / "manifest.json").read_text())["files"]:
        file = artifact.path / name
        whole = file.read_bytes()
        for damaged in (whole[:-1], whole + b"\n", b"", bytes([whole[0] ^ 1]) + whole[1:]):
            file.write_bytes(damaged)
            with pytest.raises(BadArtifact, match=name.replace(".", r"\.")):
                load_artifact(artifact.path)
        file.unlink()
        with pytest.raises(BadArtifact, match=rf"Cannot read .*{name}: No such file"):
            load_artifact(artifact.path)
        file.write_bytes(whole)
    load_artifact(artifact.path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.onnx"])
def test_a_manifest_must_list_what_serving_needs(tmp_path: Path, name: str) -> None:
    artifact = tiny_artifact(tmp_path)
    files = json.loads((artifact.path / "manifest.json").read_text())["files"]
    del files[name]
    edit(artifact.path / "manifest.json", files=files)
    with pytest.raises(BadArtifact, match=rf"does not list {name}"):
        load_artifact(artifact.path)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"files": {}}', '{"files": 1, "created": "2026-01-06"}',
                '{"files": {}, "created": "yesterday"}', '{"files": ["a"], "created": "2026-01-06"}', "\udcff"]
)  # fmt: skip
def test_a_damaged_manifest_is_named(tmp_path: Path, content: str) -> None:
    artifact = tiny_artifact(tmp_path)
    (artifact.path / "manifest.json").write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BadArtifact, match=r"manifest\.json"):
        load_artifact(artifact.path)


GOOD = {"task": "classification", "max_seq_len": 16, "long_text": "head"}


@pytest.mark.parametrize(
    "changes",
    [
        {"retort": None}, {"retort": []}, {"retort": {}}, {"id2label": None}, {"id2label": {}},
        {"id2label": {"1": "a", "2": "b"}}, {"id2label": ["a", "b"]},
        {"retort": GOOD | {"task": "poetry"}}, {"retort": GOOD | {"unknown": 1}}, {"retort": GOOD | {"labels": ["a"]}},
        {"retort": GOOD | {"long_text": "tail"}}, {"retort": GOOD | {"temperature": 0}},
        {"retort": GOOD | {"temperature": "hot"}}, {"retort": GOOD | {"max_seq_len": "long"}},
        {"retort": GOOD | {"max_seq_len": 0}}, {"retort": GOOD | {"threshold": None}},
        {"retort": GOOD | {"graph": "gone.onnx"}}, {"retort": GOOD | {"graph": 1}}, {"retort": GOOD | {"task": ["a"]}},
        {"retort": GOOD | {"graph": ["model.onnx"]}}, {"retort": GOOD | {"graph": {}}}, {"retort": "classification"},
        {"retort": GOOD | {"fixed_length": "no"}}, {"retort": GOOD | {"temperature": True}}, {"retort": [["task"]]},
        {"retort": GOOD | {"temperature": float("inf")}}, {"retort": GOOD | {"long_text": ["head"]}},
        {"retort": GOOD | {"max_seq_len": True}}, {"id2label": "ab"}, {"id2label": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_config_that_cannot_be_served_is_never_published(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(BadArtifact, match=r"config\.json|manifest\.json"):
        tiny_artifact(tmp_path, change=lambda folder: edit(folder / "config.json", **changes))
    assert contents(tmp_path) == {}


# The pointer


def test_an_absolute_model_dir_is_followed(tmp_path: Path) -> None:
    artifact = tiny_artifact(tmp_path / "there")
    (tmp_path / POINTER).write_text(json.dumps({"model_dir": str(artifact.path)}))
    assert load_pointed(tmp_path) == artifact


def test_a_pointer_may_shorten_the_texts_and_not_lengthen_them(tmp_path: Path) -> None:
    tiny_artifact(tmp_path)
    for asked, served in ((8, 8), (16, 16), (512, 16), (None, 16)):
        edit(tmp_path / POINTER, max_seq_len=asked)
        assert load_pointed(tmp_path).served.max_seq_len == served


def test_a_pointer_saved_by_a_windows_editor_is_read(tmp_path: Path) -> None:
    artifact = tiny_artifact(tmp_path)
    text = (tmp_path / POINTER).read_text().replace("\n", "\r\n")
    (tmp_path / POINTER).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_pointed(tmp_path) == artifact


def test_publishing_keeps_what_people_wrote_beside_the_default_model(tmp_path: Path) -> None:
    tiny_artifact(tmp_path)
    edit(tmp_path / POINTER, models={"spam": {"model_dir": "trained/spam"}})
    tiny_artifact(tmp_path, name="next")
    assert json.loads((tmp_path / POINTER).read_text())["models"] == {"spam": {"model_dir": "trained/spam"}}
    assert read_pointer(tmp_path).model_type == "next"


def test_publishing_replaces_a_damaged_pointer(tmp_path: Path) -> None:
    (tmp_path / POINTER).write_text("{broken")
    artifact = tiny_artifact(tmp_path)
    assert load_pointed(tmp_path) == artifact


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '"trained/a"', "{}", '{"model_dir": 1}', '{"model_dir": ""}', '{"model_dir": null}',
     '{"model_dir": "a",}', '{"model_dir": "a", "max_seq_len": "16"}', '{"model_dir": "a", "max_seq_len": 2}',
     '{"model_dir": "a", "max_seq_len": true}', '{"model_dir": "a", "max_seq_len": 16.5}', "\udcff\udcfe"],
)  # fmt: skip
def test_a_damaged_pointer_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / POINTER).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BadArtifact, match=POINTER):
        load_pointed(tmp_path)


def test_a_pointer_or_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadArtifact, match=rf"There is no .*{POINTER}, which names the model"):
        load_pointed(tmp_path)
    (tmp_path / POINTER).write_text('{"model_dir": "trained/gone"}')
    with pytest.raises(BadArtifact, match=r"no model folder .*trained/gone"):
        load_pointed(tmp_path)
    (tmp_path / POINTER).unlink()
    (tmp_path / POINTER).mkdir()
    with pytest.raises(BadArtifact, match=POINTER):
        load_pointed(tmp_path)


def test_the_date_is_the_one_given(tmp_path: Path) -> None:
    assert tiny_artifact(tmp_path).created == CREATED


def test_publishing_sweeps_out_what_killed_trainers_left_and_no_younger_draft(tmp_path: Path) -> None:
    old, young = (tmp_path / "trained" / f".draft-{age}" for age in ("old", "young"))
    for draft in (old, young):
        draft.mkdir(parents=True)
        (draft / "model.onnx").write_bytes(b"half")
    os.utime(old, (0, 0))
    tiny_artifact(tmp_path)
    assert not old.exists()
    assert young.exists()
