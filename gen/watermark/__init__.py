"""An invisible mark in images: keyed, found again after what is usually done to pictures, with a bound of the error.

owner = key(secret)                          # bytes, at least 16
marked = embed(images, owner, tag=0xABCDEF)  # [n h w c]
for found in detect(marked, owner): ...      # found.p_value, found.tag
"""

from gen.watermark.detection import THRESHOLD, Detection, detect, pool
from gen.watermark.embedding import MIN, default_psnr, embed
from gen.watermark.key import Key, key

__all__ = ["MIN", "THRESHOLD", "Detection", "Key", "default_psnr", "detect", "embed", "key", "pool"]
