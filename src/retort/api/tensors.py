"""Tensors of texts and numbers, as bytes and back: the binary extension of the Open Inference Protocol.

A text is its length in four bytes, little-endian, and itself in UTF-8; a number is a float of four bytes.
"""

import struct
from collections.abc import Iterable, Iterator

import numpy as np

from retort.errors import InvalidInput

_LENGTH = struct.Struct("<I")


def pack_texts(texts: Iterable[str]) -> bytes:
    """Of as many texts as there are."""
    encoded = [text.encode() for text in texts]
    return b"".join(part for text in encoded for part in (_LENGTH.pack(len(text)), text))


def unpack_texts(packed: bytes) -> list[str]:
    """What `pack_texts` packs.  Raises InvalidInput: the lengths do not fit, or a text is no UTF-8."""
    return list(_unpack(packed))


def pack_floats(numbers: Iterable[float]) -> bytes:
    """Float32, little-endian."""
    return np.asarray(list(numbers), "<f4").tobytes()


def _unpack(packed: bytes) -> Iterator[str]:
    start = index = 0
    while start < len(packed):
        first = start + _LENGTH.size
        end = first + (_LENGTH.unpack_from(packed, start)[0] if first <= len(packed) else 1)
        if end > len(packed):
            raise InvalidInput(
                f"text[{index}]: expected four bytes of length and so many of text; the data ends before."
            )
        try:
            yield packed[first:end].decode()
        except UnicodeDecodeError as e:
            raise InvalidInput(f"text[{index}]: expected UTF-8; byte {e.start} is not.") from e
        start, index = end, index + 1
