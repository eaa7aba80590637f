"""Human vision: how pictures look with a color vision deficiency, and how different two colors look."""

from __future__ import annotations

import math
from typing import Literal

import jax
import jax.numpy as jnp

from gen.imaging._operator import like, operator, per_image, require_colors, strengths
from gen.imaging.color._planar import light, show, split

# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency" (2009),
# table 1: 3x3 matrices of linear sRGB, row by row, for severities of 0.1, 0.2 ... 1.
_MACHADO = {
    "protan": (
        (0.856167, 0.182038, -0.038205, 0.029342, 0.955115, 0.015544, -0.002880, -0.001563, 1.004443),
        (0.734766, 0.334872, -0.069637, 0.051840, 0.919198, 0.028963, -0.004928, -0.004209, 1.009137),
        (0.630323, 0.465641, -0.095964, 0.069181, 0.890046, 0.040773, -0.006308, -0.007724, 1.014032),
        (0.539009, 0.579343, -0.118352, 0.082546, 0.866121, 0.051332, -0.007136, -0.011959, 1.019095),
        (0.458064, 0.679578, -0.137642, 0.092785, 0.846313, 0.060902, -0.007494, -0.016807, 1.024301),
        (0.385450, 0.769005, -0.154455, 0.100526, 0.829802, 0.069673, -0.007442, -0.022190, 1.029632),
        (0.319627, 0.849633, -0.169261, 0.106241, 0.815969, 0.077790, -0.007025, -0.028051, 1.035076),
        (0.259411, 0.923008, -0.182420, 0.110296, 0.804340, 0.085364, -0.006276, -0.034346, 1.040622),
        (0.203876, 0.990338, -0.194214, 0.112975, 0.794542, 0.092483, -0.005222, -0.041043, 1.046265),
        (0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998),
    ),
    "deutan": (
        (0.866435, 0.177704, -0.044139, 0.049567, 0.939063, 0.011370, -0.003453, 0.007233, 0.996220),
        (0.760729, 0.319078, -0.079807, 0.090568, 0.889315, 0.020117, -0.006027, 0.013325, 0.992702),
        (0.675425, 0.433850, -0.109275, 0.125303, 0.847755, 0.026942, -0.007950, 0.018572, 0.989378),
        (0.605511, 0.528560, -0.134071, 0.155318, 0.812366, 0.032316, -0.009376, 0.023176, 0.986200),
        (0.547494, 0.607765, -0.155259, 0.181692, 0.781742, 0.036566, -0.010410, 0.027275, 0.983136),
        (0.498864, 0.674741, -0.173604, 0.205199, 0.754872, 0.039929, -0.011131, 0.030969, 0.980162),
        (0.457771, 0.731899, -0.189670, 0.226409, 0.731012, 0.042579, -0.011595, 0.034333, 0.977261),
        (0.422823, 0.781057, -0.203881, 0.245752, 0.709602, 0.044646, -0.011843, 0.037423, 0.974421),
        (0.392952, 0.823610, -0.216562, 0.263559, 0.690210, 0.046232, -0.011910, 0.040281, 0.971630),
        (0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881),
    ),
    "tritan": (
        (0.926670, 0.092514, -0.019184, 0.021191, 0.964503, 0.014306, 0.008437, 0.054813, 0.936750),
        (0.895720, 0.133330, -0.029050, 0.029997, 0.945400, 0.024603, 0.013027, 0.104707, 0.882266),
        (0.905871, 0.127791, -0.033662, 0.026856, 0.941251, 0.031893, 0.013410, 0.148296, 0.838294),
        (0.948035, 0.089490, -0.037526, 0.014364, 0.946792, 0.038844, 0.010853, 0.193991, 0.795156),
        (1.017277, 0.027029, -0.044306, -0.006113, 0.958479, 0.047634, 0.006379, 0.248708, 0.744913),
        (1.104996, -0.046633, -0.058363, -0.032137, 0.971635, 0.060503, 0.001336, 0.317922, 0.680742),
        (1.193214, -0.109812, -0.083402, -0.058496, 0.979410, 0.079086, -0.002346, 0.403492, 0.598854),
        (1.257728, -0.139648, -0.118081, -0.078003, 0.975409, 0.102594, -0.003316, 0.501214, 0.502102),
        (1.278864, -0.125333, -0.153531, -0.084748, 0.957674, 0.127074, -0.000989, 0.601151, 0.399838),
        (1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900),
    ),
}


@operator()
def simulate_cvd(
    x: jax.Array, kind: Literal["protan", "deutan", "tritan"], *, severity: jax.Array | float = 1.0
) -> jax.Array:
    """Simulates how sRGB [b h w 3] looks with a color vision deficiency, in linear light. Not clipped.

    kind: "protan" (long-wave cones), "deutan" (middle) or "tritan" (short; the model is less sure of it).
    severity: from 0 (changes nothing) over anomalous trichromacy to 1, dichromacy; scalar or [b]; between the published
        tenths the matrices are interpolated.
    """
    require_colors(x, "simulate_cvd")
    table = jnp.asarray(((1, 0, 0, 0, 1, 0, 0, 0, 1), *_MACHADO[kind]), x.dtype)
    place = 10 * jnp.clip(strengths(severity, x), 0, 1)
    # A hat function around each tenth: linear interpolation, with gradients, and no gather.
    weights = jnp.maximum(1 - jnp.abs(place[..., None] - jnp.arange(11)), 0).astype(x.dtype)
    matrix = jnp.sum(weights[..., None] * table, axis=-2).reshape(-1, 9)[..., None, None]
    r, g, b = light(x)
    return show([matrix[:, i] * r + matrix[:, i + 1] * g + matrix[:, i + 2] * b for i in (0, 3, 6)])


def _root(square: jax.Array) -> jax.Array:
    """Square root, with gradient 0 at 0."""
    above = square > 1e-20
    return jnp.where(above, jnp.sqrt(jnp.where(above, square, 1.0)), 0.0)


def _pair(place: str, x: jax.Array, reference: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The planes of both, if they are alike."""
    require_colors(x, place)
    return split(x), split(like(reference, x, place, "reference", channels=(3,)))


@operator()
def delta_e_76(x: jax.Array, reference: jax.Array) -> jax.Array:
    """Computes the color difference [b h w 1] of two images in L*a*b* (see rgb_to_lab), CIE 1976: Euclidean distance.

    Equals skimage.color.deltaE_cie76.
    """
    one, two = _pair("delta_e_76", x, reference)
    return _root(jnp.sum((one - two) ** 2, axis=0))[..., None]


@operator()
def delta_e_2000(
    x: jax.Array,
    reference: jax.Array,
    *,
    lightness: jax.Array | float = 1.0,
    chroma: jax.Array | float = 1.0,
    hue: jax.Array | float = 1.0,
) -> jax.Array:
    """Computes the color difference [b h w 1] of two images in L*a*b* (see rgb_to_lab), CIEDE2000; 1 is hardly seen.

    lightness, chroma, hue: the parametric factors k_L, k_C, k_H, scalars or [b]: the larger, the less each counts.

    After Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes" (2005), equations 2 to
    22; equals skimage.color.deltaE_ciede2000. The gradient is 0 where the colors are equal.
    """
    (l1, a1, b1), (l2, a2, b2) = _pair("delta_e_2000", x, reference)

    def chromatic(c: jax.Array) -> jax.Array:
        """sqrt(c^7 / (c^7 + 25^7))"""
        seventh = (c / 25) ** 7
        return _root(seventh / (seventh + 1))

    def angle(a: jax.Array, b: jax.Array) -> jax.Array:
        gray = (jnp.abs(a) < 1e-10) & (jnp.abs(b) < 1e-10)
        h = jnp.arctan2(jnp.where(gray, 0.0, b), jnp.where(gray, 1.0, a))
        return jnp.where(h < 0, h + 2 * math.pi, h)

    grown = 1 + 0.5 * (1 - chromatic((_root(a1 * a1 + b1 * b1) + _root(a2 * a2 + b2 * b2)) / 2))
    a1, a2 = a1 * grown, a2 * grown
    c1, c2 = _root(a1 * a1 + b1 * b1), _root(a2 * a2 + b2 * b2)
    h1, h2 = angle(a1, b1), angle(a2, b2)
    gray = (c1 <= 0) | (c2 <= 0)
    # Opposite hues, half a turn apart, have their mean on the side of h1 + h2: a little more is rounding.
    far = jnp.abs(h2 - h1) > math.pi + 4e-6
    turn = jnp.where(far, jnp.where(h2 > h1, -2 * math.pi, 2 * math.pi), 0.0)
    dh = 2 * _root(c1 * c2) * jnp.sin((h2 - h1 + turn) / 2)
    half = jnp.where(h1 + h2 < 2 * math.pi, math.pi, -math.pi)
    mean_h = jnp.where(gray, h1 + h2, (h1 + h2) / 2 + jnp.where(far, half, 0.0))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * jnp.cos(mean_h - math.radians(30))
        + 0.24 * jnp.cos(2 * mean_h)
        + 0.32 * jnp.cos(3 * mean_h + math.radians(6))
        - 0.20 * jnp.cos(4 * mean_h - math.radians(63))
    )
    offset = (mean_l - 50) ** 2
    s_l = 1 + 0.015 * offset / jnp.sqrt(20 + offset)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    rotation = math.radians(60) * jnp.exp(-(((mean_h - math.radians(275)) / math.radians(25)) ** 2))
    r_t = -2 * chromatic(mean_c) * jnp.sin(rotation)
    k_l, k_c, k_h = (per_image(k, l1) for k in (lightness, chroma, hue))
    terms = (l2 - l1) / (k_l * s_l), (c2 - c1) / (k_c * s_c), dh / (k_h * s_h)
    return _root(terms[0] ** 2 + terms[1] ** 2 + terms[2] ** 2 + r_t * terms[1] * terms[2])[..., None]
