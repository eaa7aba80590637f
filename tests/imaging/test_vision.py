"""Color vision deficiency against another copy of the published tables, color differences against published pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.color import spaces, vision

# Sharma, Wu and Dalal (2005), table 1: L, a, b of both, CIEDE2000.
SHARMA = np.array(
    [
        (50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425),
        (50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615),
        (50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412),
        (50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000),
        (50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669),
        (50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195),
        (50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045),
        (50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461),
        (50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065),
        (50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492),
        (50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977),
        (50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030),
        (50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000),
        (50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000),
        (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
        (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
        (61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731),
        (35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645),
        (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
        (36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146),
        (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
        (90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381),
        (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
        (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
    ]
)


def test_delta_e_2000_of_the_34_published_pairs():
    one, two = (jnp.asarray(SHARMA[None, :, i : i + 3], jnp.float32) for i in (0, 3))
    for a, b in ((one, two), (two, one)):
        np.testing.assert_allclose(vision.delta_e_2000(a, b)[0, :, 0], SHARMA[:, 6], atol=1e-4)


def labs():
    rng = np.random.default_rng(0)
    return (rng.uniform((0, -90, -90), (100, 90, 90), (2, 12, 14, 3))).astype(np.float32)


def test_delta_e_equals_skimage():
    def compute(name, **options):
        from skimage import color

        return getattr(color, name)(*labs().astype(np.float64), **options).astype(np.float32)[..., None]

    one, two = labs()
    expected = reference("delta_e_76", "skimage", lambda: compute("deltaE_cie76"))
    np.testing.assert_allclose(vision.delta_e_76(one, two), expected, rtol=1e-6)
    expected = reference("delta_e_2000", "skimage", lambda: compute("deltaE_ciede2000", kL=2, kC=0.5, kH=1.5))
    np.testing.assert_allclose(
        vision.delta_e_2000(one, two, lightness=2.0, chroma=0.5, hue=1.5), expected, rtol=2e-5, atol=1e-4
    )


@pytest.mark.parametrize("call", [vision.delta_e_76, vision.delta_e_2000])
def test_no_difference_has_a_gradient_and_one_reference_serves_a_batch(call):
    lab = spaces.rgb_to_lab(photo(2, 2))
    slopes = jax.jit(jax.grad(lambda a, b: jnp.sum(call(a, b)), argnums=(0, 1)))
    for image in (lab, jnp.zeros((2, 2, 3)), jnp.full((2, 2, 3), jnp.asarray((50.0, 0, 0)))):
        assert np.asarray(call(image, image)).max() == 0
        for other in (image, image + 1, image.at[..., 1:].set(0)):
            assert all(np.isfinite(gradient).all() for gradient in slopes(image, other))
    batch = jnp.stack([lab, lab + 1])
    np.testing.assert_allclose(call(batch, lab)[1], call(batch[1], lab), atol=1e-5)


KINDS = {"protan": "protanomaly", "deutan": "deuteranomaly", "tritan": "tritanomaly"}


@pytest.mark.filterwarnings("ignore")  # of colorspacious itself
@pytest.mark.parametrize("kind", KINDS)
def test_deficiency_equals_the_published_tables(kind):
    """Against the copy of Machado's tables in colorspacious, at their tenths and half-way between two."""

    def compute():
        from colorspacious.cvd import machado_et_al_2009_matrix

        return np.float32([machado_et_al_2009_matrix(KINDS[kind], s) for s in (0, 10, 20, 45, 70, 100)])

    matrices = reference(f"machado_{kind}", "colorspacious", compute)
    light = spaces.to_linear(0.2 + 0.6 * photo())  # so that nothing turns negative
    for severity, matrix in zip((0, 0.1, 0.2, 0.45, 0.7, 1), matrices, strict=True):
        got = spaces.to_linear(vision.simulate_cvd(0.2 + 0.6 * photo(), kind, severity=severity))
        np.testing.assert_allclose(got, light @ matrix.T, atol=2e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_deficiency_leaves_grays_and_takes_a_severity_for_each_image(kind):
    gray = np.broadcast_to(np.linspace(0, 1, 9, dtype=np.float32)[None, :, None], (1, 9, 3))
    np.testing.assert_allclose(vision.simulate_cvd(gray, kind), gray, atol=2e-5)
    np.testing.assert_allclose(vision.simulate_cvd(photo(), kind, severity=0.0), photo(), atol=1e-6)
    severity = jnp.asarray([0.33, 0.9])
    got = vision.simulate_cvd(jnp.stack([photo()] * 2), kind, severity=severity)
    for b in range(2):
        one = vision.simulate_cvd(photo(), kind, severity=severity[b])
        np.testing.assert_allclose(got[b], one, atol=1e-6)


def test_wrong_input():
    with pytest.raises(InputError, match=r"^simulate_cvd: kind='deuta'; allowed: .*; did you mean 'deutan'\?"):
        vision.simulate_cvd(photo(), "deuta")
    for call in (vision.delta_e_76, vision.delta_e_2000):
        with pytest.raises(InputError, match=r"reference has shape \[1, 4, 5, 3\]; allowed: \[1, 4, 4, 3\], as x"):
            call(jnp.zeros((4, 4, 3)), jnp.zeros((4, 5, 3)))
