"""A text becomes encodings that know its words, and what a model says of tokens becomes what it says of words.

A word is a run of letters and digits, or any other visible character by itself, so that an entity never begins or ends
within one; but a token that covers several of them, such as an unknown one, is a word.  Its first token speaks for it.
What `WHOLE` finds is one, too: what looks like a name within an address is none, and would teach so of names elsewhere.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from functools import lru_cache

from retort.config import LongText
from retort.tokenization.encoding import Encoding, Word, cut
from retort.tokenization.tokenizer import Tokenizer, Tokens

WHOLE = re.compile(
    r"(?:https?://|www\.)\S+|(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.-]*\w|(?<!\w)[@#]\w+"  # addresses, names, tags
    r"|['’](?:s|m|d|t|re|ve|ll)\b|&#?\w{1,16};|([^\w\s])\1+"  # what English hangs on to a word, HTML's characters, dots
)


def encode_words(
    text: str, tokens: Tokens, tokenizer: Tokenizer, max_seq_len: int, long_text: LongText
) -> list[Encoding]:
    """`[CLS] text [SEP]` as `encode_text` has it, each with the words that begin in it."""
    words = find_words(text, tokens.offsets)
    pieces, truncated = cut(range(len(tokens.ids)), max_seq_len - 2, long_text)
    found = []
    for piece in pieces:
        ids = [tokenizer.cls_id, *(tokens.ids[i] for i in piece), tokenizer.sep_id]
        found.append(Encoding(ids, len(ids), truncated, _locate(words, piece)))
    return found


def find_words(text: str, offsets: Sequence[tuple[int, int]]) -> list[Word]:
    """The words of a text in tokens with these offsets; positions count tokens."""
    words: list[Word] = []
    last = -1  # where the word before ends
    wholes = deque(match.span() for match in WHOLE.finditer(text))
    for index, (start, end) in enumerate(offsets):
        while start < end and text[start].isspace():  # SentencePiece counts the blank before a word as its own
            start += 1
        if start == end:
            continue
        while wholes and wholes[0][1] <= start:
            wholes.popleft()
        is_within = bool(words and wholes) and wholes[0][0] <= words[-1].start <= start
        if is_within or start < last or (start == last and _joins(text[start - 1]) and _joins(text[start])):
            words[-1] = words[-1]._replace(end=max(end, last))  # or one character, a ligature, in several tokens
        else:
            words.append(Word(index, start, end))
        last = words[-1].end
    return words


def central_words(encodings: Sequence[Encoding]) -> list[tuple[int, Word]]:
    """Each word of a text, in order, with the index of the encoding to ask: of those that hold it, the one in which it
    is farthest from both ends."""
    if len(encodings) == 1:
        return [(0, word) for word in encodings[0].words]
    best: dict[int, tuple[int, int, Word]] = {}  # by start
    for index, encoding in enumerate(encodings):
        for word in encoding.words:
            depth = min(word.position, len(encoding) - 1 - word.position)
            if word.start not in best or depth > best[word.start][0]:
                best[word.start] = (depth, index, word)
    return [(index, word) for _, (_, index, word) in sorted(best.items())]


def _locate(words: Sequence[Word], piece: Sequence[int]) -> list[Word]:
    """Those whose first token is among the indices `piece`, with its position behind the special token."""
    if isinstance(piece, range):  # long texts have many pieces, so that each may look at its own words alone
        first = bisect_left(words, piece.start, key=_position)
        last = bisect_left(words, piece.stop, key=_position)
        return [Word(w.position - piece.start + 1, w.start, w.end) for w in words[first:last]]
    positions = {index: position for position, index in enumerate(piece, 1)}
    return [w._replace(position=positions[w.position]) for w in words if w.position in positions]


def _position(word: Word) -> int:
    return word.position


@lru_cache(4096)
def _joins(character: str) -> bool:
    """Whether it is part of a longer word: letters, digits and their marks, but for scripts without blanks."""
    return (character.isalnum() or unicodedata.category(character)[0] == "M") and not _is_ideograph(character)


def _is_ideograph(character: str) -> bool:
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or character >= "\U00020000"
