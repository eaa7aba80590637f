"""Augmentation against known truth: what each operation does, how often, and that gradients go through it."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from gen.augment import DEFAULT, augment, cutout, quarter_turns, recolor, resample, rotation, translate
from gen.errors import InputError
from gen.losses import squared_gradient_norm

COLORS = ("brightness", "contrast", "luma_flip", "hue", "saturation")
KEY = jax.random.key(3)
TRACES: list[tuple[int, ...]] = []


@jax.jit
def alone(key, images, probability):
    """Each operation by itself, brightness at half strength."""
    TRACES.append(images.shape)
    operation_weights = {name: 0.5 if name == "brightness" else 1.0 for name in DEFAULT}
    return {
        name: augment(key, images, probability, operation_weights={name: s}) for name, s in operation_weights.items()
    }


@jax.jit
def together(key, images, probability):
    return augment(key, images, probability)


def draw(b: int, h: int = 8, w: int = 8, c: int = 3, seed: int = 0) -> jax.Array:
    return jax.random.uniform(jax.random.key(seed), (b, h, w, c), minval=-1.0)


IMAGES = draw(512)
FEW = IMAGES[:8]


def test_probability_zero_gives_the_same_bits():
    images = IMAGES.at[:, 0, 0, 0].set(-0.0)
    before = np.asarray(images).view(np.uint32)
    for name, result in alone(KEY, images, 0.0).items():
        assert np.array_equal(before, np.asarray(result).view(np.uint32)), name
    assert np.array_equal(before[:8], np.asarray(together(KEY, images[:8], 0.0)).view(np.uint32))


@pytest.mark.parametrize("probability", [0.2, 0.5, 1.0])
def test_each_operation_is_as_frequent_as_asked_and_a_schedule_does_not_retrace(probability):
    # Flips act in half of their outcomes, quarter turns in three of four; 8 pixels move by -1, 0, 0 or 1.
    share = {"flip": 1 / 2, "luma_flip": 1 / 2, "quarter_turn": 3 / 4, "translation": 3 / 4, "brightness": 1 / 2}
    for name, result in alone(KEY, IMAGES, probability).items():
        expected = probability * share.get(name, 1.0)
        changed = np.mean(np.any(result != IMAGES, axis=(1, 2, 3)))
        assert abs(changed - expected) <= 4 * np.sqrt(expected * (1 - expected) / 512), name
    assert TRACES.count(IMAGES.shape) == 1


def test_flip_and_quarter_turn_choose_evenly_among_all_their_outcomes():
    results = alone(KEY, IMAGES, 1.0)
    x = np.asarray(IMAGES)
    for name, outcomes in {
        "flip": [x, x[:, :, ::-1]],
        "quarter_turn": [np.rot90(x, k, (1, 2)) for k in range(4)],
    }.items():
        is_outcome = np.stack([np.all(results[name] == outcome, axis=(1, 2, 3)) for outcome in outcomes])
        assert np.all(is_outcome.sum(axis=0) == 1)
        np.testing.assert_allclose(is_outcome.mean(axis=1), 1 / len(outcomes), atol=0.09)


def test_quarter_turns():
    images = draw(4)
    turned = jax.jit(quarter_turns)(images, jnp.arange(4))
    for k in range(4):
        np.testing.assert_array_equal(turned[k], np.rot90(images[k], k))
    oblong = draw(4, h=6)
    for k, result in enumerate(jax.jit(quarter_turns)(oblong, jnp.arange(4))):
        np.testing.assert_array_equal(result, np.rot90(oblong[k], k // 2 * 2))


def test_translation_shifts_the_reflected_image():
    images, shifts = draw(5, h=8, w=12), np.array([[0, 0], [3, 0], [0, -4], [-2, 5], [7, 11]])
    for image, shift, moved in zip(np.asarray(images), shifts, translate(images, jnp.asarray(shifts)), strict=True):
        padded = np.pad(image, ((8 - 1,) * 2, (12 - 1,) * 2, (0, 0)), mode="reflect")
        np.testing.assert_array_equal(moved, padded[7 - shift[0] :, 11 - shift[1] :][:8, :12])


def test_resampling_agrees_with_scipy_and_rotation_with_rot90():
    images = np.asarray(draw(4, h=9, w=7, c=1))
    matrix = np.stack([np.eye(2), np.eye(2) / 2, [[0.3, 1.2], [-0.9, 0.4]], [[2.5, 0], [0.2, -1]]])
    shift = np.array([[0, 0], [0, 0], [0.4, -2.3], [30.0, 5.0]])
    result = jax.jit(resample)(images, matrix, shift)
    center = np.array([4, 3])
    for i in range(4):
        at = np.einsum("ij,jyx->iyx", matrix[i], np.indices((9, 7)) - (center + shift[i])[:, None, None])
        expected = scipy.ndimage.map_coordinates(images[i, ..., 0], at + center[:, None, None], order=1, mode="mirror")
        np.testing.assert_allclose(result[i, ..., 0], expected, atol=1e-5)
    np.testing.assert_array_equal(result[0], images[0])
    square = draw(2)
    turned = jax.jit(resample)(square, rotation(jnp.array([np.pi / 2, np.pi])), jnp.zeros((2, 2)))
    np.testing.assert_allclose(turned, [np.rot90(square[0]), np.rot90(square[1], 2)], atol=1e-5)


def change(images, *, offset=0.0, luma=1.0, chroma=1.0, angle=0.0):
    return recolor(images, *(jnp.full(len(images), value) for value in (offset, luma, chroma, angle)))


def test_colors():
    images = draw(2)
    mean = jnp.mean(images, axis=-1, keepdims=True)
    close = lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6)  # noqa: E731
    close(change(images, offset=0.3), images + 0.3)
    close(change(images, luma=2.0, chroma=2.0), 2 * images)
    flipped = change(images, luma=-1.0)
    close(jnp.mean(flipped, axis=-1, keepdims=True), -mean)
    close(flipped - jnp.mean(flipped, axis=-1, keepdims=True), images - mean)
    close(change(flipped, luma=-1.0), images)
    close(change(images, chroma=0.0), jnp.broadcast_to(mean, images.shape))
    close(change(images, chroma=2.0), mean + 2 * (images - mean))
    turned = change(images, angle=1.0)
    close(jnp.mean(turned, axis=-1, keepdims=True), mean)
    close(jnp.linalg.norm(turned, axis=-1), jnp.linalg.norm(images, axis=-1))
    close(change(images, angle=2 * jnp.pi / 3), jnp.roll(images, 1, axis=-1))  # red becomes green
    close(change(turned, angle=-1.0), images)
    close(change(draw(2, c=4), angle=1.0), draw(2, c=4))  # no hue but in three channels


def assert_normal(values, deviation):
    """Median 0 and as many within one and two standard deviations as should be."""
    assert abs(np.mean(values < 0) - 0.5) < 0.09
    assert abs(np.mean(np.abs(values) < deviation) - 0.683) < 0.09
    assert abs(np.mean(np.abs(values) < 2 * deviation) - 0.954) < 0.04


def test_the_drawn_maps_are_the_described_ones():
    """Each pixel holds its own place, so that the four in the middle tell the map, unless a mirror is in sight."""
    place = np.moveaxis(np.indices((8, 8)) - 3.5, 0, -1)
    images = jnp.broadcast_to(jnp.asarray(np.pad(place, ((0, 0), (0, 0), (0, 1))), jnp.float32), IMAGES.shape)
    results = {name: np.asarray(x[:, 3:5, 3:5, :2], np.float64) for name, x in alone(KEY, images, 1.0).items()}
    maps = {name: np.stack([x[:, 1, 0] - x[:, 0, 0], x[:, 0, 1] - x[:, 0, 0]], -1) for name, x in results.items()}
    assert_normal(-np.log2(maps["scale"][:, 0, 0]), 0.2)
    np.testing.assert_allclose(maps["scale"], maps["scale"][:, :1, :1] * np.eye(2), atol=1e-5)
    assert_normal(np.log2(maps["anisotropy"][:, 0, 0]), 0.2)
    np.testing.assert_allclose(np.linalg.det(maps["anisotropy"]), 1, atol=1e-5)
    np.testing.assert_allclose(maps["anisotropy"] * (1 - np.eye(2)), 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.det(maps["rotation"]), 1, atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(maps["rotation"], axis=1), 1, atol=1e-4)
    quadrants = np.mean([maps["rotation"][:, 0, 0] * s > 0 for s in (1, -1)], axis=1)
    np.testing.assert_allclose(quadrants, 0.5, atol=0.09)
    for axis in range(2):
        assert_normal(results["fractional_translation"].mean(axis=(1, 2))[:, axis], 1.0)


def test_the_drawn_colors_are_the_described_ones():
    x, results = np.asarray(IMAGES), alone(KEY, IMAGES, 1.0)
    added = np.asarray(results["brightness"]) - x
    added = added[np.any(added != 0, axis=(1, 2, 3))]
    assert np.ptp(added, axis=(1, 2, 3)).max() < 1e-6
    assert_normal(added[:, 0, 0, 0], 0.2)
    assert_normal(np.log2(results["contrast"][:, 0, 0, 0] / x[:, 0, 0, 0]), 0.5)
    chroma = {name: np.std(images[:, 0, 0], axis=-1) for name, images in {"before": x, **results}.items()}
    assert_normal(np.log2(chroma["saturation"] / chroma["before"]), 1.0)
    for name in ("hue", "saturation"):
        np.testing.assert_allclose(np.mean(results[name] - x, axis=-1), 0, atol=1e-6)


def test_one_channel_has_no_hue_or_saturation_and_its_luma_flip_is_the_negative():
    images = draw(64, c=1)
    names = ("hue", "saturation", "luma_flip")
    results = jax.jit(lambda x: {name: augment(KEY, x, 1.0, operation_weights={name: 1.0}) for name in names})(images)
    np.testing.assert_array_equal(results["hue"], images)
    np.testing.assert_array_equal(results["saturation"], images)
    negative = np.all(results["luma_flip"] == -images, axis=(1, 2, 3))
    assert np.all(negative | np.all(results["luma_flip"] == images, axis=(1, 2, 3)))
    assert 16 < negative.sum() < 48


def test_cutout():
    images = 1 + draw(3, w=16)
    erased = np.all(cutout(images, jnp.array([[0.0, 0.0], [-1.0, 1.0], [0.5, -0.25]])) == 0, axis=-1)
    for i, (rows, columns) in enumerate([((2, 6), (4, 12)), ((0, 2), (12, 16)), ((4, 8), (2, 10))]):
        expected = np.zeros((8, 16), bool)
        expected[slice(*rows), slice(*columns)] = True
        np.testing.assert_array_equal(erased[i], expected)


def test_geometry_keeps_a_constant_image():
    images = jnp.broadcast_to(jnp.array([0.7, -0.3, 0.1]), IMAGES.shape)
    for name, result in alone(KEY, images, 1.0).items():
        if name not in (*COLORS, "cutout"):
            np.testing.assert_allclose(result, images, atol=1e-6, err_msg=name)


def test_jit_equals_eager_and_a_batch_equals_its_images_one_by_one():
    images = FEW
    batch = together(KEY, images, 0.9)
    np.testing.assert_allclose(batch, augment(KEY, images, 0.9), atol=1e-5)
    for i in range(8):
        single = together(jax.random.fold_in(KEY, i)[None], images[i : i + 1], 0.9)
        np.testing.assert_allclose(single[0], batch[i], atol=1e-5)
    assert not np.array_equal(batch, together(jax.random.key(4), images, 0.9))


def test_leaving_an_operation_out_does_not_change_the_others():
    def some(**weights):
        return jax.jit(lambda x: augment(KEY, x, 0.5, operation_weights=weights))(IMAGES)

    flipped, both = some(flip=1.0, hue=0.0), some(cutout=1.0, flip=1.0)
    assert np.all((both == flipped) | (both == 0))
    assert np.any(both != flipped)
    np.testing.assert_array_equal(some(), IMAGES)


def test_dtype_is_kept():
    images = FEW.astype(jnp.bfloat16)
    result = together(KEY, images, 0.9)
    assert result.dtype == jnp.bfloat16
    np.testing.assert_allclose(result.astype(jnp.float32), together(KEY, images.astype(jnp.float32), 0.9), atol=0.05)


def test_affine_in_the_image_and_the_transpose_is_exact():
    x, y = IMAGES, draw(512, seed=1)
    at_x, at_y, at_sum, at_zero = (alone(KEY, images, 0.9) for images in (x, y, x + y, 0 * x))
    for name in DEFAULT:
        np.testing.assert_allclose(at_sum[name], at_x[name] + at_y[name] - at_zero[name], atol=1e-5, err_msg=name)
        assert name == "brightness" or not np.any(at_zero[name]), name
    result, pullback = jax.vjp(lambda images: together(KEY, images, 0.9), FEW)
    linear = result - together(KEY, 0 * FEW, 0.9)
    np.testing.assert_allclose(jnp.vdot(linear, y[:8]), jnp.vdot(FEW, pullback(y[:8])[0]), rtol=1e-4)


def test_a_penalty_through_it_differentiates_twice():
    """R1 of tanh(w . augment(x)), by finite differences in w: the double backward pass through every operation."""
    images, weights = draw(4), draw(1, seed=1)[0] / 4
    direction = draw(1, seed=2)[0]

    @jax.jit
    @jax.value_and_grad
    def penalty(t):
        critic = lambda x: jnp.tanh(jnp.sum(augment(KEY, x, 1.0) * (weights + t * direction), axis=(1, 2, 3)))  # noqa: E731
        return squared_gradient_norm(critic, images)[1].sum()

    slope = penalty(0.0)[1]
    np.testing.assert_allclose(slope, (penalty(2e-3)[0] - penalty(-2e-3)[0]) / 4e-3, rtol=1e-2)
    assert abs(slope) > 0.01


def test_a_sharded_batch_stays_where_it_is():
    mesh = jax.make_mesh((8, 1), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)
    sharding = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
    images = jax.ShapeDtypeStruct((64, 8, 8, 3), jnp.float32, sharding=sharding)
    gradient = jax.grad(lambda x, key, probability: jnp.sum(jnp.square(augment(key, x, probability))))
    compiled = jax.jit(gradient, out_shardings=sharding).lower(images, KEY, 0.5).compile()
    collective = r"all-gather|all-reduce|all-to-all|collective-permute"
    assert not re.search(collective, str(compiled.as_text()))


def test_what_is_refused():
    with pytest.raises(InputError, match=r"no operation 'rotate'; did you mean 'rotation'\?; allowed: flip, "):
        augment(KEY, IMAGES, 0.5, operation_weights={"rotate": 1.0})
    with pytest.raises(InputError, match=r"weight of 'hue' is 1\.5; allowed: a number from 0 to 1"):
        augment(KEY, IMAGES, 0.5, operation_weights={"hue": 1.5})
    for images in (IMAGES[0], IMAGES[:, :1], IMAGES.astype(jnp.int32)):
        with pytest.raises(ValueError, match="images must be float"):
            augment(KEY, images, 0.5)
