"""A trained model on disk becomes the predictor that answers, or one message that names the damaged file."""

import json
from pathlib import Path

import numpy as np

from retort.artifact import Artifact, load_artifact, load_pointed
from retort.engine.predictor import Predictor, run_encodings
from retort.engine.session import Session, open_session
from retort.errors import BadArtifact, BadCheckpoint, InvalidInput, ModelNotReady
from retort.tasks.base import Floats, Input
from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer, load_tokenizer

GOLDEN = "golden.jsonl"
# How far a logit may lie from its golden value, as a share of the largest one: fp32 kernels differ by rounding between
# processors, bfloat16 (0.011 measured) and 8-bit ones (0.093 measured, AVX2 beside AVX512-VNNI) by more.
TOLERANCES = {("model.onnx", "float32"): 1e-3, ("model.onnx", "bfloat16"): 0.05}
LOOSE_TOLERANCE = 0.2


class Registry:
    """The model that answers: none until `load` is done."""

    def __init__(self, models_dir: Path, n_threads: int = 0, max_batch_tokens: int = 512) -> None:
        self._models_dir, self._n_threads, self._max_batch_tokens = models_dir, n_threads, max_batch_tokens
        self._current: Predictor | None = None

    @property
    def current(self) -> Predictor:
        """The predictor that answers.

        Raises ModelNotReady: it is still being loaded.
        """
        if self._current is None:
            raise ModelNotReady("The model is still being loaded; try again in a moment.")
        return self._current

    def load(self, verify: bool = True) -> Predictor:
        """Load what the pointer names; it answers once it is proven.  Without `verify` its checksums are believed.

        Raises BadArtifact, naming the file: something is missing or damaged, or the model gives other logits than
        when it was trained.
        """
        artifact = load_pointed(self._models_dir, verify)
        self._current = load_predictor(artifact, self._n_threads, self._max_batch_tokens)
        return self._current


def load_predictor(artifact: Artifact, n_threads: int = 0, max_batch_tokens: int = 512) -> Predictor:
    """A predictor that gave its golden logits and has run a batch of full size.

    Raises BadArtifact, naming the file.
    """
    try:
        tokenizer = load_tokenizer(artifact.path / "tokenizer.json")
    except BadCheckpoint as e:
        raise BadArtifact(str(e)) from e
    session = open_session(artifact.path / artifact.served.graph, n_threads, artifact.served.precision)
    try:
        _replay_golden(session, tokenizer, load_artifact(artifact.path, verify=False))  # not cut by a pointer
        length = artifact.served.max_seq_len
        filler = Encoding([tokenizer.cls_id] * length, length)
        run_encodings(session, [filler] * max(1, max_batch_tokens // length), tokenizer.pad_id, max_batch_tokens)
    except BaseException:
        session.close()
        raise
    return Predictor(artifact, session, tokenizer, max_batch_tokens)


def _replay_golden(session: Session, tokenizer: Tokenizer, artifact: Artifact) -> None:
    file, graph = artifact.path / GOLDEN, artifact.path / artifact.served.graph
    tolerance = TOLERANCES.get((artifact.served.graph, artifact.served.precision), LOOSE_TOLERANCE)
    golden = _read_golden(file, artifact)
    if not golden:
        raise BadArtifact(f"{file} is empty; a model is served only after it gave the logits it must give.")
    for number, (given, expected) in enumerate(golden, 1):
        try:
            (encodings,) = artifact.served.encode([given], tokenizer)
            found = run_encodings(session, encodings, tokenizer.pad_id).mean(axis=0)
        except Exception as e:  # whatever the runtime makes of a graph and a tokenizer that do not fit
            raise BadArtifact(f"{graph} does not run on {file}, line {number}: {e}") from e
        n_labels = len(artifact.served.labels)
        if not found.shape == expected.shape == (n_labels,):
            raise BadArtifact(
                f"Expected {n_labels} logits, one a label; {graph} gives {found.size}, {file}, line {number} "
                f"has {expected.size}."
            )
        distance = float(np.abs(found - expected).max()) / max(1.0, float(np.abs(expected).max()))
        if not distance <= tolerance:  # also when it is NaN
            raise BadArtifact(
                f"{graph} does not give the logits of {file}, line {number}: they are {distance:.2g} away where "
                f"{tolerance} is allowed. Serve another model, or train this one again."
            )


def _read_golden(file: Path, artifact: Artifact) -> list[tuple[Input, Floats]]:
    try:
        lines = file.read_text(encoding="utf-8").split("\n")  # not splitlines: texts may hold other line ends
    except (OSError, UnicodeDecodeError) as e:
        raise BadArtifact(f"Cannot read {file}: {e}.") from e
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
            found.append((artifact.task.parse(fields), np.asarray(fields["logits"], np.float32)))
        except (ValueError, KeyError, TypeError, AttributeError, InvalidInput) as e:
            raise BadArtifact(f"{file}, line {number} is damaged: {e!r}.") from e
    return found
