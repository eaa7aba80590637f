"""gen.metrics.retrieval: against known truths."""

import numpy as np
import pytest

from gen.errors import InputError
from gen.metrics.retrieval import r_precision, retrieved


def units(n: int, d: int, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_images_that_are_their_captions_are_all_found() -> None:
    x = units(600, 8)
    found = r_precision(x, x, np.arange(600))
    assert found.value == 1.0
    assert found.high == 1.0
    assert 0.99 < found.low < 1.0


def test_images_without_anything_of_their_captions_are_found_by_chance() -> None:
    found = r_precision(units(4000, 32), units(4000, 32, seed=1), np.arange(4000), candidates=20)
    assert found.low < 1 / 20 < found.high


def test_equal_captions_are_no_others() -> None:
    texts = np.repeat(units(10, 4), 50, axis=0)
    captions = np.repeat(np.arange(10) * 7, 50)
    assert r_precision(texts, texts, captions, candidates=10).value == 1.0
    with pytest.raises(InputError, match="10 different captions are fewer than the 11 to choose from"):
        r_precision(texts, texts, captions, candidates=11)


def test_share_is_that_of_the_images_that_show_their_caption() -> None:
    texts = units(1000, 16)
    images = texts.copy()
    images[::4] = -images[::4]  # less like their own caption than like any other
    right = retrieved(images, texts, np.arange(1000), candidates=30, seed=3)
    np.testing.assert_array_equal(right, np.arange(1000) % 4 > 0)
    assert r_precision(images, texts, np.arange(1000), candidates=30).value == 0.75


def test_others_depend_on_the_seed_and_a_tie_is_not_found() -> None:
    images, texts = units(300, 3), units(300, 3, seed=1)
    numbers = np.arange(300)
    same = [retrieved(images, texts, numbers, candidates=5, seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(same[0], same[1])
    assert (same[0] != same[2]).any()
    alike = np.tile([[1.0, 0.0, 0.0]], (300, 1))
    assert not retrieved(images, alike, numbers, candidates=5).any()
