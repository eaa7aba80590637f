"""Segmentation: labels int32 [b h w], 0 for what belongs to no region, and masks float [b h w 1]."""

from gen.imaging.segment.components import Components, connected_components, relabel_sequential, remove_small_objects
from gen.imaging.segment.contours import chan_vese, clear_border, distance_transform, expand_labels, find_boundaries
from gen.imaging.segment.foreground import foreground
from gen.imaging.segment.kmeans import kmeans
from gen.imaging.segment.metrics import (
    AdaptedRand,
    VariationOfInformation,
    adapted_rand_error,
    boundary_recall,
    dice,
    explained_variation,
    undersegmentation_error,
    variation_of_information,
)
from gen.imaging.segment.random_walker import RandomWalk, random_walker
from gen.imaging.segment.regionprops import RegionStatistics, region_statistics
from gen.imaging.segment.superpixels import slic
from gen.imaging.segment.threshold import threshold_local, threshold_multiotsu, threshold_otsu
from gen.imaging.segment.watershed import watershed

__all__ = [
    "AdaptedRand", "Components", "RandomWalk", "RegionStatistics", "VariationOfInformation", "adapted_rand_error",
    "boundary_recall", "chan_vese", "clear_border", "connected_components", "dice", "distance_transform",
    "expand_labels", "explained_variation", "find_boundaries", "foreground", "kmeans", "random_walker",
    "region_statistics", "relabel_sequential", "remove_small_objects", "slic", "threshold_local",
    "threshold_multiotsu", "threshold_otsu", "undersegmentation_error", "variation_of_information", "watershed",
]  # fmt: skip
