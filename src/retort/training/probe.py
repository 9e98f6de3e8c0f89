"""Features of a frozen encoder become a linear head: logistic regression, its strength chosen by what was held out.

It is what `--few-shot` keeps, and where the head of a fine-tuned model starts.
"""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from retort.tasks.base import Floats, Targets
from retort.tasks.metrics import sigmoid, softmax

# Ridge on the kernel of standardised features against the summed loss; strongest first: each fit starts from the last.
STRENGTHS = (300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
DEFAULT_STRENGTH = 10.0  # where no row could be held out
BIAS_STRENGTH = 0.1  # keeps the bias of a label that never or always holds finite
N_FOLDS = 5
SEARCH_TOLERANCE = 1e-5  # for comparing strengths; the last fit goes further
ENOUGH_HELD_OUT = 1000  # rows; one fold of so many tells as much as all five

# (logits (N, L), truth (N, L), class weights (L,)) -> loss of each row (N,), its slope by the logits (N, L)
Loss = Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]
Bools = npt.NDArray[np.bool_]


def fit_probe(
    features: Floats,
    targets: Targets,
    n_labels: int,
    activation: str,
    seed: int = 0,
    class_weights: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Kernel (H, n_labels) and bias (n_labels,) for features (N, H) just as they came.

    Targets are (N,) ints for `softmax`, (N, n_labels) of 0 and 1 for `sigmoid`.  `class_weights` (n_labels,) weigh
    the rows of a label, or, where several may hold, its positive side.  A label may be without rows.
    """
    with threadpool_limits(1):  # one is as fast here, and the same bits come out wherever cores are shared
        return _fit_probe(features, targets, n_labels, activation, seed, class_weights)


def _fit_probe(
    features: Floats, targets: Targets, n_labels: int, activation: str, seed: int, class_weights: Floats | None
) -> tuple[Floats, Floats]:
    centre, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.maximum(scale, 0.1 * scale.mean())  # encoders have units that hardly ever move
    scale[scale == 0] = 1.0
    x, basis = _uncorrelate(((features - centre) / scale).astype(np.float32))
    truth = np.eye(n_labels, dtype=np.float32)[targets] if targets.ndim == 1 else targets.astype(np.float32)
    weights = np.ones(n_labels, np.float32) if class_weights is None else np.asarray(class_weights, np.float32)
    problem = _Problem(x, truth, weights, _LOSSES[activation])
    fitted = problem.fit(_choose_strength(problem, np.random.default_rng(seed)))
    kernel = basis @ fitted[:-1] / scale[:, None]
    return kernel.astype(np.float32), (fitted[-1] - centre @ kernel).astype(np.float32)


class _Problem:
    """Rows `x` (N, H), which labels hold of each, `truth` (N, L), and what is to be small."""

    def __init__(self, x: Floats, truth: Floats, class_weights: Floats, loss: Loss) -> None:
        self.x, self.truth, self.class_weights, self.loss = x, truth, class_weights, loss

    def take(self, rows: Bools) -> "_Problem":
        """The same with some of the rows."""
        return _Problem(self.x[rows], self.truth[rows], self.class_weights, self.loss)

    def losses(self, head: Floats) -> tuple[Floats, Floats]:
        """Loss of each row under kernel and bias (H + 1, L), and its slope by the logits."""
        return self.loss(self.x @ head[:-1] + head[-1], self.truth, self.class_weights)

    def fit(self, strength: float, start: Floats | None = None, tolerance: float = 1e-7) -> Floats:
        """Kernel and, as the last row, bias: (H + 1, L).  `tolerance` is relative; single precision sees no finer."""
        n_rows, shape = len(self.x), (self.x.shape[1] + 1, self.truth.shape[1])
        ridge = np.full((shape[0], 1), strength, np.float32)
        ridge[-1] = BIAS_STRENGTH
        steps = self._steps(ridge)

        def cost(flat: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
            head = flat.reshape(shape).astype(np.float32) * steps
            losses, slope = self.losses(head)
            gradient = steps * (np.vstack([self.x.T @ slope, slope.sum(axis=0)]) + ridge * head)
            total = losses.sum(dtype=np.float64) + 0.5 * (ridge * head * head).sum(dtype=np.float64)
            return float(total) / n_rows, gradient.ravel().astype(np.float64) / n_rows

        first = np.zeros(shape) if start is None else (start / steps).astype(np.float64)
        options = {"maxiter": 200, "ftol": tolerance, "gtol": 1e-6}
        found = minimize(cost, first.ravel(), jac=True, method="L-BFGS-B", options=options)
        return np.asarray(found.x.reshape(shape) * steps, np.float32)

    def _steps(self, ridge: Floats) -> Floats:
        """How far each weight (H + 1, L) must move to matter: the curvature at the start, of uncorrelated features,
        makes the valley round and the search several times shorter."""
        rate = np.clip(self.truth.mean(axis=0), 1 / (len(self.x) + 1), 1 - 1 / (len(self.x) + 1))
        power = np.append((self.x * self.x).sum(axis=0), len(self.x))[:, None]
        return np.asarray(1 / np.sqrt(power * rate * (1 - rate) + ridge), np.float32)


def _uncorrelate(x: Floats) -> tuple[Floats, Floats]:
    """`x` (N, H) turned to its principal axes (N, R), and these axes (H, R); R is below N too, where rows are few."""
    values, axes = np.linalg.eigh(x.T @ x)
    axes = axes[:, values > 1e-6 * max(values[-1], 1e-12)]
    return x @ axes, axes


def _choose_strength(problem: _Problem, random: np.random.Generator) -> float:
    """The strongest ridge whose held-out loss is within one standard error of the best: as good, and less sure of
    itself, so that fine-tuning still has something to learn from."""
    folds = list(_hold_out(problem.truth, random))
    if not folds:
        return DEFAULT_STRENGTH
    heads: list[Floats | None] = [None] * len(folds)
    parts = [(problem.take(~held), problem.take(held)) for held in folds]
    measured: list[Floats] = []
    for strength in STRENGTHS:
        heads = [kept.fit(strength, head, SEARCH_TOLERANCE) for (kept, _), head in zip(parts, heads, strict=True)]
        losses = [held.losses(head)[0] for (_, held), head in zip(parts, heads, strict=True) if head is not None]
        measured.append(np.concatenate(losses))
        if len(measured) > 1 and measured[-1].mean() > measured[-2].mean():
            break
    best = min(measured, key=lambda m: float(m.mean()))
    margin = [float((m - best).mean()) for m in measured]
    error = float(best.std()) / np.sqrt(len(best))
    return next(s for s, more in zip(STRENGTHS, margin, strict=False) if more <= error)


def _hold_out(truth: Floats, random: np.random.Generator) -> Iterator[Bools]:
    """Masks (N,) of rows to hold out, every label in turn; a label's only row is never held out."""
    n_rows, support = len(truth), truth.sum(axis=0)
    rarest = np.where(truth > 0, support, np.inf).argmin(axis=1)  # each row counts for the rarest of its labels
    order = random.permutation(n_rows)
    order = order[np.argsort(rarest[order], kind="stable")]
    fold = np.empty(n_rows, np.int64)
    fold[order] = np.arange(n_rows) % N_FOLDS
    only = (truth[:, support == 1] > 0).any(axis=1)
    for number in range(1 if n_rows >= N_FOLDS * ENOUGH_HELD_OUT else N_FOLDS):
        held = (fold == number) & ~only
        if 0 < held.sum() < n_rows:
            yield held


def _softmax_losses(logits: Floats, truth: Floats, class_weights: Floats) -> tuple[Floats, Floats]:
    weights = truth @ class_weights
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - (shifted * truth).sum(axis=1)
    return losses * weights, (softmax(logits) - truth) * weights[:, None]


def _sigmoid_losses(logits: Floats, truth: Floats, class_weights: Floats) -> tuple[Floats, Floats]:
    positive, negative = truth * class_weights, 1 - truth
    losses = positive * np.logaddexp(0, -logits) + negative * np.logaddexp(0, logits)
    return losses.sum(axis=1), sigmoid(logits) * (positive + negative) - positive


_LOSSES: dict[str, Loss] = {"softmax": _softmax_losses, "sigmoid": _sigmoid_losses}
