"""Color spaces against scikit-image, colorsys, OpenCV and published values; there and back; gradients everywhere."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging import color as spaces

PAIRS = ["hsv", "hsl", "xyz", "lab", "lch", "luv", "oklab", "oklch", "ycbcr"]


def cube(n: int = 9) -> np.ndarray:
    """[n*n n 3]: every color on a grid that has black, white, grays and all the edges of sRGB."""
    axis = np.linspace(0, 1, n, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(n * n, n, 3)


def there(name):
    return getattr(spaces, f"rgb_to_{name}")


def back(name):
    return getattr(spaces, f"{name}_to_rgb")


@pytest.mark.parametrize("name", ["hsv", "xyz", "lab", "luv", "ycbcr"])
def test_equals_skimage(name):
    def compute():
        from skimage import color

        return getattr(color, f"rgb2{name}")(cube().astype(np.float64)).astype(np.float32)

    expected = reference(f"space_{name}", "skimage", compute)
    if name == "ycbcr":
        np.testing.assert_allclose(spaces.rgb_to_ycbcr(cube(), swing="studio"), expected / 255, atol=1e-6)
    else:
        np.testing.assert_allclose(there(name)(cube()), expected, atol=2e-4)
        np.testing.assert_allclose(back(name)(expected), cube(), atol=1e-5)


def test_lch_is_lab_in_polar_form():
    def compute():
        from skimage import color

        return color.lab2lch(color.rgb2lab(cube().astype(np.float64))).astype(np.float32)

    expected = reference("space_lch", "skimage", compute)
    got = np.asarray(spaces.rgb_to_lch(cube()))
    np.testing.assert_allclose(got[..., :2], expected[..., :2], atol=2e-4)
    colored = expected[..., 1] > 1
    np.testing.assert_allclose(got[colored][:, 2] * 2 * np.pi, expected[colored][:, 2], atol=1e-4)


def test_hsl_equals_colorsys():
    expected = [colorsys.rgb_to_hls(*color) for color in cube().reshape(-1, 3).tolist()]
    expected = np.array(expected).reshape(cube().shape)[..., [0, 2, 1]]
    np.testing.assert_allclose(spaces.rgb_to_hsl(cube()), expected, atol=1e-6)


def test_full_swing_equals_opencv_but_for_its_rounded_factors():
    def compute():
        import cv2

        return cv2.cvtColor(cube(), cv2.COLOR_RGB2YCrCb)

    expected = reference("space_ycrcb", "cv2", compute)
    np.testing.assert_allclose(spaces.rgb_to_ycbcr(cube())[..., [0, 2, 1]], expected, atol=4e-4)


def test_oklab_equals_the_published_program():
    """Ottosson's linear_srgb_to_oklab of 2020, in float64."""
    x = cube().astype(np.float64)
    r, g, b = np.moveaxis(np.where(x > 0.04045, ((x + 0.055) / 1.055) ** 2.4, x / 12.92), -1, 0)
    l = np.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)  # noqa: E741
    m = np.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    s = np.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    expected = [
        0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s,
        1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
        0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s,
    ]
    np.testing.assert_allclose(spaces.rgb_to_oklab(cube()), np.moveaxis(expected, 0, -1), atol=1e-6)


@pytest.mark.parametrize(
    ("color", "oklab"),  # CSS Color 4
    [
        ((1, 0, 0), (0.62796, 0.22486, 0.12585)),
        ((0, 1, 0), (0.86644, -0.23389, 0.17950)),
        ((0, 0, 1), (0.45201, -0.03246, -0.31153)),
        ((1, 1, 1), (1, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_oklab_of_the_primaries(color, oklab):
    x = jnp.full((1, 1, 3), jnp.asarray(color, jnp.float32))
    np.testing.assert_allclose(spaces.rgb_to_oklab(x)[0, 0], oklab, atol=1e-5)
    light, chroma, hue = spaces.rgb_to_oklch(x)[0, 0]
    assert chroma == pytest.approx(np.hypot(*oklab[1:]), abs=1e-5)
    assert chroma < 1e-3 or hue == pytest.approx(np.arctan2(oklab[2], oklab[1]) / (2 * np.pi) % 1, abs=1e-4)
    assert light == pytest.approx(oklab[0], abs=1e-5)


def test_linear_light_of_middle_gray_and_of_what_is_out_of_range():
    x = jnp.asarray([-0.1, 0, 0.04, 0.5, 1, 2]).reshape(1, -1, 1)
    expected = [-0.1 / 12.92, 0, 0.04 / 12.92, 0.21404114, 1, (2.055 / 1.055) ** 2.4]
    np.testing.assert_allclose(spaces.to_linear(x)[0, :, 0], expected, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(spaces.from_linear(spaces.to_linear(x)), x, rtol=1e-6)


@pytest.mark.parametrize("name", PAIRS)
def test_there_and_back(name):
    for x in (cube(), photo()):
        np.testing.assert_allclose(back(name)(there(name)(x)), x, atol=2e-5)


def test_hues_are_periodic():
    hsv = spaces.rgb_to_hsv(photo())
    for turns in (-1, 1, 3):
        np.testing.assert_allclose(spaces.hsv_to_rgb(hsv + jnp.asarray((turns, 0, 0))), photo(), atol=1e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_are_finite_everywhere_and_undo_each_other(name):
    ends = (1e-40, 1e-20, 1e-7, 0.5, 1 - 6e-8)
    weights = jnp.asarray((1.0, 2.0, 3.0))

    @jax.jit
    def gradients(x):
        """Of the space, and of the way there and back."""
        y, forth = jax.vjp(there(name), x)
        _, home = jax.vjp(back(name), y)
        weight = jnp.broadcast_to(weights, x.shape)
        return forth(weight)[0], forth(home(weight)[0])[0]

    x = jnp.concatenate([jnp.asarray(cube(5)), *(jnp.full((1, 5, 3), value) for value in ends), photo(1, 5)])
    forth, round_trip = gradients(x)
    assert np.isfinite(forth).all()
    assert np.isfinite(round_trip).all()
    if name not in ("hsv", "hsl", "lch", "oklch"):  # gray has no hue to pass a gradient through
        np.testing.assert_allclose(round_trip[-1], jnp.broadcast_to(weights, (5, 3)), atol=1e-3)
        black_and_white = round_trip[0, 0], round_trip[24, 4]
        np.testing.assert_allclose(black_and_white[name == "luv" :], (weights,) * (2 - (name == "luv")), atol=1e-3)


def test_wrong_input():
    with pytest.raises(InputError, match=r"^rgb_to_lab: x has 1 channels; allowed: 3"):
        spaces.rgb_to_lab(jnp.zeros((4, 4, 1)))
    with pytest.raises(InputError, match=r"^rgb_to_ycbcr: swing='fll'; allowed: full, studio; did you mean"):
        spaces.rgb_to_ycbcr(photo(), swing="fll")
