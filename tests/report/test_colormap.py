"""Colors that anyone can order, and pictures of many pictures."""

from __future__ import annotations

import numpy as np
import pytest

from gen.imaging.color import rgb_to_oklab
from gen.report.colormap import apply_colormap, heat_map, scale
from gen.report.contact_sheet import sheet


def test_brighter_is_more_in_even_steps():
    ramp = apply_colormap(np.arange(256.0), high=255.0)
    light = np.asarray(rgb_to_oklab(np.float32(ramp[None] / 255)))[0, :, 0]
    assert len(np.unique(ramp, axis=0)) == 256
    np.testing.assert_allclose(light, np.linspace(0.22, 0.94, 256), atol=0.015)
    gray = ramp @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(gray) > -0.3).all()
    assert (np.diff(gray[::4]) > 0).all()


def test_values_beyond_the_scale_have_its_last_color_and_nothing_is_dark():
    low, high, beyond = apply_colormap(np.array([0.0, 2.0, 5.0]), high=2.0)
    assert low.sum() < 120 < 400 < high.sum()
    np.testing.assert_array_equal(high, beyond)
    np.testing.assert_array_equal(apply_colormap(np.zeros((2, 3)), high=0.0), np.broadcast_to(low, (2, 3, 3)))


def test_a_map_shows_each_value_as_a_square_over_its_scale():
    values = np.array([[0.0, 1.0], [2.0, 4.0]])
    picture = heat_map(values, unit="bits", times=100)
    np.testing.assert_array_equal(
        picture[[50, 50, 150, 150], [50, 150, 50, 150]], apply_colormap(values, high=4.0).reshape(-1, 3)
    )
    bar = picture[-scale(4.0, unit="bits", width=200).shape[0] :]
    np.testing.assert_array_equal(bar[0, [0, -1]], apply_colormap(np.array([0.0, 4.0]), high=4.0))
    assert (bar[12:] < 128).any()  # text


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 24, 3)])
def test_a_sheet_holds_every_tile_as_it_is(shape):
    rng = np.random.default_rng(0)
    tiles = [rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(4)]
    rows = [("one", [("a", tiles[0]), ("b", tiles[1])]), ("two", [("a", tiles[2]), ("b", tiles[3])])]
    picture = sheet(rows, scale=2, footer=[scale(1.0, unit="bits")])
    windows = np.lib.stride_tricks.sliding_window_view(picture, (2 * shape[0], 2 * shape[1], 3))[:, :, 0]
    for tile in tiles:
        wanted = np.broadcast_to(tile, (*shape[:2], 3)).repeat(2, 0).repeat(2, 1)
        assert (windows == wanted).all((2, 3, 4)).any()
