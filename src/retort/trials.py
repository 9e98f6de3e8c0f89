"""Ways to compute a trained model are tried on its own splits, by the very sessions that serve: which one may, and what
each is worth."""

from pathlib import Path

from retort.engine.predictor import run_encodings
from retort.engine.session import native_precision, open_session
from retort.export.verify import EXACT, Decision, Trial, Variant, choose_variant, list_variants
from retort.tasks import Decoding
from retort.tasks.base import Floats
from retort.training.evaluate import Measured
from retort.training.part import Part


class Trials:
    """The graphs in one folder.  `decoding` is untempered."""

    def __init__(self, folder: Path, pad_id: int, decoding: Decoding, validation: Part, test: Part) -> None:
        self._folder, self._pad_id, self._decoding = folder, pad_id, decoding
        self._validation, self._test = validation, test
        self._logits: dict[Variant, list[Floats]] = {}  # of the validation split

    def run(self) -> tuple[Decision, dict[str, Measured]]:
        """The way that serves, and by name what each that was tried is worth."""
        self._logits[EXACT] = self._run(EXACT, self._validation)
        decision = choose_variant(list_variants(native_precision()), self._try)
        return decision, {variant.name: self._measure(variant) for variant in self._logits}

    def _run(self, variant: Variant, part: Part) -> list[Floats]:
        session = open_session(self._folder / variant.graph, precision=variant.precision)
        logits = part.run(lambda encodings: run_encodings(session, encodings, self._pad_id))
        session.close()
        return logits

    def _try(self, variant: Variant) -> Trial:
        self._logits[variant] = self._run(variant, self._validation)
        same = self._validation.agreement(self._logits[EXACT], self._logits[variant], self._decoding)
        return Trial(same, self._score(EXACT) - self._score(variant))

    def _score(self, variant: Variant) -> float:
        return next(iter(self._validation.evaluate(self._logits[variant], self._decoding).scores.values()))

    def _measure(self, variant: Variant) -> Measured:
        logits, part, plain = self._logits[variant], self._validation, self._decoding
        temperature = part.fit_temperature(logits, plain)
        decoding = Decoding(plain.labels, temperature, plain.threshold, plain.chain)
        found = self._run(variant, self._test)
        return Measured(temperature, part.evaluate(logits, decoding), self._test.evaluate(found, decoding))
