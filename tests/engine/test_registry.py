"""A model answers only after it proved itself; whatever is wrong is named."""

import json
import shutil
from pathlib import Path

import pytest

from artifacts import random_weights, tiny_artifact, tiny_config
from retort.engine.registry import Registry
from retort.errors import BadArtifact, ModelNotReady
from retort.export.onnx import build_graph, save_graph
from retort.tasks import Input


def load(models_dir: Path) -> Registry:
    registry = Registry(models_dir, n_threads=1)
    registry.load()
    return registry


def test_before_loading_nothing_answers(models_dir: Path) -> None:
    with pytest.raises(ModelNotReady, match="still being loaded"):
        _ = Registry(models_dir).current


def test_the_pointed_model_answers(models_dir: Path) -> None:
    newest = tiny_artifact(models_dir, name="newer", seed=1)
    registry = load(models_dir)
    assert registry.current.artifact.version == newest.version
    assert registry.current.predict([Input("java")]).answers[0].prediction.label in newest.served.labels


def test_a_pointer_set_back_by_hand_serves_the_older_model(models_dir: Path) -> None:
    older = load(models_dir).current.artifact
    tiny_artifact(models_dir, name="newer", seed=1)
    pointer = models_dir / "latest_model_config.json"
    content = json.loads(pointer.read_text()) | {"model_dir": f"trained/{older.path.name}"}
    pointer.write_text(json.dumps(content))
    assert load(models_dir).current.artifact.version == older.version


def test_a_pointer_may_serve_a_model_shorter_than_it_was_trained(models_dir: Path) -> None:
    pointer = models_dir / "latest_model_config.json"
    pointer.write_text(json.dumps(json.loads(pointer.read_text()) | {"max_seq_len": 4}))
    assert load(models_dir).current.predict([Input("how to sort the list")]).answers[0].n_tokens == 4


def test_a_golden_text_may_hold_any_line_end(tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        lines = [json.loads(line) for line in (folder / "golden.jsonl").read_text().splitlines()]
        lines[0]["text"] = "how to\u2028sort\x85the list"
        lines[0]["text"] = lines[0]["text"].replace("\x85", " \u2029 ")
        written = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
        (folder / "golden.jsonl").write_text(written + "\n\n", encoding="utf-8")

    tiny_artifact(tmp_path, change=change)
    load(tmp_path)


def other_weights(folder: Path) -> None:
    save_graph(build_graph(tiny_config(), random_weights(tiny_config(), seed=9)), folder / "model.onnx")


def another_head(folder: Path) -> None:
    save_graph(build_graph(tiny_config(), random_weights(tiny_config(), n_labels=4)), folder / "model.onnx")


def few_words(folder: Path) -> None:
    config = tiny_config(vocab_size=10)
    save_graph(build_graph(config, random_weights(config)), folder / "model.onnx")


def write(name: str, content: str) -> object:
    return lambda folder: (folder / name).write_text(content)


def pairs_for_a_model_of_single_texts(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["retort"]["fixed_length"] = True
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "golden.jsonl").write_text('{"text": "a", "text_pair": "b", "logits": [0, 0, 0]}')


WRONG = {
    "a golden pair": (pairs_for_a_model_of_single_texts, r"does not run on .*golden\.jsonl, line 1.*got a pair"),
    "other weights": (other_weights, r"model\.onnx does not give the logits of .*golden\.jsonl, line 1"),
    "another head": (another_head, r"Expected 3 logits.*golden\.jsonl"),
    "another vocabulary": (few_words, r"model\.onnx does not give the logits of .*golden\.jsonl"),
    "no graph": (write("model.onnx", "no graph"), r"model\.onnx is no ONNX model"),
    "no tokenizer": (write("tokenizer.json", "{}"), r"tokenizer"),
    "no golden file": (lambda folder: (folder / "golden.jsonl").unlink(), r"golden\.jsonl: "),
    "no golden input": (write("golden.jsonl", "\n"), r"golden\.jsonl is empty"),
    "golden lines that are no JSON": (write("golden.jsonl", "{"), r"golden\.jsonl, line 1 is damaged"),
    "golden lines without logits": (write("golden.jsonl", '{"text": "a"}'), r"golden\.jsonl, line 1 is damaged"),
    "golden lines without text": (write("golden.jsonl", '{"logits": [1]}'), r"golden\.jsonl, line 1 is damaged"),
    "a golden list": (write("golden.jsonl", "[1]"), r"golden\.jsonl, line 1 is damaged"),
    "words for logits": (write("golden.jsonl", '{"text": "a", "logits": ["b"]}'), r"line 1 is damaged"),
    "golden NaN": (write("golden.jsonl", '{"text": "a", "logits": [NaN, 0, 0]}'), r"does not give the logits"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_model_that_does_not_prove_itself_never_answers(tmp_path: Path, wrong: str) -> None:
    change, message = WRONG[wrong]
    tiny_artifact(tmp_path, change=change)  # type: ignore[arg-type]
    registry = Registry(tmp_path, n_threads=1)
    with pytest.raises(BadArtifact, match=message):
        registry.load()
    with pytest.raises(ModelNotReady):
        _ = registry.current


def test_a_byte_changed_after_publishing_is_found(models_dir: Path) -> None:
    (file,) = models_dir.glob("trained/*/model.onnx")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(BadArtifact, match=r"model\.onnx was changed or damaged"):
        load(models_dir)


def test_checksums_that_were_verified_a_moment_ago_are_believed(models_dir: Path) -> None:
    (file,) = models_dir.glob("trained/*/config.json")
    file.write_text(file.read_text() + "\n")
    registry = Registry(models_dir, n_threads=1)
    assert registry.load(verify=False).predict([Input("java")]).answers
    with pytest.raises(BadArtifact, match=r"config\.json was changed or damaged"):
        registry.load()


def test_a_folder_that_is_gone_is_named(models_dir: Path) -> None:
    shutil.rmtree(models_dir / "trained")
    with pytest.raises(BadArtifact, match=r"no model folder .*tiny"):
        load(models_dir)
