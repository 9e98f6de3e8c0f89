"""Measurements become medians, ratios and tables."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

OURS = "retort"
NUMBERS = ("texts_per_s", "p50_ms", "p99_ms", "cpu_s_per_1000", "memory_mib", "client_cpu_us")
ONCE = ("first_answer_s", "same_as_fp32", "accuracy")

Runs = Mapping[str, Sequence[Mapping[str, Any]]]  # of each server: one entry a repeat


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def take_medians(runs: Runs) -> dict[str, dict[str, Any]]:
    """Of each server: its single numbers, and of each cell (`workload x shape`) the numbers and all errors."""
    found: dict[str, dict[str, Any]] = {}
    for server, entries in runs.items():
        summary: dict[str, Any] = {key: _median(e.get(key) for e in entries) for key in ONCE}
        summary["cells"] = {}
        for cell in dict.fromkeys(cell for e in entries for cell in e["cells"]):
            same = [e["cells"][cell] for e in entries if cell in e["cells"]]
            summary["cells"][cell] = {key: _median(run[key] for run in same) for key in NUMBERS}
            summary["cells"][cell]["errors"] = sum(sum(run["errors"].values()) for run in same)
        found[server] = summary
    return found


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio(medians: Mapping[str, Mapping[str, Any]], server: str, cell: str) -> float | None:
    """How many times as many texts ours answers."""
    ours, theirs = (medians.get(name, {}).get("cells", {}).get(cell) for name in (OURS, server))
    return ours["texts_per_s"] / theirs["texts_per_s"] if ours and theirs and theirs["texts_per_s"] else None


def build_tables(medians: Mapping[str, Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    """Markdown: one table of single numbers, one for each cell."""
    lines = [
        "| | first answer, s | labels as fp32 | accuracy |",
        "|---|---:|---:|---:|",
        *(
            f"| {titles[name]} | {_show(m['first_answer_s'], 2)} | {_percent(m['same_as_fp32'])} | "
            f"{_percent(m['accuracy'])} |"
            for name, m in medians.items()
        ),
    ]
    for cell in dict.fromkeys(cell for m in medians.values() for cell in m["cells"]):
        lines += [
            "",
            f"**{cell}**",
            "",
            "| | texts/s | ours is | p50, ms | p99, ms | errors | CPU s / 1,000 texts | memory, MiB |",
            "|---|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for name, m in medians.items():
            if not (row := m["cells"].get(cell)):
                continue
            times = ratio(medians, name, cell)
            lines.append(
                f"| {titles[name]} | {_show(row['texts_per_s'], 0)} | {f'{times:.2f}×' if times else '–'} | "
                f"{_show(row['p50_ms'], 1)} | {_show(row['p99_ms'], 1)} | {row['errors']} | "
                f"{_show(row['cpu_s_per_1000'], 2)} | {_show(row['memory_mib'], 0)} |"
            )
    return "\n".join(lines)


def _show(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f} %"
