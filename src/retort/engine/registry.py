"""The pointer's models become the predictors that answer, by name, and follow it when it changes.

A new model is loaded beside the old one and proves itself; then one reference is replaced.  The old one answers whom
it was lent to and is closed.  A model that fails its proof changes nothing but a line in the log and a count.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from retort.artifact import Artifact, load_pointed, resolve
from retort.config import ServeSettings
from retort.engine.batcher import BatchLimits
from retort.engine.leases import Leases
from retort.engine.loading import load_predictor
from retort.engine.memory import check_memory, free_memory
from retort.engine.metrics import Metrics
from retort.engine.niceness import be_nice
from retort.engine.predictor import Predictor
from retort.errors import BadArtifact, ModelNotReady, NoSuchModel, RetortError
from retort.pointer import DEFAULT as DEFAULT
from retort.pointer import Look, Pointer, look_at_pointer, parse_pointers

DRAIN_TIMEOUT_S = 30.0
MAX_PAUSE_S = 0.25
MAX_WARM_UP_S = 5.0  # beside a model that answers nobody waits

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A predictor that answers, and since when."""

    predictor: Predictor
    loaded: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def artifact(self) -> Artifact:
        """What it was loaded from."""
        return self.predictor.artifact


class Registry:
    """The models that answer, by name: none until `load` is done.

    `free` gives the bytes of memory that are left.
    """

    def __init__(
        self,
        models_dir: Path,
        n_threads: int = 0,
        limits: BatchLimits | None = None,
        metrics: Metrics | None = None,
        free: Callable[[], int | None] = free_memory,
    ) -> None:
        self.models_dir, self._n_threads, self._limits, self._free = models_dir, n_threads, limits, free
        self.metrics = metrics or Metrics()
        self._held: dict[str, Held] = {}  # never changed, only replaced
        self._turn = threading.RLock()  # of who changes what is held
        self._acted_on: Look | None = None
        self._stopping = threading.Event()
        self._leases = Leases()
        self.metrics.watch_waiting(self._count_waiting)

    @property
    def current(self) -> Predictor:
        """The default predictor.

        Raises ModelNotReady: it is still being loaded.
        """
        return self._find(None)

    @property
    def held(self) -> dict[str, Held]:
        """Everything that answers now, by name, the default model first."""
        return self._held

    @property
    def acted_on(self) -> Look | None:
        """The pointer as it was when it was last acted on."""
        return self._acted_on

    def lease(self, name: str | None = None) -> AbstractContextManager[Predictor]:
        """The predictor of that name (the default one without), which is not taken away while it is in use.

        Raises, when it is entered: ModelNotReady: it is still being loaded; NoSuchModel.
        """
        return self._leases.lend(lambda: self._find(name))

    def stuck_s(self) -> float:
        """For how long the slowest batch of any model has been running."""
        found = [held.predictor for held in self._held.values()] + self._leases.retired
        return max((predictor.batcher.stuck_s() for predictor in found), default=0.0)

    def load(self, verify: bool = True) -> Predictor:
        """Load what the pointer names.  Without `verify` the checksums of the default model are believed.

        Raises BadArtifact, naming the file: something of the default model is missing or damaged, or it gives other
        logits than when it was trained.  Further models that are bad are logged, counted and left out.
        """
        with self._turn:
            look = look_at_pointer(self.models_dir)
            artifact = load_pointed(self.models_dir, verify)
            found = {DEFAULT: Held(load_predictor(artifact, self._n_threads, self._limits, self.metrics))}
            pointers = parse_pointers(self.models_dir, look)
            for name, fault in pointers.faults.items():
                self._refuse(name, fault)
            for name, pointer in pointers.models.items():
                if name == DEFAULT:
                    continue
                try:
                    found[name] = self._load(pointer)
                except Exception as e:
                    self._refuse(name, e)
            self._acted_on = look
            self._replace(found)
        return found[DEFAULT].predictor

    def reload(self, look: Look | None = None) -> dict[str, Exception]:
        """Follow the pointer: load what is new or changed, let go of what it no longer names.

        Returns what was refused, by name ("" for the file as a whole); whatever answered before still does.
        """
        with self._turn:
            self._acted_on = look = look or look_at_pointer(self.models_dir)
            try:
                pointers = parse_pointers(self.models_dir, look)
            except BadArtifact as e:
                return self._refuse("", e)
            refused: dict[str, Exception] = {}
            for name in self._held.keys() - pointers.models.keys() - pointers.faults.keys():
                self._replace({n: held for n, held in self._held.items() if n != name})
            for name, fault in pointers.faults.items():
                refused |= self._refuse(name, fault)
            for name, pointer in pointers.models.items():
                try:
                    self._install(name, self._prepare(name, pointer))
                except Exception as e:
                    refused |= self._refuse(name, e)
            return refused

    def point(self, name: str, pointer: Pointer, write: Callable[[], None]) -> None:
        """Serve `pointer` under `name`; `write` is called once it proved itself, so a bad model is never pointed to.

        Raises BadArtifact: it did not; what answered before still does.
        """
        with self._turn, self._writing():
            try:
                new = self._prepare(name, pointer)
            except Exception as e:
                self._refuse(name, e)
                raise
            try:
                write()
            except BaseException:
                if new is not self._held.get(name):
                    new.predictor.close()
                raise
            self._install(name, new)

    def drop(self, name: str, write: Callable[[], None]) -> None:
        """Serve `name` no longer; `write` takes it out of the pointer."""
        with self._turn, self._writing():
            write()
            self._replace({n: held for n, held in self._held.items() if n != name})

    def wait_until_drained(self, timeout_s: float = DRAIN_TIMEOUT_S) -> bool:
        """Whether every model that was replaced has given its memory back."""
        return self._leases.wait_until_drained(timeout_s)

    def stop_loading(self) -> None:
        """Give up, soon, whatever is being loaded, and load nothing more."""
        self._stopping.set()

    def close(self) -> None:
        """Answer what waits, then give all memory back."""
        self.stop_loading()
        with self._turn:
            self._replace({})
        self.wait_until_drained()

    # Everything below changes what is held, in its turn.

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What we write ourselves needs no second look, unless somebody else wrote something before."""
        is_known = look_at_pointer(self.models_dir) == self._acted_on
        yield
        if is_known:
            self._acted_on = look_at_pointer(self.models_dir)

    def _prepare(self, name: str, pointer: Pointer) -> Held:
        """What shall answer: the model that does already, or else a new one."""
        held = self._held.get(name)
        if held is not None and held.artifact == resolve(self.models_dir, pointer, verify=False):
            return held
        return self._load(pointer)

    def _install(self, name: str, new: Held) -> None:
        if new is not self._held.get(name):
            self._replace({**self._held, name: new})
            self.metrics.reloaded("loaded")
            log.info("Serving %s as %s", new.artifact.version, name)

    def _load(self, pointer: Pointer) -> Held:
        with ThreadPoolExecutor(1, initializer=be_nice) as reader:  # checksums read every byte of the model
            artifact = reader.submit(resolve, self.models_dir, pointer).result()
        check_memory(artifact, self._free())
        made = load_predictor(artifact, self._n_threads, self._limits, self.metrics, self._pause, MAX_WARM_UP_S)
        return Held(made)

    def _pause(self, busy_s: float) -> None:
        """Who proves itself takes half of a processor, so that who answers hardly feels it."""
        if self._stopping.wait(min(busy_s, MAX_PAUSE_S) if self._held else 0):
            raise ModelNotReady("The server stops.")

    def _replace(self, held: dict[str, Held]) -> None:
        before, self._held = self._held, held
        self.metrics.serves({name: each.artifact.version for name, each in held.items()})
        for each in before.values():
            if each not in held.values():
                self._leases.retire(each.predictor)

    def _refuse(self, name: str, error: Exception) -> dict[str, Exception]:
        if not self._stopping.is_set():
            self.metrics.reloaded("refused")
            why = str(error) if isinstance(error, RetortError) else repr(error)
            still = f"{held.artifact.version} still answers" if (held := self._held.get(name)) else "nothing changes"
            log.error("refused %s: %s (%s)", f"model {name!r}" if name else "the pointer", _one_line(why), still)
        return {name: error}

    def _find(self, name: str | None) -> Predictor:
        if not (held := self._held):
            raise ModelNotReady("The model is still being loaded; try again in a moment.")
        if (found := held.get(name or DEFAULT)) is None:
            raise NoSuchModel(f"There is no model of that name here; expected one of {', '.join(held)}.")
        return found.predictor

    def _count_waiting(self) -> tuple[int, int]:
        waiting = [held.predictor.batcher.waiting for held in self._held.values()]
        return sum(requests for requests, _ in waiting), sum(tokens for _, tokens in waiting)


def open_registry(settings: ServeSettings) -> Registry:
    """A registry that holds nothing yet and will serve as the settings say."""
    limits = BatchLimits(settings.max_batch_tokens, settings.max_wait_ms / 1000, settings.max_waiting_tokens)
    return Registry(settings.models_dir, settings.n_threads, limits)


def _one_line(text: str) -> str:
    return " ".join(text.split())
