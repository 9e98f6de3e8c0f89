"""A model that is bad in whatever way leaves the old one serving, with one line in the log and one count."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from artifacts import random_weights, tiny_artifact, tiny_config
from retort.artifact import MANIFEST, Artifact
from retort.disk import sha256
from retort.engine.registry import Registry
from retort.engine.watcher import Watcher
from retort.export.onnx import build_graph, save_graph
from retort.model.architecture import Weights
from retort.pointer import FILE
from retort.tasks import Input

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


@dataclass
class Serving:
    """A registry that serves a good model, and a folder that is about to be bad."""

    models_dir: Path
    good: Artifact
    registry: Registry
    watcher: Watcher
    free: int = 2**40

    @property
    def folder(self) -> Path:
        return self.models_dir / "trained" / "bad"

    def count(self) -> int:
        found = self.registry.metrics.registry.get_sample_value("retort_reloads_total", {"outcome": "refused"})
        return int(found or 0)

    def write(self, content: object) -> None:
        """The pointer, in place."""
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        (self.models_dir / FILE).write_bytes(raw)

    def point_to_good(self) -> None:
        self.write({"model_dir": f"trained/{self.good.path.name}", "model_type": "tiny", "max_seq_len": 16})


@pytest.fixture(scope="module")
def only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    models_dir = tmp_path_factory.mktemp("models")
    good = tiny_artifact(models_dir)
    registry = Registry(models_dir, n_threads=1)
    serving = Serving(models_dir, good, registry, Watcher(registry))
    registry._free = lambda: serving.free
    registry.load()
    yield serving
    registry.close()


@pytest.fixture
def serving(only: Serving) -> Iterator[Serving]:
    shutil.copytree(only.good.path, only.folder)
    yield only
    if not only.folder.is_symlink():
        only.folder.chmod(0o755)
        shutil.rmtree(only.folder)
    else:
        only.folder.unlink()
    only.free = 2**40
    only.point_to_good()
    only.watcher.look()


def seal(folder: Path) -> None:
    """A manifest as if it had been published so."""
    files = {p.name: sha256(p) for p in folder.iterdir() if p.is_file() and p.name != MANIFEST}
    write_json(folder / MANIFEST, {"created": "2026-02-02T00:00:00+00:00", "files": files})


def write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content), encoding="utf-8")


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change a JSON file of the folder, checksums included."""

    def apply(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        change(content)
        write_json(folder / name, content)
        if name != MANIFEST:
            seal(folder)

    return apply


def served(**changes: Any) -> Callable[[Path], None]:
    return edit("config.json", lambda content: content["retort"].update(changes))


def sealed(name: str, content: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_text(content, encoding="utf-8")
        seal(folder)

    return apply


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def flip(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(bytes(content))

    return apply


def graph(change: Callable[[Weights], object] = lambda w: None, **config: Any) -> Callable[[Path], None]:
    """Another graph, checksums included; `n_labels` is its head's."""

    def apply(folder: Path) -> None:
        n_labels = config.pop("n_labels", 3)
        chosen = tiny_config(**config)
        weights = random_weights(chosen, n_labels)
        change(weights)
        save_graph(build_graph(chosen, weights), folder / "model.onnx")
        seal(folder)

    return apply


def edit_graph(change: Callable[[Any], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        model = onnx.load(folder / "model.onnx")
        change(model)
        (folder / "model.onnx").write_bytes(model.SerializeToString())
        seal(folder)

    return apply


def cut(folder: Path) -> None:
    content = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(content[: len(content) // 2])
    seal(folder)


def loop(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(folder)


def loop_inside(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to("model.onnx")


def become_a_file(folder: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()


def more_words(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["surplus"] = len(content["model"]["vocab"])
    write_json(folder / "tokenizer.json", content)
    edit("config.json", lambda c: c.update(vocab_size=len(content["model"]["vocab"]) - 1))(folder)


def other_words(folder: Path) -> None:
    content = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = content["model"]["vocab"]
    vocabulary["how"], vocabulary["java"] = vocabulary["java"], vocabulary["how"]
    vocabulary["join"], vocabulary["sort"] = vocabulary["sort"], vocabulary["join"]
    write_json(folder / "tokenizer.json", content)
    seal(folder)


def not_a_number(folder: Path) -> None:
    lines = [json.loads(line) for line in (folder / "golden.jsonl").read_text().splitlines()]
    text = "\n".join(json.dumps(line | {"logits": [float("nan")] * 3}) for line in lines)
    graph(lambda w: w["classifier.bias"].fill(np.nan))(folder)
    sealed("golden.jsonl", text)(folder)


# fmt: off
FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (lambda folder: shutil.move(folder / MANIFEST, folder / "was"), r"manifest\.json"),
    "no graph": (without("model.onnx"), r"Cannot read .*model\.onnx"),
    "no tokenizer": (without("tokenizer.json"), r"Cannot read .*tokenizer\.json"),
    "no configuration": (without("config.json"), r"Cannot read .*config\.json"),
    "no golden inputs": (without("golden.jsonl"), r"Cannot read .*golden\.jsonl"),
    "a byte of the graph": (flip("model.onnx"), r"model\.onnx was changed or damaged"),
    "a byte of the tokenizer": (flip("tokenizer.json"), r"tokenizer\.json was changed or damaged"),
    "a byte of the golden inputs": (flip("golden.jsonl"), r"golden\.jsonl was changed or damaged"),
    "half a graph": (cut, r"model\.onnx is no ONNX model"),
    "an empty graph": (sealed("model.onnx", ""), r"model\.onnx is no ONNX model"),
    "a graph of text": (sealed("model.onnx", "a graph"), r"model\.onnx is no ONNX model"),
    "an operator of another domain": (edit_graph(lambda m: setattr(m.graph.node[0], "domain", "poems")), r"no ONNX"),
    "an opset that is too old": (edit_graph(lambda m: setattr(m.opset_import[0], "version", 1)), r"model\.onnx"),
    "an unknown operator": (edit_graph(lambda m: setattr(m.graph.node[0], "op_type", "Poem")), r"is no ONNX model"),
    "an output of another name": (edit_graph(lambda m: setattr(m.graph.output[0], "name", "no")), r"model\.onnx"),
    "weights that are NaN": (graph(lambda w: w["classifier.kernel"].fill(np.nan)), r"does not give the logits"),
    "weights that are infinite": (graph(lambda w: w["classifier.bias"].fill(np.inf)), r"does not give the logits"),
    "golden NaN for weights that are NaN": (not_a_number, r"does not give the logits"),
    "other weights": (graph(lambda w: w["classifier.bias"].__iadd__(1)), r"does not give the logits"),
    "more labels in the graph": (graph(n_labels=4), r"Expected 3 logits"),
    "fewer labels in the graph": (graph(n_labels=2), r"Expected 3 logits"),
    "more labels than logits": (edit("config.json", lambda c: c["id2label"].update({"3": "c"})), r"Expected 4 logits"),
    "labels with a gap": (edit("config.json", lambda c: c["id2label"].pop("1")), r"config\.json is damaged"),
    "no labels": (edit("config.json", lambda c: c["id2label"].clear()), r"config\.json"),
    "a smaller vocabulary in the graph": (graph(vocab_size=10), r"model\.onnx does not"),
    "another vocabulary": (other_words, r"does not give the logits"),
    "a tokenizer of more words": (more_words, r"tokenizer\.json has \d+ tokens"),
    "a tokenizer that is none": (sealed("tokenizer.json", "{}"), r"tokenizer"),
    "a tokenizer without [CLS]": (edit("tokenizer.json", lambda c: (c["added_tokens"].clear(),
                                       c["model"]["vocab"].pop("[CLS]"))), r"no \[CLS\]"),
    "empty golden inputs": (sealed("golden.jsonl", "\n"), r"golden\.jsonl is empty"),
    "wrong golden logits": (sealed("golden.jsonl", '{"text": "java", "logits": [9, 9, 9]}'), r"line 1"),
    "golden logits of another count": (sealed("golden.jsonl", '{"text": "java", "logits": [1]}'), r"has \(1,\)"),
    "a golden file of noise": (sealed("golden.jsonl", "{noise"), r"golden\.jsonl, line 1 is damaged"),
    "an unknown task": (served(task="poetry"), r"unknown task 'poetry'"),
    "a length too small": (served(max_seq_len=2), r"`retort` object is damaged"),
    "a length that is huge": (served(max_seq_len=10**12), r"`retort` object is damaged"),
    "a length beyond what it says of itself": (edit("config.json", lambda c: c.update(max_position_embeddings=8)),
                                               r"`retort` object is damaged"),
    "a temperature of 0": (served(temperature=0), r"`retort` object is damaged"),
    "an unknown setting": (served(colour="red"), r"config\.json is damaged"),
    "a graph that is not there": (served(graph="gone.onnx"), r"does not list gone\.onnx"),
    "a manifest that lists too much": (edit(MANIFEST, lambda c: c["files"].update(gone="00")), r"Cannot read .*gone"),
    "a manifest that lists too little": (edit(MANIFEST, lambda c: c["files"].pop("model.onnx")), r"does not list mod"),
    "a manifest that lists nothing": (edit(MANIFEST, lambda c: c["files"].clear()), r"does not list model"),
    "a manifest without a date": (edit(MANIFEST, lambda c: c.pop("created")), r"manifest\.json is damaged"),
    "a manifest that is a list": (lambda folder: write_json(folder / MANIFEST, []), r"expected a JSON object"),
    "a configuration that is no JSON": (sealed("config.json", "{"), r"config\.json is not JSON"),
    "a folder that is a circle of links": (loop, r"no model folder|Cannot read"),
    "a graph that is a circle of links": (loop_inside, r"Cannot read .*model\.onnx"),
    "a graph that is a folder": (become_a_file, r"Cannot read .*model\.onnx"),
}
POINTERS: dict[str, tuple[object, str]] = {
    "not JSON": (b"model_dir = trained/bad", r"is not JSON"),
    "half-written": (b'{"model_dir": "trained/b', r"is not JSON"),
    "empty": (b"", r"is not JSON"),
    "noise": (bytes(range(256)), r"is not JSON"),
    "deep": (b"[" * 100_000, r"is not JSON"),
    "a list": ([{"model_dir": "trained/bad"}], r"expected a JSON object, got list"),
    "null": (None, r"expected a JSON object"),
    "no folder": ({"model_type": "tiny"}, r"has no `model_dir`"),
    "a folder that is a number": ({"model_dir": 7}, r"has no `model_dir`"),
    "a folder with a null character": ({"model_dir": "trained/\0"}, r"has no `model_dir`"),
    "a folder that is gone": ({"model_dir": "trained/gone"}, r"no model folder .*trained/gone"),
    "a folder with too long a name": ({"model_dir": "x" * 5000}, r"Cannot read the model folder"),
    "a folder above": ({"model_dir": "../.."}, r"manifest\.json"),
    "a folder elsewhere that is no model": ({"model_dir": "/"}, r"manifest\.json"),
    "a length too small": ({"model_dir": "trained/bad", "max_seq_len": 2}, r"`max_seq_len`"),
    "a length of words": ({"model_dir": "trained/bad", "max_seq_len": "128"}, r"`max_seq_len`"),
    "a type that is a list": ({"model_dir": "trained/bad", "model_type": []}, r"`model_type`"),
}
MODELS: dict[str, tuple[object, str]] = {
    "a list": (["trained/bad"], r"`models` to be an object"),
    "a name that climbs": ({"../..": {"model_dir": "trained/bad"}}, r"named '\.\./\.\.'"),
    "an empty name": ({"": {"model_dir": "trained/bad"}}, r"named ''"),
    "a long name": ({"a" * 65: {"model_dir": "trained/bad"}}, r"up to 64"),
    "the default's name": ({"default": {"model_dir": "trained/bad"}}, r"not 'default'"),
    "a folder instead of an entry": ({"spam": "trained/bad"}, r"`models\.spam` to be an object"),
    "no folder": ({"spam": {}}, r"no `models\.spam\.model_dir`"),
    "a bad length": ({"spam": {"model_dir": "trained/bad", "max_seq_len": 0}}, r"`models\.spam\.max_seq_len`"),
    "a folder that is gone": ({"spam": {"model_dir": "trained/gone"}}, r"refused model 'spam'.*no model folder"),
}
# fmt: on


def check_refused(serving: Serving, caplog: pytest.LogCaptureFixture, message: str) -> None:
    before, answering = serving.count(), serving.registry.current
    for _ in range(4):
        serving.watcher.look()
    (record,) = caplog.records
    line = record.getMessage()
    assert record.levelname == "ERROR"
    assert "\n" not in line
    assert line.startswith("refused ")
    assert re.search(message, line), line
    assert serving.count() == before + 1
    assert serving.registry.current is answering
    assert list(serving.registry.held) == ["default"]
    assert answering.predict([Input("java")]).answers[0].prediction is not None


@pytest.mark.parametrize("way", FOLDERS)
def test_a_bad_folder_changes_nothing(serving: Serving, caplog: pytest.LogCaptureFixture, way: str) -> None:
    spoil, message = FOLDERS[way]
    spoil(serving.folder)
    serving.write({"model_dir": "trained/bad", "model_type": "tiny", "max_seq_len": None})
    check_refused(serving, caplog, message)


@pytest.mark.parametrize("way", POINTERS)
def test_a_bad_pointer_changes_nothing(serving: Serving, caplog: pytest.LogCaptureFixture, way: str) -> None:
    content, message = POINTERS[way]
    serving.write(content)
    check_refused(serving, caplog, message)


@pytest.mark.parametrize("way", MODELS)
def test_a_bad_further_model_changes_nothing(serving: Serving, caplog: pytest.LogCaptureFixture, way: str) -> None:
    content, message = MODELS[way]
    serving.write({"model_dir": f"trained/{serving.good.path.name}", "max_seq_len": 16, "models": content})
    check_refused(serving, caplog, message)


def test_a_pointer_that_is_gone_changes_nothing(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    (serving.models_dir / FILE).unlink()
    check_refused(serving, caplog, r"There is no .*latest_model_config\.json")


def test_a_pointer_that_is_a_circle_of_links_changes_nothing(
    serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    file = serving.models_dir / FILE
    file.unlink()
    file.symlink_to(FILE)
    check_refused(serving, caplog, r"Cannot read .*symbolic links")
    file.unlink()


def test_a_model_too_big_for_the_memory_changes_nothing(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    serving.free = 50 * 2**20
    seal(serving.folder)
    serving.write({"model_dir": "trained/bad"})
    check_refused(serving, caplog, r"needs about 6\d MB of memory .*; 50 MB are left")


@pytest.mark.skipif(IS_ROOT, reason="root may read everything")
@pytest.mark.parametrize("name", ["", "model.onnx", "golden.jsonl"])
def test_what_may_not_be_read_changes_nothing(serving: Serving, caplog: pytest.LogCaptureFixture, name: str) -> None:
    seal(serving.folder)
    (serving.folder / name).chmod(0)
    serving.write({"model_dir": "trained/bad"})
    check_refused(serving, caplog, r"Cannot read .*Permission denied")


def test_the_folder_that_the_ways_spoil_is_good_before(serving: Serving, caplog: pytest.LogCaptureFixture) -> None:
    seal(serving.folder)
    serving.write({"model_dir": "trained/bad"})
    serving.watcher.look()
    assert caplog.records == []
    assert serving.registry.current.artifact.path == serving.folder
