"""The filters of gen.imaging under one name: `from gen.imaging import filters`, then `filters.gaussian(x, 2.0)`."""

from gen.imaging.filters.blur import defocus_blur, motion_blur
from gen.imaging.filters.deconvolution import richardson_lucy, wiener
from gen.imaging.filters.denoise import anisotropic_diffusion, denoise_nl_means, total_variation
from gen.imaging.filters.edge_aware import bilateral, guided, joint_bilateral
from gen.imaging.filters.edges import canny, difference_of_gaussians, laplace, scharr, sobel
from gen.imaging.filters.effects import (
    emboss,
    error_diffusion,
    halftone,
    invert,
    ordered_dither,
    pixelate,
    posterize,
    sepia,
    solarize,
)
from gen.imaging.filters.film import bloom, chromatic_aberration, grain, halation, vignette
from gen.imaging.filters.frequency import band_pass, high_pass, low_pass
from gen.imaging.filters.inpaint import inpaint
from gen.imaging.filters.jpeg import jpeg
from gen.imaging.filters.kuwahara import kuwahara
from gen.imaging.filters.morphology import (
    black_tophat,
    closing,
    dilate,
    erode,
    morphological_gradient,
    opening,
    reconstruct,
    white_tophat,
)
from gen.imaging.filters.resize import resize
from gen.imaging.filters.sharpen import contrast_adaptive_sharpen, detail_enhance, high_boost, unsharp_mask
from gen.imaging.filters.smooth import box, gaussian, median, percentile_filter

__all__ = [
    "anisotropic_diffusion", "band_pass", "bilateral", "black_tophat", "bloom", "box", "canny",
    "chromatic_aberration", "closing", "contrast_adaptive_sharpen", "defocus_blur", "denoise_nl_means",
    "detail_enhance", "difference_of_gaussians", "dilate", "emboss", "erode", "error_diffusion", "gaussian", "grain",
    "guided", "halation", "halftone", "high_boost", "high_pass", "inpaint", "invert", "joint_bilateral", "jpeg",
    "kuwahara", "laplace", "low_pass", "median", "morphological_gradient", "motion_blur", "opening", "ordered_dither",
    "percentile_filter", "pixelate", "posterize", "reconstruct", "resize", "richardson_lucy", "scharr", "sepia",
    "sobel", "solarize", "total_variation", "unsharp_mask", "vignette", "white_tophat", "wiener",
]  # fmt: skip
