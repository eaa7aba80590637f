"""Segmentation: labels int32 [b h w], 0 for what belongs to no region, and masks float [b h w 1]."""

from gen.imaging.segment import components as _components
from gen.imaging.segment import contours as _contours
from gen.imaging.segment import foreground as _foreground
from gen.imaging.segment import kmeans as _kmeans
from gen.imaging.segment import metrics as _agreement
from gen.imaging.segment import random_walker as _walker
from gen.imaging.segment import regionprops as _regions
from gen.imaging.segment import superpixels as _superpixels
from gen.imaging.segment import threshold as _threshold
from gen.imaging.segment import watershed as _watershed

# The names of all modules first: some hold a function of their own name, which takes its place here.
__all__ = [
    *_threshold.__all__,
    *_kmeans.__all__,
    *_superpixels.__all__,
    *_components.__all__,
    *_watershed.__all__,
    *_walker.__all__,
    *_foreground.__all__,
    *_contours.__all__,
    *_regions.__all__,
    *_agreement.__all__,
]

from gen.imaging.segment.components import *  # noqa: F403
from gen.imaging.segment.contours import *  # noqa: F403
from gen.imaging.segment.foreground import *  # noqa: F403
from gen.imaging.segment.kmeans import *  # noqa: F403
from gen.imaging.segment.metrics import *  # noqa: F403
from gen.imaging.segment.random_walker import *  # noqa: F403
from gen.imaging.segment.regionprops import *  # noqa: F403
from gen.imaging.segment.superpixels import *  # noqa: F403
from gen.imaging.segment.threshold import *  # noqa: F403
from gen.imaging.segment.watershed import *  # noqa: F403
