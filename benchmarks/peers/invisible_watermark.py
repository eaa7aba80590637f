"""A peer of benchmarks/watermark.py, run in an environment with invisible-watermark 0.2.0 in it (and PyTorch).

    PYTHON benchmarks/peers/invisible_watermark.py METHOD images.npy

METHOD is dwtDct, dwtDctSvd or rivaGan, images uint8 [n 256 256 3]. Prints one line of JSON: for each change the share
of its 32 bits that are read right, and the share of images with at least 30 right, which chance does once in 8 million
(of 29 once in 800,000); and the mean PSNR. The reader wants images of at least 256 x 256: it gets all that have another
size after the change brought back to it, which helps it.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from changes import CHANGES, changed
from imwatermark import WatermarkDecoder, WatermarkEncoder
from PIL import Image

BITS, FOUND = 32, 30


def main(method: str, file: str) -> None:
    """Prints what the method does with the images."""
    images = np.load(file)
    WatermarkEncoder.loadModel()
    wanted = np.random.default_rng(0).integers(0, 2, (len(images), BITS))
    marked = np.stack([_marked(image, bits, method) for image, bits in zip(images, wanted, strict=True)])
    error = np.mean((marked.astype(float) - images) ** 2, axis=(1, 2, 3))
    found: dict[str, object] = {"psnr": float(np.mean(-10 * np.log10(error / 255**2))), "images": len(images)}
    for name in CHANGES:
        right = [_read(x, method) == bits for x, bits in zip(changed(marked, name), wanted, strict=True)]
        found[name] = [float(np.mean(right)), float(np.mean(np.sum(right, axis=1) >= FOUND))]
    print(json.dumps(found))


def _marked(image: np.ndarray, bits: np.ndarray, method: str) -> np.ndarray:
    encoder = WatermarkEncoder()
    encoder.set_watermark("bits", bits.tolist())
    return np.clip(encoder.encode(image[..., ::-1].copy(), method)[..., ::-1], 0, 255).astype(np.uint8)


def _read(image: np.ndarray, method: str) -> np.ndarray:
    if image.shape[:2] != (256, 256):
        image = np.asarray(Image.fromarray(image).resize((256, 256), Image.Resampling.BICUBIC))
    return np.asarray(WatermarkDecoder("bits", BITS).decode(image[..., ::-1].copy(), method)).astype(int)


if __name__ == "__main__":
    main(*sys.argv[1:])
