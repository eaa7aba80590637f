"""Real images: their sources (`shapes`, `folder`, `npz`, `clips`, `tfds`, `celeba`), and batches (`Dataset`)."""

from gen.data.celeba import celeba
from gen.data.clips import clips
from gen.data.dataset import Batch, Dataset, Examples, Source
from gen.data.folder import folder
from gen.data.npz import npz
from gen.data.shapes import shapes
from gen.data.tfds import tfds

__all__ = ["Batch", "Dataset", "Examples", "Source", "celeba", "clips", "folder", "npz", "shapes", "tfds"]
