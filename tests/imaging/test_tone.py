"""Grading: identities, closed forms, scipy's monotone cubic, and what each control promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.color import spaces, tone

IDENTITIES = {
    "exposure": lambda x: tone.exposure(x, 0.0),
    "gamma": lambda x: tone.gamma(x, 1.0),
    "levels": lambda x: tone.levels(x, 0.0, 1.0),
    "curves": lambda x: tone.curves(x, [0.1, 0.2, 0.7, 0.9], [0.1, 0.2, 0.7, 0.9]),
    "curves of two points": lambda x: tone.curves(x, [0.0, 1.0], [0.0, 1.0]),
    "contrast": lambda x: tone.contrast(x, 1.0, pivot=0.3),
    "brightness": lambda x: tone.brightness(x, 0.0),
    "saturation": lambda x: tone.saturation(x, 1.0),
    "vibrance": lambda x: tone.vibrance(x, 0.0),
    "hue": lambda x: tone.hue(x, 0.0),
    "hue of a whole turn": lambda x: tone.hue(x, 1.0),
    "temperature": lambda x: tone.temperature(x, 0.0),
    "lift_gamma_gain": lambda x: tone.lift_gamma_gain(x),
    "split_tone": lambda x: tone.split_tone(x, 0.6, 0.2, 0.0, balance=0.5),
    "shadows_highlights": lambda x: tone.shadows_highlights(x),
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_neutral_strength_changes_nothing(name):
    primaries = np.eye(3, dtype=np.float32)[None]
    for x in (photo(), primaries, 1 - primaries, np.zeros((2, 3, 3), np.float32), 2 * photo() - 0.5):
        np.testing.assert_allclose(IDENTITIES[name](x), x, atol=5e-6 if "turn" in name else 2e-6)


def test_exposure_is_in_stops_of_linear_light():
    x = spaces.from_linear(jnp.asarray(photo()) * 0.25)
    np.testing.assert_allclose(spaces.to_linear(tone.exposure(x, 2.0)), photo(), atol=1e-6)
    np.testing.assert_allclose(tone.exposure(tone.exposure(x, 1.5), -1.5), x, atol=1e-6)


def test_gamma_equals_skimage_and_is_finite_at_black():
    def compute():
        from skimage import exposure

        return exposure.adjust_gamma(photo().astype(np.float64), 0.6).astype(np.float32)

    np.testing.assert_allclose(tone.gamma(photo(), 0.6), reference("gamma", "skimage", compute), atol=1e-6)
    gradients = jax.grad(lambda x, g: jnp.sum(tone.gamma(x, g)), argnums=(0, 1))(jnp.zeros((2, 2, 3)), 0.4)
    assert all(np.isfinite(g).all() for g in gradients)


def test_levels():
    x = jnp.linspace(0.1, 0.9, 5).reshape(1, 5, 1)
    np.testing.assert_allclose(tone.levels(x, 0.1, 0.9)[0, :, 0], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)
    got = tone.levels(x, 0.1, 0.9, gamma=2.0, out_black=0.2, out_white=0.6)[0, :, 0]
    np.testing.assert_allclose(got, 0.2 + 0.4 * np.sqrt([0, 0.25, 0.5, 0.75, 1]), atol=1e-6)
    inverted = tone.levels(x, 0.0, 1.0, out_black=1.0, out_white=0.0)
    np.testing.assert_allclose(inverted, 1 - x, atol=1e-6)


POINTS = [0.05, 0.2, 0.45, 0.5, 0.9], [0.1, 0.15, 0.6, 0.6, 0.8]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_curves_equal_scipy_between_the_ends_and_go_on_straight(count):
    inputs, outputs = (p[:count] for p in POINTS)

    def compute():
        from scipy.interpolate import PchipInterpolator

        spline = PchipInterpolator(inputs, outputs)
        slopes = spline.derivative()(np.array([inputs[0], inputs[-1]]))
        x = photo().astype(np.float64)
        inside = spline(np.clip(x, inputs[0], inputs[-1]))
        return inside + np.minimum(x - inputs[0], 0) * slopes[0] + np.maximum(x - inputs[-1], 0) * slopes[1]

    expected = reference(f"curves_{count}", "scipy", lambda: compute().astype(np.float32))
    np.testing.assert_allclose(tone.curves(photo(), inputs, outputs), expected, atol=2e-6)


def test_curves_do_not_overshoot_and_end_flat_after_a_turn():
    x = jnp.linspace(0, 1, 1001).reshape(1, -1, 1)
    y = np.asarray(tone.curves(x, [0.0, 0.1, 0.9, 1.0], [0.0, 0.0, 1.0, 1.0])).ravel()
    assert (np.diff(y) >= 0).all()
    assert y.min() == 0
    assert y.max() == 1
    bump = np.asarray(tone.curves(x, [0.0, 0.5, 1.0], [0.0, 1.0, 0.0])).ravel()
    assert bump.max() == pytest.approx(1, abs=1e-6)


def test_curves_of_each_image_and_channel():
    x = jnp.stack([photo(), photo()[::-1]])
    outputs = np.random.default_rng(0).random((2, 4, 3)).cumsum(1).astype(np.float32) / 4
    inputs = np.array([[0, 0.3, 0.6, 1], [0.1, 0.2, 0.7, 0.9]], np.float32)
    got = tone.curves(x, inputs, outputs)
    for b in range(2):
        for c in range(3):
            one = tone.curves(x[b, :, :, c : c + 1], inputs[b], outputs[b, :, c])
            np.testing.assert_allclose(got[b, :, :, c : c + 1], one, atol=1e-6)
    gradient = jax.grad(lambda o: jnp.sum(tone.curves(x, inputs, o) ** 2))(outputs)
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient) > 0).all()


def test_contrast_brightness_saturation():
    x = photo()
    np.testing.assert_allclose(tone.contrast(x, 1.5, pivot=0.4), 0.4 + 1.5 * (x - 0.4), atol=1e-6)
    np.testing.assert_allclose(tone.brightness(x, -0.25), x - 0.25, atol=1e-6)
    gray = x @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    np.testing.assert_allclose(tone.saturation(x, 0.0), np.repeat(gray[..., None], 3, -1), atol=1e-6)
    np.testing.assert_allclose(tone.saturation(x[..., :1], 3.0), x[..., :1], atol=1e-6)


def test_vibrance_is_for_the_less_saturated():
    dull, vivid = np.array([0.5, 0.4, 0.4], np.float32), np.array([1, 0, 0], np.float32)
    y = np.asarray(tone.vibrance(np.stack([dull, vivid])[None], 1.0))[0]
    assert np.ptp(y[0]) == pytest.approx(0.1 * 1.9, abs=1e-6)
    np.testing.assert_allclose(y[1], vivid, atol=1e-6)


def test_hue_turns_in_oklch():
    x = 0.3 + 0.4 * photo()
    before, after = (np.asarray(spaces.rgb_to_oklch(image)) for image in (x, tone.hue(x, 0.3)))
    np.testing.assert_allclose(after[..., :2], before[..., :2], atol=1e-5)
    colored = before[..., 1] > 0.02
    turned = (after[..., 2] - before[..., 2])[colored] % 1
    np.testing.assert_allclose(turned, 0.3, atol=1e-4)
    gray = np.full((3, 3, 3), 0.4, np.float32)
    np.testing.assert_allclose(tone.hue(gray, 0.3), gray, atol=1e-6)


def test_temperature_follows_the_daylight_locus():
    """White at 1e6 / (1e6 / 6504 + 100 amount) kelvin: x of CIE 15, relative to that at 6504 kelvin."""

    def daylight(kelvin):
        a = (-4.6070e9, 2.9678e6, 0.09911e3, 0.244063) if kelvin < 7000 else (-2.0064e9, 1.9018e6, 0.24748e3, 0.237040)
        x = a[0] / kelvin**3 + a[1] / kelvin**2 + a[2] / kelvin + a[3]
        y = -3 * x * x + 2.870 * x - 0.275
        return np.array([x / y, 1, (1 - x - y) / y])

    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    white = np.array([0.412453 + 0.357580 + 0.180423, 1, 0.019334 + 0.119193 + 0.950227])
    for amount in (-1, -0.5, 0.5, 1):
        kelvin = 1e6 / (1e6 / 6504 + 100 * amount)
        gains = (bradford @ daylight(kelvin)) / (bradford @ daylight(6504))
        expected = np.linalg.inv(bradford) @ (gains * (bradford @ white))
        got = spaces.rgb_to_xyz(tone.temperature(jnp.ones((1, 1, 3)), amount))[0, 0]
        np.testing.assert_allclose(got, expected, atol=2e-4)
    warm, cold = (np.asarray(tone.temperature(jnp.full((1, 1, 3), 0.5), a))[0, 0] for a in (0.5, -0.5))
    assert warm[0] > warm[1] > warm[2]
    assert cold[0] < cold[2]


def test_tint_is_magenta_above_0_and_keeps_luminance():
    x = jnp.full((1, 1, 3), 0.5)
    magenta, green = (np.asarray(tone.temperature(x, 0.0, tint=t))[0, 0] for t in (1.0, -1.0))
    assert magenta[1] < min(magenta[0], magenta[2])
    assert green[1] > max(green[0], green[2])
    for image in (magenta, green):
        assert spaces.rgb_to_xyz(image.reshape(1, 1, 3))[0, 0, 1] == pytest.approx(0.214041, abs=2e-3)


def test_wheels():
    x = photo()
    np.testing.assert_allclose(tone.lift_gamma_gain(x, lift=0.2), 0.2 + 0.8 * x, atol=1e-6)
    np.testing.assert_allclose(tone.lift_gamma_gain(x, gain=(1.0, 0.5, 2.0)), x * np.float32([1, 0.5, 2]), atol=1e-6)
    np.testing.assert_allclose(tone.lift_gamma_gain(x, gamma=2.0), np.sqrt(x), atol=1e-6)
    batch = jnp.stack([x, x])
    got = tone.lift_gamma_gain(batch, gain=jnp.asarray([[0.5], [1.0]]))
    np.testing.assert_allclose(got, np.stack([0.5 * x, x]), atol=1e-6)


def test_split_tone_adds_chroma_of_its_hues_and_leaves_the_ends():
    x = np.broadcast_to(np.linspace(0, 1, 9, dtype=np.float32)[None, :, None], (1, 9, 3))
    light, chroma, hue = np.moveaxis(np.asarray(spaces.rgb_to_oklch(tone.split_tone(x, 0.7, 0.2, 0.05))), -1, 0)
    np.testing.assert_allclose(light[0], spaces.rgb_to_oklab(x)[0, :, 0], atol=1e-5)
    np.testing.assert_allclose(chroma[0, [0, -1]], 0, atol=1e-6)
    assert hue[0, 1] == pytest.approx(0.7, abs=0.05)
    assert hue[0, -2] == pytest.approx(0.2, abs=0.05)
    assert 0.02 < chroma.max() <= 0.05


def test_shadows_and_highlights_move_their_own_ends_without_halos():
    step = np.where(np.arange(64) < 32, 0.1, 0.8).astype(np.float32)
    x = np.broadcast_to(step[None, :, None], (64, 64, 3))
    opened = np.asarray(tone.shadows_highlights(x, shadows=0.8, radius=8))
    tamed = np.asarray(tone.shadows_highlights(x, highlights=-0.8, radius=8))
    assert opened[0, 0, 0] > 0.14
    assert opened[0, -1, 0] == pytest.approx(0.8, abs=0.02)
    assert tamed[0, -1, 0] < 0.75
    assert tamed[0, 0, 0] == pytest.approx(0.1, abs=0.01)
    for y in (opened, tamed):  # each side stays flat up to the edge
        assert np.ptp(y[0, :32]) < 0.02
        assert np.ptp(y[0, 32:]) < 0.02


def test_strengths_of_each_image():
    x = jnp.stack([photo(), photo()])
    strength = jnp.asarray([0.2, 0.7])
    calls = [tone.exposure, tone.gamma, tone.contrast, tone.brightness, tone.saturation, tone.vibrance, tone.hue]
    calls += [
        tone.temperature,
        lambda x, s: tone.temperature(x, 0.1, tint=s),
        lambda x, s: tone.split_tone(x, s, 0.1, 0.05),
        lambda x, s: tone.shadows_highlights(x, shadows=s, radius=3),
        lambda x, s: tone.levels(x, 0.1, s + 0.3),
    ]
    for call in calls:
        got = call(x, strength)
        for b in range(2):
            np.testing.assert_allclose(got[b], call(x[b], strength[b]), atol=2e-6)


def test_wrong_input():
    with pytest.raises(InputError, match=r"^curves: inputs has shape \[3\], outputs \[2\]; allowed: \[k\] or \[1 k\]"):
        tone.curves(photo(), [0.0, 0.5, 1.0], [0.0, 1.0])
    with pytest.raises(InputError, match=r"with the same k from 2 to 256"):
        tone.curves(photo(), [0.5], [0.5])
    with pytest.raises(InputError, match=r"^lift_gamma_gain: gain has shape \[2\]; allowed: \[\], \[3\], \[1 1\] or"):
        tone.lift_gamma_gain(photo(), gain=(1.0, 2.0))
    with pytest.raises(InputError, match=r"^shadows_highlights: radius=0; allowed: whole numbers from 1"):
        tone.shadows_highlights(photo(), radius=0)
    for call in (tone.vibrance, tone.hue, tone.temperature):
        with pytest.raises(InputError, match=r"x has 1 channels; allowed: 3"):
            call(photo()[..., :1], 0.5)
