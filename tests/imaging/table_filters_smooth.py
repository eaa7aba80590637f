"""How to call the operators of smooth.py, edge_aware.py, denoise.py, sharpen.py and blur.py of gen/imaging/filters."""

from __future__ import annotations

from table import Row

from gen.imaging import filters as f

OPERATORS = [
    Row("box", lambda x: f.box(x, 2), identity=lambda x: f.box(x, 0)),
    Row("box", lambda x: f.box(x, 5), gray=True),
    Row(
        "gaussian",
        lambda x: f.gaussian(x, 1.2),
        identity=lambda x: f.gaussian(x, 0.0, radius=3),
        per_image=lambda x, s: f.gaussian(x, s, radius=3),
    ),
    Row("gaussian", lambda x: f.gaussian(x, 6.0), per_image=lambda x, s: f.gaussian(x, 8 * s, radius=24)),
    Row("median", lambda x: f.median(x, 3), identity=lambda x: f.median(x, 1)),
    Row("median", lambda x: f.median(x, 5), gray=True),
    Row("median", lambda x: f.median(x, 15), gray=True),
    Row(
        "bilateral",
        lambda x: f.bilateral(x, 5, sigma_color=0.2),
        identity=lambda x: f.bilateral(x, 5, sigma_color=0.0),
        per_image=lambda x, s: f.bilateral(x, 5, sigma_color=s),
    ),
    Row("bilateral", lambda x: f.bilateral(x, 15), gray=True, identity=lambda x: f.bilateral(x, 1)),
    Row(
        "joint_bilateral",
        lambda x: f.joint_bilateral(x, f.box(x, 1), 5),
        identity=lambda x: f.joint_bilateral(x, x, 5, sigma_space=0.0),
        per_image=lambda x, s: f.joint_bilateral(x, x[..., :1], 5, sigma_color=s),
    ),
    # The guided filter may leave [0, 1] beside edges, by its linear models. With rounded inputs its small eps matters.
    Row(
        "guided",
        lambda x: f.guided(x, 2, eps=1e-2),
        identity=lambda x: f.guided(x, 0),
        per_image=lambda x, s: f.guided(x, 2, eps=0.1 * s),
        bounded=False,
    ),
    Row("guided", lambda x: f.guided(x, 3, eps=1e-2), gray=True, bounded=False),
    Row("guided", lambda x: f.guided(x, 3, guide=f.box(x, 1)[..., :1], eps=1e-2), bounded=False),
    Row("guided", lambda x: f.guided(x, 4, eps=1e-2, subsample=2), bounded=False),
    Row(
        "denoise_nl_means",
        lambda x: f.denoise_nl_means(x, 0.2, patch=1, search=2),
        identity=lambda x: f.denoise_nl_means(x, 0.0, patch=1, search=2),
        per_image=lambda x, s: f.denoise_nl_means(x, s, patch=1, search=2),
    ),
    # Differences to the next pixel, not to both sides: mirrored images give slightly other values.
    Row(
        "total_variation",
        lambda x: f.total_variation(x, 0.1, iterations=10),
        identity=lambda x: f.total_variation(x, 0.0, iterations=10),
        per_image=lambda x, s: f.total_variation(x, s, iterations=10),
        flips=False,
    ),
    Row(
        "anisotropic_diffusion",
        lambda x: f.anisotropic_diffusion(x, 0.1, iterations=5),
        identity=lambda x: f.anisotropic_diffusion(x, 0.0, iterations=5),
        per_image=lambda x, s: f.anisotropic_diffusion(x, s, iterations=5),
    ),
    Row("anisotropic_diffusion", lambda x: f.anisotropic_diffusion(x, 0.1, iterations=5, conduction="rational")),
    Row(
        "unsharp_mask",
        lambda x: f.unsharp_mask(x, 1.0, 0.6, threshold=0.01),
        identity=lambda x: f.unsharp_mask(x, 1.0, 0.0),
        per_image=lambda x, s: f.unsharp_mask(x, 1.0, s),
        bounded=False,
    ),
    # Some sharpening even at sharpness 0: no identity.
    Row(
        "contrast_adaptive_sharpen",
        lambda x: f.contrast_adaptive_sharpen(x, 0.5),
        per_image=f.contrast_adaptive_sharpen,
    ),
    Row(
        "detail_enhance",
        lambda x: f.detail_enhance(x, 0.7, radius=2),
        identity=lambda x: f.detail_enhance(x, 0.0, radius=2),
        per_image=lambda x, s: f.detail_enhance(x, s, radius=2),
        bounded=False,
    ),
    Row(
        "high_boost",
        lambda x: f.high_boost(x, 0.5),
        identity=lambda x: f.high_boost(x, 0.0),
        per_image=f.high_boost,
        bounded=False,
        half=0.05,
    ),
    # A direction does not commute with mirrors.
    Row(
        "motion_blur",
        lambda x: f.motion_blur(x, 5, angle=30.0),
        identity=lambda x: f.motion_blur(x, 1),
        per_image=lambda x, s: f.motion_blur(x, 5, angle=90 * s),
        flips=False,
    ),
    Row("defocus_blur", lambda x: f.defocus_blur(x, 2.5), identity=lambda x: f.defocus_blur(x, 0)),
]
