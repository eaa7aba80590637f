"""The code of the payload: its words are far apart, and errors up to a quarter of the chips are mended."""

from __future__ import annotations

import numpy as np
import pytest

from gen.watermark import code, key
from gen.watermark.key import BLOCKS, carriers

OWNER = key(b"the secret of the tests")


def test_the_transform_is_the_product_of_all_words():
    values = np.random.default_rng(0).normal(size=128)
    products = [code.chips(word, 8) @ values for word in range(128)]
    np.testing.assert_allclose(code.hadamard(values), products, rtol=1e-9)
    np.testing.assert_array_equal(code.hadamard(np.array([5.0, 2.0, 1.0, 0.0])), [8, 4, 6, 2])


def test_any_two_words_differ_in_half_of_the_chips_or_in_all():
    words = np.stack([code.chips(word, 5) for word in range(32)]).astype(int)
    differing = (words[:, None] != words).sum(-1)
    expected = np.full((32, 32), 8)
    expected[np.arange(32), np.arange(32)] = 0
    expected[np.arange(32), np.arange(32) ^ 16] = 16
    np.testing.assert_array_equal(differing, expected)


@pytest.mark.parametrize(("size", "words"), [(16, []), (32, [0xA5]), (64, [0xA5]), (128, [0xA5C, 0x3F1])])
def test_the_payload_is_the_first_bits_of_the_tag(size, words):
    assert code.payload(0xA5C3F1, size) == words
    found, bits = code.tag_of([(word, 0.0) for word in words], size, 1e-3)
    assert found == 0xA5C3F1 >> 24 - bits << 24 - bits
    assert bits == sum(BLOCKS[size])


def test_blocks_behind_one_that_is_not_known_are_not_told():
    assert code.tag_of([(0xA5C, 1e-9), (0x3F1, 0.5)], 256, 1e-3) == (0xA5C000, 12)
    assert code.tag_of([(0xA5C, 0.5), (0x3F1, 1e-9)], 256, 1e-3) == (0, 0)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("wrong", [0.0, 0.2])
def test_the_tag_comes_back_with_a_fifth_of_the_chips_turned_over(size, wrong):
    known = carriers(OWNER, size)
    received = code.target(known, 0xA5C3F1, size)
    draw = np.random.default_rng(0)
    turned = [np.where(draw.random(received.shape) < wrong, -1, 1) for _ in range(2)]
    found = code.decode(received.real * turned[0] + 1j * received.imag * turned[1], known, size)
    assert [word for word, _ in found] == code.payload(0xA5C3F1, size)


def test_the_sync_carriers_bear_no_payload():
    known = carriers(OWNER, 128)
    difference = code.target(known, 0, 128) != code.target(known, 0xFFFFFF, 128)
    assert not (difference & known.sync).any()
    assert difference.any()


def test_the_bound_is_that_of_hoeffding_for_all_words():
    known, size = carriers(OWNER, 32), 32
    draw = np.random.default_rng(1)
    received = (draw.normal(size=(32, 17)) + 1j * draw.normal(size=(32, 17))).astype(np.complex64)
    ((word, bound),) = code.decode(received, known, size)
    parts = np.stack([received.real * known.signs.real, received.imag * known.signs.imag]).reshape(-1)[known.order[0]]
    fits = [float(parts @ np.resize(code.chips(candidate, 8), len(parts))) for candidate in range(256)]
    assert word == int(np.argmax(fits))
    assert bound == pytest.approx(min(1.0, 256 * np.exp(-(max(fits) ** 2) / (2 * np.sum(parts**2)))), rel=1e-5)
