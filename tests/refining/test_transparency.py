"""Chains on cut-outs: what is hidden takes no part, and what can be seen is treated as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest

from gen.errors import InputError
from gen.imaging.chain import chain
from gen.refining import transparency

PICTURE = (np.random.default_rng(0).random((32, 32, 3)) * [0.5, 0.35, 0.25] + 0.25).astype(np.float32)


def cut_out(hidden: float) -> tuple[np.ndarray, np.ndarray]:
    """PICTURE in the middle of 64 x 64 pixels, the others hidden and of this value."""
    image, alpha = np.full((64, 64, 3), hidden, np.float32), np.zeros((64, 64), np.float32)
    image[16:48, 16:48], alpha[16:48, 16:48] = PICTURE, 1
    return image, alpha


LOCAL = [
    "gaussian(2.0)",
    "unsharp_mask(2.0, 1.0)",
    "clahe(2.0)",
    "median(5)",
    "resize(32, 32)",
    "gaussian(1.0)|resize(24, 40)",
]
GLOBAL = ["equalize", "white_balance('gray_world')"]


@pytest.mark.parametrize("text", LOCAL + GLOBAL)
def test_what_is_hidden_changes_nothing(text):
    black, white = (transparency.refine(chain(text), *cut_out(value)) for value in (0, 1))
    np.testing.assert_array_equal(black[1], white[1])
    seen = black[1] > 0
    np.testing.assert_array_equal(black[0][seen], white[0][seen])
    assert black[0].shape[:2] == black[1].shape


@pytest.mark.parametrize(
    "text", ["gaussian(2.0)", "median(5)", "equalize", "white_balance('gray_world')", "contrast(2.0)"]
)
def test_a_cut_out_is_treated_as_if_it_were_alone(text):
    image, alpha = transparency.refine(chain(text), *cut_out(1))
    np.testing.assert_allclose(image[16:48, 16:48], np.asarray(chain(text)(PICTURE)), atol=2e-6)
    np.testing.assert_array_equal(alpha, cut_out(1)[1])


def test_a_blur_does_not_darken_the_rim_of_an_even_square():
    image, alpha = np.zeros((40, 40, 3), np.float32), np.zeros((40, 40), np.float32)
    image[10:30, 12:28], alpha[10:30, 12:28] = (1, 0, 0), 1
    image[9, 12:28], alpha[9, 12:28] = (0, 1, 0), 0.02  # nearly hidden: counts nearly nothing
    blurred, _ = transparency.refine(chain("gaussian(3.0)"), image, alpha)
    assert blurred[10:30, 12:28, 0].min() > 0.99


def test_every_pixel_occurs_equally_often_in_what_is_filled():
    image, alpha = cut_out(0)
    levels = np.arange(1024, dtype=np.float32).reshape(32, 32) / 1023
    image[16:48, 16:48] = levels[..., None]
    filled = transparency.extended(image, alpha > 0)
    assert (np.unique(filled[..., 0], return_counts=True)[1] == 4).all()
    np.testing.assert_array_equal(filled[16:48, 13:16], filled[16:48, 19:16:-1])  # a reflection, without its edge
    odd = np.random.default_rng(1).random((64, 64)) < 0.8  # fewer hidden than visible: the brightness stays
    filled = transparency.extended(image, odd)[..., 0]
    assert abs(filled.mean() - image[odd][:, 0].mean()) < 0.01


def test_partly_transparent_pixels_keep_their_colors():
    rng = np.random.default_rng(2)
    image, alpha = rng.random((9, 12, 3), np.float32), rng.random((9, 12), np.float32)
    alpha[0] = 0
    made, kept = transparency.refine(chain("invert"), image, alpha)
    np.testing.assert_allclose(made[1:], 1 - image[1:], atol=1e-6)
    np.testing.assert_array_equal(kept, alpha)
    solid, _ = transparency.refine(chain("invert"), image, np.zeros((9, 12), np.float32))
    assert np.isfinite(solid).all()


def test_a_resize_averages_colors_by_their_alpha():
    image = np.zeros((2, 4, 3), np.float32)
    image[:, 0], image[:, 1] = (1, 0, 0), (0, 0, 1)
    alpha = np.array([[0.75, 0.25, 0, 0]] * 2, np.float32)
    made, seen = transparency.refine(chain("resize(1, 2)"), image, alpha)
    np.testing.assert_allclose(made[0, 0], (0.75, 0, 0.25), atol=1e-6)
    np.testing.assert_allclose(seen, [[0.5, 0]], atol=1e-6)


def test_random_operators_depend_on_the_key_alone():
    import jax

    image, alpha = cut_out(0)
    made = [transparency.refine(chain("grain(0.1)"), image, alpha, key=jax.random.key(s))[0] for s in (1, 1, 2)]
    assert (made[0] == made[1]).all()
    assert (made[0] != made[2]).any()


def test_what_moves_pixels_otherwise_is_refused(monkeypatch):
    monkeypatch.setattr(transparency, "_RESIZING", "another")
    with pytest.raises(InputError, match="makes 8x8 of 64x64 pixels"):
        transparency.refine(chain("resize(8, 8)"), *cut_out(0))
