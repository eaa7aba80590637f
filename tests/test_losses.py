"""Losses against closed forms and finite differences."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from gen.losses import ADVERSARIAL, contrastive, finite_difference_norm, lecam, squared_gradient_norm

PLAYERS = [(name, player) for name in ADVERSARIAL for player in ("discriminator", "generator")]
REAL = jnp.array([1.5, -0.5, 0.0, 3.0])
FAKE = jnp.array([-2.0, 0.25, 0.0, 4.0])


def log1pexp(x: jax.Array) -> np.ndarray:
    return np.log1p(np.exp(np.asarray(x, np.float64)))


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("relativistic", log1pexp(FAKE - REAL), log1pexp(REAL - FAKE)),
        ("non_saturating", log1pexp(-REAL) + log1pexp(FAKE), log1pexp(-FAKE)),
        ("hinge", [0.0, 1.5 + 1.25, 1.0 + 1.0, 5.0], [2.0, -0.25, 0.0, -4.0]),
        ("least_squares", [0.125 + 2.0, 1.125 + 0.03125, 0.5, 2.0 + 8.0], [4.5, 0.28125, 0.5, 4.5]),
    ],
)
def test_closed_forms(name, discriminator, generator):
    np.testing.assert_allclose(ADVERSARIAL[name].discriminator(REAL, FAKE), discriminator, rtol=1e-6)
    np.testing.assert_allclose(ADVERSARIAL[name].generator(REAL, FAKE), generator, rtol=1e-6)


@pytest.mark.parametrize(("name", "player"), PLAYERS)
def test_gradients_agree_with_finite_differences(name, player):
    loss = getattr(ADVERSARIAL[name], player)
    check_grads(loss, (REAL + 0.1, FAKE + 0.1), order=1, modes=["rev"], eps=1e-2, atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(("name", "player"), PLAYERS)
def test_one_finite_float32_per_image_however_large_the_logits(name, player):
    loss = getattr(ADVERSARIAL[name], player)
    for dtype in (jnp.float32, jnp.bfloat16):
        real, fake = (x.ravel().astype(dtype) for x in jnp.meshgrid(*2 * [jnp.array([-1e4, 0.0, 1e4])]))
        values, pullback = jax.vjp(loss, real, fake)
        assert values.shape == (9,)
        assert values.dtype == jnp.float32
        for x in (values, *pullback(jnp.ones(9))):
            assert np.isfinite(x.astype(jnp.float32)).all()
    np.testing.assert_allclose(jax.jit(loss)(REAL, FAKE), loss(REAL, FAKE), rtol=1e-6)


@pytest.mark.parametrize("shapes", [((4,), (3,)), ((4,), ()), ((4, 1), (4, 1)), ((4,), (4, 1))])
def test_shapes_that_would_broadcast_are_refused(shapes):
    real, fake = map(jnp.zeros, shapes)
    for loss in ADVERSARIAL.values():
        for player in loss:
            with pytest.raises(ValueError, match=r"real_logits \[4.*fake_logits \["):
                player(real, fake)
    with pytest.raises(ValueError, match="fake_logits"):
        lecam(real, fake, 0.0, 0.0)


def quadratic(images: jax.Array) -> jax.Array:
    """Gradient: images + 1."""
    return jnp.sum(jnp.square(images) / 2 + images, axis=(1, 2, 3))


def images_of(seed: int, b: int = 3) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), (b, 4, 4, 2))


def test_squared_gradient_norm_of_a_quadratic_critic():
    images = images_of(0)
    logits, squared = jax.jit(lambda x: squared_gradient_norm(quadratic, x))(images)
    np.testing.assert_allclose(logits, quadratic(images), rtol=1e-6)
    np.testing.assert_allclose(squared, np.sum((np.asarray(images) + 1) ** 2, axis=(1, 2, 3)), rtol=1e-5)


def test_squared_gradient_norm_goes_through_what_the_critic_does_first():
    """A critic w . (A x) has the gradient A^T w, not w."""
    slope, images = np.asarray(images_of(1, b=1)).ravel(), images_of(2)
    transform = np.asarray(jax.random.normal(jax.random.key(4), (32, 32)))
    _, squared = squared_gradient_norm(lambda x: x.reshape(3, 32) @ transform.T @ slope, images)
    np.testing.assert_allclose(squared, np.full(3, np.sum((transform.T @ slope) ** 2)), rtol=1e-4)


def test_squared_gradient_norm_adds_up_in_float32_and_wants_one_logit_per_image():
    images = images_of(0).astype(jnp.bfloat16)
    logits, squared = squared_gradient_norm(quadratic, images)
    assert (logits.dtype, squared.dtype) == (jnp.bfloat16, jnp.float32)
    np.testing.assert_allclose(squared, np.sum((np.asarray(images, np.float32) + 1) ** 2, axis=(1, 2, 3)), rtol=1e-2)
    with pytest.raises(ValueError, match=r"\[3\]; got \[3, 1\]"):
        squared_gradient_norm(lambda x: quadratic(x)[:, None], images)


def test_squared_gradient_norm_differentiates_in_the_critics_parameters():
    """The double backward pass, against finite differences along a random direction."""
    real = images_of(0)
    parameters = {"in": images_of(2, b=6).reshape(6, 32) / 6, "out": jnp.linspace(-1.0, 1.0, 6)}
    direction = jax.tree.map(lambda x: jnp.cos(7 * jnp.arange(x.size, dtype=x.dtype)).reshape(x.shape), parameters)

    def critic(p, x):
        return jnp.tanh(x.reshape(len(x), -1) @ p["in"].T) @ p["out"]

    def moved(t):
        return jax.tree.map(lambda x, d: x + t * d, parameters, direction)

    both = jax.jit(jax.value_and_grad(lambda t: squared_gradient_norm(lambda x: critic(moved(t), x), real)[1].sum()))
    slope = both(0.0)[1]
    np.testing.assert_allclose(slope, (both(5e-3)[0] - both(-5e-3)[0]) / 1e-2, rtol=5e-3)
    assert abs(slope) > 0.01


def estimates(critic, images, *, draws=20_000, step=0.01):
    """finite_difference_norm for many keys, [draws b]."""
    keys = jax.random.split(jax.random.key(9), draws)
    return np.asarray(
        jax.jit(jax.vmap(lambda key: finite_difference_norm(key, critic, images, step=step)[1]))(keys), np.float64
    )


def test_finite_differences_of_a_linear_critic_have_the_mean_and_the_variance_of_a_chi_square():
    slope, images = images_of(1, b=1), images_of(2)
    found = estimates(lambda x: jnp.sum(x * slope, axis=(1, 2, 3)), images) / float(jnp.sum(slope**2))
    np.testing.assert_allclose(found.mean(0), 1, atol=4 * np.sqrt(2 / 20_000))
    np.testing.assert_allclose(found.var(0), 2, rtol=0.1)
    assert abs(np.corrcoef(found[:, 0], found[:, 1])[0, 1]) < 0.04  # each image has noise of its own


def test_finite_differences_estimate_the_squared_gradient_norm_up_to_the_square_of_the_step():
    images = images_of(0)
    exact = np.asarray(squared_gradient_norm(quadratic, images)[1], np.float64)
    for step in (0.01, 0.3):  # of |x|^2 / 2 + sum x the mean is the squared norm + step^2 (n^2 + 2 n) / 4, n = 32
        found = estimates(quadratic, images, step=step)
        error = 4 * found.std(0) / np.sqrt(len(found))
        assert (np.abs(found.mean(0) - exact - step**2 * (32**2 + 2 * 32) / 4) < error).all(), step


def test_finite_differences_give_the_logits_of_the_images_and_a_gradient_with_the_right_mean():
    images = images_of(0)
    weights = images_of(2, b=6).reshape(6, 32) / 6

    def critic(w, x):
        return jnp.tanh(x.reshape(len(x), -1) @ w.T).sum(1)

    logits, squared = finite_difference_norm(jax.random.key(0), lambda x: critic(weights, x), images)
    np.testing.assert_array_equal(logits, critic(weights, images))
    assert (squared.shape, squared.dtype) == ((3,), jnp.float32)
    exact = np.asarray(jax.grad(lambda w: squared_gradient_norm(lambda x: critic(w, x), images)[1].sum())(weights))
    draw = jax.grad(lambda w, key: finite_difference_norm(key, lambda x: critic(w, x), images)[1].sum())
    found = np.asarray(jax.jit(jax.vmap(draw, (None, 0)))(weights, jax.random.split(jax.random.key(1), 20_000)))
    assert np.isfinite(found).all()
    far = np.abs(found.mean(0, np.float64) - exact) / (found.std(0, np.float64) / np.sqrt(20_000) + 1e-3)
    assert far.max() < 5
    with pytest.raises(ValueError, match=r"\[3\]; got \[3, 1\]"):
        finite_difference_norm(jax.random.key(0), lambda x: critic(weights, x)[:, None], images)


def test_lecam():
    np.testing.assert_allclose(lecam(REAL, FAKE, 2.0, -1.0), [6.25 + 16, 0.25 + 3.0625, 1 + 4, 16 + 4], rtol=1e-6)
    with pytest.raises(ValueError, match=r"fake_average must be a scalar; got shape \[4\]"):
        lecam(REAL, FAKE, 0.0, FAKE)
    check_grads(lambda r, f: lecam(r, f, 2.0, -1.0), (REAL, FAKE), order=1, modes=["rev"], atol=1e-2, rtol=1e-2)


def test_contrastive_by_hand():
    a = jnp.array([[3.0, 0.0], [0.0, 0.5]])
    # Lengths do not count. At temperature 1/2 the partner of each view is at exp(2), the two others at exp(0) ...
    assert contrastive(a, 7 * a, temperature=0.5) == pytest.approx(np.log((np.exp(2) + 2) / np.exp(2)), rel=1e-6)
    # ... and here the partner is at exp(0), one of the others at exp(2).
    assert contrastive(a, a[::-1], temperature=0.5) == pytest.approx(np.log(np.exp(2) + 2), rel=1e-6)


def test_contrastive_is_a_cross_entropy_over_all_other_views():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    views = np.concatenate([a, b]).astype(np.float64)
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    losses = []
    for i in range(10):
        likeness = np.exp(views @ views[i] / 0.2)
        losses.append(-np.log(likeness[(i + 5) % 10] / (likeness.sum() - likeness[i])))
    assert contrastive(a, b, temperature=0.2) == pytest.approx(np.mean(losses), rel=1e-5)
    check_grads(lambda x: contrastive(x, jnp.asarray(b), temperature=0.2), (a,), 1, ["rev"], 1e-2, 1e-2, 1e-2)
    assert np.isfinite(jax.grad(lambda x: contrastive(x, x, temperature=0.2))(jnp.zeros((2, 3)))).all()
    with pytest.raises(ValueError, match="views must be"):
        contrastive(a, b[:4], temperature=0.2)
