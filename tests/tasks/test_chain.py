"""A chain agrees with the sum over every sequence there is, and what it decodes is always legal."""

from itertools import product

import numpy as np
import pytest

from retort.tasks.chain import FORBIDDEN, Chain, Scores, WordSpan

TAGS = ("O", "B-a", "I-a", "B-b", "I-b")
Path = tuple[int, ...]


def random_chain(seed: int) -> Chain:
    """BIO's moves with scores of their own, as a CRF learns them."""
    rng, legal = np.random.default_rng(seed), Chain.for_tags(TAGS)

    def learned(scores: Scores) -> Scores:
        return np.where(scores < 0, scores, rng.normal(0, 2, scores.shape)).astype(np.float32)

    return Chain(learned(legal.transitions), learned(legal.start), rng.normal(0, 2, len(TAGS)).astype(np.float32))


CHAINS = pytest.mark.parametrize("chain", [Chain.for_tags(TAGS), random_chain(1), random_chain(2)], ids=["free", *"12"])


def is_legal(path: Path) -> bool:
    tags = [TAGS[i] for i in path]
    pairs = zip(["O", *tags[:-1]], tags, strict=True)
    return all(not tag.startswith("I-") or before[1:] == tag[1:] for before, tag in pairs)


def every_score(chain: Chain, emissions: Scores) -> dict[Path, float]:
    """The score of each legal sequence."""
    paths = [path for path in product(range(len(TAGS)), repeat=len(emissions)) if is_legal(path)]
    wide = emissions.astype(np.float64)
    return {
        path: wide[np.arange(len(path)), path].sum()
        + chain.transitions[path[:-1], path[1:]].sum(dtype=np.float64)
        + chain.start[path[0]]
        + chain.end[path[-1]]
        for path in paths
    }


def every_probability(chain: Chain, emissions: Scores) -> dict[Path, float]:
    scores = every_score(chain, emissions)
    values = np.array([*scores.values()])
    shares = np.exp(values - values.max())
    return dict(zip(scores, (shares / shares.sum()).tolist(), strict=True))


def spans_of(path: Path) -> set[WordSpan]:
    """By walking over the tags, as a reader of the file would."""
    found, start = set(), None
    for word, tag in enumerate([*path, 0]):
        if start is not None and not (tag and tag % 2 == 0):
            found.add((start, word, path[start]))
            start = None
        if tag % 2 == 1:
            start = word
    return found


def emissions_of(n: int, seed: int, size: float = 3.0) -> Scores:
    return np.random.default_rng([n, seed]).normal(0, size, (n, len(TAGS))).astype(np.float32)


@CHAINS
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_sequence_is_the_best_of_all(chain: Chain, n: int, seed: int) -> None:
    emissions = emissions_of(n, seed)
    scores = every_score(chain, emissions)
    assert scores[tuple(chain.viterbi(emissions).tolist())] == pytest.approx(max(scores.values()), abs=1e-5)


@CHAINS
@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_likelihood_of_each_sequence_is_its_share_of_all(chain: Chain, n: int) -> None:
    emissions = emissions_of(n, 7)
    for path, probability in every_probability(chain, emissions).items():
        assert np.exp(chain.log_likelihood(emissions, path)) == pytest.approx(probability, rel=1e-5)


@CHAINS
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_a_span_is_as_probable_as_all_sequences_that_have_it(chain: Chain, n: int) -> None:
    emissions = emissions_of(n, 3)
    expected: dict[WordSpan, float] = {}
    for path, probability in every_probability(chain, emissions).items():
        for span in spans_of(path):
            expected[span] = expected.get(span, 0.0) + probability
    assert len(expected) == n * (n + 1)  # two types
    found = chain.span_probabilities(emissions, [*expected])
    np.testing.assert_allclose(found, [*expected.values()], rtol=1e-6)


@CHAINS
def test_no_words_have_an_empty_sequence_and_no_spans(chain: Chain) -> None:
    nothing = np.zeros((0, len(TAGS)), np.float32)
    assert chain.viterbi(nothing).shape == (0,)
    assert chain.log_likelihood(nothing, []) == 0.0
    assert chain.span_probabilities(nothing, []).shape == (0,)


HARD = {
    "random": lambda rng, shape: rng.normal(0, 5, shape),
    "all equal": lambda rng, shape: np.zeros(shape),
    "ties": lambda rng, shape: rng.integers(0, 2, shape),
    "only I": lambda rng, shape: np.tile([-1e4, -1e4, 1e4, -1e4, 1e4], (shape[0], 1)),
    "huge": lambda rng, shape: rng.choice([-1e4, 0, 1e4], shape),
    "float32's ends": lambda rng, shape: rng.choice(np.array([-3.4e38, 0, 3.4e38]), shape),
}


@CHAINS
@pytest.mark.parametrize("kind", HARD)
def test_whatever_the_emissions_no_sequence_is_illegal_and_no_probability_is_no_number(chain: Chain, kind: str) -> None:
    rng = np.random.default_rng(9)
    for n in [1, 2, 3, 40] * 10:
        emissions = HARD[kind](rng, (n, len(TAGS))).astype(np.float32)
        path = tuple(chain.viterbi(emissions).tolist())
        assert is_legal(path)
        assert chain.log_likelihood(emissions, path) <= 0
        spans = {*spans_of(path), (0, 1, 1), (n - 1, n, 3), (0, n, 1)}
        probabilities = chain.span_probabilities(emissions, sorted(spans))
        assert ((probabilities >= 0) & (probabilities <= 1)).all()


def test_an_illegal_sequence_has_no_likelihood() -> None:
    assert Chain.for_tags(TAGS).log_likelihood(np.full((2, 5), 1e4, np.float32), [0, 2]) == -np.inf


def test_the_only_way_is_found_however_deep_it_lies() -> None:
    """`I-b` is far ahead, so the word before it must be `B-b`, which is far behind."""
    emissions = np.array([[0, -1e4, 0, -1e4, 3e4], [0, 0, 0, 0, 3e4]], np.float32)
    assert Chain.for_tags(TAGS).viterbi(emissions).tolist() == [3, 4]


def test_a_softer_chain_goes_with_softer_emissions_and_allows_no_more() -> None:
    chain, emissions = random_chain(4), emissions_of(3, 1)
    scores = np.array([*every_score(chain, emissions).values()]) / 2.5
    expected = np.exp(scores - scores.max())
    soft = chain.soften(2.5)
    found = [np.exp(soft.log_likelihood(emissions / 2.5, path)) for path in every_score(chain, emissions)]
    np.testing.assert_allclose(found, expected / expected.sum(), rtol=1e-4)
    assert ((soft.transitions <= FORBIDDEN) == (chain.transitions <= FORBIDDEN)).all()
