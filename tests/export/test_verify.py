"""What is published answers as what was trained; 8 bits serve only where they keep the decisions."""

import numpy as np
import pytest

from retort.errors import TrainingFailed
from retort.export.verify import (
    EXACT,
    Trial,
    Variant,
    check_equal,
    choose_variant,
    list_variants,
)

LOGITS = np.array([[1.0, 2.0, 30.0], [5.0, -1.0, 0.0]], np.float32)


def test_equal_logits_pass_and_the_difference_is_relative_to_their_scale() -> None:
    assert check_equal(LOGITS, LOGITS) == 0
    assert check_equal(LOGITS, LOGITS + 0.0015) == pytest.approx(0.00005, rel=0.01)
    assert check_equal(LOGITS / 1000, LOGITS / 1000 + 5e-5) == pytest.approx(5e-5, rel=0.01)


@pytest.mark.parametrize("wrong", [LOGITS + 0.01, LOGITS * np.nan, np.where(LOGITS == 30, np.inf, LOGITS)])
def test_other_logits_fail(wrong: np.ndarray) -> None:
    with pytest.raises(TrainingFailed, match="differ by"):
        check_equal(LOGITS, wrong)


def test_logits_of_another_shape_fail() -> None:
    with pytest.raises(TrainingFailed, match=r"\(2, 3\), got \(2, 2\)"):
        check_equal(LOGITS, LOGITS[:, :2])


@pytest.mark.parametrize(
    ("drop", "agreement", "passed"),
    [
        (0.0, 0.995, True),
        (0.93 - 0.927, 0.99, True),  # both exactly at their limits
        (-0.02, 1.0, True),
        (0.004, 0.995, False),
        (0.0, 0.98, False),
        (float("nan"), 1.0, False),
    ],
)
def test_a_variant_passes_only_where_score_and_decisions_hold(drop: float, agreement: float, passed: bool) -> None:
    assert Trial(agreement, drop).passed == passed


INT8 = Variant("model.int8.onnx", "float32")
INT8_BFLOAT = Variant("model.int8.onnx", "bfloat16")
BFLOAT = Variant("model.onnx", "bfloat16")


def test_variants_are_tried_from_the_fastest_on_and_bfloat16_only_where_the_processor_has_it() -> None:
    assert list_variants("bfloat16") == [INT8_BFLOAT, INT8, BFLOAT]
    assert list_variants("float32") == [INT8]


@pytest.mark.parametrize("chosen", [INT8_BFLOAT, INT8, BFLOAT, EXACT])
def test_the_first_that_passes_serves_and_the_reason_names_all_that_were_tried(chosen: Variant) -> None:
    tried = []

    def attempt(variant: Variant) -> Trial:
        tried.append(variant)
        return Trial(0.9971, 0.001) if variant == chosen else Trial(0.9123, 0.0)

    decision = choose_variant(list_variants("bfloat16"), attempt)
    assert decision.variant == chosen
    assert [v for v in [*tried, EXACT] if v == chosen][:1] == [chosen]
    assert tried == list_variants("bfloat16")[: len(tried)]
    assert decision.reason.count("91.23 %") == len(tried) - (chosen != EXACT)
    assert decision.reason.startswith("8 bits with bfloat16 cost 0.")
    assert f"so {chosen} serve" in decision.reason
