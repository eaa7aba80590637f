"""The extractor that is not trained: always the same, of unit variance, and it sees what is wrong with images."""

from __future__ import annotations

import numpy as np
import pytest

from gen.data import DatasetSplits, Examples
from gen.features import parse_extractor, random_network
from gen.metrics.moments import frechet_distance
from gen.metrics.neighbors import density_coverage


def noisy(count: int, seed: int, kinds: int = 8) -> np.ndarray:
    """Bars at one of `kinds` places, with noise: uint8 [count 16 16 3]."""
    rng = np.random.default_rng(seed)
    images = rng.normal(64, 20, (count, 16, 16, 3))
    for image, kind in zip(images, rng.integers(0, kinds, count), strict=True):
        image[:, 2 * kind : 2 * kind + 2] += 120
    return images.clip(0, 255).astype(np.uint8)


def source(images: np.ndarray) -> DatasetSplits:
    examples = Examples(images, np.zeros(len(images), np.int32))
    return DatasetSplits("bars", examples, examples)


@pytest.fixture(scope="module")
def real() -> np.ndarray:
    return noisy(400, 0)


@pytest.fixture(scope="module")
def extractor(real):
    return random_network(source(real))


def test_features_are_64_of_unit_variance_and_the_same_in_any_set(extractor, real):
    made = extractor.features(real)
    assert (extractor.name, made.shape, made.dtype) == ("random", (400, 64), np.float32)
    assert made[:250].var(axis=0).mean() == pytest.approx(1, rel=1e-4)  # of those that it is scaled by
    np.testing.assert_array_equal(extractor.features(real[7:9]), made[7:9])
    assert extractor.logits(real) is None


def test_it_is_always_the_same_and_its_digest_knows_the_data(extractor, real):
    again = parse_extractor("random", source(real))
    assert again.digest == extractor.digest
    np.testing.assert_array_equal(again.features(real[:5]), extractor.features(real[:5]))
    assert parse_extractor("random", source(real[:200])).digest != extractor.digest


def test_missing_kinds_and_spoiled_images_are_farther_than_new_ones(extractor, real):
    features, new = (extractor.features(images) for images in (real, noisy(200, 1)))
    few = extractor.features(noisy(200, 1, kinds=3))
    blurred = extractor.features(noisy(200, 1).reshape(200, 4, 4, 4, 4, 3).mean((2, 4)).repeat(4, 1).repeat(4, 2) / 255)
    best, *others = (frechet_distance(x, features, replicates=0).value for x in (new, few, blurred))
    assert all(other > 10 * best for other in others)
    covered, fewer = (density_coverage(x, features, replicates=0).coverage.value for x in (new, few))
    assert fewer < 0.6 * covered
