"""A verdict holds against one good number: few images over and over, and varied noise, are both poor."""

import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from comparisons import comparison

from gen.evaluation import measure
from gen.evaluation.verdict import verdict

MODES = 4 * np.random.default_rng(7).normal(size=(40, 12))


def real(n, seed):
    rng = np.random.default_rng(seed)
    return (MODES[rng.integers(40, size=n)] + rng.normal(size=(n, 12))).astype(np.float32)


def asked(generated, n=1200):
    """A question of these features against `n` real ones."""

    def like(images, features):
        pictures = np.zeros((len(features), 2, 2, 1), np.uint8)
        return dataclasses.replace(images, images=pictures, features=features, labels=None, logits=None)

    plain, generated = comparison(), generated.astype(np.float32)
    reference = dataclasses.replace(plain.reference, real=like(plain.reference.real, real(n, 0)))
    return dataclasses.replace(plain, generated=like(plain.generated, generated), reference=reference)


def test_new_images_of_the_same_kind_are_good():
    found = verdict(asked(real(800, 1)))
    assert found.level == "good"
    assert found.words[0].startswith("Single images look real: precision")
    assert found.words[1].startswith("All that is real is there: recall")


def test_a_few_real_looking_images_over_and_over_are_poor():
    rng = np.random.default_rng(2)
    blobs = MODES[rng.integers(4, size=800)] + 0.3 * rng.normal(size=(800, 12))
    found = verdict(asked(blobs))
    assert found.level == "poor"
    assert found.words[0].startswith("Single images look real: precision 1.0")
    assert found.words[1].startswith("Much of what is real is missing: recall 0.0")


def test_varied_noise_is_poor():
    found = verdict(asked(12 * np.random.default_rng(3).normal(size=(800, 12))))
    assert found.level == "poor"
    assert found.words[0].startswith("Few single images look real: precision 0.0")


def test_half_of_the_kinds_is_neither_good_nor_poor():
    half = np.concatenate([real(3000, 4)])
    kind = np.linalg.norm(half[:, None] - MODES[None], axis=-1).argmin(1)
    found = verdict(asked(half[kind < 27][:800]))
    assert found.level == "fair"
    assert found.words[1].startswith("Some of what is real is missing")


def test_copies_decide():
    plain = asked(real(800, 1))
    (result,) = measure(plain, groups=("frechet",))
    results = [
        replace(result, metric=name, value=value) for name, value in (("memorized", 0.2), ("memorized-p", 1e-30))
    ]
    found = verdict(plain, results)
    assert found.level == "poor"
    assert found.words[-1].startswith("Training images are copied: 20.0%")
    results[1] = replace(results[1], value=0.4)
    assert verdict(plain, results).level == "good"


@pytest.mark.parametrize("count", [3, 99])
def test_too_few_images_get_no_verdict(count):
    assert verdict(asked(real(count, 1))).level == "unknown"
    assert verdict(asked(real(800, 1), n=count)).level == "unknown"
