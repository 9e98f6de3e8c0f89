from pathlib import Path

import pytest
import tensorflow as tf
from reports import HOSTILE, make_epoch, make_evaluation

from retort.training.board import Board

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def test_tensorboard_finds_all_that_training_says(tmp_path: Path):
    with Board(tmp_path) as board:
        board.on_step(1, 20, 0.5, 1e-5, 40.0)
        board.on_step(2, 20, 0.25, 2e-5, 41.0)
        board.on_epoch(make_epoch(1, 0.9), True)
        board.on_evaluation("validation", make_evaluation(HOSTILE, text="<b>| x", sharpness=0.2), 10)
    found = event_accumulator.EventAccumulator(str(tmp_path))
    found.Reload()
    tags = found.Tags()["tensors"]
    assert {"train/loss", "train/learn_rate", "validation/accuracy", "validation/macro_f1"} <= set(tags)
    assert sum(tag.startswith("validation F1/") for tag in tags) == len(HOSTILE)
    losses = found.Tensors("train/loss")
    assert [(e.step, float(tf.make_ndarray(e.tensor_proto))) for e in losses] == [(1, 0.5), (2, 0.25)]
    (image,) = found.Tensors("validation/confusion_matrix")
    assert image.tensor_proto.string_val[2].startswith(b"\x89PNG")
    (errors,) = found.Tensors("validation/errors")
    assert b"&#60;b&#62;&#124; x" in errors.tensor_proto.string_val[0]


def test_several_labels_a_text_are_shown_too(tmp_path: Path):
    with Board(tmp_path) as board:
        board.on_evaluation("test", make_evaluation(("a", "b"), task="multi_label_classification"), 1)
    assert list(tmp_path.glob("events.*"))
