"""Does a graph answer as it must?  Logits against logits, and which way to compute a model may serve."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from retort.artifact import Precision
from retort.errors import TrainingFailed
from retort.tasks.base import Floats

FLOAT_GRAPH, INT8_GRAPH = "model.onnx", "model.int8.onnx"
EQUAL_TOLERANCE = 1e-4
MAX_ACCURACY_DROP = 0.003
MIN_AGREEMENT = 0.99


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to compute a model: an ONNX file, and the precision of what it does not compute in 8 bits."""

    graph: str
    precision: Precision

    @property
    def name(self) -> str:
        """`int8`, `bfloat16` or `float32`."""
        return "int8" if self.graph == INT8_GRAPH else self.precision

    def __str__(self) -> str:
        if self.graph != INT8_GRAPH:
            return self.precision
        return "8 bits" if self.precision == "float32" else f"8 bits with {self.precision}"


@dataclass(frozen=True, slots=True)
class Trial:
    """What a variant does to float32's answers on validation rows: the share of equal decisions, and how much of the
    task's first score is lost."""

    agreement: float
    drop: float

    @property
    def passed(self) -> bool:
        """Whether it may serve."""
        return self.drop <= MAX_ACCURACY_DROP + 1e-12 and self.agreement >= MIN_AGREEMENT - 1e-12


@dataclass(frozen=True, slots=True)
class Decision:
    """How a model is computed where it serves, and why, as a sentence for the report."""

    variant: Variant
    reason: str


EXACT = Variant(FLOAT_GRAPH, "float32")


def check_equal(expected: Floats, actual: Floats, tolerance: float = EQUAL_TOLERANCE) -> float:
    """The largest difference between logits (N, n_labels), as a share of the largest (or of 1, if that is more).

    Raises TrainingFailed: it is above `tolerance`, or one of them is no number.
    """
    if expected.shape != actual.shape:
        raise TrainingFailed(f"Expected the exported graph to give logits {expected.shape}, got {actual.shape}.")
    difference = float(np.abs(expected - actual).max()) / max(1.0, float(np.abs(expected).max()))
    if not difference <= tolerance:  # also when it is NaN
        raise TrainingFailed(
            f"The exported graph does not answer as the trained model: logits differ by {difference:.2g} where "
            f"{tolerance} is allowed. Nothing was published."
        )
    return difference


def list_variants(native: Precision) -> list[Variant]:
    """All but the exact one, the fastest first, on a processor whose fastest precision is `native`."""
    every = [
        Variant(graph, precision) for graph in (INT8_GRAPH, FLOAT_GRAPH) for precision in (native, EXACT.precision)
    ]
    return [variant for variant in dict.fromkeys(every) if variant != EXACT]


def choose_variant(variants: Sequence[Variant], attempt: Callable[[Variant], Trial]) -> Decision:
    """The first that keeps float32's decisions, else float32; those after it are not tried."""
    found = []
    for variant in variants:
        trial = attempt(variant)
        lost, kept = f"{100 * trial.drop:.2f} points of validation score", f"{100 * trial.agreement:.2f} %"
        found.append(f"{variant} cost {lost} and keep {kept} of float32's decisions")
        if trial.passed:
            return Decision(variant, _explain(found, f"{variant} serve: {_GAINS[variant.name]}"))
    return Decision(EXACT, _explain(found, "float32 serves"))


_GAINS = {"int8": "smaller and faster", "bfloat16": "faster"}


def _explain(found: Sequence[str], conclusion: str) -> str:
    allowed = f"at most {100 * MAX_ACCURACY_DROP:.1f} points and at least {100 * MIN_AGREEMENT:.0f} % are asked for"
    tried = "; ".join(found)
    return f"{tried[:1].upper()}{tried[1:]} ({allowed}), so {conclusion}."
