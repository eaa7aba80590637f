"""Rows for histograms, matching, tone mapping, palettes, thresholds and k-means."""

import jax
import jax.numpy as jnp
import numpy as np
from reference import photo
from table import Row

from gen.imaging.color.histogram import clahe, equalize, match_histogram
from gen.imaging.color.palette import palette, quantize
from gen.imaging.color.tonemap import tone_map
from gen.imaging.color.transfer import match_linear, match_low_frequency, match_reinhard, match_sliced
from gen.imaging.segment.kmeans import kmeans
from gen.imaging.segment.threshold import threshold_local, threshold_multiotsu, threshold_otsu

# Another distribution than that of the photograph, of another size.
OTHER = jnp.asarray(np.clip(photo(24, 31)[:, ::-1] ** 1.5 * np.float32([1, 0.8, 0.6]) + 0.05, 0, 1))
COLORS = jnp.asarray([[0.05, 0.05, 0.1], [0.9, 0.9, 0.85], [0.8, 0.3, 0.2], [0.3, 0.4, 0.7], [0.5, 0.5, 0.5]])


def same_size(x):
    """A reference of the size of x."""
    return x[..., ::-1] * 0.8 + 0.1


# bfloat16 has 8 bits: its levels move between bins of a histogram, and a curve between two of them can be steep.
# A reference gives its own values to a constant image, and its colors may be mixed to some beyond [0, 1].
OPERATORS = [
    Row(
        "equalize",
        equalize,
        identity=lambda x: equalize(x, amount=0.0),
        per_image=lambda x, s: equalize(x, amount=s),
        half=None,
    ),
    Row("equalize", lambda x: equalize(x, space="channels"), half=None),
    # Lab and back costs 1e-5 even where nothing changes.
    Row("equalize", lambda x: equalize(x, space="lab"), tolerance=1e-4, half=None),
    Row("equalize", equalize, gray=True, half=None),
    # OpenCV's choices: tiles blend from half a pixel off their centers; an even tile gets brighter by a level or two.
    Row(
        "clahe",
        lambda x: clahe(x, 2.0, tiles=(2, 3)),
        per_image=lambda x, s: clahe(x, 100 * s, tiles=(2, 3)),
        flips=False,
        constant=False,
        half=None,
    ),
    Row("clahe", lambda x: clahe(x, 3.0), gray=True, flips=False, constant=False, half=None),
    Row(
        "clahe",
        lambda x: clahe(x, 2.0, tiles=(2, 2), space="channels"),
        per_image=lambda x, s: clahe(x, 100 * s, tiles=(2, 2), space="channels"),
        flips=False,
        constant=False,
        half=None,
    ),
    Row(
        "match_histogram",
        lambda x: match_histogram(x, OTHER),
        identity=lambda x: match_histogram(x, x),
        per_image=lambda x, s: match_histogram(x, OTHER, amount=s),
        constant=False,
        half=None,
    ),
    Row(
        "match_reinhard",
        lambda x: match_reinhard(x, OTHER),
        identity=lambda x: match_reinhard(x, OTHER, amount=0.0),
        per_image=lambda x, s: match_reinhard(x, OTHER, amount=s),
        constant=False,
        bounded=False,
        tolerance=1e-4,  # the sum of a mean in another order, times a spread of up to a hundred
        half=0.1,
    ),
    Row(
        "match_reinhard",
        lambda x: match_reinhard(x, OTHER, space="oklab"),
        constant=False,
        bounded=False,
        tolerance=1e-4,
        half=0.1,
    ),
    Row(
        "match_linear",
        lambda x: match_linear(x, OTHER),
        identity=lambda x: match_linear(x, OTHER, amount=0.0),
        per_image=lambda x, s: match_linear(x, OTHER, amount=s),
        constant=False,
        bounded=False,
        tolerance=1e-4,  # small variances have few digits, and are divided by
        half=None,
    ),
    # A value on the border of two bins goes to one or the other by its last digit: no digit-for-digit promises.
    Row(
        "match_sliced",
        lambda x: match_sliced(jax.random.key(0), x, OTHER, iterations=2, bins=64),
        identity=lambda x: match_sliced(jax.random.key(0), x, OTHER, iterations=2, bins=64, amount=0.0),
        per_image=lambda x, s: match_sliced(jax.random.key(0), x, OTHER, iterations=2, bins=64, amount=s),
        constant=False,
        bounded=False,
        tolerance=5e-3,
        half=None,
    ),
    Row(
        "match_low_frequency",
        lambda x: match_low_frequency(x, same_size(x), radius=3),
        identity=lambda x: match_low_frequency(x, x, radius=3),
        per_image=lambda x, s: match_low_frequency(x, same_size(x), radius=3, amount=s),
        constant=False,
        bounded=False,
        half=0.1,
    ),
    *(
        Row(
            "tone_map",
            lambda x, method=method: tone_map(x, method),
            # Drago et al. divide by the brightest and by the mean: exposure has no effect.
            per_image=None if method == "drago" else lambda x, s, method=method: tone_map(x, method, exposure=s),
            constant=False,  # a curve, and linear light to display
            half=None if method == "drago" else 0.05,  # 16 bits of light are few after the curve of the display
        )
        for method in ("reinhard", "drago", "filmic", "aces", "exponential")
    ),
    # A tie of two seeds or of two centers is decided by the last digit.
    Row("palette", lambda x: palette(x, 3).colors, image=False, tolerance=1e-4, half=None),
    Row("palette", lambda x: palette(x, 3).shares, image=False, tolerance=1e-4, gradients=False, half=None),
    Row("quantize", lambda x: quantize(x, COLORS), constant=False, half=None),
    # The pattern stays where it is.
    Row("quantize", lambda x: quantize(x, COLORS, dither="ordered"), constant=False, flips=False, half=None),
    Row("quantize", lambda x: quantize(x, COLORS, dither="noise"), constant=False, flips=False, half=None),
    Row("threshold_otsu", threshold_otsu, image=False, half=None),
    Row("threshold_multiotsu", lambda x: threshold_multiotsu(x, 3), image=False, half=None),
    Row("threshold_multiotsu", lambda x: threshold_multiotsu(x, 4), gray=True, image=False, half=None),
    Row(
        "threshold_local",
        lambda x: threshold_local(x, 3),
        gray=True,
        per_image=lambda x, s: threshold_local(x, 3, offset=s),
        bounded=True,
    ),
    Row("threshold_local", lambda x: threshold_local(x, 2, method="mean", offset=0.02), image=False),
    Row("threshold_local", lambda x: threshold_local(x, 2, method="median"), gray=True),
    Row("kmeans", lambda x: kmeans(x, 3).centers, image=False, half=None, tolerance=1e-4),
    Row(
        "kmeans",
        lambda x: kmeans(x, 4, position_weight=0.5).labels,
        image=False,
        gradients=False,  # whole numbers
        per_image=lambda x, s: kmeans(x, 4, position_weight=s).centers,
        half=None,
    ),
]
