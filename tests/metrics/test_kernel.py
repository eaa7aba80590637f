"""Kernel distances against torch-fidelity, sums by hand, and what Gaussians must give."""

from __future__ import annotations

import math
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from make_goldens_moments import draw

from gen.errors import InputError
from gen.metrics import kernel as module
from gen.metrics.kernel import kernel_distance, rbf_mmd

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "moments.npz")


def gaussians(n: int, m: int, d: int, *, seed: int = 0, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) + shift, rng.standard_normal((m, d))


def unbiased(x: np.ndarray, y: np.ndarray) -> float:
    """Sums over pairs, one by one."""
    k = lambda a, b: (a @ b / len(a) + 1) ** 3  # noqa: E731
    own = [
        sum(k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j) / len(z) / (len(z) - 1)
        for z in (x, y)
    ]
    return sum(own) - 2 * sum(k(a, b) for a in x for b in y) / len(x) / len(y)


def test_kernel_distance_by_hand():
    x, y = draw(9, 9, 4)
    assert kernel_distance(x, y, replicates=0).value == pytest.approx(unbiased(x, y), rel=1e-12)


@pytest.mark.parametrize("seed", [0, 2020])
def test_subsets_of_torch_fidelity(seed):
    found = kernel_distance(*draw(700, 600, 48), subsets=10, size=200, seed=seed)
    assert found.value == pytest.approx(float(GOLDENS[f"kid_{seed}"]), rel=1e-6, abs=0)
    assert found.low < found.value < found.high


def test_torch_fidelity_live():
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("torch_fidelity.metric_kid", exc_type=Exception)
    x, y = draw(300, 250, 16)
    options = {"kid_subsets": 5, "kid_subset_size": 100, "kid_degree": 3, "kid_gamma": None, "kid_coef0": 1}
    theirs = peer.kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), **options, rng_seed=1, verbose=False
    )["kernel_inception_distance_mean"]
    assert kernel_distance(x, y, subsets=5, size=100, seed=1).value == pytest.approx(theirs, rel=1e-6)


def test_kernel_distance_is_unbiased():
    alike = np.array([kernel_distance(*gaussians(40, 40, 5, seed=s, shift=0), replicates=0).value for s in range(200)])
    assert abs(alike.mean()) < 3.5 * alike.std() / np.sqrt(200)
    assert (alike < 0).mean() > 0.3


def test_kernel_distance_of_gaussians():
    """E (x.y / d + 1)^3 = sum over i of C(3, i) E (x.y / d)^i: for d = 1 and a shift a, by moments of normals."""
    moment = lambda a: [1, a, a**2 + 1, a**3 + 3 * a]  # noqa: E731
    k = lambda a, b: sum(math.comb(3, i) * p * q for i, (p, q) in enumerate(zip(moment(a), moment(b), strict=True)))  # noqa: E731
    known = k(0.5, 0.5) + k(0, 0) - 2 * k(0.5, 0)
    found = kernel_distance(*gaussians(5000, 5000, 1), subsets=200, size=250)
    assert found.low < known < found.high
    assert found.value == pytest.approx(known, rel=0.1)


def test_low_precision_is_upcast():
    x, y = (z.astype(np.float32) for z in draw(60, 50, 8))
    wide = kernel_distance(x.astype(np.float64), y.astype(np.float64))
    assert kernel_distance(jnp.asarray(x), jnp.asarray(y)) == wide
    assert rbf_mmd(jnp.asarray(x), jnp.asarray(y)) == rbf_mmd(x.astype(np.float64), y.astype(np.float64))


@pytest.mark.parametrize(
    "metric",
    [
        lambda x, y, **options: kernel_distance(x, y, subsets=8, size=100, **options),
        lambda x, y, **options: kernel_distance(x, y, subsets=20, **options),
        lambda x, y, **options: rbf_mmd(x, y, sigma=2, **options),
    ],
    ids=["kid", "kid_all", "rbf"],
)
def test_interval_has_the_spread_of_repetitions(metric):
    found = [metric(*gaussians(300, 200, 4, seed=seed)) for seed in range(60)]
    spread = np.std([value.value for value in found])
    assert 0.75 < np.mean([(value.high - value.low) / 2 / 1.96 for value in found]) / spread < 1.3
    assert metric(*gaussians(300, 200, 4)) == found[0]
    assert math.isnan(metric(*gaussians(300, 200, 4), replicates=0).low)


def test_interval_is_not_narrow_where_sets_are_alike():
    found = [kernel_distance(*gaussians(300, 300, 4, seed=s, shift=0), subsets=20, size=100) for s in range(60)]
    spread = np.std([value.value for value in found])
    assert 0.9 < np.mean([(value.high - value.low) / 2 / 1.96 for value in found]) / spread < 2


def test_more_shift_is_worse():
    for metric in (kernel_distance, rbf_mmd):
        values = [metric(*gaussians(200, 200, 4, shift=shift), replicates=0).value for shift in (0, 0.3, 0.6, 1.2)]
        assert values == sorted(values)


# rbf_mmd


def test_rbf_mmd_by_hand(monkeypatch):
    """The formula of CMMD's code, whole matrices; and in tiles that do not divide the sets."""
    x, y = draw(23, 17, 5)

    def mean(a, b):
        return np.exp(-np.sum(np.square(a[:, None] - b), axis=2) / (2 * 0.7**2)).mean()

    known = 50 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))
    whole = rbf_mmd(x, y, sigma=0.7, scale=50)
    assert whole.value == pytest.approx(known, rel=1e-12)
    monkeypatch.setattr(module, "TILE", 5)
    np.testing.assert_allclose(rbf_mmd(x, y, sigma=0.7, scale=50), whole, rtol=1e-12)


def test_rbf_mmd_defaults_are_those_of_cmmd():
    x, y = draw(50, 40, 8)
    x, y = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))
    k = lambda a, b: np.exp(-(2 - 2 * a @ b.T) / 200).mean()  # noqa: E731
    assert rbf_mmd(x, y).value == pytest.approx(1000 * (k(x, x) + k(y, y) - 2 * k(x, y)), rel=1e-9)


def test_rbf_mmd_of_gaussians():
    """E k of N(a, I) and N(b, I) is (s / (s + 2))^(d / 2) exp(-|a - b|^2 / (2 (s + 2))) for s = sigma^2."""
    d, s, shift = 3, 4.0, 0.5
    scale = (s / (s + 2)) ** (d / 2)
    known = 2 * scale * (1 - np.exp(-d * shift**2 / (2 * (s + 2))))
    bias = 2 * (1 - scale) / 3000
    found = rbf_mmd(*gaussians(3000, 3000, d), sigma=2, scale=1)
    assert found.low < known + bias < found.high
    assert found.value == pytest.approx(known + bias, rel=0.1)


def test_far_from_zero():
    x, y = gaussians(200, 200, 4)
    near = rbf_mmd(x, y, sigma=1)
    assert rbf_mmd(x + 1e5, y + 1e5, sigma=1).value == pytest.approx(near.value, rel=1e-8)
    assert rbf_mmd(x, x).value == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: kernel_distance(x, x[:, :2]), "3 dimensions and real 2"),
        (lambda x: kernel_distance(x[:1], x), "generated has 1 samples"),
        (lambda x: kernel_distance(x, x, subsets=0), "subsets=0"),
        (lambda x: kernel_distance(x, x, size=1), "size=1"),
        (lambda x: rbf_mmd(x, x, sigma=0), "sigma=0"),
        (lambda x: rbf_mmd(x, x * np.nan), "real is not finite"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call(np.ones((4, 3)))
