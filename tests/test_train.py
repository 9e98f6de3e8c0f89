"""From a file to a served model, with tiny real encoders: what is learned, what is written, what a failure leaves."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from artifacts import random_weights, tiny_config
from encoders import WIDER, write_encoders
from retort.artifact import Artifact, load_pointed
from retort.config import TrainSettings
from retort.engine.loading import load_predictor
from retort.engine.predictor import Predictor
from retort.errors import BadUsage, TrainingFailed
from retort.model.hugging_face import to_hugging_face
from retort.tasks import Input
from retort.train import train


@pytest.fixture(scope="module")
def encoders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `bert` and `albert` as the Hugging Face ecosystem writes them."""
    return write_encoders(tmp_path_factory.mktemp("encoders"))


def colours(n: int = 60) -> str:
    """Rows that a model of any size can learn: the label is the text's one telling word."""
    words = ("java", "python", "sql")
    return "text,label\n" + "".join(f"how to {words[i % 3]} {i},{words[i % 3]}\n" for i in range(n))


def settings(folder: Path, encoder: Path, data: str = "", name: str = "data.csv", **more: object) -> TrainSettings:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(data or colours(), encoding="utf-8")
    places = {part: folder / part.removesuffix("_dir") for part in ("models_dir", "checkpoint_dir", "log_dir")}
    chosen = {"n_epochs": 2, "batch_size": 8, "max_seq_len": 16, "precision": "float32", "max_learn_rate": 1e-3} | more
    return TrainSettings(data=file, model=str(encoder), **places, **chosen)  # type: ignore[arg-type]


def run(chosen: TrainSettings) -> tuple[Artifact, list[str]]:
    said: list[str] = []
    return train(chosen, said.append), said


def serve(chosen: TrainSettings) -> Predictor:
    return load_predictor(load_pointed(chosen.models_dir))


@pytest.mark.parametrize("family", ["bert", "albert"])
def test_a_file_becomes_a_model_that_answers(tmp_path: Path, encoders: Path, family: str) -> None:
    chosen = settings(tmp_path, encoders / family, n_epochs=10, max_learn_rate=3e-3, dropout=0.0)
    artifact, said = run(chosen)
    assert artifact.version.startswith(family.upper())
    answers = serve(chosen).predict([Input("how to java 1000"), Input("how to sql 7")]).answers
    assert [a.prediction.label for a in answers] == ["java", "sql"]
    assert any("Published" in line for line in said)
    expected = {
        "config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "model.onnx", "metrics.json",
        "training_args.json", "confusion_matrix.png", "report.html", "README.md", "golden.jsonl", "manifest.json",
        "tensorboard",
    }  # fmt: skip
    assert {file.name for file in artifact.path.iterdir()} - {"model.int8.onnx"} == expected
    metrics = json.loads((artifact.path / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.8
    assert {"validation", "test", "int8", "seconds", "peak_rss_mb", "examples_per_second"} <= set(metrics)
    assert not chosen.checkpoint_dir.exists(), "what is published needs no checkpoint"


def test_a_served_8_bit_graph_passed_its_gate_and_another_is_not_published(tmp_path: Path, encoders: Path) -> None:
    artifact, said = run(settings(tmp_path, encoders / "bert"))
    is_there = (artifact.path / "model.int8.onnx").exists()
    assert is_there == (artifact.served.graph == "model.int8.onnx")
    assert any(line.startswith("8 bits") and "cost" in line for line in said)


def test_several_labels_a_text_are_seen_in_the_data_and_learned(tmp_path: Path, encoders: Path) -> None:
    parts = (["java"], ["python"], ["java", "python"], [])
    lines = [json.dumps({"text": f"{' '.join(p)} {i}", "labels": p}) for i in range(20) for p in parts]
    chosen = settings(
        tmp_path, encoders / "bert", "\n".join(lines), "data.jsonl", n_epochs=10, max_learn_rate=3e-3, dropout=0.0
    )
    artifact, _ = run(chosen)
    assert artifact.served.task == "multi_label_classification"
    answers = serve(chosen).predict([Input("java python 3"), Input("python 3")]).answers
    assert sorted(answers[0].prediction.label) == ["java", "python"]
    assert answers[1].prediction.label == ["python"]


def test_sentence_pairs_train_and_answer(tmp_path: Path, encoders: Path) -> None:
    words = ("java", "python", "sql")
    rows = [(words[i % 3], words[(i + i // 3 % 2) % 3], i) for i in range(72)]
    data = "question1,question2,label\n" + "".join(f"{a} {i},{b},{'same' if a == b else 'other'}\n" for a, b, i in rows)
    chosen = settings(tmp_path, encoders / "bert", data)
    run(chosen)
    (answer,) = serve(chosen).predict([Input("java 3", "java")]).answers
    assert answer.prediction.label in {"same", "other"}
    assert not answer.truncated


@pytest.mark.parametrize("long_text", ["head", "head_tail", "windows"])
def test_the_policy_for_long_texts_is_kept_for_serving(tmp_path: Path, encoders: Path, long_text: str) -> None:
    telling = {"head": "{} " + "to " * 40, "head_tail": "to " * 20 + "{}", "windows": "to " * 20 + "{} " + "to " * 20}
    words = ("java", "python", "sql")
    rows = "".join(f"{telling[long_text].format(words[i % 3])}{i},{words[i % 3]}\n" for i in range(60))
    chosen = settings(tmp_path, encoders / "bert", "text,label\n" + rows, long_text=long_text)
    artifact, _ = run(chosen)
    assert artifact.served.long_text == long_text
    (answer,) = serve(chosen).predict([Input(telling[long_text].format("sql") + " 7")]).answers
    assert answer.truncated == (long_text != "windows")
    assert answer.n_tokens > 16 or long_text != "windows"


@pytest.mark.parametrize(
    "how",
    [
        {"few_shot": True},
        {"freeze": "1"},
        {"freeze": "all"},
        {"lora_rank": 2},
        {"pooling": "mean"},
        {"class_weights": "balanced"},
        {"schedule": "exponential", "min_learn_rate": 1e-5},
        {"early_stopping_patience": 1},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_every_recipe_publishes_a_model_that_equals_what_was_trained(
    tmp_path: Path, encoders: Path, how: dict[str, object]
) -> None:
    artifact, _ = run(settings(tmp_path, encoders / "bert", **how))  # the export is compared on real rows inside
    assert json.loads((artifact.path / "metrics.json").read_text())["test"]["n"] == 6
    load_predictor(artifact)


def test_a_published_model_can_be_trained_further(tmp_path: Path, encoders: Path) -> None:
    first, _ = run(settings(tmp_path, encoders / "bert", pooling="mean"))
    again, _ = run(settings(tmp_path / "again", first.path))
    assert load_predictor(again).predict([Input("sql")]).answers


def test_a_newcomer_with_few_rows_is_told_of_few_shot(tmp_path: Path, encoders: Path) -> None:
    _, said = run(settings(tmp_path, encoders / "bert"))
    assert any("--few-shot" in line for line in said)


def test_labels_from_strangers_do_no_harm(tmp_path: Path, encoders: Path) -> None:
    labels = ["<script>alert(1)</script>", 'a"b: [c', "日本語 \u202e abc"]
    lines = "\n".join(json.dumps({"text": f"to {'abc'[i % 3]} {i}", "label": labels[i % 3]}) for i in range(45))
    chosen = settings(tmp_path, encoders / "bert", lines, "data.jsonl")
    artifact, _ = run(chosen)
    assert "<script>alert" not in (artifact.path / "report.html").read_text(encoding="utf-8")
    (answer,) = serve(chosen).predict([Input("to a 1")]).answers
    assert answer.prediction.label in labels


def test_the_board_shows_training_and_what_came_of_it(tmp_path: Path, encoders: Path) -> None:
    artifact, _ = run(settings(tmp_path, encoders / "bert"))
    (events,) = (artifact.path / "tensorboard").iterdir()
    tags = {value.tag for event in EventFileLoader(str(events)).Load() for value in event.summary.value}
    assert {"train/loss", "train/learn_rate", "validation/accuracy", "validation/confusion_matrix"} <= tags
    assert {"validation F1/java", "validation/errors"} <= tags


def test_an_encoder_that_explodes_ends_in_a_sentence_and_leaves_nothing(tmp_path: Path, encoders: Path) -> None:
    chosen = settings(tmp_path, encoders / "bert")
    config = tiny_config(**WIDER)
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in (encoders / "bert").iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    _, state = to_hugging_face(config, random_weights(config, scale=1e30), "abc", "single_label_classification")
    save_file(state, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(TrainingFailed, match="no numbers"):
        run(chosen.model_copy(update={"model": str(broken)}))
    assert not (tmp_path / "models").exists()


def test_too_long_a_sequence_says_what_the_encoder_reads(tmp_path: Path, encoders: Path) -> None:
    with pytest.raises(BadUsage, match="at most 64"):
        run(settings(tmp_path, encoders / "bert", max_seq_len=128))


def test_a_failure_while_writing_leaves_no_model_and_the_old_pointer(
    tmp_path: Path, encoders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings(tmp_path, encoders / "bert")
    first, _ = run(chosen)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "report.html")

    monkeypatch.setattr("retort.train.write_report", full)
    with pytest.raises(TrainingFailed, match="No space left"):
        run(chosen)
    assert [p.name for p in (chosen.models_dir / "trained").iterdir()] == [first.path.name]
    assert load_pointed(chosen.models_dir).path.name == first.path.name


def command(chosen: TrainSettings, *more: str) -> list[str]:
    given = chosen.model_dump(exclude_none=True, exclude_defaults=True, mode="json")
    options = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    return [sys.executable, "-m", "retort", "train", *options, *more]


def test_a_killed_training_resumes_to_the_very_same_weights(tmp_path: Path, encoders: Path) -> None:
    whole = settings(tmp_path / "whole", encoders / "bert", n_epochs=40, dropout=0.1)
    expected, _ = run(whole)
    killed = settings(tmp_path / "killed", encoders / "bert", n_epochs=40, dropout=0.1)
    training = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while training.poll() is None and not list(killed.checkpoint_dir.glob("*/state-*3.safetensors")):
        time.sleep(0.01)  # until it has something to lose
    training.send_signal(signal.SIGKILL)
    assert training.wait() == -signal.SIGKILL, "it must be killed in the middle for this test to say anything"
    assert not list(killed.models_dir.glob("trained/*"))
    subprocess.run(command(killed, "--resume"), check=True, capture_output=True)
    resumed = load_pointed(killed.models_dir)
    for name in ("model.safetensors", "model.onnx"):
        assert (resumed.path / name).read_bytes() == (expected.path / name).read_bytes()


def test_ctrl_c_ends_in_a_sentence_and_leaves_no_folder(tmp_path: Path, encoders: Path) -> None:
    chosen = settings(tmp_path, encoders / "bert", n_epochs=1000)
    training = subprocess.Popen(
        command(chosen), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # whoever tests in the background ignores it
    )  # fmt: skip
    assert training.stderr is not None
    for line in training.stderr:
        if "epoch 1 " in line:
            break
    training.send_signal(signal.SIGINT)
    _, rest = training.communicate()
    assert training.returncode == 130
    assert "--resume" in rest
    assert "Traceback" not in rest
    assert not chosen.models_dir.exists() or not list(chosen.models_dir.glob("trained/*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_ends_in_a_sentence(tmp_path: Path, encoders: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    try:
        chosen = settings(tmp_path, encoders / "bert").model_copy(update={"models_dir": small})
        with pytest.raises(TrainingFailed, match="No space left"):
            run(chosen)
        assert not [file for file in small.rglob("*") if file.is_file()]
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert np.any([file.suffix == ".safetensors" for file in chosen.checkpoint_dir.rglob("*")]), "--resume can go on"


def test_what_was_left_out_or_contradicts_itself_is_said(tmp_path: Path, encoders: Path) -> None:
    data = colours() + ",java\nhow to sql 99,\nhow to sql 77,java\nHow to  SQL 77,sql\n"
    _, said = run(settings(tmp_path, encoders / "bert", data, few_shot=True))
    assert any("1 with empty text" in line and "1 with no label" in line for line in said)
    assert any("different labels" in line for line in said)


def test_data_with_several_labels_a_text_says_so(tmp_path: Path, encoders: Path) -> None:
    _, said = run(settings(tmp_path, encoders / "bert", colours() + "how to java sql,java|sql\n", few_shot=True))
    assert any("multi_label_classification" in line for line in said)


def test_whether_there_is_something_to_resume_is_said(tmp_path: Path, encoders: Path) -> None:
    _, said = run(settings(tmp_path, encoders / "bert", resume=True))
    assert any("no unfinished training" in line for line in said)


def test_the_date_is_the_same_everywhere(tmp_path: Path, encoders: Path) -> None:
    artifact, _ = run(settings(tmp_path, encoders / "bert", few_shot=True))
    assert artifact.path.name.startswith(f"{artifact.created:%Y%m%d%H%M%S}_")
    assert f"{artifact.created:%Y-%m-%d %H:%M:%S}" in (artifact.path / "report.html").read_text(encoding="utf-8")
