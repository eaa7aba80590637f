"""Fréchet distance against eigenvalues, peers and closed forms; its interval against derivatives and repetitions."""

from __future__ import annotations

import math
import pathlib
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from make_goldens_moments import draw

from gen.errors import InputError
from gen.metrics import moments as module
from gen.metrics.bootstrap import Value
from gen.metrics.moments import (
    Accumulator,
    Moments,
    frechet,
    frechet_distance,
    frechet_infinite,
    moments,
    read_statistics,
    write_statistics,
)

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "moments.npz")


def by_eigenvalues(a: Moments, b: Moments) -> float:
    values = np.linalg.eigvals(a.cov @ b.cov)
    squares = np.sum((a.mean - b.mean) ** 2) + np.trace(a.cov) + np.trace(b.cov)
    return float(squares - 2 * np.sqrt(np.maximum(values.real, 0)).sum())


def by_factors(x: np.ndarray, y: np.ndarray) -> float:
    """True at any rank: the overlap is the sum of the singular values of the product of the centered samples."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    a, b = ((z - z.mean(axis=0)) / np.sqrt(len(z) - 1) for z in (x, y))
    squares = np.sum((x.mean(axis=0) - y.mean(axis=0)) ** 2) + np.sum(a * a) + np.sum(b * b)
    return float(squares - 2 * np.linalg.svd(a @ b.T, compute_uv=False).sum())


def gaussians(n: int, m: int, d: int, *, seed: int = 0, shift: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return 1.2 * rng.standard_normal((n, d)) + shift, rng.standard_normal((m, d))


# The distance


@pytest.mark.parametrize("d", [1, 3, 48, 200])
def test_eigenvalue_formula(d):
    a, b = (moments(x) for x in draw(3 * d + 20, 2 * d + 20, d))
    assert frechet(a, b) == pytest.approx(by_eigenvalues(a, b), rel=1e-9)


def test_goldens_of_peers():
    value = frechet(*(moments(x) for x in draw(700, 600, 48)))
    assert value == pytest.approx(float(GOLDENS["pytorch_fid"]), rel=1e-9)
    assert value == pytest.approx(float(GOLDENS["sqrtm"]), rel=1e-9)


def test_pytorch_fid_live():
    peer = pytest.importorskip("pytorch_fid.fid_score", exc_type=Exception)
    a, b = (moments(x) for x in draw(300, 200, 16))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs = peer.calculate_frechet_distance(a.mean, a.cov, b.mean, b.cov)
    assert frechet(a, b) == pytest.approx(theirs, rel=1e-9)


def test_diagonal_gaussians_by_hand():
    one = Moments(9, np.array([1.0, 0.0]), np.diag([4.0, 9.0]))
    other = Moments(9, np.array([0.0, 2.0]), np.diag([1.0, 25.0]))
    assert frechet(one, other) == pytest.approx(1 + 4 + (2 - 1) ** 2 + (3 - 5) ** 2, rel=1e-14)
    assert frechet(one, one) == pytest.approx(0, abs=1e-13)
    flat = Moments(9, np.zeros(2), np.diag([1.0, 0.0]))  # of rank 1
    assert frechet(one, flat) == pytest.approx(1 + (2 - 1) ** 2 + 9, rel=1e-14)
    assert frechet(flat, Moments(9, np.zeros(2), np.zeros((2, 2)))) == pytest.approx(1)


def test_symmetric_and_moves_with_the_features():
    x, y = draw(200, 150, 12)
    value = frechet_distance(x, y, replicates=0).value
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((12, 12)))[0]
    for other, factor in [((y, x), 1), ((x @ rotation, y @ rotation), 1), ((x + 5, y + 5), 1), ((3 * x, 3 * y), 9)]:
        assert frechet_distance(*other, replicates=0).value == pytest.approx(factor * value, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(40, 30), (30, 40), (40, 300), (300, 40), (65, 40), (64, 64), (2, 300)])
def test_fewer_samples_than_dimensions(n, m):
    x, y = draw(n, m, 64)
    truth = by_factors(x, y)
    assert frechet_distance(x, y, replicates=0).value == pytest.approx(truth, rel=1e-9)
    assert frechet(moments(x), moments(y)) == pytest.approx(truth, rel=1e-6)
    assert frechet_distance(x, moments(y), replicates=0).value == pytest.approx(truth, rel=1e-6)
    assert np.isfinite(frechet_distance(x, y)).all()


def test_same_few_samples_have_no_distance():
    x, _ = draw(20, 20, 64)
    assert frechet_distance(x, x).value == pytest.approx(0, abs=1e-7)


def test_samples_and_their_moments_agree_exactly():
    x, y = draw(100, 90, 8)
    value = frechet(moments(x), moments(y))
    assert frechet_distance(x, y).value == frechet_distance(x, moments(y)).value == value
    assert frechet_distance(moments(x), moments(y)).value == value


@pytest.mark.parametrize("dtype", [np.float32, np.float16, jnp.bfloat16])
def test_low_precision_is_upcast(dtype):
    rng = np.random.default_rng(0)
    x, y = (np.asarray(100 + 0.5 * rng.standard_normal((500, 6))).astype(dtype) for _ in range(2))
    truth = frechet(*(Moments(500, z.mean(axis=0), np.cov(z, rowvar=False)) for z in (np.float64(x), np.float64(y))))
    found = frechet_distance(jnp.asarray(x), jnp.asarray(y))
    assert found.value == pytest.approx(truth, rel=1e-9)
    assert found == frechet_distance(np.float64(x), np.float64(y))  # the interval, too


def test_float32_would_fail_here():
    """Mean 100, deviation 0.01, the second moment less the square of the first: in float32 nothing is left."""
    x = (100 + 0.01 * np.random.default_rng(0).standard_normal((1000, 4))).astype(np.float32)
    naive = x.T @ x / np.float32(1000) - np.outer(x.mean(axis=0), x.mean(axis=0))
    truth = np.cov(x.astype(np.float64), rowvar=False)
    assert np.abs(naive - truth).max() > 10 * np.abs(truth).max()
    np.testing.assert_allclose(moments(x).cov, truth, atol=1e-9 * truth.max())


# Moments


@pytest.mark.parametrize("sizes", [[50], [1] * 50, [49, 1], [7, 20, 23]])
def test_batches_do_not_matter(sizes):
    x = 1e6 + np.random.default_rng(0).standard_normal((50, 5))
    accumulator = Accumulator()
    for part in np.split(x, np.cumsum(sizes)[:-1]):
        accumulator.add(part)
    found = accumulator.moments()
    assert found.count == 50
    np.testing.assert_allclose(found.mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.cov, np.cov(x, rowvar=False), rtol=1e-9, atol=1e-9)


def test_moments_go_by_blocks(monkeypatch):
    x, _ = draw(100, 2, 7)
    whole = moments(x)
    monkeypatch.setattr("gen.metrics.arrays.BLOCK", 7 * 13)
    np.testing.assert_allclose(moments(x).cov, whole.cov, rtol=1e-12)
    assert frechet_distance(x, x[:50]).value == pytest.approx(by_factors(x, x[:50]), rel=1e-9)


# The interval


def weighted(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A factor [n d] of the covariance, the samples weighted (ddof 1 of the sum of weights), and the mean below it."""
    mean = weights @ x / weights.sum()
    return np.concatenate([np.sqrt(weights / (weights.sum() - 1))[:, None] * (x - mean), mean[None]])


def from_weighted(one: np.ndarray, other: np.ndarray) -> float:
    (a, m), (b, k) = ((z[:-1], z[-1]) for z in (one, other))
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(np.sum((m - k) ** 2) + np.sum(a * a) + np.sum(b * b) - 2 * overlap)


@pytest.mark.parametrize(("n", "m"), [(60, 50), (12, 50), (60, 12), (10, 12)])
def test_influences_are_derivatives(n, m):
    x, y = draw(n, m, 16)
    found = module._influences(module._side(x, "x"), module._side(y, "y"))
    step = 1e-4
    for index, z in enumerate((x, y)):
        both = [weighted(x, np.ones(n)), weighted(y, np.ones(m))]
        slopes = np.zeros(len(z))
        for i in range(len(z)):
            ends = []
            for sign in (1, -1):
                weights = np.ones(len(z))
                weights[i] += sign * step
                weights *= len(z) / weights.sum()
                both[index] = weighted(z, weights)
                ends.append(from_weighted(*both))
            slopes[i] = (ends[0] - ends[1]) / (2 * step) * len(z)
        centered = (found[index] - found[index].mean()) * len(z) / (len(z) - 1)
        scale = np.abs(slopes).max()
        # `found` leaves out the factor n / (n - 1) of the covariance's share, which is not in that of the mean.
        np.testing.assert_allclose(centered, slopes - slopes.mean(), atol=scale * 1.5 / len(z))


@pytest.mark.parametrize(("n", "d"), [(300, 6), (40, 64)])
def test_interval_has_the_spread_of_repetitions(n, d):
    found = [frechet_distance(*gaussians(n, n, d, seed=seed)) for seed in range(60)]
    spread = np.std([value.value for value in found])
    widths = np.mean([(value.high - value.low) / 2 / 1.96 for value in found])
    assert 0.75 < widths / spread < 1.35


def test_interval_resamples_what_it_has():
    x, y = draw(100, 90, 8)
    whole, half = frechet_distance(x, y), frechet_distance(x, moments(y))
    assert whole.low < half.low < half.value < half.high < whole.high
    assert math.isnan(frechet_distance(moments(x), moments(y)).low)
    assert math.isnan(frechet_distance(x, y, replicates=0).low)
    assert frechet_distance(x, y, seed=3) == frechet_distance(x, y, seed=3) != frechet_distance(x, y, seed=4)


# To infinity


def test_infinite_samples_have_no_bias():
    """Against the true moments of a standard normal: 0, where the plain distance is about d (d + 3.5) / (4 n)."""
    d, n = 24, 600
    truth = Moments(0, np.zeros(d), np.eye(d))
    plain, infinite = [], []
    for seed in range(8):
        x = np.random.default_rng(seed).standard_normal((n, d))
        plain.append(frechet_distance(x, truth, replicates=0).value)
        infinite.append(frechet_infinite(x, truth, seed=seed))
    assert np.mean(plain) > 0.2
    assert abs(np.mean([value.value for value in infinite])) < 0.2 * np.mean(plain)
    assert all(value.low < value.value < value.high for value in infinite)


def test_infinite_of_different_gaussians():
    d = 8
    truth = Moments(0, np.zeros(d), np.eye(d))
    found = [frechet_infinite(gaussians(400, 2, d, seed=seed)[0], truth) for seed in range(40)]
    values = np.array([value.value for value in found])
    known = d * (0.3**2 + 0.2**2)
    assert values.mean() == pytest.approx(known, abs=4 * values.std() / np.sqrt(40))
    assert np.mean([value.low <= known <= value.high for value in found]) > 0.85
    width = np.mean([value.high - value.low for value in found])
    assert 0.75 < width / 2 / 1.96 / values.std() < 1.4
    plain = [frechet_distance(gaussians(400, 2, d, seed=seed)[0], truth) for seed in range(40)]
    assert 1.07 < width / np.mean([value.high - value.low for value in plain]) < 2  # a line's end is less sure


def test_infinite_takes_features_and_few_of_them():
    x, y = draw(40, 30, 64)
    assert frechet_infinite(x, y).value == frechet_infinite(x, y).value
    assert np.isfinite(frechet_infinite(x, y)).all()
    assert np.isfinite(frechet_infinite(x, moments(y))).all()


# Files


def test_statistics_round_trip(tmp_path):
    found = moments(draw(50, 2, 5)[0])
    write_statistics(tmp_path / "a.npz", found)
    back = read_statistics(tmp_path / "a.npz")
    assert back.count == 50
    np.testing.assert_array_equal(back.mean, found.mean)
    np.testing.assert_array_equal(back.cov, found.cov)


def test_statistics_of_pytorch_fid(tmp_path):
    found = moments(draw(50, 2, 5)[0])
    np.savez_compressed(tmp_path / "theirs.npz", mu=found.mean, sigma=found.cov)  # as its fid_score.py does
    back = read_statistics(str(tmp_path / "theirs.npz"))
    assert back.count == 0
    assert frechet(back, found) == pytest.approx(0, abs=1e-12)
    write_statistics(tmp_path / "ours.npz", found)
    with np.load(tmp_path / "ours.npz") as file:  # as it reads them
        assert file["mu"][:].shape == (5,)
        assert file["sigma"][:].shape == (5, 5)


def test_pytorch_fid_reads_ours(tmp_path):
    peer = pytest.importorskip("pytorch_fid.fid_score", exc_type=Exception)
    found = moments(draw(50, 2, 5)[0])
    write_statistics(tmp_path / "ours.npz", found)
    mean, cov = peer.compute_statistics_of_path(str(tmp_path / "ours.npz"), None, 1, 5, "cpu")
    np.testing.assert_array_equal(mean, found.mean)
    np.testing.assert_array_equal(cov, found.cov)


EYE = np.eye(2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"mu": np.zeros(2)}, "lacks mu or sigma"),
        ({"mu": np.zeros(3), "sigma": EYE}, "must be"),
        ({"mu": np.zeros((1, 2)), "sigma": EYE}, "must be"),
        ({"mu": np.zeros(2), "sigma": EYE * np.nan}, "finite"),
        ({"mu": np.zeros(2), "sigma": np.array([[1.0, 0.5], [0.0, 1.0]])}, "no covariance"),
        ({"mu": np.zeros(2), "sigma": np.array([[1.0, 2.0], [2.0, 1.0]])}, "no covariance"),
        ({"mu": np.zeros(2), "sigma": -EYE}, "no covariance"),
        ({"mu": np.array(["a", "b"]), "sigma": EYE}, "real numbers"),
        ({"mu": np.array([1, {}], object), "sigma": EYE}, "no .npz of statistics"),
        ({"mu": np.zeros(2), "sigma": EYE, "count": np.zeros(3)}, "no .npz of statistics"),
    ],
)
def test_bad_statistics(tmp_path, content, message):
    np.savez(tmp_path / "bad.npz", **content)
    with pytest.raises(InputError, match=message) as caught:
        read_statistics(tmp_path / "bad.npz")
    assert "\n" not in str(caught.value)
    assert "bad.npz" in str(caught.value)


def test_files_that_are_no_statistics(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").write_bytes(b"")
    write_statistics(tmp_path / "good.npz", moments(draw(50, 2, 5)[0]))
    (tmp_path / "half.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:200])
    for name in ("a.npy", "text.npz", "empty.npz", "half.npz", "nothing.npz"):
        with pytest.raises(InputError, match=r"no \.npz of statistics") as caught:
            read_statistics(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=r"\.npz"):
        write_statistics(tmp_path / "a.pt", moments(draw(50, 2, 5)[0]))


# At the door


@pytest.mark.parametrize(
    ("generated", "real", "message"),
    [
        (np.zeros(3), np.zeros((4, 3)), r"generated has shape \(3,\)"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "3 dimensions and real 2"),
        (np.zeros((4, 3)), np.zeros((1, 3)), "real has 1 samples; this metric needs at least 2"),
        (np.zeros((4, 0)), np.zeros((4, 0)), "must be features"),
        (np.array([[1.0], [2.0], [np.inf]]), np.zeros((4, 1)), "generated is not finite, first in row 2"),
        (np.zeros((4, 3), complex), np.zeros((4, 3)), "real numbers"),
    ],
)
def test_bad_features(generated, real, message):
    with pytest.raises(InputError, match=message):
        frechet_distance(generated, real)


def test_other_bad_input():
    with pytest.raises(InputError, match="points=1"):
        frechet_infinite(np.zeros((9, 2)), np.zeros((9, 2)), points=1)
    with pytest.raises(InputError, match="at least 2"):
        Accumulator().moments()
    accumulator = Accumulator()
    accumulator.add(np.zeros((2, 3)))
    with pytest.raises(InputError, match="batch has 2 dimensions; those before it had 3"):
        accumulator.add(np.zeros((2, 2)))
    with pytest.raises(InputError, match="2 dimensions and real 1"):
        frechet(moments(np.zeros((2, 2))), moments(np.zeros((2, 1))))


def test_no_interval_of_nothing():
    from gen.metrics.influence import linearized

    assert math.isnan(linearized(1.0, replicates=200, seed=0).low)
    assert linearized(1.0, np.ones(4), replicates=200, seed=0) == Value(1, 1, 1)
