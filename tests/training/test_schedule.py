"""Learning rates over a training."""

import itertools

import pytest

from retort.training.schedule import Schedule


def rates(kind: str, low: float = 0.0, warmup: float = 0.1, n_epochs: int = 10, per_epoch: int = 4) -> list[float]:
    schedule = Schedule(kind, 1e-3, low, warmup, n_epochs, per_epoch)
    return [schedule.learn_rate(step) for step in range(schedule.n_steps)]


def test_linear_rises_and_falls_with_each_step() -> None:
    found = rates("linear")
    assert len(found) == 40
    assert found[:4] == pytest.approx([2e-4, 4e-4, 6e-4, 8e-4])
    assert found[4] == 1e-3
    assert all(a > b for a, b in itertools.pairwise(found[4:]))
    assert 0 < found[-1] < 5e-5


def test_linear_ends_near_the_minimum() -> None:
    found = rates("linear", low=5e-4, warmup=0.0)
    assert found[0] == 1e-3
    assert 5e-4 < found[-1] < 5.2e-4


def test_exponential_changes_with_each_epoch() -> None:
    found = rates("exponential", low=1e-5, warmup=0.3)
    epochs = found[::4]
    assert all(rate == epochs[step // 4] for step, rate in enumerate(found))
    assert epochs[:3] == pytest.approx([1e-3 / 3, 2e-3 / 3, 1e-3])
    falls = [b / a for a, b in itertools.pairwise(epochs[2:])]
    assert falls == pytest.approx([falls[0]] * 7)
    assert epochs[-1] * falls[0] == pytest.approx(1e-5)


def test_exponential_without_a_minimum_falls_to_a_thousandth() -> None:
    found = rates("exponential", warmup=0.0)
    assert 1e-6 < found[-1] < 3e-6


@pytest.mark.parametrize("kind", ["linear", "exponential"])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(("n_epochs", "per_epoch"), [(1, 1), (1, 7), (3, 1), (4, 100)])
def test_rates_stay_between_zero_and_the_maximum(kind: str, warmup: float, n_epochs: int, per_epoch: int) -> None:
    for low in (0.0, 1e-4, 1e-3, 1e-2):
        found = rates(kind, low, warmup, n_epochs, per_epoch)
        assert all(0 < rate <= max(1e-3, low) * (1 + 1e-9) for rate in found)
