"""White balance: what each estimate makes gray, in linear light."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo

from gen.errors import InputError
from gen.imaging.color import balance, spaces

METHODS = ["gray_world", "white_patch", "shades_of_gray"]
CAST = np.float32([0.9, 0.7, 0.4])


def linear(x):
    return np.asarray(spaces.to_linear(x), np.float64)


def cast(x):
    """x under a colored light."""
    return spaces.from_linear(spaces.to_linear(x) * CAST)


def estimate(x, method):
    light = linear(x).reshape(-1, 3)
    if method == "gray_world":
        return light.mean(0)
    if method == "white_patch":
        return np.array([c[c >= np.sort(c)[-(len(c) // 100)]].mean() for c in light.T])
    return (light**6).mean(0) ** (1 / 6)


@pytest.mark.parametrize("method", METHODS)
def test_diagonal_gains_are_those_of_the_estimate(method):
    x = photo(40, 40)
    light = estimate(x, method)
    expected = linear(x) * (light @ [0.212671, 0.715160, 0.072169]) / light
    got = balance.white_balance(x, method, adaptation="diagonal")
    np.testing.assert_allclose(linear(got), expected, atol=5e-6)


@pytest.mark.parametrize("adaptation", ["bradford", "diagonal"])
def test_gray_world_has_a_gray_mean_of_the_same_luminance(adaptation):
    x = cast(photo())
    means = linear(balance.white_balance(x, "gray_world", adaptation=adaptation)).mean((0, 1))
    np.testing.assert_allclose(means, linear(x).mean((0, 1)) @ [0.212671, 0.715160, 0.072169], rtol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_diagonal_balance_undoes_a_cast(method):
    x = photo()
    plain, tinted = (balance.white_balance(image, method, adaptation="diagonal") for image in (x, cast(x)))
    ratio = linear(tinted).mean((0, 1)) / linear(plain).mean((0, 1))
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


@pytest.mark.parametrize("adaptation", ["bradford", "diagonal"])
def test_the_picked_color_becomes_gray(adaptation):
    color = (0.8, 0.6, 0.3)
    x = np.broadcast_to(np.float32(color), (4, 5, 3))
    y = np.asarray(balance.balance_to_neutral(x, color, adaptation=adaptation))
    assert np.ptp(y) < 1e-5
    assert linear(y)[0, 0, 1] == pytest.approx(linear(x)[0, 0] @ [0.212671, 0.715160, 0.072169], abs=1e-5)
    half = np.asarray(balance.balance_to_neutral(x, color, amount=0.5, adaptation=adaptation))
    assert np.ptp(y) < np.ptp(half[0, 0]) < 0.5


def test_bradford_equals_its_definition():
    source = np.array([0.8, 0.6, 0.3])
    to_xyz = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]) @ to_xyz
    light = linear(np.float32(source).reshape(1, 1, 3))[0, 0]
    gray = np.full(3, light @ to_xyz[1])
    matrix = np.linalg.inv(cones) @ np.diag((cones @ gray) / (cones @ light)) @ cones
    got = balance.balance_to_neutral(photo(), source)
    np.testing.assert_allclose(linear(got), linear(photo()) @ matrix.T, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("method", METHODS)
def test_amount_0_changes_nothing_and_grays_stay(method):
    np.testing.assert_allclose(balance.white_balance(photo(), method, amount=0.0), photo(), atol=1e-6)
    for value in (0.0, 0.3, 1.0):
        gray = np.full((5, 7, 3), value, np.float32)
        np.testing.assert_allclose(balance.white_balance(gray, method), gray, atol=2e-6)


def test_one_hot_pixel_does_not_move_the_white_patch():
    x = 0.5 * photo()
    hot = x.copy()
    hot[0, 0] = (1, 0, 0)
    difference = balance.white_balance(hot, "white_patch", fraction=0.05) - balance.white_balance(
        x, "white_patch", fraction=0.05
    )
    assert np.abs(difference[1:]).max() < 0.02


def test_each_image_has_its_own_light_and_strengths():
    x = jnp.stack([photo(), cast(photo())])
    for method in METHODS:
        options = {"amount": [0.5, 1.0], "norm": [3.0, 6.0], "fraction": [0.02, 0.1]}
        got = balance.white_balance(x, method, **{k: jnp.asarray(v) for k, v in options.items()})
        for b in range(2):
            one = balance.white_balance(x[b], method, **{k: v[b] for k, v in options.items()})
            np.testing.assert_allclose(got[b], one, atol=2e-6)
    neutral = jnp.asarray([(0.8, 0.7, 0.6), (0.5, 0.6, 0.7)])
    got = balance.balance_to_neutral(x, neutral)
    np.testing.assert_allclose(got[1], balance.balance_to_neutral(x[1], neutral[1]), atol=2e-6)


def test_gradients_reach_the_picked_color_and_the_strengths():
    def loss(neutral, amount):
        return jnp.sum(balance.balance_to_neutral(photo(8, 8), neutral, amount=amount) ** 2)

    gradients = jax.grad(loss, argnums=(0, 1))(jnp.asarray([0.8, 0.7, 0.6]), 0.7)
    assert all(np.isfinite(g).all() and np.abs(g).max() > 0 for g in gradients)


def test_wrong_input():
    with pytest.raises(
        InputError, match=r"^white_balance: method='gray_wrld'; allowed: .* did you mean 'gray_world'\?"
    ):
        balance.white_balance(photo(), "gray_wrld")
    with pytest.raises(InputError, match=r"^white_balance: adaptation='cat'; allowed: bradford, diagonal"):
        balance.white_balance(photo(), "gray_world", adaptation="cat")
    with pytest.raises(InputError, match=r"^white_balance: x has 1 channels; allowed: 3"):
        balance.white_balance(photo()[..., :1], "gray_world")
    with pytest.raises(InputError, match=r"^balance_to_neutral: neutral has shape \[4\]; allowed: \[3\] or \[1 3\]"):
        balance.balance_to_neutral(photo(), (1.0, 1.0, 1.0, 1.0))
