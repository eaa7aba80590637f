"""Sliced distances against transport by hand, scipy on a line, closed forms, and what spoilt images must give."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gen.errors import InputError
from gen.metrics import sliced as module
from gen.metrics.sliced import mind, pyramid, sliced, sliced_wasserstein, upsampled


def gaussians(n: int, m: int, d: int, *, seed: int = 0, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)) + shift, rng.standard_normal((m, d))


def waves(n: int, h: int, w: int, channels: int, *, seed: int = 0) -> np.ndarray:
    """Images [n h w c] of three random waves each, in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w] / 16
    frequency, phase = rng.uniform(-6, 6, (2, n, 3, 1, 1, channels)), rng.uniform(0, 6.3, (n, 3, 1, 1, channels))
    return 0.5 + np.sin(frequency[0] * y[..., None] + frequency[1] * x[..., None] + phase).sum(axis=1) / 6


# On a line


@pytest.mark.parametrize(
    ("x", "y", "first", "second"),
    [
        ([0, 1], [1, 0], 0, 0),
        ([0, 0], [3, 4], 3.5, 12.5),
        ([0, 1], [0, 0, 1, 1], 0, 0),
        ([0], [1, 2, 3], 2, 14 / 3),
        # Of six sixths: 0 goes to 0, 0, 1; 3 goes to 1, 2, 2.
        ([3, 0], [2, 0, 1], 5 / 6, (1 + 4 + 1 + 1) / 6),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_transport_by_hand(x, y, first, second, order):
    sets = [np.array(z, float)[:, None] for z in (x, y)][::order]
    for power, known in ((1, first), (2, second)):
        values, *_ = sliced(*sets, np.array([[1.0], [-1.0], [2.0]]), power=power)
        np.testing.assert_allclose(values, known * np.array([1, 1, 2**power]), atol=1e-15)
    assert mind(*(np.repeat(z, 2, axis=0) for z in sets)).value == pytest.approx(3 * second)


@pytest.mark.parametrize(("n", "m"), [(50, 50), (50, 37), (30, 60), (1, 8)])
def test_scipy(n, m):
    from scipy.stats import wasserstein_distance

    x, y = gaussians(n, m, 3)
    directions = np.random.default_rng(1).standard_normal((5, 3))
    known = [wasserstein_distance(x @ direction, y @ direction) for direction in directions]
    np.testing.assert_allclose(sliced(x, y, directions, power=1)[0], known, rtol=1e-12)


def test_chunks_and_influences_do_not_change_values(monkeypatch):
    x, y = gaussians(40, 30, 3)
    directions = np.random.default_rng(1).standard_normal((70, 3))
    whole = sliced(x, y, directions, power=2)[0]
    monkeypatch.setattr(module, "CHUNK", 3)
    monkeypatch.setattr(module, "INFLUENCE", 7)
    np.testing.assert_allclose(sliced(x, y, directions, power=2)[0], whole, rtol=1e-12)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize(("n", "m"), [(2000, 2000), (2000, 1500), (1500, 2000)])
def test_influences_are_derivatives(power, n, m):
    """Leaving out a fiftieth of the samples, all of great influence, moves the value as their sum says."""
    rng = np.random.default_rng(0)
    x, y = 1.5 * rng.standard_normal((n, 1)) + 1, rng.standard_normal((m, 1))
    direction = np.ones((1, 1))
    values, *influences = sliced(x, y, direction, power=power)
    for index, influence in enumerate(influences):
        sets = [x, y]
        out = rng.permutation(np.argsort(influence)[-len(influence) // 5 :])[: len(influence) // 50]
        sets[index] = np.delete(sets[index], out, axis=0)
        moved = sliced(*sets, direction, power=power)[0] - values
        said = -(influence[out] - influence.mean()).sum() / len(sets[index])
        np.testing.assert_allclose(moved, said, rtol=0.1)


# MIND


def test_mind_of_a_shift():
    """W2^2 along a direction is (direction.shift)^2, whose mean over all of them is |shift|^2 / d."""
    x, _ = gaussians(30, 1, 6)
    shift = np.array([3.0, 0, 0, 1, 0, -2])
    along = module._directions(np.random.default_rng(5), 1000, 6)
    np.testing.assert_allclose(np.linalg.norm(along, axis=1), 1)
    found = mind(x + shift, x, seed=5)
    assert found.value == pytest.approx(3 * 6 * np.mean((along @ shift) ** 2), rel=1e-12)
    assert found.value == pytest.approx(3 * np.sum(shift**2), rel=0.1)
    assert found.low < 3 * np.sum(shift**2) < found.high


def test_mind_of_a_scale():
    """Gaussians of deviations 1 and 2 are 1 apart along every direction: 3 d, the Fréchet distance being d."""
    rng = np.random.default_rng(0)
    found = mind(2 * rng.standard_normal((5000, 5)), rng.standard_normal((4000, 5)), directions=200)
    assert found.value == pytest.approx(15, rel=0.05)


def test_mind_moves_with_the_features():
    x, y = gaussians(40, 30, 6)
    value = mind(x, y).value
    assert mind(y, x).value == pytest.approx(value, rel=1e-9)
    assert mind(x + 1e4, y + 1e4).value == pytest.approx(value, rel=1e-9)
    assert mind(3 * x, 3 * y).value == pytest.approx(9 * value, rel=1e-9)
    assert mind(x, x[::-1]).value == pytest.approx(0, abs=1e-12)
    assert mind(x, np.concatenate([x, x])).value == pytest.approx(0, abs=1e-12)
    assert mind(x.astype(np.float32), y.astype(np.float32)).value == pytest.approx(value, rel=1e-5)
    assert mind(x, y) == mind(x, y) != mind(x, y, seed=1)
    assert math.isnan(mind(x, y, replicates=0).low)


@pytest.mark.parametrize(("n", "m"), [(200, 200), (250, 150)])
def test_interval_has_the_spread_of_repetitions(n, m):
    found = [mind(*gaussians(n, m, 3, seed=seed), directions=20, seed=seed) for seed in range(60)]
    spread = np.std([value.value for value in found])
    assert 0.75 < np.mean([(value.high - value.low) / 2 / 1.96 for value in found]) / spread < 1.35


# Images


@pytest.mark.parametrize(
    ("h", "w", "levels"),
    [(16, 16, [16]), (28, 28, [28]), (32, 40, [32, 16]), (31, 33, [31, 16]), (65, 64, [64, 32, 16])],
)
def test_pyramid_gives_the_image_back(h, w, levels):
    x = waves(2, h, w, 3).astype(np.float32)
    found = pyramid(x)
    assert [min(level.shape[1:3]) for level in found] == levels
    back = found[-1]
    for level in found[-2::-1]:
        back = level + upsampled(back, *level.shape[1:3])
    np.testing.assert_allclose(back, x, atol=1e-6)


def test_pyramid_of_a_constant():
    fine, coarse = pyramid(np.full((1, 32, 32, 1), 0.25, np.float32))
    np.testing.assert_allclose(coarse, 0.25, rtol=1e-6)
    np.testing.assert_allclose(fine, 0, atol=1e-6)


def test_pyramid_against_scipy():
    from scipy.ndimage import convolve

    x = waves(1, 32, 32, 1).astype(np.float32)
    taps = np.array([1, 4, 6, 4, 1]) / 16
    small = convolve(x[0, ..., 0], np.outer(taps, taps), mode="mirror")[::2, ::2]
    np.testing.assert_allclose(pyramid(x)[1][0, ..., 0], small, atol=1e-6)


def test_a_set_has_no_distance_to_itself():
    x = waves(6, 32, 32, 3).astype(np.float32)
    found = sliced_wasserstein(x, x.copy(), directions=8, descriptors=60, replicates=0)
    assert {level: value.value for level, value in found.items()} == {32: 0, 16: 0}


def test_patches_are_of_the_images():
    """Of an image that numbers its pixels: a patch is 7 rows of 7 neighbors, places differ, all are reached."""
    numbered = np.arange(16 * 16 * 2).reshape(2, 16, 16, 1).astype(np.float32)
    found = module._descriptors(np.random.default_rng(0), numbered, per_image=500)[16]
    assert found.shape == (2, 500, 7, 7, 1)
    corner = found[:, :, :1, :1]
    np.testing.assert_array_equal(found - corner, np.broadcast_to(numbered[:1, None, :7, :7], found.shape))
    places = corner[1].ravel() - 256
    assert len(np.unique(places)) > 90
    assert (places // 16).max() == (places % 16).max() == 9


@pytest.mark.parametrize("channels", [1, 3])
def test_spoilt_images_are_worse_where_they_are_spoilt(channels):
    real, alike = waves(150, 32, 32, channels), waves(150, 32, 32, channels, seed=1)
    noise = 0.15 * np.random.default_rng(0).standard_normal(alike.shape)
    options = {"descriptors": 4096, "directions": 64}
    floor = sliced_wasserstein(alike, real, **options)
    fine = sliced_wasserstein(np.clip(alike + noise, 0, 1), real, **options)
    coarse = sliced_wasserstein(np.repeat(np.repeat(alike[:, 8:24, 8:24], 2, 1), 2, 2), real, **options)
    assert list(floor) == [32, 16]
    assert fine[32].low > 2 * floor[32].high
    assert fine[32].value / floor[32].value > fine[16].value / floor[16].value
    assert coarse[16].low > floor[16].high
    for level in floor:
        assert floor[level].low < floor[level].value < floor[level].high


def test_brightness_and_depth_do_not_count():
    real, alike = waves(20, 16, 16, 3), waves(20, 16, 16, 3, seed=1)
    options = {"descriptors": 500, "directions": 16, "replicates": 0}
    value = sliced_wasserstein(alike, real, **options)[16].value
    assert sliced_wasserstein(0.1 + alike / 2, real, **options)[16].value == pytest.approx(value, rel=1e-4)
    coded = np.round(alike * 255).astype(np.uint8), np.round(real * 255).astype(np.uint8)
    assert sliced_wasserstein(*coded, **options)[16].value == pytest.approx(value, rel=0.01)


def test_images_go_by_blocks_and_constants_are_no_error(monkeypatch):
    x = waves(20, 16, 16, 1)
    monkeypatch.setattr("gen.metrics.arrays.BLOCK", 4 * 256 * 3)
    options = {"descriptors": 500, "directions": 8}
    found = sliced_wasserstein(x, np.full_like(x, 0.5), **options)
    assert found == sliced_wasserstein(x, np.full_like(x, 0.5), **options)
    assert np.isfinite(found[16]).all()
    assert found[16].value > 500
    flat = sliced_wasserstein(np.ones_like(x), np.zeros_like(x), **options)
    assert flat[16].value == pytest.approx(0, abs=1e-6)


def test_interval_of_images_has_the_spread_of_repetitions():
    def one(seed):
        sets = waves(60, 16, 16, 1, seed=2 * seed) ** 2, waves(60, 16, 16, 1, seed=2 * seed + 1)
        return sliced_wasserstein(*sets, descriptors=1000, directions=64, seed=seed)[16]

    found = [one(seed) for seed in range(40)]
    spread = np.std([value.value for value in found])
    assert 0.7 < np.mean([(value.high - value.low) / 2 / 1.96 for value in found]) / spread < 1.5


GOOD = np.zeros((4, 16, 16, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sliced_wasserstein(GOOD, GOOD[..., :1]), "allowed: equal"),
        (lambda: sliced_wasserstein(GOOD, GOOD[:, :15]), "16 pixels a side"),
        (lambda: sliced_wasserstein(GOOD[..., :2], GOOD), "1 or 3 channels"),
        (lambda: sliced_wasserstein(GOOD[0], GOOD), "1 or 3 channels"),
        (lambda: sliced_wasserstein(GOOD + 2, GOOD), r"generated leaves \[0, 1\]"),
        (lambda: sliced_wasserstein(GOOD, GOOD * np.nan), r"real leaves \[0, 1\]"),
        (lambda: sliced_wasserstein(GOOD, GOOD.astype(int)), "real is int64"),
        (lambda: sliced_wasserstein(GOOD, GOOD, directions=0), "directions=0"),
        (lambda: mind(np.zeros((4, 2)), np.zeros((4, 3))), "2 dimensions and real 3"),
        (lambda: mind(np.zeros((4, 2)), np.zeros((4, 2)), directions=0), "directions=0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
