"""What a split makes of logits: decisions that agree, and a temperature under which probabilities are true."""

import numpy as np
import pytest

from artifacts import tiny_tokenizer
from retort.data.readers import Row
from retort.data.spans import Span
from retort.tasks import TASKS, Decoding
from retort.tasks.chain import Chain
from retort.training.calibrate import fit_chain_temperature
from retort.training.part import Part, build_part

TAGS = ("O", "B-x", "I-x")


def part_of(task: str, labels: tuple[str, ...], rows: list[Row]) -> Part:
    encode = TASKS[task].encode
    return build_part(TASKS[task], rows, lambda inputs: encode(inputs, tiny_tokenizer(), 16, "windows"), labels)


@pytest.mark.parametrize(
    ("task", "changed"), [("classification", [0, 2, 5]), ("multi_label_classification", [2, -1, 1])]
)
def test_agreement_counts_texts_that_are_decided_the_same(task: str, changed: list[float]) -> None:
    labels = ("a", "b", "c")
    part = part_of(task, labels, [Row({"text": "java"}, ("a",), 1), Row({"text": "sql"}, ("b",), 2)])
    logits = [np.array([1, 2, 3], np.float32), np.array([5, -1, -2], np.float32)]
    other = [np.array([1, 2, 4], np.float32), np.array(changed, np.float32)]
    assert part.agreement(logits, logits, Decoding(labels)) == 1
    assert part.agreement(logits, other, Decoding(labels)) == 0.5


def test_agreement_on_words_is_of_the_tags_that_a_chain_decides_for() -> None:
    part = part_of("token_classification", ("x",), [Row({"text": "java sql"}, ("x",), 1, (Span(0, 4, "x"),))])
    clear = [np.array([[0, 9, 0], [9, 0, 0]], np.float32)]
    illegal = [np.array([[0, 9, 0], [9, 0, 0]], np.float32)]
    illegal[0][0] = [0, 1, 9]  # I-x cannot begin: the chain makes a B-x of it
    assert part.agreement(clear, illegal, Decoding(TAGS)) == 1
    illegal[0][0] = [8, 0, 9]
    assert part.agreement(clear, illegal, Decoding(TAGS)) == 0.5


def sample(chain: Chain, emissions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Tags as the chain says they are distributed, by its own span of all sequences."""
    n, n_tags = emissions.shape
    paths = np.stack(np.meshgrid(*[np.arange(n_tags)] * n, indexing="ij"), -1).reshape(-1, n)
    likely = np.exp([chain.log_likelihood(emissions, path) for path in paths])
    return paths[rng.choice(len(paths), p=likely / likely.sum())]


@pytest.mark.parametrize("temperature", [0.6, 1.0, 1.8])
def test_the_temperature_of_a_chain_is_found_again(temperature: float) -> None:
    rng = np.random.default_rng(0)
    legal = Chain.for_tags(TAGS)
    true = Chain(np.where(legal.transitions == 0, rng.normal(0, 1, (3, 3)), legal.transitions), legal.start, legal.end)
    emissions = [rng.normal(0, 2, (4, 3)) for _ in range(400)]
    tags = [sample(true, each, rng) for each in emissions]
    wrong = true.soften(1 / temperature)
    found = fit_chain_temperature([each * temperature for each in emissions], tags, wrong)
    assert found == pytest.approx(temperature, rel=0.15)
