"""What every entry of TASKS must do, whatever it means: the rest of the house relies on it and asks nothing else."""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from artifacts import tiny_tokenizer
from retort.api.hugging_face import SHOWN
from retort.data.dataset import READERS
from retort.data.spans import Span
from retort.scored import HELD
from retort.tasks import TASKS, Decoding, Input, Task
from retort.tokenization.encoding import Encoding

LABELS = ("a", "b", "c")
TEXT = "Ada Lovelace sorts a list, then joins java."
GOLDS = {"labels": ["b"], "spans": [Span(0, 12, "b")]}  # what each reader finds in TEXT

every_task = pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
any_length = pytest.mark.parametrize("length", [64, 8])


def encode(task: Task, text: str, length: int) -> list[Encoding]:
    (found,) = task.encode([Input(text)], tiny_tokenizer(), length, "windows")
    return found


def rows(task: Task, encodings: Sequence[Encoding], n: int) -> list[np.ndarray]:
    """Logits of the shape that the task's head gives."""
    rng = np.random.default_rng(0)
    shapes = {"pooled": lambda _: (n,), "tokens": lambda e: (len(e), n)}
    return [rng.normal(0, 3, shapes[task.head](e)).astype(np.float32) for e in encodings]


@every_task
def test_it_says_of_itself_what_others_look_up(task: Task) -> None:
    assert task.name in TASKS
    assert task.gold in READERS
    assert task.answers in HELD
    assert task.answers in SHOWN
    assert task.activation in ("softmax", "sigmoid")
    assert task.suit(False).name in TASKS


@every_task
def test_names_of_logits_lead_back_to_the_labels(task: Task) -> None:
    names = task.label_names(LABELS)
    assert len(set(names)) == len(names) >= len(LABELS)
    assert task.labels_of(names) == LABELS


@every_task
@any_length
@pytest.mark.parametrize("text", [TEXT, "", " ", "\u200b\U0001f44d"])
def test_logits_of_every_window_become_one_prediction_for_json(task: Task, length: int, text: str) -> None:
    names = task.label_names(LABELS)
    given, encodings = task.parse({"text": text}), encode(task, text, length)
    found = rows(task, encodings, len(names))
    logits = task.join(encodings, found)
    assert logits.shape[-1] == len(names)
    prediction = task.decode(given, encodings, logits, Decoding(names, 1.3))
    assert json.loads(json.dumps(prediction.answer)) == prediction.answer
    assert {"label", "probability"} <= json.loads(json.dumps(prediction.row)).keys()
    for label, probability in prediction.ranked:
        assert label in LABELS
        assert 0 <= probability <= 1
    several = isinstance(prediction.label, list)
    assert several == isinstance(prediction.probability, list) == (task.answers != "label")


@every_task
def test_its_summary_holds_nothing_of_the_text(task: Task) -> None:
    names, text = task.label_names(LABELS), "Xanthippe Quixote Zebulon"
    encodings = encode(task, text, 64)
    logits = task.join(encodings, rows(task, encodings, len(names)))
    logged = json.dumps(task.decode(Input(text), encodings, logits, Decoding(names)).summary)
    assert not any(word in logged for word in text.split())


@every_task
@any_length
def test_what_is_learned_from_windows_joins_to_what_is_true(task: Task, length: int) -> None:
    encodings, names = encode(task, TEXT, length), task.label_names(LABELS)
    (target,) = task.targets([GOLDS[task.gold]], [encodings], names)
    learned = task.spread(target, encodings)
    assert len(learned) == len(encodings)
    joined = task.join(encodings, [np.asarray(each, np.float32) for each in learned])
    np.testing.assert_array_equal(joined, target)
