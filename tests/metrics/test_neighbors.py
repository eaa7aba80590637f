import pathlib
import tracemalloc

import numpy as np
import pytest

from gen.errors import InputError
from gen.metrics import neighbors
from gen.metrics.neighbors import density_coverage, expected_coverage, manifold, nearest, precision_recall

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "prdc.npz")


def normal(n, d=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def all_four(generated, real, k, **options):
    return [
        value for metric in (precision_recall, density_coverage) for value in metric(generated, real, k=k, **options)
    ]


def brute_force(x, y, k, exclude_self=False):
    distances = np.linalg.norm(x[:, None] - y[None], axis=-1)
    if exclude_self:
        np.fill_diagonal(distances, np.inf)
    indices = np.argsort(distances, axis=1)[:, :k]
    return np.take_along_axis(distances, indices, 1), indices


@pytest.mark.parametrize("block", [7, 2048])
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("exclude_self", [False, True])
def test_nearest_equals_brute_force(monkeypatch, block, k, exclude_self):
    monkeypatch.setattr(neighbors, "BLOCK", block)
    x = normal(40)
    y = x if exclude_self else normal(33, seed=1)
    distances, indices = brute_force(x, y, k, exclude_self)
    found = nearest(x, y, k, exclude_self=exclude_self)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-12)
    np.testing.assert_array_equal(found.indices, indices)


@pytest.mark.parametrize("offset", [0, 1e4])
def test_copies_are_at_distance_zero(offset):
    x = normal(50) + offset
    found = nearest(x[::-1], x, 1)
    assert not found.distances.any()
    np.testing.assert_array_equal(found.indices[:, 0], np.arange(50)[::-1])


def test_holds_a_few_blocks_at_a_time(monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK", 256)
    x, y = normal(3000, 4), normal(3000, 4, seed=1)
    tracemalloc.start()
    try:
        all_four(x, y, 5, replicates=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3000 * 3000 * 8 / 10


@pytest.mark.parametrize("block", [50, 2048])
@pytest.mark.parametrize("name", ["near", "modes"])
@pytest.mark.parametrize("k", [3, 5])
def test_equals_the_goldens_of_prdc(monkeypatch, name, k, block):
    monkeypatch.setattr(neighbors, "BLOCK", block)
    values = all_four(GOLDENS[name], GOLDENS["real"], k, replicates=0)
    np.testing.assert_allclose([value.value for value in values], GOLDENS[f"{name}_{k}"], atol=1e-6)


@pytest.mark.parametrize(("n", "d", "k"), [(400, 64, 5), (700, 3, 3)])
def test_equals_prdc(n, d, k):
    prdc = pytest.importorskip("prdc")
    generated, real = normal(n, d, seed=2) * 0.9, normal(n + 50, d, seed=3)
    expected = prdc.compute_prdc(real, generated, nearest_k=k)
    found = [value.value for value in all_four(generated, real, k, replicates=0)]
    np.testing.assert_allclose(
        found, [expected[key] for key in ("precision", "recall", "density", "coverage")], atol=1e-6
    )


def test_by_hand():
    # Balls about 0, 1 and 3 with k = 1: radii 1, 1, 2. About the generated 0.5 and 10: both 9.5.
    real, generated = np.array([[0.0], [1.0], [3.0]]), np.array([[0.5], [10.0]])
    (precision, recall), (density, coverage) = (
        metric(generated, real, k=1, replicates=0) for metric in (precision_recall, density_coverage)
    )
    assert (precision.value, recall.value) == (0.5, 1.0)
    assert (density.value, coverage.value) == (1.0, 2 / 3)


def test_on_the_border_is_inside():
    # A copy of a real point is in the k balls that reach to that point or farther (k each, on average), and in its own.
    # Rounding in the expanded squares must not decide it.
    real = normal(300, 16) * 0.01 + 30
    assert density_coverage(real.copy(), real, k=5, replicates=0).density.value == pytest.approx(6 / 5)


@pytest.mark.parametrize("far", [0, 1e4])
def test_sets_full_of_duplicates_lie_in_their_own_balls(far):
    # Every ball has radius 0; with < instead of <= nothing would be in any.
    real = np.repeat(normal(30, 16), 6, axis=0) + far
    precision, recall, density, coverage = (value.value for value in all_four(real.copy(), real, 5, replicates=0))
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == 6 / 5  # the six copies, over k = 5


def test_coverage_of_equal_distributions_is_what_theory_says():
    found = [
        density_coverage(normal(1000, 16, seed), normal(1000, 16, seed + 1), replicates=0).coverage.value
        for seed in (10, 20, 30)
    ]
    np.testing.assert_allclose(found, expected_coverage(1000, 1000, 5), atol=0.02)
    # Of the two other real points and the generated one, each is the nearest as often.
    assert expected_coverage(1, 3, 1) == pytest.approx(1 / 3)
    assert expected_coverage(2, 2, 1) == pytest.approx(2 / 3)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_features_far_from_zero_lose_nothing(dtype):
    generated, real = (normal(500, 32, seed) for seed in (0, 1))
    near = [value.value for value in all_four(generated.astype(dtype), real.astype(dtype), 5, replicates=0)]
    # Halves of whole numbers, so that the far features are the near ones exactly.
    step = 0.5
    generated, real = (np.round(x.astype(dtype) * 64) * step for x in (generated, real))
    close = [value.value for value in all_four(generated, real, 5, replicates=0)]
    if dtype != np.float16:
        far = [value.value for value in all_four(generated + dtype(30_000), real + dtype(30_000), 5, replicates=0)]
        assert far == close
    np.testing.assert_allclose(close, near, atol=0.02)


def test_moves_as_the_docstrings_say():
    rng = np.random.default_rng(4)
    centers = 8 * np.eye(4, 8)
    real = centers[rng.integers(4, size=600)] + rng.normal(size=(600, 8))
    good = centers[rng.integers(4, size=600)] + rng.normal(size=(600, 8))
    noisy, dropped = good + 3 * rng.normal(size=good.shape), centers[0] + rng.normal(size=(600, 8))
    good, noisy, dropped = (all_four(x, real, 5, replicates=0) for x in (good, noisy, dropped))
    assert noisy[0].value < good[0].value - 0.3
    assert noisy[2].value < good[2].value - 0.3
    assert dropped[1].value < good[1].value - 0.3
    assert dropped[3].value < good[3].value - 0.3
    assert dropped[0].value > 0.8


def test_a_manifold_gives_the_same_and_serves_smaller_k():
    generated, real = normal(80) * 0.9, normal(90, seed=1)
    cached = manifold(real, k=5)
    for k in (3, 5):
        assert all_four(generated, cached, k, seed=1) == all_four(generated, real, k, seed=1)
    assert density_coverage(manifold(generated, k=3), cached, k=5) == density_coverage(generated, real, k=5)
    with pytest.raises(InputError, match="real is a manifold with k = 5; k = 7"):
        density_coverage(generated, cached, k=7)


def test_intervals_hold_the_value_and_narrow_with_samples():
    wide, narrow = (all_four(normal(n) * 1.2, normal(n, seed=1), 5) for n in (60, 960))
    assert all(value.low < value.value < value.high for value in wide + narrow)
    assert sum(value.high - value.low for value in narrow) < 0.5 * sum(value.high - value.low for value in wide)
    assert all(np.isnan(value[1:]).all() for value in all_four(normal(20), normal(19), 5))


@pytest.mark.parametrize("d", [2, 12])
def test_intervals_are_those_of_new_samples_of_both_sets(d):
    # With the balls held fixed they would be half as wide.
    found = [all_four(normal(200, d, 2 * s) * 0.9 + 0.1, normal(200, d, 2 * s + 1), 4, seed=s) for s in range(20)]
    values = np.array([[value.value for value in four] for four in found])
    halves = np.array([[(value.high - value.low) / 2 for value in four] for four in found])
    ratio = np.sqrt(np.mean(halves**2, axis=0)) / (2.09 * values.std(axis=0, ddof=1))
    assert (ratio > 0.7).all()
    assert (ratio < 2.2).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nearest(normal(3), normal(3, 7), 1), "x has 8 dimensions and y 7"),
        (lambda: nearest(normal(3), normal(3), 4), "k = 4 nearest of 3"),
        (lambda: nearest(normal(3), normal(3), 3, exclude_self=True), "k = 3 nearest of 2"),
        (lambda: nearest(normal(3), normal(4), 1, exclude_self=True), "one set twice; x has 3 points, y 4"),
        (lambda: precision_recall(normal(3), normal(9)), "generated has 3 samples"),
        (lambda: density_coverage(normal(9), normal(5)), "real has 5 samples"),
        (lambda: density_coverage(normal(9), normal(9, 7)), "generated has 8 dimensions and real 7"),
        (lambda: precision_recall(normal(9), normal(9), k=0), "k = 0"),
        (lambda: density_coverage(normal(9), normal(9), k=-1), "k = -1"),
        (lambda: density_coverage(normal(9) * np.nan, normal(9)), "generated is not finite"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(InputError, match=message):
        call()
