"""How sharp an image is: the width of its sharpest edges, and whether it was enlarged from a smaller one.

Images are luminance, float32 [h w] in 0..255.
"""

from __future__ import annotations

import math

import numpy as np

_REBLUR = 1.0  # standard deviation of the blur that edges are compared after, pixels
_DIFFERENCES = 1 / 3  # variance that slopes by central differences add, a mean over two pixels
_WEAKEST = 3.0  # levels a pixel, by which an edge must rise to count
_SHARE = 0.3  # of edges, the strongest, that are looked at
_MOST_WIDTH = 8.0  # pixels: wider ones are not told apart
_SIDE = 512  # pixels of a square in which periods are looked for


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Blurs an image [h w] by a Gaussian, its edges repeated."""
    radius = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype(np.float32)
    weights /= weights.sum()
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius, radius)
        padded, length = np.pad(image, padding, mode="edge"), image.shape[axis]
        shifted = (padded[i : i + length] if axis == 0 else padded[:, i : i + length] for i in range(len(weights)))
        image = np.sum([w * x for w, x in zip(weights, shifted, strict=True)], axis=0)
    return image


def edge_width(image: np.ndarray) -> float:
    """Returns the standard deviation in pixels of the blur of the sharper edges; nan where there is no edge.

    A step blurred by s falls in slope, blurred once more by r, by sqrt(1 + r^2 / s^2): Zhuo and Sim, "Defocus map
    estimation from a single image", Pattern Recognition 2011, eq. 4. The lower quartile over the strongest edges:
    what is in focus counts, not the background.
    """
    if min(image.shape) < 8:
        return math.nan
    again, widths, strengths = blurred(image, _REBLUR), list[np.ndarray](), list[np.ndarray]()
    for axis in (0, 1):
        first, second = (np.moveaxis(x, axis, 1) for x in (image, again))
        slope, smooth = ((x[:, 2:] - x[:, :-2]) / 2 for x in (first, second))
        size, strength = np.abs(slope), np.abs(smooth)
        peak = (strength[:, 1:-1] >= strength[:, :-2]) & (strength[:, 1:-1] > strength[:, 2:])
        peak &= strength[:, 1:-1] > _WEAKEST
        size, strength = size[:, 1:-1][peak], strength[:, 1:-1][peak]
        ratio = np.maximum(size / strength, 1 + 1e-6)
        squares = _REBLUR**2 / (ratio**2 - 1) - _DIFFERENCES
        widths.append(np.sqrt(np.clip(squares, 0, _MOST_WIDTH**2)))
        strengths.append(strength)
    width, strength = np.concatenate(widths), np.concatenate(strengths)
    if len(width) < 16:
        return math.nan
    strong = strength >= np.quantile(strength, 1 - _SHARE)
    return float(np.quantile(width[strong], 0.25))


def detail(image: np.ndarray) -> float:
    """Returns how much finer detail there is than coarser: log2 of power per frequency at 0.3 to 0.45 over 0.08 to 0.2.

    In cycles per pixel, of rows and columns under a Hann window. Photographs, whose power falls by the square of the
    frequency, have about -3; what was enlarged twofold has nothing in the upper band. nan for small or empty images.
    """
    if min(image.shape) < 32:
        return math.nan
    powers = np.zeros(2)
    for lines in (image, image.T):
        length = lines.shape[1]
        window = np.hanning(length).astype(np.float32)
        power = (np.abs(np.fft.rfft((lines - lines.mean(1, keepdims=True)) * window, axis=1)) ** 2).mean(0)
        frequency = np.arange(len(power)) / length
        for band, (low, high) in enumerate(((0.08, 0.2), (0.3, 0.45))):
            powers[band] += power[(frequency >= low) & (frequency <= high)].mean() / (window**2).sum()
    return float(np.log2((powers[1] + 1e-3) / (powers[0] + 1e-3))) if powers[0] > 0.1 else math.nan


def periodicity(image: np.ndarray) -> float:
    """Returns how periodic the second differences are, as interpolation makes them: peak over median of their spectrum.

    Gallagher, "Detection of linear and cubic interpolation in JPEG compressed images", CRV 2005. Where multiples of an
    eighth all stand out they are of JPEG's blocks, and do not count. nan for small images.
    """
    image = image[:_SIDE, :_SIDE]
    if min(image.shape) < 48:
        return math.nan
    found = []
    for lines in (image, image.T):
        curve = np.abs(lines[:, 2:] - 2 * lines[:, 1:-1] + lines[:, :-2]).mean(0)
        curve = curve - np.convolve(np.pad(curve, 4, mode="edge"), np.full(9, 1 / 9), mode="valid")
        spectrum = np.abs(np.fft.rfft(curve * np.hanning(len(curve))))
        frequency = np.fft.rfftfreq(len(curve))
        middle = np.median(spectrum[frequency > 0.2]) + 1e-9
        of_blocks = [spectrum[np.abs(frequency - k / 8) <= 1.5 / len(curve)].max() / middle for k in (2, 3, 4)]
        upper = frequency > 0.24
        if min(of_blocks) > 4:
            upper &= np.abs(frequency * 8 - np.rint(frequency * 8)) > 12 / len(curve)
        found.append(float(spectrum[upper].max() / middle))
    return min(found)


def repetition(image: np.ndarray) -> float:
    """Returns the share of rows and columns that repeat the one before, of the lesser; 0.5 for pixels doubled.

    Between the first and the last that differ, so that a plain margin does not count.
    """
    return min(_repetition(image), _repetition(image.T))


def _repetition(lines: np.ndarray) -> float:
    differ = np.flatnonzero(np.abs(np.diff(lines, axis=1)).mean(0) >= 0.1)
    return float(1 - len(differ) / (differ[-1] - differ[0] + 1)) if len(differ) >= 8 else 0.0
