import numpy as np
import pytest

from retort.training.calibrate import fit_temperature, negative_log_likelihood


def sampled(temperature: float, n_rows: int = 4000, n_labels: int = 5):
    """Logits that are too sure by `temperature`, and targets drawn from what they should have said."""
    random = np.random.default_rng(0)
    honest = 2 * random.normal(size=(n_rows, n_labels))
    targets = (honest + random.gumbel(size=honest.shape)).argmax(axis=1)
    return (honest * temperature).astype(np.float32), targets


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_it_finds_the_temperature_that_the_logits_were_multiplied_by(temperature: float):
    logits, targets = sampled(temperature)
    assert fit_temperature(logits, targets, "softmax") == pytest.approx(temperature, rel=0.08)


def test_it_works_where_several_labels_may_hold():
    random = np.random.default_rng(0)
    honest = random.normal(size=(3000, 4))
    targets = (random.random(honest.shape) < 1 / (1 + np.exp(-honest))).astype(np.float32)
    assert fit_temperature((honest * 3).astype(np.float32), targets, "sigmoid") == pytest.approx(3, rel=0.1)


def test_it_agrees_with_a_fine_search():
    logits, targets = sampled(2.5, n_rows=300)
    costs = {t: negative_log_likelihood(logits / t, targets, "softmax") for t in np.linspace(0.5, 10, 2000)}
    assert fit_temperature(logits, targets, "softmax") == pytest.approx(min(costs, key=costs.__getitem__), rel=0.02)


def test_rows_that_are_all_right_do_not_claim_certainty():
    logits = np.array([[2, -1], [-1, 3], [4, 0]], np.float32)
    temperature = fit_temperature(logits, np.array([0, 1, 0]), "softmax")
    assert 0.3 < temperature <= 1


@pytest.mark.parametrize("n_rows", [1, 2, 5, 50])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_the_likelihood_never_gets_worse_and_the_bounds_hold(n_rows: int, scale: float):
    random = np.random.default_rng(n_rows)
    logits = (scale * random.normal(size=(n_rows, 4))).astype(np.float32)
    targets = random.integers(0, 4, n_rows)
    temperature = fit_temperature(logits, targets, "softmax")
    assert 0.05 <= temperature <= 20
    after, before = (negative_log_likelihood(logits / t, targets, "softmax") for t in (temperature, 1.0))
    assert after <= before


def test_where_there_is_nothing_to_learn_from_it_is_one():
    assert fit_temperature(np.zeros((0, 3), np.float32), np.zeros(0, np.int64), "softmax") == 1.0
    assert fit_temperature(np.zeros((9, 3), np.float32), np.zeros(9, np.int64), "softmax") == 1.0
    assert fit_temperature(np.array([[np.nan, 1]], np.float32), np.array([0]), "softmax") == 1.0
