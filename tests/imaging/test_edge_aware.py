"""Bilateral, guided, non-local means, total variation and diffusion against OpenCV, scikit-image and their formulas."""

from __future__ import annotations

import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging import filters
from gen.imaging._operator import reflect


def cv2():
    return pytest.importorskip("cv2")


def with_ximgproc() -> str:
    """The module to ask `reference` for: OpenCV where it is built with contrib, else one that is nowhere."""
    found = importlib.util.find_spec("cv2") and hasattr(importlib.import_module("cv2"), "ximgproc")
    return "cv2" if found else "cv2_contrib"


def padded(x, radius):
    """By the border rule of the library, in NumPy."""
    h, w = x.shape[:2]
    return x[reflect(h, radius, radius)][:, reflect(w, radius, radius)]


def mean(x, radius):
    """Box means of [h w ...] in float64."""
    h, w = x.shape[:2]
    wide = padded(x, radius)
    taps = range(2 * radius + 1)
    return sum(wide[i : i + h, j : j + w] for i in taps for j in taps) / len(taps) ** 2


@pytest.mark.parametrize("diameter", [5, 9, 15])
def test_bilateral_is_that_of_opencv(diameter):
    """Unrolled, and in a loop (15)."""
    x = photo(28, 32)
    wanted = reference(f"bilateral_{diameter}", "cv2", lambda: cv2().bilateralFilter(x, diameter, 0.15, 2.5))
    np.testing.assert_allclose(filters.bilateral(x, diameter, sigma_color=0.15, sigma_space=2.5), wanted, atol=1e-5)


def test_joint_bilateral_is_that_of_opencv():
    x, guide = photo(28, 32), np.ascontiguousarray(photo(28, 32)[:, ::-1])
    wanted = reference(
        "joint_bilateral", with_ximgproc(), lambda: cv2().ximgproc.jointBilateralFilter(guide, x, 7, 0.15, 2.5)
    )
    found = filters.joint_bilateral(x, guide, 7, sigma_color=0.15, sigma_space=2.5)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_one_guide_serves_a_batch():
    x = jnp.stack([photo(), photo()[::-1]])
    guide = jnp.asarray(photo())[None, ..., :1]
    found = filters.joint_bilateral(x, guide, 5)
    np.testing.assert_allclose(found[1], filters.joint_bilateral(x[1], guide[0], 5), atol=1e-6)
    found = filters.guided(x, 3, guide=guide)
    np.testing.assert_allclose(found[1], filters.guided(x[1], 3, guide=guide[0]), atol=1e-5)


@pytest.mark.parametrize("kind", ["own", "color", "gray"])
def test_guided_is_that_of_opencv_away_from_the_border(kind):
    x = photo(28, 32)
    flipped = np.ascontiguousarray(x[:, ::-1])
    guide = {"own": x, "color": flipped, "gray": np.ascontiguousarray(flipped[..., 1])}[kind]
    # eps 0.02: OpenCV takes the matrix for singular where its determinant is below 1e-6, and then only blurs.
    wanted = reference(f"guided_{kind}", with_ximgproc(), lambda: cv2().ximgproc.guidedFilter(guide, x, 3, 0.02))
    given = {"own": None, "color": guide, "gray": guide.reshape(28, 32, -1)}[kind]
    inner = slice(7, -7)
    found = filters.guided(x, 3, guide=given, eps=0.02)
    np.testing.assert_allclose(found[inner, inner], wanted[inner, inner], atol=1e-5)


def test_guided_by_its_equations_up_to_the_border():
    """He, Sun and Tang (2013), equations 19 to 21, in float64 with numpy.linalg.solve."""
    x = photo().astype(np.float64)
    radius, eps = 4, 1e-3
    mu = mean(x, radius)
    sigma = mean(x[..., :, None] * x[..., None, :], radius) - mu[..., :, None] * mu[..., None, :]
    a = np.linalg.solve(sigma + eps * np.eye(3), sigma)  # column k for channel k
    b = mu - np.einsum("hwik,hwi->hwk", a, mu)
    wanted = np.einsum("hwik,hwi->hwk", mean(a, radius), x) + mean(b, radius)
    np.testing.assert_allclose(filters.guided(photo(), radius, eps=eps), wanted, atol=5e-5)


def test_subsampled_guided_is_near_to_the_full_one():
    x = photo(64, 64)
    full, fast = filters.guided(x, 8, eps=0.02), filters.guided(x, 8, eps=0.02, subsample=2)
    assert 0 < np.abs(full - fast).mean() < 0.01
    assert np.abs(full - fast).mean() < 0.3 * np.abs(full - x).mean()


def test_guided_follows_the_edge_of_the_guide():
    """A rough mask takes the shape of the picture: what it is for."""
    sharp = np.zeros((32, 32, 1), np.float32)
    sharp[:, 16:] = 1
    rough = filters.box(sharp, 3)
    found = np.asarray(filters.guided(rough, 4, guide=sharp, eps=1e-4))
    assert found[16, 16, 0] - found[16, 15, 0] > 4 * (rough[16, 16, 0] - rough[16, 15, 0])


def test_non_local_means_is_its_formula():
    x = photo(16, 18).astype(np.float64)
    patch, search, strength, noise = 1, 3, 0.2, 0.05
    h, w, _ = x.shape
    edge = patch + 2 * search
    wide = padded(x, edge)
    total, weights = np.zeros_like(x), np.zeros((h, w, 1))
    for i in range(-search, search + 1):
        for j in range(-search, search + 1):
            d = np.mean((wide - np.roll(wide, (-i, -j), (0, 1))) ** 2, -1)
            taps = range(-patch, patch + 1)
            d = np.mean([np.roll(d, (k, m), (0, 1)) for k in taps for m in taps], 0)[edge : edge + h, edge : edge + w]
            weight = np.exp(-np.maximum(d - 2 * noise**2, 0) / strength**2)[..., None]
            total += weight * wide[edge + i : edge + i + h, edge + j : edge + j + w]
            weights += weight
    found = filters.denoise_nl_means(photo(16, 18), strength, patch=patch, search=search, noise=noise)
    np.testing.assert_allclose(found, total / weights, atol=2e-6)


def test_total_variation_is_that_of_scikit_image():
    x = photo(28, 32)

    def compute():
        restoration = pytest.importorskip("skimage.restoration")
        return restoration.denoise_tv_chambolle(x, 0.15, eps=0, max_num_iter=31, channel_axis=-1)

    found = filters.total_variation(x, 0.15, iterations=30)
    np.testing.assert_allclose(found, reference("total_variation", "skimage", compute), atol=1e-5)
    np.testing.assert_allclose(np.asarray(found).mean((0, 1), np.float64), x.mean((0, 1), np.float64), atol=1e-7)


@pytest.mark.parametrize("conduction", ["exponential", "rational"])
def test_diffusion_is_its_formula(conduction):
    x = photo(20, 22)
    u, kappa = x.astype(np.float64), 0.1
    for _ in range(4):
        wide = np.pad(u, ((1, 1), (1, 1), (0, 0)), mode="edge")
        flows = 0
        for i, j in ((0, 1), (2, 1), (1, 0), (1, 2)):
            d = wide[i : i + 20, j : j + 22] - u
            ratio = np.mean(d**2, -1, keepdims=True) / kappa**2
            flows = flows + d * (np.exp(-ratio) if conduction == "exponential" else 1 / (1 + ratio))
        u = u + 0.2 * flows
    found = filters.anisotropic_diffusion(x, kappa, iterations=4, conduction=conduction)
    np.testing.assert_allclose(found, u, atol=2e-6)
    np.testing.assert_allclose(np.asarray(found).mean((0, 1), np.float64), x.mean((0, 1), np.float64), atol=1e-7)


def test_all_of_them_take_out_noise_and_keep_a_step():
    step = np.full((32, 32, 3), 0.25, np.float32)
    step[:, 16:] = 0.75
    noisy = step + np.random.default_rng(0).normal(0, 0.03, step.shape).astype(np.float32)
    found = {
        "bilateral": filters.bilateral(noisy, 9, sigma_color=0.4),
        "guided": filters.guided(noisy, 4, eps=5e-3),
        "denoise_nl_means": filters.denoise_nl_means(noisy, 0.1, noise=0.03),
        "total_variation": filters.total_variation(noisy, 0.1),
        "anisotropic_diffusion": filters.anisotropic_diffusion(noisy, 0.12),
    }
    for name, y in found.items():
        assert np.abs(y - step).mean() < 0.5 * np.abs(noisy - step).mean(), name
        assert np.mean(y[:, 16] - y[:, 15]) > 0.4, name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: filters.bilateral(x, 4), "bilateral: diameter=4; allowed: odd numbers from 1"),
        (
            lambda x: filters.joint_bilateral(x, x[:, :5], 3),
            "joint_bilateral: guide has shape [2, 5, 8, 3]; allowed: [2 or 1, 8, 8, channels], as x",
        ),
        (lambda x: filters.guided(x[..., :2], 3), "guided: x has 2 channels; allowed: 1 or 3"),
        (
            lambda x: filters.guided(x, 3, guide=x[..., :2]),
            "guided: guide has shape [2, 8, 8, 2]; allowed: [2 or 1, 8, 8, 1 or 3], as x",
        ),
        (lambda x: filters.guided(x, 3, subsample=0), "guided: subsample=0; allowed: whole numbers from 1"),
        (
            lambda x: filters.denoise_nl_means(x, 0.1, search=0),
            "denoise_nl_means: search=0; allowed: whole numbers from 1",
        ),
        (
            lambda x: filters.total_variation(x, 0.1, iterations=2.5),
            "total_variation: iterations=2.5; allowed: whole numbers from 0",
        ),
        (
            lambda x: filters.anisotropic_diffusion(x, 0.1, conduction="rationall"),
            "anisotropic_diffusion: conduction='rationall'; allowed: exponential, rational; did you mean 'rational'?",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError) as error:
        call(jnp.zeros((2, 8, 8, 3)))
    assert str(error.value).startswith(message)
