"""What is drawn is measured against geometry: areas, centers, colors, and the same scene at every resolution."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from gen.data import shapes
from gen.data.shapes import CLASS_NAMES, HELD_OUT_START, LUMA, MIN_CONTRAST, render
from gen.errors import InputError

# Areas in units of radius squared, from plane geometry.
_SIDE = 3 / math.sqrt(2) - 1
AREAS = {
    "circle": math.pi,
    "ring": math.pi * (1 - 0.55**2),
    "square": 2.0,
    "triangle": 3 * math.sqrt(3) / 4,
    "star": 5 * 0.45 * math.sin(math.pi / 5),
    "cross": 8 * 0.32 * math.sqrt(1 - 0.32**2) - 4 * 0.32**2,
    "heart": _SIDE**2 + math.pi * _SIDE**2 / 4,
}
CENTERED = ("circle", "ring", "square", "triangle", "star", "cross")


@pytest.fixture(scope="module")
def scenes():
    return {size: render(np.arange(count), resolution=size) for size, count in ((32, 800), (96, 96))}


@pytest.mark.parametrize("size", [32, 96])
@pytest.mark.parametrize("name", AREAS)
def test_area_is_that_of_the_figure(scenes, size, name):
    chosen = np.asarray(scenes[size].label) == CLASS_NAMES.index(name)
    measured = np.asarray(scenes[size].mask)[chosen].mean((1, 2, 3))
    expected = AREAS[name] * np.asarray(scenes[size].factors["radius"])[chosen] ** 2
    np.testing.assert_allclose(measured, expected, rtol=0.03 if size == 32 else 0.006)


@pytest.mark.parametrize("name", CENTERED)
def test_centroid_is_the_center(scenes, name):
    scene = scenes[32]
    chosen = np.asarray(scene.label) == CLASS_NAMES.index(name)
    mask = np.asarray(scene.mask)[chosen, :, :, 0]
    grid = (np.arange(32) + 0.5) / 32
    x, y = (mask * grid).sum((1, 2)) / mask.sum((1, 2)), (mask * grid[:, None]).sum((1, 2)) / mask.sum((1, 2))
    np.testing.assert_allclose(x, np.asarray(scene.factors["x"])[chosen], atol=0.004)
    np.testing.assert_allclose(y, np.asarray(scene.factors["y"])[chosen], atol=0.004)


def test_shapes_stay_inside_their_circle_and_the_image(scenes):
    scene = scenes[96]
    grid = (np.arange(96) + 0.5) / 96
    x, y, radius = (np.asarray(scene.factors[key])[:, None, None] for key in ("x", "y", "radius"))
    outside = np.hypot(grid - x, grid[:, None] - y) > radius + 1 / 96
    assert np.asarray(scene.mask)[..., 0][outside].max() == 0
    assert (np.maximum(abs(x - 0.5), abs(y - 0.5)) + radius).max() <= 0.5 + 1e-6


def test_rotation_is_anticlockwise(scenes):
    """A crescent opens to the right: its mass lies on the left, lower (larger y) the further it is turned."""
    grid = (np.arange(32) + 0.5) / 32
    mask = np.asarray(scenes[32].mask)[7::8, :, :, 0]
    x0, y0, rotation = (np.asarray(scenes[32].factors[key])[7::8] for key in ("x", "y", "rotation"))
    x = (mask * grid).sum((1, 2)) / mask.sum((1, 2)) - x0
    y = (mask * grid[:, None]).sum((1, 2)) / mask.sum((1, 2)) - y0
    np.testing.assert_allclose(np.arctan2(y, -x), rotation, atol=0.05)


def test_same_index_is_the_same_scene_in_any_batch(scenes):
    whole, chosen = scenes[32], np.array([31, 2, 17])
    some = render(chosen)
    np.testing.assert_allclose(some.image, np.asarray(whole.image)[[31, 2, 17]], atol=1e-6)
    np.testing.assert_array_equal(some.label, np.asarray(whole.label)[[31, 2, 17]])
    assert np.abs(np.asarray(render(chosen, seed=1).image) - np.asarray(some.image)).max() > 0.1


def test_same_index_is_the_same_scene_at_any_resolution(scenes):
    for key, value in scenes[32].factors.items():
        np.testing.assert_allclose(value[:96], scenes[96].factors[key], rtol=1e-6)
    for part in ("image", "mask"):
        fine = np.asarray(getattr(scenes[96], part))
        reduced = fine.reshape(96, 32, 3, 32, 3, -1).mean((2, 4))
        assert np.abs(reduced - np.asarray(getattr(scenes[32], part))[:96]).mean() < 0.006


def test_shape_stands_out_from_every_background_pixel(scenes):
    scene = scenes[32]
    image, mask = np.asarray(scene.image), np.asarray(scene.mask)[..., 0]
    assert image.min() >= 0
    assert image.max() <= 1
    luma = image @ np.array(LUMA)
    shape = np.asarray(scene.factors["color"]) @ np.array(LUMA)
    contrast = np.where(mask == 0, np.abs(luma - shape[:, None, None]), 1.0)
    assert contrast.min() >= MIN_CONTRAST - 1e-5
    np.testing.assert_allclose(
        image[mask == 1], np.asarray(scene.factors["color"])[np.nonzero(mask == 1)[0]], atol=1e-6
    )


def test_classes_are_told_apart_by_a_plain_reader_of_masks():
    """Ridge regression on 900 masks, moved to the center and scaled to one size, names 97 % of 500 others."""

    scene = render(np.concatenate([np.arange(900), HELD_OUT_START + np.arange(500)]), resolution=64)
    mask, label = np.asarray(scene.mask)[..., 0], np.asarray(scene.label)
    offset = ((np.arange(16) + 0.5) / 8 - 1) * np.asarray(scene.factors["radius"])[:, None]
    column, row = ((np.asarray(scene.factors[key])[:, None] + offset) * 64 for key in "xy")
    column, row = column.astype(int)[:, None, :].clip(0, 63), row.astype(int)[:, :, None].clip(0, 63)
    pixels = mask[np.arange(1400)[:, None, None], row, column].reshape(1400, -1)
    x = np.hstack([pixels, np.ones((1400, 1))])
    weights = np.linalg.solve(x[:900].T @ x[:900] + 3 * np.eye(x.shape[1]), x[:900].T @ np.eye(8)[label[:900]])
    assert ((x[900:] @ weights).argmax(1) == label[900:]).mean() > 0.97


def test_source_is_balanced_disjoint_and_cached(cache):
    source = shapes(16, num_train=80, num_held_out=40)
    assert source.class_names == CLASS_NAMES
    assert source.image_shape == (16, 16, 3)
    np.testing.assert_array_equal(np.bincount(source.train.labels), [10] * 8)
    np.testing.assert_array_equal(np.bincount(source.held_out.labels), [5] * 8)
    expected = np.round(np.asarray(render(jnp.arange(80), resolution=16).image) * 255)
    np.testing.assert_allclose(source.train.images, expected, atol=1)
    both = {image.tobytes() for split in (source.train, source.held_out) for image in split.images}
    assert len(both) == 120
    again = shapes(16, num_train=80, num_held_out=40)
    assert isinstance(again.train.images, np.memmap)
    assert again.metadata == source.metadata
    assert len(list(cache.iterdir())) == 1
    more = shapes(16, num_train=160, num_held_out=40)
    np.testing.assert_array_equal(more.held_out.images, source.held_out.images)


@pytest.mark.parametrize("options", [{"resolution": 4}, {"num_train": 0}, {"num_held_out": 0}])
def test_refuses_what_cannot_be_drawn(options):
    with pytest.raises(InputError, match="must be at least"):
        shapes(**options)
