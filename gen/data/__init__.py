"""Real images: where they come from (`shapes`, `folder`, `npz`, `clips`, `tfds`), and batches of them (`Dataset`)."""

from gen.data.clips import clips
from gen.data.dataset import Batch, Dataset, Examples, Source
from gen.data.folder import folder
from gen.data.npz import npz
from gen.data.shapes import shapes
from gen.data.tfds import tfds

__all__ = ["Batch", "Dataset", "Examples", "Source", "clips", "folder", "npz", "shapes", "tfds"]
