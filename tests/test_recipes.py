"""What nobody chose is what suits the model; what somebody chose stays."""

from retort.config import TrainSettings
from retort.recipes import fill_settings


def test_a_bilstm_learns_longer_and_faster_and_with_a_crf() -> None:
    filled = fill_settings(TrainSettings(model="bilstm"), "bilstm", "entities")
    assert (filled.n_epochs, filled.max_learn_rate, filled.crf) == (15, 1e-2, True)


def test_what_was_chosen_stays_even_if_it_is_the_default() -> None:
    given = TrainSettings(model="bilstm", n_epochs=3, max_learn_rate=5e-5, crf=False)
    assert fill_settings(given, "bilstm", "entities") == given


def test_minilm_learns_faster_where_words_are_labelled() -> None:
    plain = TrainSettings()
    assert fill_settings(plain, "bert", "label") == plain
    assert fill_settings(plain, "bert", "entities").max_learn_rate == 1e-4
