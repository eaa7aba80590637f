"""The operators of gen.imaging.color: spaces, tone, balance, vision, lut."""

import functools
import pathlib
import tempfile

import jax.numpy as jnp
import numpy as np
from table import Row

from gen.imaging import color
from gen.imaging.color import balance, cube, lut, tone, vision


def there_and_back(name):
    return lambda x: getattr(color, f"{name}_to_rgb")(getattr(color, f"rgb_to_{name}")(x))


def scaled(x, light, chroma):
    return x * jnp.asarray((light, chroma, 1), jnp.asarray(x).dtype)


@functools.cache
def warm() -> lut.Lut:
    """A table [5 5 5 3] that has been to a file and back."""
    axis = np.linspace(0, 1, 5, dtype=np.float32)
    grid = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1) ** np.float32([0.8, 1, 1.2])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "warm.cube")
        cube.write_cube(lut.Lut(grid, title="warm"), path)
        return cube.read_cube(path)


# The coordinates of a color are not that color, and not in [0, 1]; Lab and Luv go to 100, so errors are larger.
direct = functools.partial(Row, constant=False, bounded=False)
SPACES = [
    direct("to_linear", color.to_linear, gray=True),
    direct("from_linear", color.from_linear),
    direct("rgb_to_xyz", color.rgb_to_xyz),
    direct("rgb_to_lab", color.rgb_to_lab, tolerance=3e-4, half=3.0),
    direct("rgb_to_luv", color.rgb_to_luv, tolerance=3e-4, half=3.0),
    direct("rgb_to_oklab", color.rgb_to_oklab, half=0.05),
    direct("rgb_to_ycbcr", lambda x: color.rgb_to_ycbcr(x, swing="studio")),
    direct("hsv_to_rgb", color.hsv_to_rgb, half=0.05),
    direct("hsl_to_rgb", color.hsl_to_rgb, half=0.05),
    direct("lch_to_rgb", lambda x: color.lch_to_rgb(scaled(x, 100, 30)), half=0.1, tolerance=3e-5),
    direct("oklch_to_rgb", lambda x: color.oklch_to_rgb(scaled(x, 1, 0.1)), half=0.1, tolerance=3e-5),
    # A hue is arbitrary near gray, so the way back is checked with it. In bfloat16 the coordinates lose three digits.
    *(Row(f"rgb_to_{name}", there_and_back(name), tolerance=3e-5, half=0.1) for name in ("hsv", "hsl", "lch", "oklch")),
    *(
        Row(f"{name}_to_rgb", there_and_back(name), tolerance=3e-5, half=0.1)
        for name in ("xyz", "lab", "luv", "oklab", "ycbcr")
    ),
]

# A grade is meant to change what it is given, constant images too, and does not clip.
grade = functools.partial(Row, constant=False, bounded=False)
TONE = [
    grade(
        "exposure",
        lambda x: tone.exposure(x, 0.5),
        identity=lambda x: tone.exposure(x, 0.0),
        per_image=tone.exposure,
    ),
    grade(
        "gamma",
        lambda x: tone.gamma(x, 0.8),
        identity=lambda x: tone.gamma(x, 1.0),
        per_image=tone.gamma,
        bounded=True,
    ),
    grade(
        "levels",
        lambda x: tone.levels(x, 0.1, 0.8, gamma=1.2, out_white=0.9),
        identity=lambda x: tone.levels(x, 0.0, 1.0),
        per_image=lambda x, s: tone.levels(x, s, 1.0),
    ),
    grade(
        "curves",
        lambda x: tone.curves(x, [0.0, 0.3, 0.7, 1.0], [0.0, 0.2, 0.8, 1.0]),
        identity=lambda x: tone.curves(x, [0.0, 0.3, 0.7, 1.0], [0.0, 0.3, 0.7, 1.0]),
        bounded=True,
    ),
    grade("curves", lambda x: tone.curves(x, [0.2, 0.7], [0.3, 0.6]), gray=True),
    grade(
        "contrast",
        lambda x: tone.contrast(x, 1.3, pivot=0.4),
        identity=lambda x: tone.contrast(x, 1.0),
        per_image=tone.contrast,
    ),
    grade(
        "brightness",
        lambda x: tone.brightness(x, 0.1),
        identity=lambda x: tone.brightness(x, 0.0),
        per_image=tone.brightness,
    ),
    grade(
        "saturation",
        lambda x: tone.saturation(x, 1.5),
        identity=lambda x: tone.saturation(x, 1.0),
        per_image=tone.saturation,
    ),
    grade(
        "vibrance",
        lambda x: tone.vibrance(x, 0.5),
        identity=lambda x: tone.vibrance(x, 0.0),
        per_image=tone.vibrance,
    ),
    grade("hue", lambda x: tone.hue(x, 0.2), identity=lambda x: tone.hue(x, 0.0), per_image=tone.hue),
    grade(
        "temperature",
        lambda x: tone.temperature(x, 0.5, tint=0.2),
        identity=lambda x: tone.temperature(x, 0.0),
        per_image=tone.temperature,
    ),
    grade(
        "lift_gamma_gain",
        lambda x: tone.lift_gamma_gain(x, lift=(0.1, 0.0, 0.0), gamma=1.2, gain=(1.0, 1.0, 0.9)),
        identity=tone.lift_gamma_gain,
        per_image=lambda x, s: tone.lift_gamma_gain(x, gain=s[:, None] if np.ndim(s) else s),
    ),
    grade(
        "split_tone",
        lambda x: tone.split_tone(x, 0.7, 0.2, 0.05, balance=0.2),
        identity=lambda x: tone.split_tone(x, 0.7, 0.2, 0.0),
        per_image=lambda x, s: tone.split_tone(x, 0.7, 0.2, s / 10),
    ),
    grade(
        "shadows_highlights",
        lambda x: tone.shadows_highlights(x, shadows=0.4, highlights=-0.3, radius=3),
        identity=lambda x: tone.shadows_highlights(x, radius=3),
        per_image=lambda x, s: tone.shadows_highlights(x, shadows=s, radius=3),
    ),
    grade("shadows_highlights", lambda x: tone.shadows_highlights(x, shadows=0.4, radius=12), gray=True),
]

# A constant color is a cast: it turns gray. Gains may take a pixel out of [0, 1].
BALANCE = [
    *(
        grade(
            "white_balance",
            lambda x, m=method, a=adaptation: balance.white_balance(x, m, adaptation=a),
            identity=lambda x, m=method: balance.white_balance(x, m, amount=0.0),
            per_image=lambda x, s, m=method: balance.white_balance(x, m, amount=s),
            tolerance=2e-5,
            half=0.05,
        )
        for method, adaptation in (
            ("gray_world", "bradford"),
            ("white_patch", "diagonal"),
            ("shades_of_gray", "bradford"),
        )
    ),
    grade(
        "balance_to_neutral",
        lambda x: balance.balance_to_neutral(x, (0.8, 0.7, 0.6)),
        identity=lambda x: balance.balance_to_neutral(x, (0.8, 0.7, 0.6), amount=0.0),
        per_image=lambda x, s: balance.balance_to_neutral(x, (0.8, 0.7, 0.6), amount=s),
    ),
]

# Differences are of Lab coordinates, here 100 times the channels.
VISION = [
    grade(
        "simulate_cvd",
        lambda x: vision.simulate_cvd(x, "deutan"),
        identity=lambda x: vision.simulate_cvd(x, "protan", severity=0.0),
        per_image=lambda x, s: vision.simulate_cvd(x, "tritan", severity=s),
        half=0.05,
    ),
    grade("delta_e_76", lambda x: vision.delta_e_76(100 * x, 100 - 100 * x), image=False, tolerance=1e-4, half=3.0),
    grade("delta_e_2000", lambda x: vision.delta_e_2000(100 * x, 100 - 100 * x), image=False, tolerance=1e-4, half=3.0),
]

LUT = [
    grade("apply_lut", lambda x: lut.apply_lut(x, warm()), bounded=True),
    grade("apply_lut", lambda x: lut.apply_lut(x, warm(), interpolation="trilinear"), bounded=True),
    grade(
        "apply_lut",
        lambda x: lut.apply_lut(x, lut.Lut(np.float32([[0, 0, 0], [0.4, 0.5, 0.6], [1, 1, 1]]))),
        identity=lambda x: lut.apply_lut(x, lut.Lut(np.float32([[0, 0, 0], [1, 1, 1]]))),
        bounded=True,
    ),
]

OPERATORS: list[Row] = [*SPACES, *TONE, *BALANCE, *VISION, *LUT]
