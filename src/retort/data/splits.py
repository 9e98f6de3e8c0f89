"""Rows become what trains, what selects and what judges: train, validation and test.  Knows no file, no model.

Texts are equal when they differ in white space and case alone; of a pair, both texts.  Equal texts form a group, which
goes to one split as a whole.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

from retort.data.readers import Row
from retort.data.strata import Group, deal
from retort.errors import BadData

N_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Conflict:
    """A text that the training file holds with different labels; `labels[i]` stand on line `lines[i]`.

    Where spans carry labels, each is written `what it covers: label`.
    """

    text: str
    labels: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What a reader of the training report needs to know of the data.

    `duplicates` counts the training file's rows whose text stands in an earlier row, `conflicts` its texts with
    different labels (`conflict_examples`: the first ten).  `leaked` counts the rows removed from a split because a
    validation or test file holds their text.
    """

    counts: dict[str, int]  # split -> rows
    label_counts: dict[str, dict[str, int]]  # split -> label -> rows, or spans where these carry the labels
    duplicates: int
    conflicts: int
    conflict_examples: tuple[Conflict, ...]
    leaked: dict[str, int]
    dropped: dict[str, dict[str, int]] = field(default_factory=dict)  # split whose file it was -> reason -> rows
    repaired: dict[str, dict[str, int]] = field(default_factory=dict)  # the same -> what was broken -> how often

    def describe(self) -> list[str]:
        """What people should know before they train, a sentence each; nothing where all is well."""
        found = []
        for split, reasons in self.dropped.items():
            found.append(f"Left out of {split}: " + ", ".join(f"{n:,} with {why}" for why, n in reasons.items()) + ".")
        for split, faults in self.repaired.items():
            found.append(f"Mended in {split}: " + ", ".join(f"{n:,} {what}" for what, n in faults.items()) + ".")
        if self.conflicts:
            first = self.conflict_examples[0]
            lines = ", ".join(map(str, first.lines))
            found.append(f"{self.conflicts:,} texts carry different labels in different rows (such as lines {lines}).")
        for split, n in self.leaked.items():
            if n:
                found.append(f"Removed from {split}: {n:,} rows whose text is in a validation or test file.")
        return found


@dataclass(frozen=True, slots=True)
class Splits:
    """Rows in the order of their files; no two splits share a text."""

    train: list[Row]
    validation: list[Row]
    test: list[Row]
    report: SplitReport

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label, sorted: what a model trained on `train` can answer."""
        return tuple(sorted(self.report.label_counts["train"]))


def split(
    rows: Sequence[Row],
    validation_share: float = 0.1,
    test_share: float = 0.1,
    seed: int = 0,
    *,
    validation: Sequence[Row] | None = None,
    test: Sequence[Row] | None = None,
) -> Splits:
    """Set shares of `rows` aside, the same for the same seed, each label in its proportion; a label's only text trains.

    Where `validation` or `test` are given, nothing is set aside for them, and rows with their texts leave the training
    data; a text that both of them hold leaves validation, so that what judges stays as it came.

    Raises BadData: fewer than two labels; too few texts to set any aside; a label of `validation` or `test` that no
    training row has.  Such rows are not dropped: a model can only be wrong on them, so a score without them would
    flatter, and mostly they mean that a file has other labels or a typing error.
    """
    if min(validation_share, test_share) < 0 or validation_share + test_share >= 1:
        raise BadData(f"Expected shares that leave something to train on, got {validation_share} and {test_share}.")
    groups = _group(rows)
    held_out = {_key(row) for row in test or ()}
    kept = [row for row in validation or () if _key(row) not in held_out]
    held_out.update(map(_key, kept))
    free = [group for key, group in groups.items() if key not in held_out]
    leaked = {"train": len(rows) - sum(map(len, free)), "validation": len(validation or ()) - len(kept)}
    _check_labels(free, leaked["train"])
    shares = (0.0 if test is not None else test_share, 0.0 if validation is not None else validation_share)
    dealt_test, dealt_validation, train = deal(free, shares, seed)
    parts = {
        "train": train,
        "validation": dealt_validation if validation is None else kept,
        "test": dealt_test if test is None else list(test),
    }
    report = _report(parts, groups, {name: count for name, count in leaked.items() if count})
    _check_known(report)
    _check_enough(report, {"validation": validation_share, "test": test_share}, given=validation is not None)
    return Splits(**parts, report=report)


def _key(row: Row) -> str:
    return "\n".join([" ".join(text.split()).casefold() for text in row.fields.values()])  # no folded text holds \n


def _group(rows: Iterable[Row]) -> dict[str, Group]:
    groups: defaultdict[str, Group] = defaultdict(list)
    for row in rows:
        groups[_key(row)].append(row)
    return dict(groups)


def _answer(row: Row) -> frozenset[object]:
    """What the row says of its text, the same for texts that are equal: spans count what is no white space."""
    text = row.fields["text"]
    edges = [edge for span in row.spans for edge in (span.start, span.end)]
    signs = [*accumulate(_n_signs(text[a:b]) for a, b in pairwise([0, *edges]))]  # before each edge
    places = zip(signs[::2], signs[1::2], [span.label for span in row.spans], strict=True)
    return frozenset(places if row.spans else row.labels)


def _n_signs(text: str) -> int:
    return sum(map(len, text.casefold().split()))


def _shown(row: Row) -> tuple[str, ...]:
    text = row.fields["text"]
    return tuple(f"{text[s.start : s.end]}: {s.label}" for s in row.spans) or row.labels


def _marks(row: Row) -> Sequence[str]:
    """Each label as often as it stands in the row."""
    return [span.label for span in row.spans] or row.labels


def _report(parts: Mapping[str, Group], groups: Mapping[str, Group], leaked: dict[str, int]) -> SplitReport:
    conflicts = [g for g in groups.values() if len(g) > 1 and len({_answer(row) for row in g}) > 1]
    examples = tuple(
        Conflict(
            " / ".join(g[0].fields.values()),
            tuple(_shown(r) for r in g[:N_EXAMPLES]),
            tuple(r.line for r in g[:N_EXAMPLES]),
        )
        for g in conflicts[:N_EXAMPLES]
    )
    return SplitReport(
        counts={name: len(part) for name, part in parts.items()},
        label_counts={
            name: dict(sorted(Counter(label for row in part for label in _marks(row)).items()))
            for name, part in parts.items()
        },
        duplicates=sum(map(len, groups.values())) - len(groups),
        conflicts=len(conflicts),
        conflict_examples=examples,
        leaked=leaked,
    )


def _check_labels(groups: Sequence[Group], n_leaked: int) -> None:
    distinct = {row.labels for group in groups for row in group}
    has_spans = any(row.spans for group in groups for row in group)  # these are told from what is not marked
    if len({frozenset(labels) for labels in distinct}) < 2 and not has_spans:
        only = ", ".join(map(repr, next(iter(distinct), ()))) or "no label"
        raise BadData(
            f"All {sum(map(len, groups))} rows to train on{_removed(n_leaked)} have {only}; "
            "expected at least two different labels to tell apart."
        )


def _check_known(report: SplitReport) -> None:
    for name in ("validation", "test"):
        unknown = [repr(label) for label in report.label_counts[name] if label not in report.label_counts["train"]]
        if unknown:
            listed = ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
            raise BadData(
                f"The {name} data has labels that no row to train on{_removed(report.leaked.get('train', 0))} has: "
                f"{listed}. Correct them, add such rows to the training data, or remove them."
            )


def _check_enough(report: SplitReport, shares: Mapping[str, float], given: bool) -> None:
    for name, share in shares.items():
        if report.counts[name] or not share:
            continue
        if name == "validation" and given:
            raise BadData("Every text of the validation file is in the test file; expected others.")
        raise BadData(
            f"The training data{_removed(report.leaked.get('train', 0))} has too few different texts a label to set "
            f"{name} data aside; add rows, or give a file of its own (--{name})."
        )


def _removed(n_leaked: int) -> str:
    return f" (without {n_leaked} whose texts the validation or test file holds)" if n_leaked else ""
