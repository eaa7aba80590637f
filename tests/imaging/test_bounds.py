"""The numbers that operators declare: refused in one line, in Python and in chains; what is allowed stays bounded."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo

from gen.errors import InputError
from gen.imaging import bounds, color, filters
from gen.imaging.bounds import arguments
from gen.imaging.catalog import OPERATORS
from gen.imaging.chain import chain

X = jnp.asarray(photo(12, 14))


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_no_number_is_infinite_none_or_a_truth_value(name):
    taken = arguments(OPERATORS[name]).values()
    for parameter in taken:
        for value in ("1e400", "None", "True", "9" * 4500, "(1, (2, 3))", "1e14", "-1e14") if parameter.numbers else ():
            if value == "None" and parameter.optional:
                continue
            others = [
                f"{other.name}={next(iter(other.choices), 'a' if other.kind is str or other.array else 1)!r}"
                for other in taken
                if other.required and other.name not in (parameter.name, "function")
            ]
            with pytest.raises(InputError) as caught:
                chain(f"{name}({', '.join([f'{parameter.name}={value}', *others])})")
            assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: filters.gaussian(X, math.nan), "gaussian: sigma=nan; allowed: numbers from 0 to 1024"),
        (lambda: filters.gaussian(X, 1e6), "gaussian: sigma=1000000.0; allowed"),
        (lambda: filters.gaussian(X, jnp.array([1.0, 2.0]), radius=3), r"gaussian: sigma has shape \[2\]; allowed"),
        (lambda: color.brightness(X, (0.1, 0.2, 0.3)), r"brightness: a strength has shape \[3\]; allowed"),
        (lambda: color.temperature(X, (0.1, 0.2)), "temperature: a strength has shape"),
        (lambda: color.simulate_cvd(X, "protan", severity=(0.1, 0.2)), "a strength has shape"),
        (lambda: filters.chromatic_aberration(X, (0.1, 0.2)), "a strength has shape"),
        (lambda: filters.motion_blur(X, 3, angle=(0.1, 0.2)), "a strength has shape"),
        (lambda: color.clahe(X, (1.0, 2.0)), "a strength has shape"),
        (lambda: color.brightness(X, True), "brightness: amount=True; allowed: numbers"),
        (lambda: color.brightness(X, None), "brightness: amount=None"),
        (lambda: color.brightness(X, 10**400), "amount=1000"),
        (lambda: filters.median(X, 10001), "size=10001; allowed: odd numbers from 1 to 255"),
        (lambda: filters.anisotropic_diffusion(X, 0.1, rate=1.0), "rate=1.0; allowed: numbers from 0 to 0.25"),
        (lambda: filters.richardson_lucy(X, None, psf=np.zeros((3, 3))), "psf has the sum 0; allowed: above 0"),
        (lambda: color.curves(X, (0, 0.5, 0.4), (0, 1, 2)), "allowed: rising numbers"),
        (lambda: filters.resize(X, 16384, 16384), "268,435,456 pixels; allowed: 100,000,000"),
        (lambda: filters.dilate(jnp.zeros((600, 600, 1)), 256, shape="disk"), "allowed: whole numbers from 0 to 255"),
        (lambda: chain("map_segments('kmeans(" + "9" * 5000 + ")', 'invert')")(X), "map_segments: 'kmeans"),
        (lambda: chain("brightness((0.1, 0.2, 0.3))")(X), "brightness: a strength has shape"),
        (lambda: chain("exposure(0.1)")(X, strengths={"exposure.stops": 1e9}), "stops=1000000000.0; allowed"),
    ],
)
def test_what_is_out_of_bounds_is_refused(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert len(str(caught.value)) <= 300


def test_work_is_bounded_by_the_size_of_the_image():
    large = jax.ShapeDtypeStruct((1, 3000, 4000, 3), jnp.float32)
    for call in (
        lambda x: filters.median(x, 255),
        lambda x: filters.bilateral(x, 255),
        lambda x: filters.anisotropic_diffusion(x, 0.1, iterations=10_000),
        lambda x: filters.richardson_lucy(x, 64, iterations=1000),
    ):
        with pytest.raises(InputError, match="steps for an image of 4000 x 3000 pixels; allowed: 1e"):
            jax.eval_shape(call, large)


def test_windows_far_larger_than_the_image_give_the_mean_of_its_reflections():
    """Repeated without their edges, the inner pixels count twice."""
    x = X[:5, :6]
    weights = np.ones((5, 6)) * np.array([1, 2, 2, 2, 1])[:, None] * np.array([1, 2, 2, 2, 2, 1])
    mean = np.average(np.asarray(x).reshape(-1, 3), axis=0, weights=weights.ravel())
    for y in (filters.gaussian(x, 1024), filters.box(x, 4096)):
        np.testing.assert_allclose(y, np.broadcast_to(mean, x.shape), atol=1e-3)
    np.testing.assert_allclose(filters.pixelate(x, 10**6), np.broadcast_to(x.mean((0, 1)), x.shape), atol=1e-6)
    assert (filters.dilate(x, 10**6, shape="disk") == x.max((0, 1))).all()


@pytest.mark.parametrize("before", ["unsharp_mask(1.5, 1.0)", "contrast(1.3)", "brightness(-0.1)"])
def test_a_chain_that_goes_below_zero_is_deconvolved_to_a_picture(before):
    x = X.at[3:8, 4:9].set(jnp.array([0.02, 0.9, 0.1]))
    y = chain(f"{before}|richardson_lucy(1.5, iterations=20)")(x)
    assert jnp.isfinite(y).all()
    assert abs(float(y.mean() - chain(before)(x).mean())) < 0.05


def test_a_chain_of_extremes_stays_finite():
    y = chain("|".join(["exposure(32)"] * 5 + ["contrast(1e6)"] * 5 + ["gamma(64)", "levels(0.5, 0.5)"]))(X)
    assert jnp.isfinite(y).all()


@pytest.mark.parametrize("method", ["reinhard", "drago", "filmic", "aces", "exponential"])
def test_one_broken_pixel_does_not_darken_the_others(method):
    wanted = color.tone_map(X.at[0, 0].set(X.max()), method)
    found = color.tone_map(X.at[0, 0].set(jnp.inf), method)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert jnp.isfinite(color.tone_map(X.at[0, 0].set(jnp.nan) * 1e30, method)).all()


def test_a_budget_is_for_all_operators_of_a_chain_together():
    x = jnp.zeros((1, 8, 8, 3))
    with bounds.budget(8 * 8 * 32 * 9 * 2):
        chain("median(3)|median(3)")(x)
    with bounds.budget(8 * 8 * 32 * 9 * 2), pytest.raises(InputError, match="more steps in all"):
        chain("median(3)|inside('background', 'median(3)')|median(3)")(x)
    chain("median(3)|median(3)|median(3)|median(3)")(x)
