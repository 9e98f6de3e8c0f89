import numpy as np
import pytest

from retort.training.probe import fit_probe


def clusters(n_rows: int, n_labels: int, n_features: int = 16, noise: float = 0.3, seed: int = 0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(n_labels, n_features))
    targets = np.arange(n_rows) % n_labels
    features = centres[targets] + noise * random.normal(size=(n_rows, n_features))
    return features.astype(np.float32), targets


def test_it_separates_what_can_be_separated():
    features, targets = clusters(200, 5)
    kernel, bias = fit_probe(features, targets, 5, "softmax")
    assert kernel.shape == (16, 5)
    assert bias.shape == (5,)
    assert kernel.dtype == bias.dtype == np.float32
    assert (features @ kernel + bias).argmax(axis=1).tolist() == targets.tolist()


def test_the_answer_does_not_depend_on_units_and_offsets_of_the_features():
    features, targets = clusters(200, 4, noise=2.0)
    moved = (features * np.geomspace(0.5, 2, 16) + 7).astype(np.float32)
    plain, other = (x @ k + b for x in (features, moved) for k, b in [fit_probe(x, targets, 4, "softmax")])
    assert np.abs(plain - other).max() < 0.05 * np.abs(plain).max()


def test_the_same_seed_gives_the_same_bits():
    features, targets = clusters(150, 3, noise=1.0)
    first, second = (fit_probe(features, targets, 3, "softmax", seed=7) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert np.array_equal(first[1], second[1])


def test_noise_is_not_learnt_by_heart():
    random = np.random.default_rng(0)
    features, targets = random.normal(size=(400, 20)).astype(np.float32), random.integers(0, 2, 400)
    kernel, bias = fit_probe(features, targets, 2, "softmax")
    assert np.abs(features @ kernel + bias).max() < 1


@pytest.mark.parametrize("n_rows", [2, 3, 6, 7])
def test_a_handful_of_rows_is_enough(n_rows: int):
    features, targets = clusters(n_rows, 3 if n_rows > 2 else 2, noise=0.01)
    kernel, bias = fit_probe(features, targets, targets.max() + 1, "softmax")
    assert (features @ kernel + bias).argmax(axis=1).tolist() == targets.tolist()


def test_labels_with_one_row_or_none_are_allowed():
    features, targets = clusters(60, 3)
    features = np.vstack([features, np.full((1, 16), 9)]).astype(np.float32)
    targets = np.append(targets, 3)
    kernel, bias = fit_probe(features, targets, 5, "softmax")  # label 4 has no row at all
    logits = features @ kernel + bias
    assert logits.argmax(axis=1).tolist() == targets.tolist()
    assert np.isfinite(logits).all()


def test_units_that_never_move_and_equal_rows_do_no_harm():
    features, targets = clusters(60, 3)
    features[:, 4] = 0.25
    kernel, bias = fit_probe(features, targets, 3, "softmax")
    assert np.isfinite(kernel).all()
    assert (features @ kernel + bias).argmax(axis=1).tolist() == targets.tolist()
    kernel, bias = fit_probe(np.ones((6, 4), np.float32), np.array([0, 1, 1, 1, 1, 1]), 2, "softmax")
    assert np.allclose(kernel, 0)
    assert bias[1] > bias[0]


def test_several_labels_may_hold_at_once():
    features, cluster = clusters(300, 4)
    targets = np.stack([cluster % 2 == 0, cluster >= 2], axis=1).astype(np.float32)
    kernel, bias = fit_probe(features, targets, 2, "sigmoid")
    assert np.array_equal(features @ kernel + bias > 0, targets > 0.5)


def test_a_label_that_always_or_never_holds_gets_a_finite_bias_of_its_sign():
    features, cluster = clusters(200, 2)
    targets = np.stack([cluster, np.ones(200), np.zeros(200)], axis=1).astype(np.float32)
    logits = np.concatenate([features @ k + b for k, b in [fit_probe(features, targets, 3, "sigmoid")]])
    assert (logits[:, 1] > 2).all()
    assert (logits[:, 2] < -2).all()
    assert np.abs(logits).max() < 50


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_class_weights_move_the_border_towards_the_light_label(activation: str):
    random = np.random.default_rng(0)
    targets = (np.arange(400) % 10 == 0).astype(np.int64)
    features = (random.normal(size=(400, 3)) + targets[:, None]).astype(np.float32)
    truth = targets if activation == "softmax" else np.stack([1 - targets, targets], axis=1)
    weights = np.array([1.0, 9.0], np.float32)
    plain, weighted = (
        ((features @ k + b).argmax(axis=1)[targets == 1] == 1).mean()
        for w in (None, weights)
        for k, b in [fit_probe(features, truth, 2, activation, class_weights=w)]
    )
    assert weighted > plain
