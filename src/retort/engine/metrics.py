"""What is counted and measured, for Prometheus.  One object for one server; nothing global."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128)
TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
STAGES = ("tokenization", "queue", "inference", "total")
REFUSED = ("requests", "tokens", "memory", "rate")
DROPPED = ("DeadlinePassed", "ClientLeft", "ModelNotReady")
OUTCOMES = ("loaded", "refused")


class Metrics:
    """Counters that agree with what clients saw, and how long each stage took."""

    def __init__(self) -> None:
        self.registry = at = CollectorRegistry()
        self._requests = Counter("retort_requests", "Answers.", ["endpoint", "model", "code"], registry=at)
        stages = Histogram("retort_stage_seconds", "Predictions, by stage.", ["stage"], buckets=SECONDS, registry=at)
        self._stages = {stage: stages.labels(stage) for stage in STAGES}
        self._texts = Counter("retort_texts", "Texts answered.", registry=at)
        self._tokens = Counter("retort_tokens", "Tokens of texts answered, without padding.", registry=at)
        self._batch_texts = Histogram("retort_batch_texts", "Encodings a batch.", buckets=TEXTS, registry=at)
        self._batch_tokens = Histogram("retort_batch_tokens", "Padded tokens a batch.", buckets=TOKENS, registry=at)
        self._batch_seconds = Histogram("retort_batch_seconds", "Seconds a batch.", buckets=SECONDS, registry=at)
        self._refused = Counter("retort_refused", "Requests refused, by reason.", ["reason"], registry=at)
        self._dropped = Counter("retort_dropped", "Requests given up unanswered, by reason.", ["reason"], registry=at)
        self._failed = Counter("retort_failed_texts", "Texts that a model gave no answer to.", registry=at)
        self._reloads = Counter("retort_reloads", "Attempts to load a model, by outcome.", ["outcome"], registry=at)
        self._model = Gauge("retort_model_info", "1 for each model that answers.", ["name", "version"], registry=at)
        self._waiting_requests = Gauge("retort_waiting_requests", "Requests waiting for a batch.", registry=at)
        self._waiting_tokens = Gauge("retort_waiting_tokens", "Tokens waiting for a batch.", registry=at)
        ProcessCollector(registry=at)
        self._answers: dict[tuple[str, str, int], Counter] = {}
        self._names = {"default"}
        self._serving: set[tuple[str, str]] = set()
        for counter, values in ((self._refused, REFUSED), (self._dropped, DROPPED), (self._reloads, OUTCOMES)):
            for value in values:  # so that each is 0 before it happens, and its first time is an increase
                counter.labels(value)

    def answered(self, endpoint: str, model: str, code: int) -> None:
        """An answer left, or would have: `code` is its status; `model` the name asked for, empty where none was.

        Only names of models that were once served are kept: clients may ask for any.
        """
        if model not in self._names:
            model = ""
        key = endpoint, model, code
        if (counter := self._answers.get(key)) is None:
            counter = self._answers[key] = self._requests.labels(endpoint, model, str(code))
        counter.inc()

    def predicted(self, n_texts: int, n_failed: int, n_tokens: int, seconds: dict[str, float]) -> None:
        """One request's texts went through; `seconds` by stage."""
        self._texts.inc(n_texts)
        self._tokens.inc(n_tokens)
        if n_failed:
            self._failed.inc(n_failed)
        for stage, spent in seconds.items():
            self._stages[stage].observe(spent)

    def took(self, stage: str, seconds: float) -> None:
        """A stage of one request's predictions is over."""
        self._stages[stage].observe(seconds)

    def ran(self, n_encodings: int, padded_tokens: int, seconds: float) -> None:
        """A batch ran."""
        self._batch_texts.observe(n_encodings)
        self._batch_tokens.observe(padded_tokens)
        self._batch_seconds.observe(seconds)

    def refused(self, reason: str) -> None:
        """A request was refused: `requests`, `tokens`, `memory` or `rate`."""
        self._refused.labels(reason).inc()

    def dropped(self, reason: str) -> None:
        """A request was given up: the name of its error."""
        self._dropped.labels(reason).inc()

    def reloaded(self, outcome: str) -> None:
        """A model was `loaded`, or `refused`, and the one before it still answers."""
        self._reloads.labels(outcome).inc()

    def serves(self, models: dict[str, str]) -> None:
        """Which versions answer now, by name."""
        self._names |= models.keys()
        before, self._serving = self._serving, set(models.items())
        for name, version in self._serving:
            self._model.labels(name, version).set(1)
        for name, version in before - self._serving:
            self._model.remove(name, version)

    def watch_waiting(self, waiting: Callable[[], tuple[int, int]]) -> None:
        """`waiting` gives requests and tokens, whenever somebody looks."""
        self._waiting_requests.set_function(lambda: waiting()[0])
        self._waiting_tokens.set_function(lambda: waiting()[1])
