"""Evaluations and histories become pictures: PNG for files and TensorBoard, SVG for the report.

Figures are drawn off screen and share no state, so any number of them may be drawn anywhere.
"""

import io
import re
import unicodedata
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from retort.training.evaluate import Evaluation, ReliabilityBin

INK = "#010203"  # becomes the colour of the text around the SVG, be it light or dark
BLUE, ORANGE = "#3d74d6", "#d9822b"
MAX_COUNTED = 30  # labels; above, cells are too small to hold numbers
MAX_NAMED = 250  # labels; above, names are too small to be read
MAX_NAME = 28  # characters


def draw_confusion(evaluation: Evaluation) -> bytes:
    """PNG of the confusion matrix; where several labels may hold, of what was found, missed and invented of each."""
    names = [readable(name, MAX_NAME) for name in evaluation.names]
    counts, right, columns = evaluation.confusion, np.eye(len(names), dtype=bool), names
    support = counts.sum(axis=1, keepdims=True)
    if counts.ndim == 3:
        counts = np.stack([counts[:, 1, 1], counts[:, 1, 0], counts[:, 0, 1]], axis=1)
        right, columns = np.array([[True, False, False]] * len(names)), ["found", "missed", "wrongly predicted"]
        support = counts[:, :2].sum(axis=1, keepdims=True)
    shares = np.minimum(1, counts / np.maximum(1, support))
    cell = 0.5 if len(names) <= MAX_COUNTED else max(0.17, 0.5 * MAX_COUNTED / len(names))
    cell = min(cell, 40 / len(names))
    margin = 0.8 + 0.075 * max(map(len, [*names, *columns]))
    figure = Figure((max(3, cell * len(columns)) + margin, max(2, cell * len(names)) + margin), dpi=110)
    axes = figure.add_subplot()
    for part, colours in ((right, "Blues"), (~right, "Oranges")):  # the few errors must show beside the many hits
        axes.imshow(
            np.ma.masked_where(~part | (counts == 0), shares), cmap=colours, norm=PowerNorm(0.5, 0, 1), aspect="auto"
        )
    size = float(np.clip(cell * 30, 3.5, 9))
    _name_ticks(axes, names, columns, size)
    axes.set_ylabel("true" if columns is names else "")
    axes.set_xlabel("predicted" if columns is names else "")
    axes.set_title(f"{evaluation.n:,} texts; colour: share of the true label", loc="left", fontsize=8, color="#666666")
    axes.spines[:].set_color("#cccccc")
    if len(names) <= MAX_COUNTED:
        _write_counts(axes, counts, shares, size)
    return _to_png(figure)


def draw_learning_curves(losses: Sequence[float], scores: Sequence[float], score_name: str, best_epoch: int) -> str:
    """SVG of the training loss and the validation score, epoch after epoch; `best_epoch` counts from 1."""
    epochs = np.arange(1, len(losses) + 1)
    figure = Figure((8.4, 2.7))
    for number, (values, title, colour) in enumerate(
        [(losses, "training loss", ORANGE), (scores, f"validation {score_name}", BLUE)]
    ):
        axes = figure.add_subplot(1, 2, number + 1)
        axes.plot(epochs, values, color=colour, marker="o", markersize=4, linewidth=1.6)
        axes.set_title(title.replace("_", " "), fontsize=9, loc="left", color=INK)
        axes.set_xlabel("epoch", fontsize=8)
        axes.set_xticks(epochs[:: max(1, len(epochs) // 10)])
        if 1 <= best_epoch <= len(epochs):
            axes.axvline(best_epoch, color=INK, alpha=0.35, linewidth=0.8, linestyle=":")
        _calm(axes)
    return _to_svg(figure, "curves")


def draw_reliability(bins: Sequence[ReliabilityBin], title: str) -> str:
    """SVG: how often decisions of each confidence were right; on the diagonal, probabilities mean what they say."""
    used = [b for b in bins if b.n]
    figure = Figure((4.1, 3.4))
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color=INK, alpha=0.4, linewidth=0.8, linestyle="--")
    axes.bar(
        [(b.low + b.high) / 2 for b in used],
        [b.accuracy for b in used],
        width=[0.92 * (b.high - b.low) for b in used],
        color=BLUE,
        alpha=0.75,
    )
    axes.plot([b.confidence for b in used], [b.accuracy for b in used], "o", color=ORANGE, markersize=3.5)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("confidence", fontsize=8)
    axes.set_ylabel("share that was right", fontsize=8)
    axes.set_title(title, fontsize=9, loc="left", color=INK)
    _calm(axes)
    return _to_svg(figure, re.sub(r"\W", "", title))


def readable(text: str, limit: int) -> str:
    """At most `limit` characters on one line, without those that would not show or would turn the text around."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text[: 4 * limit + 100])
    line = " ".join(kept.split()) or "∅"
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _name_ticks(axes: Axes, rows: Sequence[str], columns: Sequence[str], size: float) -> None:
    if len(rows) > MAX_NAMED:
        axes.set_xticks([])
        axes.set_yticks([])
        return
    axes.set_xticks(range(len(columns)), columns, rotation=90 if len(columns) > 3 else 0, fontsize=size)
    axes.set_yticks(range(len(rows)), rows, fontsize=size)
    axes.tick_params(length=0)
    for text in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        text.set_parse_math(False)  # a "$" in a label is a dollar


def _write_counts(axes: Axes, counts: npt.NDArray[Any], shares: npt.NDArray[Any], size: float) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > 0.4 else "#333333"
        axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=size - 1, color=colour)


def _calm(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
        axes.spines[side].set_alpha(0.4)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def _to_png(figure: Figure) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # those that no installed font has are drawn as boxes
        FigureCanvasAgg(figure)
        figure.savefig(out, format="png", bbox_inches="tight", facecolor="white")
    return out.getvalue()


def _to_svg(figure: Figure, salt: str) -> str:
    out = io.StringIO()
    figure.tight_layout()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt, "font.family": "sans-serif"}):
        FigureCanvasSVG(figure)
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = re.sub(r"<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    return svg[svg.index("<svg") :].replace(INK, "currentColor")
