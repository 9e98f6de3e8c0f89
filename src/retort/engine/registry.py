"""A trained model on disk becomes the predictor that answers, or one message that names the damaged file."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from retort.artifact import Artifact, load_artifact, load_pointed
from retort.config import ServeSettings
from retort.engine.batcher import BatchLimits
from retort.engine.metrics import Metrics
from retort.engine.predictor import Predictor, run_encodings
from retort.engine.session import Session, open_session
from retort.errors import BadArtifact, BadCheckpoint, InvalidInput, ModelNotReady, NoSuchModel
from retort.tasks.base import Floats, Input
from retort.tokenization.encoding import Encoding
from retort.tokenization.tokenizer import Tokenizer, load_tokenizer

GOLDEN = "golden.jsonl"
# How far a logit may lie from its golden value, as a share of the largest one: fp32 kernels differ by rounding between
# processors, 8-bit ones by more (each rounds its activations to what its instructions take).
TOLERANCES = {"model.onnx": 1e-3}
LOOSE_TOLERANCE = 0.1


DEFAULT = "default"  # the name of the model at the pointer's top level


class Registry:
    """The models that answer, by name: none until `load` is done."""

    def __init__(
        self, models_dir: Path, n_threads: int = 0, limits: BatchLimits | None = None, metrics: Metrics | None = None
    ) -> None:
        self._models_dir, self._n_threads, self._limits = models_dir, n_threads, limits
        self.metrics = metrics or Metrics()
        self._lock = threading.Lock()
        self._predictors: dict[str, Predictor] = {}
        self._n_leases: dict[Predictor, int] = {}
        self.metrics.watch_waiting(self._count_waiting)

    @property
    def current(self) -> Predictor:
        """The default predictor.

        Raises ModelNotReady: it is still being loaded.
        """
        return self._find(None)

    @contextmanager
    def lease(self, name: str | None = None) -> Iterator[Predictor]:
        """The predictor of that name (the default one without), which is not taken away while it is in use.

        Raises ModelNotReady: it is still being loaded; NoSuchModel.
        """
        with self._lock:
            predictor = self._find(name)
            self._n_leases[predictor] = self._n_leases.get(predictor, 0) + 1
        try:
            yield predictor
        finally:
            with self._lock:
                self._n_leases[predictor] -= 1

    def stuck_s(self) -> float:
        """For how long the slowest batch of any model has been running."""
        return max((p.batcher.stuck_s() for p in list(self._predictors.values())), default=0.0)

    def load(self, verify: bool = True) -> Predictor:
        """Load what the pointer names; it answers once it is proven.  Without `verify` its checksums are believed.

        Raises BadArtifact, naming the file: something is missing or damaged, or the model gives other logits than
        when it was trained.
        """
        artifact = load_pointed(self._models_dir, verify)
        self._predictors[DEFAULT] = load_predictor(artifact, self._n_threads, self._limits, self.metrics)
        self.metrics.serves({name: p.artifact.version for name, p in self._predictors.items()})
        return self._predictors[DEFAULT]

    def close(self) -> None:
        """Answer what waits, then give all memory back."""
        for predictor in self._predictors.values():
            predictor.close()

    def _find(self, name: str | None) -> Predictor:
        if not self._predictors:
            raise ModelNotReady("The model is still being loaded; try again in a moment.")
        if (found := self._predictors.get(name or DEFAULT)) is None:
            raise NoSuchModel(f"There is no model of that name here; expected one of {', '.join(self._predictors)}.")
        return found

    def _count_waiting(self) -> tuple[int, int]:
        waiting = [p.batcher.waiting for p in list(self._predictors.values())]
        return sum(requests for requests, _ in waiting), sum(tokens for _, tokens in waiting)


def open_registry(settings: ServeSettings) -> Registry:
    """A registry that holds nothing yet and will serve as the settings say."""
    limits = BatchLimits(settings.max_batch_tokens, settings.max_wait_ms / 1000, settings.max_waiting_tokens)
    return Registry(settings.models_dir, settings.n_threads, limits)


def load_predictor(
    artifact: Artifact, n_threads: int = 0, limits: BatchLimits | None = None, metrics: Metrics | None = None
) -> Predictor:
    """A predictor that gave its golden logits and has run a batch of full size.

    Raises BadArtifact, naming the file.
    """
    try:
        tokenizer = load_tokenizer(artifact.path / "tokenizer.json")
    except BadCheckpoint as e:
        raise BadArtifact(str(e)) from e
    session = open_session(artifact.path / artifact.served.graph, n_threads)
    try:
        _replay_golden(session, tokenizer, load_artifact(artifact.path, verify=False))  # not cut by a pointer
        length = artifact.served.max_seq_len
        filler = Encoding([tokenizer.cls_id] * length, length)
        run_encodings(session, [filler] * max(1, session.max_batch_tokens // length), tokenizer.pad_id)
    except BaseException:
        session.close()
        raise
    return Predictor(artifact, session, tokenizer, limits, metrics)


def _replay_golden(session: Session, tokenizer: Tokenizer, artifact: Artifact) -> None:
    file, graph = artifact.path / GOLDEN, artifact.path / artifact.served.graph
    tolerance = TOLERANCES.get(artifact.served.graph, LOOSE_TOLERANCE)
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
