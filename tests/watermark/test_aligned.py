"""The bound of the reader, against the probabilities of all signs, counted one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gen.watermark import detect, embed, key
from gen.watermark.aligned import LEAST, Candidate

OWNER = key(b"the secret of the tests")


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_holds_for_all_signs_together(seed):
    received = np.random.default_rng(seed).exponential(size=12)  # far from Gaussian
    signs = np.array(list(itertools.product((-1, 1), repeat=12)))
    fits = signs @ received / np.linalg.norm(received)
    for fit in np.linspace(0, fits.max(), 50):
        assert np.mean(fits >= fit) <= Candidate(fit, 1, 32, lambda: received, "").p_value()


def test_all_places_that_were_tried_are_counted():
    p = [Candidate(5.0, tried, 32, lambda: np.zeros(0), "").p_value() for tried in (1, 80)]
    assert p == pytest.approx([np.exp(-12.5), 80 * np.exp(-12.5)])
    assert Candidate(float("nan"), 1, 32, lambda: np.zeros(0), "").p_value() == 1
    assert Candidate(-5.0, 1, 32, lambda: np.zeros(0), "").p_value() == 1
    assert Candidate(50.0, 1, 32, lambda: np.zeros(0), "").p_value() == LEAST


def test_p_values_of_unmarked_images_are_no_smaller_than_they_say():
    images = np.random.default_rng(0).integers(0, 256, (20, 24, 24, 3), np.uint8)
    images[::2] = embed(images[::2], OWNER, tag=1)
    p = [found.p_value for k in range(20) for found in detect(images, key(b"a secret of somebody, %d" % k))]
    assert np.mean(np.array(p) < 0.1) <= 0.1
    assert min(p) > 1e-4
