"""A vocabulary file becomes a tokenizer that gives the ids Google's own code gave when the model was trained.

WordPiece (`vocab.txt`) for BERT, SentencePiece (`*.model`) for ALBERT.  Both are expressed as a `tokenizers` pipeline,
so that `tokenizer.json` carries all of it.  Known differences: `tokenizers` knows Unicode's tables as of 2015, so
marks, punctuation and ideographs that came later are told apart from letters by Google's code and not here.
"""

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import tokenizers
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, models, normalizers, pre_tokenizers, processors

from retort.errors import BadCheckpoint
from retort.tokenization.tokenizer import Tokenizer

_SPECIAL = ("[PAD]", "<pad>", "[UNK]", "<unk>", "[CLS]", "[SEP]", "[MASK]")
_UNREACHABLE = -1e6  # a score that no path through a text can prefer
_NORMAL, _UNKNOWN, _CONTROL = 1, 2, 3  # types of SentencePiece pieces
_UNIGRAM = 1  # type of SentencePiece models
_CASED = r"[\p{Lu}\p{Ll}\p{Lt}]"
_IGNORED = r"[\p{M}\p{Lm}\p{Sk}'’.:·]"  # stands between letters of one word
# Python's `str.lower` turns the last sigma of a word into ς; `tokenizers` lowers letter by letter.
_FINAL_SIGMA = normalizers.Replace(Regex(f"(?<={_CASED}|{_CASED}{_IGNORED})Σ(?!{_IGNORED}*{_CASED})"), "ς")
_SPACES = normalizers.Replace(Regex(r"[\s\x{1C}-\x{1F}]+"), " ")  # what Python's `str.split` splits at


def load_word_piece(file: Path, lowercase: bool | None = None, strip_accents: bool | None = None) -> Tokenizer:
    """Read a `vocab.txt`; without `lowercase`, the vocabulary tells whether it is cased.

    Raises BadCheckpoint: the file is missing, is not UTF-8 or lacks a special token.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")  # splitlines() would split at U+2028, which has an id
    except (OSError, UnicodeDecodeError) as e:
        raise BadCheckpoint(f"Cannot read the vocabulary {file}: {e}") from e
    vocabulary = {piece: i for i, line in enumerate(lines) if (piece := line.strip())}
    if "[UNK]" not in vocabulary:
        raise BadCheckpoint(f"The vocabulary {file} has no [UNK] token; expected one token a line, as BERT's have.")
    if lowercase is None:
        lowercase = not is_cased(p for p in vocabulary if not re.fullmatch(r"\[.*\]|<.*>", p))
    model = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=200)  # noqa: S106 (no password)
    core = tokenizers.Tokenizer(model)
    basic = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=strip_accents, lowercase=lowercase
    )
    cleaning = normalizers.Replace(Regex(_class_of(_is_dropped)), "")
    core.normalizer = normalizers.Sequence([cleaning, *([_FINAL_SIGMA] if lowercase else []), basic])
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.decoder = tokenizers.decoders.WordPiece()
    return _finish(core)


def load_sentence_piece(file: Path, lowercase: bool | None = None, keep_accents: bool = False) -> Tokenizer:
    """Read a SentencePiece model; without `lowercase`, its pieces tell whether it is cased.

    Google's code takes a piece such as `▁2010,` apart again, into `▁2010` and `,`: here those pieces are never chosen.
    Raises BadCheckpoint: the file is missing, is no unigram model or lacks a special token.
    """
    model = sentencepiece_model_pb2.ModelProto()
    try:
        model.ParseFromString(file.read_bytes())
    except (OSError, DecodeError) as e:
        raise BadCheckpoint(f"Cannot read the SentencePiece model {file}: {e}") from e
    unknown = [i for i, p in enumerate(model.pieces) if p.type == _UNKNOWN]
    if model.trainer_spec.model_type != _UNIGRAM or len(unknown) != 1:
        raise BadCheckpoint(f"{file} is no SentencePiece unigram model, which ALBERT's are.")
    if lowercase is None:
        lowercase = not is_cased(p.piece for p in model.pieces if p.type == _NORMAL)
    hidden = [p.piece for p in model.pieces if p.type in (_UNKNOWN, _CONTROL)]
    skipped = {*hidden, *(p.piece for p in model.pieces if re.search(r"\d,$", p.piece))}
    pieces = [(p.piece, _UNREACHABLE if p.piece in skipped else p.score) for p in model.pieces]
    core = tokenizers.Tokenizer(models.Unigram(pieces, unknown[0], model.trainer_spec.byte_fallback))
    core.normalizer = normalizers.Sequence(
        [
            _SPACES,
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            *([] if keep_accents else [normalizers.NFKD(), normalizers.Replace(Regex(_class_of(_is_combining)), "")]),
            *([_FINAL_SIGMA, normalizers.Lowercase()] if lowercase else []),
            *_charsmap(model.normalizer_spec.precompiled_charsmap),
            _SPACES,
            normalizers.Strip(),
            *_disguises(hidden, {p.piece for p in model.pieces}),
        ]
    )
    core.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    core.decoder = tokenizers.decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return _finish(core)


def is_cased(pieces: Iterable[str]) -> bool:
    """Whether more than one piece in a hundred would be lost to a text in lower case."""
    lost, n = 0, 0
    for piece in pieces:
        lost, n = lost + (piece != piece.lower()), n + 1
    return lost * 100 > n


def _finish(core: tokenizers.Tokenizer) -> Tokenizer:
    """Add what `tokenizer.json` needs beyond ids of text: special tokens and their layout."""
    special = [each for each in _SPECIAL if core.token_to_id(each) is not None]
    core.add_special_tokens(special)
    tokenizer = Tokenizer(core)  # tells of missing ones
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", tokenizer.cls_id), ("[SEP]", tokenizer.sep_id)],
    )
    return tokenizer


def _disguises(hidden: Iterable[str], pieces: set[str]) -> list[normalizers.Normalizer]:
    """Keep `<pad>` typed by a user from becoming the token where `<` has no piece: `<` turns into another unknown.

    Elsewhere the score suffices: a path letter by letter is better.
    """
    found: list[normalizers.Normalizer] = []
    for each in hidden:
        if unknown := [i for i, char in enumerate(each) if char not in pieces]:
            before, char, after = each[: unknown[0]], each[unknown[0]], each[unknown[0] + 1 :]
            pattern = f"(?<={re.escape(before)}){re.escape(char)}(?={re.escape(after)})"
            found.append(normalizers.Replace(Regex(pattern), "\ufffd"))
    return found


def _charsmap(compiled: bytes) -> list[normalizers.Normalizer]:
    return [normalizers.Precompiled(compiled)] if compiled else []


def _is_dropped(char: str) -> bool:
    """Control and format characters, NUL and the replacement character; tab and line ends separate words instead."""
    return char == "\ufffd" or (char not in "\t\n\r" and unicodedata.category(char) in ("Cc", "Cf"))


def _is_combining(char: str) -> bool:
    return unicodedata.combining(char) != 0


@cache
def _class_of(member: Callable[[str], bool]) -> str:
    """A regular expression's class of all characters that are members."""
    spans: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if member(chr(code)):
            if spans and spans[-1][1] == code - 1:
                spans[-1][1] = code
            else:
                spans.append([code, code])
    return "[" + "".join(f"\\x{{{first:X}}}-\\x{{{last:X}}}" for first, last in spans) + "]"
