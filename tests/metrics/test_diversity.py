import pathlib

import numpy as np
import pytest
from make_goldens_diversity import SIDES, pictures

from gen.errors import InputError
from gen.metrics.diversity import inception_score, ms_ssim, ms_ssim_diversity, path_length, vendi

GOLDENS = np.load(pathlib.Path(__file__).parent / "goldens" / "ms_ssim.npz")
ORDERS = [0, 0.1, 0.5, 1, 2, np.inf]


def normal(n, d=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def hill(shares, q):
    """The effective number of classes with these shares (Hill 1973)."""
    shares = np.array(shares)
    if q == 1:
        return np.exp(-np.sum(shares * np.log(shares)))
    return 1 / shares.max() if q == np.inf else np.sum(shares**q) ** (1 / (1 - q))


@pytest.mark.parametrize("q", ORDERS)
@pytest.mark.parametrize("d", [4, 20])  # fewer and more dimensions than samples
def test_vendi_of_orthogonal_groups_is_the_hill_number(q, d):
    x = np.repeat(np.eye(d)[:3] * [[1], [2], [5]], [5, 3, 2], axis=0)
    assert vendi(x, q=q, replicates=0).value == pytest.approx(hill([0.5, 0.3, 0.2], q), rel=1e-9)


@pytest.mark.parametrize("q", ORDERS[1:])
def test_vendi_of_two_samples_by_hand(q):
    # Cosine 0.6: eigenvalues of K / 2 are 0.8 and 0.2.
    x = np.array([[1, 0], [0.6, 0.8]])
    assert vendi(x, q=q, replicates=0).value == pytest.approx(hill([0.8, 0.2], q), rel=1e-12)


@pytest.mark.parametrize("q", ORDERS[1:])
def test_vendi_of_both_matrices_is_one(q):
    x = normal(30, 12)
    wide = np.concatenate([x, np.zeros((30, 30))], axis=1)
    narrow, wide = vendi(x, q=q), vendi(wide, q=q)
    np.testing.assert_allclose(wide, narrow, rtol=1e-9)


@pytest.mark.parametrize("q", ORDERS)
def test_vendi_at_its_ends(q):
    assert vendi(np.ones((9, 3)), q=q, replicates=0).value == pytest.approx(1)
    assert vendi(np.eye(9), q=q, replicates=0).value == pytest.approx(9)


def test_vendi_falls_with_order_and_with_fewer_modes():
    x = normal(300, 6) + 6 * np.eye(6)[np.arange(300) % 6]
    values = [vendi(x, q=q, replicates=0).value for q in ORDERS]
    assert values == sorted(values, reverse=True)
    dropped = x[np.arange(300) % 6 < 2]
    assert vendi(dropped).high < vendi(x).low


@pytest.mark.parametrize("q", [0.5, 1, 2, np.inf])
def test_the_interval_of_vendi_is_that_of_new_samples(q):
    sets = [vendi(normal(400, 5, seed) * [3, 1, 1, 1, 1], q=q, seed=seed) for seed in range(60)]
    spread = np.std([found.value for found in sets])
    half = np.mean([found.high - found.low for found in sets]) / 2
    assert half == pytest.approx(1.96 * spread, rel=0.3)


def test_inception_score_by_hand():
    # Sure of one of four classes each: KL(one-hot || uniform) = log 4. Unsure of all: 0.
    logits = 1000.0 * np.eye(4)[np.arange(40) % 4]
    assert inception_score(logits).value == pytest.approx(4)
    assert inception_score(np.ones((40, 4))).value == pytest.approx(1)
    shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    marginal = shares.mean(axis=0)
    expected = np.exp(np.mean(np.sum(shares * np.log(shares / marginal), axis=1)))
    for more in (0, 7):
        assert inception_score(np.log(shares) + more, splits=1).value == pytest.approx(expected, rel=1e-12)


def test_inception_score_is_the_mean_of_its_parts():
    logits = normal(50, 7) * 3
    parts = [inception_score(part, splits=1, replicates=0).value for part in np.array_split(logits, 4)]
    found = inception_score(logits, splits=4)
    assert found.value == pytest.approx(np.mean(parts))
    assert found.low < found.value < found.high
    assert inception_score(logits, splits=4, replicates=0)[0] == found.value


def test_the_interval_of_the_inception_score_is_that_of_new_samples():
    sets = [inception_score(normal(1000, 6, seed) * 3, seed=seed) for seed in range(60)]
    half = np.mean([found.high - found.low for found in sets]) / 2
    assert half == pytest.approx(1.96 * np.std([found.value for found in sets]), rel=0.3)


@pytest.mark.parametrize("side", SIDES)
def test_ms_ssim_equals_the_goldens_of_pytorch_msssim(side):
    np.testing.assert_allclose(ms_ssim(*pictures(side)), GOLDENS[str(side)], rtol=1e-9)


def test_ms_ssim_equals_pytorch_msssim():
    peer, torch = pytest.importorskip("pytorch_msssim"), pytest.importorskip("torch")
    x, y = pictures(192)
    expected = peer.ms_ssim(
        *(torch.from_numpy(a).permute(0, 3, 1, 2) for a in (x, y)), data_range=1.0, size_average=False
    )
    np.testing.assert_allclose(ms_ssim(x, y), expected.numpy(), rtol=1e-4)  # its window is float32


def test_ms_ssim_of_flat_pictures_by_hand():
    # No contrast: only the luminance of the coarsest of the two scales is left, to the power of its weight.
    x, y = np.full((1, 32, 32, 1), 0.25), np.full((1, 32, 32, 1), 0.5)
    luminance = (2 * 0.125 + 1e-4) / (0.25**2 + 0.5**2 + 1e-4)
    np.testing.assert_allclose(ms_ssim(x, y), luminance ** (1.0001 * 0.2856 / (0.0448 + 0.2856)), rtol=1e-9)


def test_ms_ssim_is_symmetric_one_for_equals_and_falls_with_noise():
    x, y = pictures(33, channels=1)
    np.testing.assert_allclose(ms_ssim(x, y), ms_ssim(y, x), rtol=1e-12)
    np.testing.assert_allclose(ms_ssim(x, x), 1)
    noise = normal(x.size).reshape(8, *x.shape)[0]
    values = [ms_ssim(x, (x + sigma * noise).clip(0, 1)) for sigma in (0, 0.05, 0.2)]
    assert (np.diff(values, axis=0) < 0).all()
    assert (ms_ssim(x, 1 - x) == 0).all()


def test_ms_ssim_diversity_of_hand_cases():
    x, y = (pictures(32)[0][i] for i in (0, 1))
    same = ms_ssim_diversity(np.stack([x] * 5), pairs=20)
    assert same.value == pytest.approx(1)
    both = ms_ssim_diversity(np.stack([x, y]), pairs=20, replicates=0)
    assert both.value == pytest.approx(ms_ssim(x[None], y[None])[0])
    # Pairs within a class, never between: each class is one image over and over.
    labels = np.array([1, 7, 1, 7, 3])
    assert ms_ssim_diversity(np.stack([x, y, x, y, y]), labels=labels, pairs=50).value == pytest.approx(1)
    mixed = ms_ssim_diversity(np.stack([x, y, x, y, y]), pairs=50)
    assert mixed.low < mixed.value < mixed.high < 1


def test_ms_ssim_diversity_takes_bytes():
    images = (np.concatenate(pictures(16)) * 255).round().astype(np.uint8)
    found = ms_ssim_diversity(images, pairs=30)
    np.testing.assert_allclose(found, ms_ssim_diversity(images / 255, pairs=30), rtol=1e-12)


def test_path_length_by_hand():
    one = np.zeros((101, 2))
    other = np.stack([np.arange(101.0), np.zeros(101)], axis=1) * 1e-3
    # Distances 0 to 100, squared; the least and the greatest are trimmed... and those at the quantiles stay.
    expected = np.mean(np.arange(1.0, 100.0) ** 2)
    assert path_length(one, other, epsilon=1e-3, replicates=0).value == pytest.approx(expected)
    longer = path_length(one, 2 * other, epsilon=1e-3)
    assert longer.value == pytest.approx(4 * expected)
    assert longer.low < longer.value < longer.high
    assert path_length(one[:1], other[5:6], epsilon=1e-3).value == pytest.approx(25)


def test_path_length_does_not_see_outliers():
    one, other = normal(500), normal(500) + 0.1 * normal(500, seed=1)
    before = path_length(one, other, epsilon=0.1)
    other[:3] += 1e6
    assert path_length(one, other, epsilon=0.1).value == pytest.approx(before.value, rel=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vendi(normal(5), q=-1), "q = -1"),
        (lambda: vendi(normal(5), q=np.nan), "q = nan"),
        (lambda: vendi(np.eye(5)[:, :4]), "a sample that is 0"),
        (lambda: inception_score(normal(5)), "splits = 10 of 5 samples"),
        (lambda: inception_score(np.full((9, 3), -np.inf)), "not finite"),
        (lambda: path_length(normal(5), normal(6)), r"one has shape \(5, 8\), other \(6, 8\)"),
        (lambda: path_length(normal(5), normal(5), epsilon=0), "epsilon = 0"),
        (lambda: ms_ssim(np.zeros((2, 16, 16, 3)), np.zeros((1, 16, 16, 3))), r"x has shape \(2, 16, 16, 3\), y \(1,"),
        (lambda: ms_ssim_diversity(np.zeros((5, 8, 8, 3))), "11 pixels a side"),
        (lambda: ms_ssim_diversity(np.zeros((5, 16, 16, 3)), pairs=0), "pairs = 0"),
        (lambda: ms_ssim_diversity(np.zeros((3, 16, 16, 3)), labels=np.arange(3)), "no class has two images"),
        (lambda: ms_ssim_diversity(np.zeros((3, 16, 16, 3)), labels=np.arange(4)), "one label for each of 3 images"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(InputError, match=message):
        call()
