"""Offsets that count a text's UTF-16 units, as JavaScript does, become offsets of its characters."""

from bisect import bisect_left
from functools import cached_property
from itertools import accumulate


class Utf16:
    """One text, of which a character beyond the basic plane, such as an emoji, has two units."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def is_longer(self) -> bool:
        """Whether the text has more units than characters."""
        return self.text != "" and max(self.text) > "\uffff"

    def find(self, start: int, quote: str) -> tuple[int, int] | None:
        """Where `quote` stands in characters, if it stands at `start` in units."""
        begin = bisect_left(self._starts, start)
        if self._starts[begin : begin + 1] != [start] or not self.text.startswith(quote, begin):
            return None
        return begin, begin + len(quote)

    @cached_property
    def _starts(self) -> list[int]:
        """How many units stand before each character, and before the end."""
        return [*accumulate((1 + (character > "\uffff") for character in self.text), initial=0)]
