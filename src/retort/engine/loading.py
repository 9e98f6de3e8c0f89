"""An artifact becomes a predictor that proved itself, or one message that names the damaged file."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from retort.artifact import Artifact, load_artifact
from retort.disk import read_json
from retort.engine.batcher import BatchLimits
from retort.engine.metrics import Metrics
from retort.engine.predictor import Predictor, run_encodings
from retort.engine.session import Session, open_session
from retort.errors import BadArtifact, BadCheckpoint, InvalidInput
from retort.tasks.base import Floats, Input
from retort.tokenization.batch import ROWS, WIDTHS, collate
from retort.tokenization.tokenizer import Tokenizer, load_tokenizer

GOLDEN = "golden.jsonl"
# How far a logit may lie from its golden value, as a share of the largest one: fp32 kernels differ by rounding between
# processors, bfloat16 (0.011 measured) and 8-bit ones (0.093 measured, AVX2 beside AVX512-VNNI) by more.
TOLERANCES = {("model.onnx", "float32"): 1e-3, ("model.onnx", "bfloat16"): 0.05}
LOOSE_TOLERANCE = 0.2

MAX_WARM_UP_S = 0.3  # where somebody waits for the first model

Pause = Callable[[float], None]  # told how many seconds of the processor were just taken; may wait, may raise


def _no_pause(busy_s: float) -> None:
    pass


def load_predictor(
    artifact: Artifact,
    n_threads: int = 0,
    limits: BatchLimits | None = None,
    metrics: Metrics | None = None,
    pause: Pause = _no_pause,
    max_warm_up_s: float = MAX_WARM_UP_S,
) -> Predictor:
    """A predictor that gave its golden logits and has met batches of every size.

    Raises BadArtifact, naming the file.
    """
    tokenizer = _load_tokenizer(artifact.path)
    session = open_session(artifact.path / artifact.served.graph, n_threads, artifact.served.precision)
    try:
        _replay_golden(session, tokenizer, load_artifact(artifact.path, verify=False), pause)  # not cut by a pointer
        _warm_up(session, tokenizer, artifact, pause, max_warm_up_s)
    except BaseException:
        session.close()
        raise
    return Predictor(artifact, session, tokenizer, limits, metrics)


def _load_tokenizer(folder: Path) -> Tokenizer:
    try:
        tokenizer = load_tokenizer(folder / "tokenizer.json")
    except BadCheckpoint as e:
        raise BadArtifact(str(e)) from e
    n_known = read_json(folder / "config.json").get("vocab_size")
    if type(n_known) is int and tokenizer.vocab_size > n_known:
        raise BadArtifact(
            f"{folder / 'tokenizer.json'} has {tokenizer.vocab_size} tokens where the model knows {n_known}: it is "
            "another model's."
        )
    return tokenizer


def _warm_up(session: Session, tokenizer: Tokenizer, artifact: Artifact, pause: Pause, max_warm_up_s: float) -> None:
    """On every stream: the largest batch, one text of each width, then other shapes while there is time."""
    longest, n_tokens = artifact.served.max_seq_len, session.max_batch_tokens
    widths = [*(width for width in WIDTHS if width < longest), longest]
    shapes = [(max(1, n_tokens // longest), longest), *((1, width) for width in widths)]
    shapes += [(rows, width) for rows in ROWS[1:] for width in widths if rows * width <= n_tokens]
    start = time.perf_counter()
    for number, (n_texts, length) in enumerate(shapes):
        for stream in range(session.n_streams):
            begun = time.perf_counter()
            if number and begun - start > max_warm_up_s:
                return
            batch = [artifact.served.blank(tokenizer, length)] * n_texts
            try:
                session.run(collate(batch, tokenizer.pad_id), stream)
            except Exception as e:  # whatever the runtime makes of a graph that knows fewer positions
                raise BadArtifact(
                    f"{artifact.path / artifact.served.graph} does not run on {n_texts} texts of {length} tokens: {e}"
                ) from e
            pause(time.perf_counter() - begun)


def _replay_golden(session: Session, tokenizer: Tokenizer, artifact: Artifact, pause: Pause) -> None:
    file, graph = artifact.path / GOLDEN, artifact.path / artifact.served.graph
    tolerance = TOLERANCES.get((artifact.served.graph, artifact.served.precision), LOOSE_TOLERANCE)
    n_labels = len(artifact.served.labels)
    number = 0
    for number, given, expected in _read_golden(file, artifact):
        start = time.perf_counter()
        try:
            (encodings,) = artifact.served.encode([given], tokenizer)
            found = artifact.task.join(encodings, run_encodings(session, encodings, tokenizer.pad_id))
        except Exception as e:  # whatever the runtime makes of a graph and a tokenizer that do not fit
            raise BadArtifact(f"{graph} does not run on {file}, line {number}: {e}") from e
        pause(time.perf_counter() - start)
        if not found.size and not expected.size:  # no words to label
            continue
        if found.shape != expected.shape or found.shape[-1] != n_labels:
            raise BadArtifact(
                f"Expected {n_labels} logits, one a label; {graph} gives {found.shape}, {file}, line {number} has "
                f"{expected.shape}."
            )
        distance = float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
        if not distance <= tolerance:  # also when it is NaN
            raise BadArtifact(
                f"{graph} does not give the logits of {file}, line {number}: they are {distance:.2g} away where "
                f"{tolerance} is allowed. Serve another model, or train this one again."
            )
    if not number:
        raise BadArtifact(f"{file} is empty; a model is served only after it gave the logits it must give.")


def _read_golden(file: Path, artifact: Artifact) -> Iterator[tuple[int, Input, Floats]]:
    """Number of the line, input, logits."""
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # not splitlines: texts may hold other line ends
    except (OSError, UnicodeDecodeError) as e:
        raise BadArtifact(f"Cannot read {file}: {e}.") from e
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            given, logits = artifact.task.parse(fields), np.asarray(fields["logits"], np.float32)
        except (ValueError, KeyError, TypeError, AttributeError, InvalidInput) as e:
            raise BadArtifact(f"{file}, line {number} is damaged: {e!r}.") from e
        yield number, given, logits
