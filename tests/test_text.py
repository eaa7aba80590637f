"""Text as tokens: bytes + 3, back again, in any language, and what is no text at all."""

import numpy as np
import pytest

from gen import text

TEXTS = [
    "",
    "a red star",
    "два зелёных круга",
    "絵文字 ⭐️👩🏽‍🚀",
    "line\nbreak\ttab\0nul",
    "e\u0301 \u202etfel",
    "\udcff\udc80 bytes",
]


def test_a_text_is_its_bytes_plus_3_between_two_marks():
    made = text.tokens_of([b"Az", None, b""], 6)
    assert made.dtype == np.int32
    np.testing.assert_array_equal(made, [[1, 68, 125, 2, 0, 0], [0] * 6, [1, 2, 0, 0, 0, 0]])


def test_texts_of_any_language_come_back():
    made = text.tokens_of([text.to_bytes(given) for given in TEXTS], 64)
    assert text.texts_of(made) == TEXTS
    assert made.min() >= 0
    assert made.max() < text.VOCABULARY
    assert text.texts_of(text.tokens_of([None], 4)) == [None]


def test_random_bytes_come_back_as_they_were():
    rng = np.random.default_rng(0)
    for _ in range(200):
        data = rng.bytes(int(rng.integers(0, 60)))
        given = data.decode("utf-8", "surrogateescape")
        assert text.to_bytes(given) == data
        found = text.texts_of(text.tokens_of([data], 64))[0]
        assert found is not None
        assert text.to_bytes(found) == data


def test_halves_of_surrogate_pairs_have_bytes():
    assert text.to_bytes("\ud800") == b"\xed\xa0\x80"


@pytest.mark.parametrize("given", TEXTS)
def test_a_cut_leaves_whole_characters(given):
    data = text.to_bytes(given)
    for most in range(len(data) + 2):
        kept = text.cut(data, most)
        assert data.startswith(kept)
        assert min(most - 3, len(data)) <= len(kept) <= most
        if "\udcff" not in given:
            assert given.startswith(kept.decode())


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="5 bytes, and 6 tokens hold 4"):
        text.tokens_of([b"12345"], 6)
