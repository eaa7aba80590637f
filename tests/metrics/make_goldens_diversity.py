"""Write goldens/ms_ssim.npz: MS-SSIM of pairs of small pictures by pytorch-msssim 1.0, with the weights of few scales.

pip install torch pytorch-msssim && python tests/metrics/make_goldens_diversity.py
"""

import pathlib

import numpy as np

SIDES = {32: 2, 48: 3, 176: 5}  # and the scales that fit


def pictures(side, channels=3):
    """Two sets [3 side side channels] in [0, 1]: waves, and the same waves moved, noised, and others; no generator."""
    y, x, c = np.meshgrid(np.arange(side), np.arange(side), np.arange(channels), indexing="ij")
    wave = lambda a, b: 0.5 + 0.4 * np.sin(a * x + b * y + c)  # noqa: E731
    noise = np.modf(np.sin(x * 12.9898 + y * 78.233 + c) * 43758.5453)[0] * 0.1
    first = np.stack([wave(0.3, 0.1), wave(0.2, 0.25), wave(0.1, 0.4)])
    second = np.stack([wave(0.3, 0.1) + noise, wave(0.2, 0.26), wave(0.5, 0.05)])
    return first.clip(0, 1), second.clip(0, 1)


def main():
    import torch
    from pytorch_msssim.ssim import _ssim
    from torch.nn.functional import avg_pool2d

    # Its own window is float32.
    window = torch.exp(-((torch.arange(11).double() - 5) ** 2) / (2 * 1.5**2))
    window = (window / window.sum()).repeat([3, 1, 1, 1])
    every = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
    stored = {}
    for side, scales in SIDES.items():
        first, second = (torch.from_numpy(x).permute(0, 3, 1, 2) for x in pictures(side))
        weights = every[:scales] * every.sum() / every[:scales].sum()
        # Its ms_ssim refuses sides up to 160: the scales are put together here, from its SSIM of each.
        value = 1.0
        for scale, weight in enumerate(weights):
            ssim, contrast = _ssim(first, second, 1.0, window)
            value = value * (ssim if scale == scales - 1 else contrast).relu() ** weight
            first, second = avg_pool2d(first, 2), avg_pool2d(second, 2)
        stored[str(side)] = value.mean(1).numpy()
    np.savez_compressed(pathlib.Path(__file__).parent / "goldens" / "ms_ssim.npz", **stored)


if __name__ == "__main__":
    main()
