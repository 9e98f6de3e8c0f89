import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from reports import HOSTILE, make_evaluation

from retort.training.charts import draw_confusion, draw_learning_curves, draw_reliability, readable


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.int64)


@pytest.mark.parametrize("n_labels", [2, 40, 260])
def test_the_matrix_fits_any_number_of_labels(n_labels: int):
    image = pixels(draw_confusion(make_evaluation([f"label number {i}" for i in range(n_labels)], n=2 * n_labels)))
    assert min(image.shape[:2]) > 200
    assert max(image.shape[:2]) < 6000


@pytest.mark.parametrize("task", ["classification", "multi_label_classification"])
def test_labels_in_any_script_and_with_any_signs_are_drawn(task: str):
    assert pixels(draw_confusion(make_evaluation(HOSTILE, task=task))).std() > 5


def test_errors_have_another_colour_than_hits():
    right = pixels(draw_confusion(make_evaluation(("a", "b"), sharpness=50.0)))
    wrong = pixels(draw_confusion(make_evaluation(("a", "b"), sharpness=-50.0)))
    for image, more, less in ((right, 2, 0), (wrong, 0, 2)):
        coloured = image[np.ptp(image, axis=2) > 60]
        assert (coloured[:, more] > coloured[:, less]).mean() > 0.95


def test_the_pictures_of_the_report_are_svg_that_takes_the_page_s_colour():
    bins = make_evaluation(("a", "b")).reliability
    for svg in (draw_learning_curves([0.9, 0.4], [0.8, 0.9], "macro_f1", 2), draw_reliability(bins, "test")):
        assert ET.fromstring(svg).tag.endswith("svg")  # noqa: S314 - our own
        assert "currentColor" in svg
        assert "#010203" not in svg


def test_one_epoch_is_a_curve_too():
    assert "<svg" in draw_learning_curves([0.9], [0.8], "accuracy", 1)


def test_names_are_cut_and_lose_what_does_not_show():
    assert readable("a\u202eb\0\nc", 10) == "a b c"
    assert readable("x" * 10**6, 5) == "xxxx…"
    assert readable("\n", 5) == "∅"
