import json
import re

import pytest
from reports import HOSTILE, make_report

from artifacts import random_weights, tiny_config
from retort.model.hugging_face import OUR_FACTS, to_hugging_face
from retort.training.card import BASE_MODELS, build_card, cell, quote

yaml = pytest.importorskip("yaml", reason="PyYAML reads the header back")


def header_of(card: str) -> dict:
    assert card.startswith("---\n")
    return yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))


def test_the_header_is_what_a_hub_reads():
    report = make_report()
    header = header_of(build_card(report))
    assert header["pipeline_tag"] == "text-classification"
    assert header["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    (result,) = header["model-index"][0]["results"]
    assert result["metrics"][0]["type"] == "accuracy"
    assert result["metrics"][0]["value"] == pytest.approx(report.measured.test.scores["accuracy"], abs=1e-4)


def test_an_encoder_of_ones_own_names_no_base_model():
    assert "base_model" not in header_of(build_card(make_report(model="/home/me/encoder: [x]")))


def test_every_name_of_the_catalogue_has_its_hub_name():
    from retort.data.sources import CATALOGUE

    assert set(BASE_MODELS) == set(CATALOGUE)


@pytest.mark.parametrize("text", [*HOSTILE, "---", "\u2028\x85\ufeff", "!!python/object", "null", " a: b #c"])
def test_hostile_words_stay_words(text: str):
    assert yaml.safe_load(quote(text)) == text
    card = build_card(make_report([text, "plain"], files={"test": text}, model=text))
    header = header_of(card)
    assert header["model-index"][0]["name"] == text
    assert header["model-index"][0]["results"][0]["dataset"]["name"] == text
    assert "<script" not in card
    (row,) = [line for line in card.splitlines() if line.startswith(f"| {cell(text)} |")]
    assert len(re.findall(r"\|", row)) == 6


def test_several_labels_a_text_have_a_card_too():
    card = build_card(make_report(task="multi_label_classification"))
    assert "multi label classification" in card
    assert header_of(card)["metrics"] == ["f1", "accuracy"]


def test_it_promises_transformers_no_model_that_only_retort_computes():
    facts = to_hugging_face(
        tiny_config(family="albert", n_groups=1),
        random_weights(tiny_config(family="albert", n_groups=1)),
        ["a", "b", "c"],
        "single_label_classification",
    )[0][OUR_FACTS]
    (sentence,) = re.findall(
        r"loads in `transformers` .*?, unless `config\.json` says `(.*?)`", build_card(make_report())
    )
    assert sentence == f'"transformers_compatible": {json.dumps(facts["transformers_compatible"])}'


def test_a_thousand_labels_are_cut():
    assert "800 more are in" in build_card(make_report([f"l{i}" for i in range(1000)]))
