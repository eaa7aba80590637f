"""Text as tokens without a vocabulary to lose: token = byte + 3, in any language (ByT5, Xue et al. 2022).

A text of k bytes of UTF-8 is BEGIN, k tokens, END, and then PAD up to the length: int32 [n length]. No text at all,
which is not the same as an empty one, is PAD alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

PAD, BEGIN, END = 0, 1, 2
VOCABULARY = 3 + 256
MOST_BYTES = 254  # of a text: 256 tokens


def to_bytes(text: str) -> bytes:
    """Encodes a text as UTF-8. Bytes that were none, as the system hands them over (PEP 383), come out as they were."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # halves of surrogate pairs
        return text.encode("utf-8", "surrogatepass")


def cut(data: bytes, most: int) -> bytes:
    """Cuts UTF-8 to at most `most` bytes, before the character that would not fit."""
    if len(data) <= most:
        return data
    end = most
    while end and most - end < 3 and data[end] & 0xC0 == 0x80:  # inside a character, of at most 4 bytes
        end -= 1
    return data[: end if data[end] & 0xC0 != 0x80 else most]


def tokens_of(texts: Iterable[bytes | None], length: int) -> np.ndarray:
    """Makes tokens int32 [n length]; None: no text. ValueError where a text has more than length - 2 bytes."""
    rows = list(texts)
    tokens = np.full((len(rows), length), PAD, np.int32)
    for row, data in zip(tokens, rows, strict=True):
        if data is None:
            continue
        if len(data) > length - 2:
            raise ValueError(f"a text has {len(data)} bytes, and {length} tokens hold {length - 2}")
        row[0], row[len(data) + 1] = BEGIN, END
        row[1 : len(data) + 1] = np.frombuffer(data, np.uint8).astype(np.int32) + 3
    return tokens


def texts_of(tokens: Sequence[Sequence[int]] | np.ndarray) -> list[str | None]:
    """Reads tokens [n length] back; None: no text. Bytes that are no UTF-8 come back as `to_bytes` takes them."""
    found = list[str | None]()
    for row in np.asarray(tokens):
        data = bytes(int(token) - 3 for token in row if token >= 3)
        found.append(data.decode("utf-8", "surrogateescape") if BEGIN in row else None)
    return found
