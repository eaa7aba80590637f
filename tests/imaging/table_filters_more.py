"""Rows of deconvolution, edges, morphology, resize, frequency, effects, film."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from table import Row

from gen.imaging.filters.deconvolution import richardson_lucy, wiener
from gen.imaging.filters.edges import canny, difference_of_gaussians, laplace, scharr, sobel
from gen.imaging.filters.effects import (
    emboss,
    error_diffusion,
    halftone,
    invert,
    ordered_dither,
    pixelate,
    posterize,
    sepia,
    solarize,
)
from gen.imaging.filters.film import bloom, chromatic_aberration, grain, halation, vignette
from gen.imaging.filters.frequency import band_pass, high_pass, low_pass
from gen.imaging.filters.morphology import (
    black_tophat,
    closing,
    dilate,
    erode,
    morphological_gradient,
    opening,
    reconstruct,
    white_tophat,
)
from gen.imaging.filters.resize import resize

PSF = np.array([[0, 0, 1], [0, 2, 1], [1, 2, 0]], np.float32) / 7
DELTA = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32)


def key() -> jax.Array:
    return jax.random.key(3)


OPERATORS: list[Row] = [
    # Deconvolution overshoots: that is what sharpening means. Sums of many products, in another order when batched.
    Row(
        "richardson_lucy",
        lambda x: richardson_lucy(x, 1.0, iterations=3),
        identity=lambda x: richardson_lucy(x, None, psf=DELTA, iterations=2),
        per_image=lambda x, s: richardson_lucy(x, s, radius=3, iterations=2),
        bounded=False,
        half=0.1,
    ),
    # This spread function is not symmetric.
    Row(
        "richardson_lucy",
        lambda x: richardson_lucy(x, None, psf=PSF, iterations=3),
        flips=False,
        bounded=False,
        half=0.1,
    ),
    # The continuation of the image is after its end.
    Row(
        "wiener",
        lambda x: wiener(x, 1.0),
        identity=lambda x: wiener(x, None, psf=DELTA, balance=0.0),
        per_image=lambda x, s: wiener(x, 1.0, balance=s),
        flips=False,
        bounded=False,
        tolerance=2e-5,
        half=0.1,
    ),
    Row("wiener", lambda x: wiener(x, None, psf=PSF), flips=False, bounded=False, tolerance=2e-5, half=0.1),
    # Derivatives: 0 where the image is constant, and their sign depends on the direction.
    Row("sobel", sobel, constant=False),
    Row("sobel", lambda x: sobel(x, direction="x"), constant=False, flips=False, bounded=False),
    Row("scharr", scharr, constant=False),
    Row("scharr", lambda x: scharr(x, direction="y"), constant=False, flips=False, bounded=False),
    Row("laplace", laplace, constant=False, bounded=False, half=0.05),
    Row("laplace", lambda x: laplace(x, neighbors=8), constant=False, bounded=False, half=0.05),
    Row(
        "difference_of_gaussians",
        lambda x: difference_of_gaussians(x, 1.0, 1.6),
        constant=False,
        per_image=lambda x, s: difference_of_gaussians(x, s, 1.6, radius=2),
        bounded=False,
    ),
    # Yes or no for each pixel, which a rounding can change; another number of channels.
    Row("canny", lambda x: canny(x, 1.0, 0.1, 0.2), constant=False, flips=False, image=False, half=None),
    Row("canny", lambda x: canny(x, 1.0, 0.1, 0.2), gray=True, constant=False, flips=False, half=None),
    Row("erode", lambda x: erode(x, 1), identity=lambda x: erode(x, 0)),
    Row("erode", lambda x: erode(x, 3, shape="disk")),
    Row("dilate", lambda x: dilate(x, 2), identity=lambda x: dilate(x, 0)),
    Row("dilate", lambda x: dilate(x, 2, shape="disk")),
    Row("opening", lambda x: opening(x, 1), identity=lambda x: opening(x, 0)),
    Row("closing", lambda x: closing(x, 2, shape="disk"), identity=lambda x: closing(x, 0)),
    # Differences: 0 where the image is constant.
    Row("white_tophat", lambda x: white_tophat(x, 1), constant=False),
    Row("black_tophat", lambda x: black_tophat(x, 1, shape="disk"), constant=False),
    Row("morphological_gradient", lambda x: morphological_gradient(x, 1), constant=False),
    Row("reconstruct", lambda x: reconstruct(jnp.maximum(x - 0.2, 0), x), constant=False),
    Row("reconstruct", lambda x: reconstruct(jnp.ones_like(x), x, method="erosion"), constant=False),
    Row("reconstruct", lambda x: reconstruct(x, x), identity=lambda x: reconstruct(x, x)),
    # Another size.
    Row("resize", lambda x: resize(x, 7, 5), image=False),
    Row("resize", lambda x: resize(x, 11, 23, method="cubic"), image=False, bounded=False),
    Row("resize", lambda x: resize(x, 6, 40, method="lanczos3"), image=False, bounded=False),
    Row("resize", lambda x: resize(x, *x.shape[-3:-1], method="linear"), identity=lambda x: resize(x, *x.shape[-3:-1])),
    # Where a center is between two pixels, the one after it.
    Row("resize", lambda x: resize(x, 13, 9, method="nearest"), image=False, flips=False),
    Row(
        "low_pass",
        lambda x: low_pass(x, 0.1),
        identity=lambda x: low_pass(x, 1e4),
        per_image=lambda x, s: low_pass(x, s, method="butterworth"),
    ),
    # Butterworth's impulse response is negative in places.
    Row("low_pass", lambda x: low_pass(x, 0.2, method="butterworth", order=3), bounded=False),
    Row("high_pass", lambda x: high_pass(x, 0.1), constant=False, per_image=high_pass, bounded=False),
    Row(
        "band_pass",
        lambda x: band_pass(x, 0.05, 0.2),
        constant=False,
        per_image=lambda x, s: band_pass(x, 0.5 * s, s),
        bounded=False,
    ),
    # These change gray levels.
    Row("invert", invert, constant=False),
    Row(
        "solarize",
        lambda x: solarize(x, 0.5),
        constant=False,
        identity=lambda x: solarize(x, 1.1),
        per_image=solarize,
        half=None,
    ),
    Row(
        "sepia",
        lambda x: sepia(x, 1.0),
        constant=False,
        identity=lambda x: sepia(x, 0.0),
        per_image=sepia,
        bounded=False,
    ),
    # 0.5 where the image is constant; the light has a direction.
    Row("emboss", lambda x: emboss(x, 1.0), constant=False, flips=False, per_image=emboss, bounded=False),
    # Blocks and patterns begin at the top left; levels are steps, which a rounding of the input can miss.
    Row("pixelate", lambda x: pixelate(x, 4), flips=False, identity=lambda x: pixelate(x, 1)),
    Row("posterize", lambda x: posterize(x, 4), constant=False, half=None),
    Row("ordered_dither", lambda x: ordered_dither(x, 2), constant=False, flips=False, half=None),
    Row("ordered_dither", lambda x: ordered_dither(x, 4, size=2), constant=False, flips=False, half=None),
    Row("error_diffusion", lambda x: error_diffusion(x, 2), constant=False, flips=False, half=None),
    Row("error_diffusion", lambda x: error_diffusion(x, 3), gray=True, constant=False, flips=False, half=None),
    Row(
        "halftone",
        lambda x: halftone(x, 4.0),
        constant=False,
        flips=False,
        per_image=lambda x, s: halftone(x, 4.0, hardness=s),
        tolerance=1e-4,
        half=0.1,
    ),
    Row(
        "halftone",
        lambda x: halftone(x, 3.0, angle=10.0),
        gray=True,
        constant=False,
        flips=False,
        tolerance=1e-4,
        half=0.1,
    ),
    # One key for a batch gives each image its own grain; the row after it has a key for each image.
    Row(
        "grain",
        lambda x: grain(key(), x, 0.05),
        constant=False,
        flips=False,
        identity=lambda x: grain(key(), x, 0.0),
        bounded=False,
        exact_batch=False,
    ),
    Row(
        "grain",
        lambda x: grain(jnp.broadcast_to(key(), x.shape[:-3]), x, 0.1, size=0, color=True),
        constant=False,
        flips=False,
        per_image=lambda x, s: grain(jnp.broadcast_to(key(), x.shape[:-3]), x, s),
        bounded=False,
    ),
    Row(
        "vignette",
        lambda x: vignette(x, 0.5),
        constant=False,
        identity=lambda x: vignette(x, 0.0),
        per_image=vignette,
    ),
    Row(
        "bloom",
        lambda x: bloom(x, 2.0, 0.5, threshold=0.3),
        constant=False,
        identity=lambda x: bloom(x, 2.0, 0.0),
        per_image=lambda x, s: bloom(x, 1.0, s, threshold=0.2),
    ),
    Row(
        "halation",
        lambda x: halation(x, 2.0, 0.5, threshold=0.3),
        constant=False,
        identity=lambda x: halation(x, 2.0, 0.0),
        per_image=lambda x, s: halation(x, 1.0, s, threshold=0.2),
    ),
    Row(
        "chromatic_aberration",
        lambda x: chromatic_aberration(x, 1.3),
        identity=lambda x: chromatic_aberration(x, 0.0),
        per_image=chromatic_aberration,
    ),
]
