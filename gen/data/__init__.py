"""Real images: batches of sets (`shapes`, `scenes`, `folder`, `npz`, `shards`, `frame_pairs`, `tfds`, `celeba`)."""

from gen.data.celeba import celeba
from gen.data.dataset import Batch, BatchSampler, DatasetSplits, Examples
from gen.data.folder import folder
from gen.data.frame_pairs import frame_pairs
from gen.data.npz import npz
from gen.data.scenes import scenes
from gen.data.shapes import shapes
from gen.data.shards import shards
from gen.data.tfds import tfds

__all__ = [
    "Batch",
    "BatchSampler",
    "DatasetSplits",
    "Examples",
    "celeba",
    "folder",
    "frame_pairs",
    "npz",
    "scenes",
    "shapes",
    "shards",
    "tfds",
]
