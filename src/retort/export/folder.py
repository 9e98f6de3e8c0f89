"""A trained model becomes the files of an artifact that serving and `transformers` read."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import save_file

from retort.artifact import Served
from retort.disk import write_json
from retort.engine.predictor import run_encodings
from retort.engine.session import open_session
from retort.export.onnx import build_graph, save_graph
from retort.export.verify import FLOAT_GRAPH, check_equal
from retort.model.architecture import Config, Weights
from retort.model.classifier import Classifier
from retort.model.families import FAMILIES
from retort.model.heads import HEADS
from retort.model.hugging_face import tokenizer_files
from retort.tasks import TASKS, Input, Task
from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer
from retort.training.part import flatten

MAX_GOLDEN_CHARACTERS = 500  # goldens are replayed at each start, so long texts are left to the tests


def write_graph(
    folder: Path, config: Config, weights: Weights, task: Task, encodings: Sequence[Encoding], pad_id: int
) -> None:
    """Write `model.onnx`, which must give the logits that TensorFlow computes in float32 from the same weights.

    Raises TrainingFailed: it does not, for these `encodings`.
    """
    save_graph(build_graph(config, weights, task.head), folder / FLOAT_GRAPH)
    head = HEADS[task.head](config, weights["classifier.bias"].size, task.activation, weights)
    expected = Classifier(FAMILIES[config.family].build(config, weights), head).predict_logits(encodings)
    session = open_session(folder / FLOAT_GRAPH)
    check_equal(flatten(expected), flatten(run_encodings(session, encodings, pad_id)))
    session.close()


def write_model(folder: Path, config: Config, weights: Weights, tokenizer: Tokenizer, served: Served) -> None:
    """Write what stands beside the graphs: `model.safetensors`, `config.json` and the tokenizer's files."""
    describe = FAMILIES[config.family].describe
    described, state = describe(config, weights, served.labels, TASKS[served.task].problem_type)
    try:
        save_file(state, folder / "model.safetensors", {"format": "pt"})
    except SafetensorError as e:  # what it makes of a full disk
        raise OSError(None, str(e), str(folder / "model.safetensors")) from e
    (folder / "model.safetensors").chmod(0o644)  # written for its owner alone; a container serves as somebody else
    for name, content in tokenizer_files(tokenizer, config, served.max_seq_len).items():
        (folder / name).write_text(content, encoding="utf-8")
    write_json(folder / "config.json", described | {"retort": served.to_json()})


def write_golden(folder: Path, served: Served, tokenizer: Tokenizer, inputs: Sequence[Input]) -> None:
    """Write `golden.jsonl`: inputs with the logits that the serving graph gives for each alone."""
    session = open_session(folder / served.graph, precision=served.precision)
    short = [i for i in inputs if len(i.text) + len(i.text_pair or "") <= MAX_GOLDEN_CHARACTERS] or [_cut(inputs[0])]
    task, encoded = TASKS[served.task], served.encode(short, tokenizer)
    with (folder / "golden.jsonl").open("w", encoding="utf-8") as f:
        for one, encodings in zip(short, encoded, strict=True):
            logits = task.join(encodings, run_encodings(session, encodings, tokenizer.pad_id))
            fields = {name: text for name, text in asdict(one).items() if text is not None}
            f.write(json.dumps(fields | {"logits": logits.tolist()}, ensure_ascii=False) + "\n")
    session.close()


def _cut(given: Input) -> Input:
    """Where every text is long, the beginning of one must do."""
    pair = given.text_pair and given.text_pair[: MAX_GOLDEN_CHARACTERS // 2]
    return Input(given.text[: MAX_GOLDEN_CHARACTERS // 2], pair)
