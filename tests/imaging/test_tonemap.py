"""Tone curves against their formulas, written again in NumPy, and what a tone curve must do."""

import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import InputError
from gen.imaging.color.spaces import from_linear
from gen.imaging.color.tonemap import METHODS, tone_map

RAMP = np.float32(np.concatenate([[0], np.geomspace(1e-3, 50, 40)]))
GRAYS = jnp.asarray(np.broadcast_to(RAMP[None, :, None], (2, 41, 3)))


def mapped(method, **options):
    return np.asarray(tone_map(GRAYS, method, **options))[0, :, 0]


def encoded(light):
    return np.asarray(from_linear(jnp.asarray(np.clip(light, 0, 1), jnp.float32)[None, :, None]))[0, :, 0]


def test_reinhard():
    light = RAMP.astype(np.float64)
    np.testing.assert_allclose(
        mapped("reinhard", white=4.0), encoded(light * (1 + light / 16) / (1 + light)), atol=1e-5
    )
    assert mapped("reinhard")[-1] == pytest.approx(1, abs=1e-5)  # the brightest is white
    assert mapped("reinhard", white=1e4)[-1] == pytest.approx(encoded(np.array([50 / 51]))[0], abs=1e-4)


def test_drago():
    light = RAMP.astype(np.float64)
    mean = np.exp(np.log(np.maximum(light, 1e-6)).mean())
    relative, top = light / mean, light.max() / mean
    want = np.log(1 + relative) / np.log10(1 + top) / np.log(2 + 8 * (relative / top) ** (np.log(0.85) / np.log(0.5)))
    np.testing.assert_allclose(mapped("drago"), encoded(want), atol=2e-4)
    assert mapped("drago")[-1] == pytest.approx(1, abs=1e-5)


def test_filmic():
    """Values of Hable's curve: (x(.22x+.03)+.002) / (x(.22x+.3)+.06) - 1/30."""
    curve = lambda x: (x * (0.22 * x + 0.03) + 0.002) / (x * (0.22 * x + 0.3) + 0.06) - 1 / 30  # noqa: E731
    light = RAMP.astype(np.float64)
    np.testing.assert_allclose(mapped("filmic"), encoded(curve(2 * light) / curve(11.2)), atol=2e-5)


def test_aces():
    light = RAMP.astype(np.float64)
    want = light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)
    np.testing.assert_allclose(mapped("aces"), encoded(want), atol=1e-5)
    # Narkowicz's fit at middle gray, computed by hand
    assert encoded(np.array([0.2669]))[0] == pytest.approx(
        float(tone_map(jnp.full((1, 1, 1), 0.18), "aces")[0, 0, 0]), abs=1e-3
    )


@pytest.mark.parametrize("method", METHODS)
def test_rises_within_range(method):
    y = mapped(method)
    assert y.min() >= 0
    assert y.max() <= 1
    assert (np.diff(y) >= -1e-6).all()
    assert y[0] == pytest.approx(0, abs=1e-6)
    darker, brighter = (mapped(method, exposure=e, white=11.2) for e in (0.5, 2.0))
    if method != "drago":  # which is relative to the mean
        assert (brighter - darker > -1e-6).all()
        assert brighter[15] > darker[15]


def test_exposure_and_white_for_each_image():
    x = jnp.stack([GRAYS, GRAYS])
    both = tone_map(x, "filmic", exposure=jnp.asarray([0.5, 2.0]), white=jnp.asarray([5.0, 20.0]))
    np.testing.assert_allclose(both[1], tone_map(GRAYS, "filmic", exposure=2.0, white=20.0), atol=1e-6)


@pytest.mark.parametrize("method", ["reinhard", "drago"])
def test_luminance_methods_keep_ratios(method):
    light = jnp.asarray([[[0.2, 0.1, 0.05], [2.0, 1.0, 0.5], [0.02, 0.01, 0.005]]])
    from gen.imaging.color.spaces import to_linear

    y = np.asarray(to_linear(tone_map(light, method, white=40.0)))
    np.testing.assert_allclose(y[..., 0] / y[..., 1], 2, rtol=2e-3)
    np.testing.assert_allclose(y[..., 1] / y[..., 2], 2, rtol=2e-3)


def test_bad_input():
    with pytest.raises(InputError, match=r"tone_map: method='acess'; allowed: reinhard, .*; did you mean 'aces'\?"):
        tone_map(GRAYS, "acess")
