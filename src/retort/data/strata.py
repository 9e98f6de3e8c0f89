"""Groups of rows are dealt out by shares, each label in its proportion.  A group stays whole."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil, floor

from retort.data.readers import Row

Group = list[Row]  # rows that must not be parted


def deal(groups: Sequence[Group], shares: Sequence[float], seed: int) -> list[list[Row]]:
    """One list of rows for each share, of about that share of the groups, then the rest; each in the order of lines.

    Every label is in the rest, and a share above 0 is of at least one group, where the groups allow both.  A group's
    stratum is its rarest label, which for a single label is the label itself.  What rounding leaves over is carried
    from stratum to stratum, so the whole gets its share too.  The largest group of each stratum is in the rest.
    """
    rng = random.Random(seed)  # noqa: S311 (repeatable, not secret)
    strata = _stratify(groups)
    divisible = [strata[name] for name in sorted(strata) if len(strata[name]) > 1]
    n_groups, n_seen = sum(map(len, divisible)), 0
    exact = [max(share, 1 / n_groups) if share and n_groups else 0.0 for share in shares]
    dealt: list[list[Group]] = [[] for _ in shares]
    rest = [group for stratum in strata.values() if len(stratum) == 1 for group in stratum]
    rng.shuffle(divisible)
    for stratum in divisible:
        rng.shuffle(stratum)
        largest = max(range(len(stratum)), key=lambda i: len(stratum[i]))
        rest.append(stratum.pop(largest))
        n_seen, size, start = n_seen + len(stratum) + 1, len(stratum) + 1, 0
        for part, share in zip(dealt, exact, strict=True):
            n = max(0, min(floor(n_seen * share + 0.5) - len(part), ceil(share * size)))
            part.extend(stratum[start : start + n])
            start += n
        rest.extend(stratum[start:])
    _return_missing(dealt, rest)
    return [sorted((row for group in part for row in group), key=lambda row: row.line) for part in (*dealt, rest)]


def _stratify(groups: Sequence[Group]) -> dict[str, list[Group]]:
    counts = Counter(label for group in groups for row in group for label in row.labels)
    strata: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        labels = {label for row in group for label in row.labels}
        strata[min(labels, key=lambda label: (counts[label], label), default="")].append(group)
    return strata


def _return_missing(dealt: list[list[Group]], rest: list[Group]) -> None:
    """Give the rest a group of each label that it lacks: with several labels a text, strata cannot promise that."""
    known = {label for group in rest for row in group for label in row.labels}
    for index, part in enumerate(dealt):
        kept: list[Group] = []
        for group in part:
            labels = {label for row in group for label in row.labels}
            (kept if labels <= known else rest).append(group)
            known |= labels
        dealt[index] = kept
