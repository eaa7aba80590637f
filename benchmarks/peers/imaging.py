"""The operators of benchmarks/imaging.py in other libraries, each in its fastest form that means nearest to the same.

A library is a function that imports it and gives a `Library`: its calls by the name of the row. The calls of OpenCV,
scikit-image and color-science take one image (arrays [h w 3] or [h w], RGB), those of kornia a batch [b c h w]. They
get bytes where the values are 8-bit levels anyway or where they take nothing else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from peers.images import Arrays

CLAHE_CLIP, COMPACTNESS, SEGMENTS, CLUSTERS, NOISE, BETA = 2.0, 10.0, 200, 8, 0.1, 130.0


class Call(NamedTuple):
    """One operator of a library. `same` makes of its result what gen's result means; None: it means something else."""

    run: Callable[[Arrays], Any]
    same: Callable[[Any], Any] | None = lambda result: result


class Library(NamedTuple):
    """name with version; view(arrays [b ...], n): the first n as the calls take them."""

    name: str
    view: Callable[[Arrays, int], Any]
    calls: dict[str, Call]
    batched: bool = False
    wait: Callable[[], None] = lambda: None  # until the device is done
    around: Callable[[], Any] | None = None  # a context for the calls


def _each_image(arrays: Arrays, count: int) -> list[Arrays]:
    """One `Arrays` for each image, gray ones [h w]."""

    def image(array: np.ndarray, i: int) -> np.ndarray:
        one = array[i]
        return np.ascontiguousarray(one[..., 0] if one.ndim == 3 and one.shape[-1] == 1 else one)

    return [Arrays(*(image(array, i) for array in arrays)) for i in range(count)]


def opencv(threads: int) -> Library:
    import cv2

    cv2.setNumThreads(threads)
    square, round_ = np.ones((5, 5), np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
    clahe = cv2.createCLAHE(CLAHE_CLIP, (8, 8))
    ten_steps = (cv2.TERM_CRITERIA_MAX_ITER, 10, 0)
    contrib = hasattr(cv2, "ximgproc")
    levels = lambda y: y / np.float32(255)  # noqa: E731

    def convert(code: int, field: str = "x") -> Callable[[Arrays], Any]:
        return lambda a: cv2.cvtColor(getattr(a, field), code)

    def unsharp_mask(a: Arrays) -> Any:
        return cv2.addWeighted(a.x, 2, cv2.GaussianBlur(a.x, (17, 17), 2), -1, 0)

    def sobel(a: Arrays) -> Any:
        return cv2.magnitude(*(cv2.Sobel(a.x, cv2.CV_32F, i, 1 - i, scale=1 / 8) for i in (1, 0)))

    def canny(a: Arrays) -> Any:  # takes 8 bits only
        return cv2.Canny(cv2.GaussianBlur(a.gray8, (9, 9), 1), 25.5, 51, L2gradient=True)

    def slic(a: Arrays) -> Any:
        side = round((a.x8.shape[0] * a.x8.shape[1] / SEGMENTS) ** 0.5)
        lab = cv2.cvtColor(a.x8, cv2.COLOR_RGB2Lab)
        cut = cv2.ximgproc.createSuperpixelSLIC(lab, cv2.ximgproc.SLIC, side, COMPACTNESS)
        cut.iterate(10)
        cut.enforceLabelConnectivity(25)  # per cent of the mean size
        return cut.getLabels()

    def kmeans(a: Arrays) -> Any:
        return cv2.kmeans(a.x.reshape(-1, 3), CLUSTERS, None, ten_steps, 1, cv2.KMEANS_RANDOM_CENTERS)

    hue = np.float32([1 / 360, 1, 1])
    calls = {
        "gaussian": Call(lambda a: cv2.GaussianBlur(a.x, (17, 17), 2)),
        "median": Call(lambda a: cv2.medianBlur(a.x, 5)),
        "bilateral": Call(lambda a: cv2.bilateralFilter(a.x, 9, 0.1, 3.0)),
        "unsharp_mask": Call(unsharp_mask),
        "clahe": Call(lambda a: clahe.apply(a.gray8), levels),
        "rgb_to_lab": Call(convert(cv2.COLOR_RGB2Lab)),
        "connected_components": Call(lambda a: cv2.connectedComponents(a.mask8)[1]),
        "box": Call(lambda a: cv2.blur(a.x, (9, 9))),
        "denoise_nl_means": Call(lambda a: cv2.fastNlMeansDenoising(a.x8, None, 255 * NOISE, 5, 13), None),
        "sobel": Call(sobel),
        "laplace": Call(lambda a: cv2.Laplacian(a.x, cv2.CV_32F, ksize=1)),
        "canny": Call(canny, None),
        "erode": Call(lambda a: cv2.erode(a.x, square)),
        "closing": Call(lambda a: cv2.morphologyEx(a.x, cv2.MORPH_CLOSE, round_), None),
        "resize_area": Call(lambda a: cv2.resize(a.x, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
        "resize_linear": Call(lambda a: cv2.resize(a.x, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)),
        "lab_to_rgb": Call(convert(cv2.COLOR_Lab2RGB, "lab")),
        "rgb_to_hsv": Call(convert(cv2.COLOR_RGB2HSV), lambda y: y * hue),
        "hsv_to_rgb": Call(lambda a: cv2.cvtColor(a.hsv * (1 / hue), cv2.COLOR_HSV2RGB)),
        "rgb_to_luv": Call(convert(cv2.COLOR_RGB2Luv)),
        "rgb_to_ycbcr": Call(convert(cv2.COLOR_RGB2YCrCb), lambda y: y[..., [0, 2, 1]]),
        "equalize": Call(lambda a: cv2.equalizeHist(a.gray8), levels),
        "threshold_otsu": Call(lambda a: cv2.threshold(a.gray8, 0, 255, cv2.THRESH_OTSU)[1], lambda y: y > 0),
        "kmeans": Call(kmeans, None),
        "watershed": Call(lambda a: cv2.watershed(a.relief8, a.markers.copy()), None),
        "distance_transform": Call(lambda a: cv2.distanceTransform(a.mask8, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)),
    }
    if contrib:
        # In [0, 1] it takes many of the matrices that it inverts for singular, and is far off (5.0.0).
        calls["guided"] = Call(lambda a: cv2.ximgproc.guidedFilter(a.x255, a.x255, 8, 1e-3 * 255**2), levels)
        calls["slic"] = Call(slic, None)
    return Library(f"OpenCV {cv2.__version__}", _each_image, calls)


def scikit_image(threads: int) -> Library:
    import skimage
    from skimage import color, exposure, feature, filters, measure, morphology, restoration, segmentation, transform

    del threads  # it has no choice
    last: dict[str, Any] = {"channel_axis": -1}
    square = morphology.footprint_rectangle((5, 5), decomposition="separable")
    spread = np.exp(-0.5 * np.square(np.arange(-6, 7) / 1.5))
    spread = np.outer(spread, spread) / spread.sum() ** 2

    def planes(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[[Arrays], Any]:
        """Each channel by itself: with three axes most of these take the colors for a third direction."""
        return lambda a: np.stack([function(a.x[..., k], *args, **kwargs) for k in range(3)], axis=-1)

    calls = {
        "gaussian": Call(lambda a: filters.gaussian(a.x, 2, mode="mirror", **last)),
        "median": Call(planes(filters.median, np.ones((5, 5)), mode="mirror")),
        "bilateral": Call(lambda a: restoration.denoise_bilateral(a.x, 9, 0.1, 3.0, **last), None),
        "unsharp_mask": Call(lambda a: filters.unsharp_mask(a.x, 2, 1, preserve_range=True, channel_axis=2)),
        "clahe": Call(lambda a: exposure.equalize_adapthist(a.gray, a.gray.shape[0] // 8, 0.01), None),
        "rgb_to_lab": Call(lambda a: color.rgb2lab(a.x)),
        "match_histogram": Call(lambda a: exposure.match_histograms(a.x, a.reference, **last)),
        "slic": Call(lambda a: segmentation.slic(a.x, SEGMENTS, COMPACTNESS, 10, **last), None),
        "connected_components": Call(lambda a: measure.label(a.mask, connectivity=2)),
        "denoise_nl_means": Call(lambda a: restoration.denoise_nl_means(a.x, 5, 6, NOISE, **last)),
        "total_variation": Call(lambda a: restoration.denoise_tv_chambolle(a.x, 0.1, eps=0, max_num_iter=51, **last)),
        "richardson_lucy": Call(planes(restoration.richardson_lucy, spread.astype(np.float32), 10, clip=False)),
        "sobel": Call(planes(filters.sobel, mode="mirror"), lambda y: y / 2**0.5),
        "laplace": Call(planes(filters.laplace), np.negative),
        "canny": Call(lambda a: feature.canny(a.gray, 1, 0.1, 0.2, mode="mirror")),
        "erode": Call(planes(morphology.erosion, square)),
        "closing": Call(planes(morphology.closing, morphology.disk(3))),
        "resize_area": Call(lambda a: transform.downscale_local_mean(a.x, (2, 2, 1))),
        "resize_linear": Call(lambda a: transform.resize(a.x, (2 * len(a.x), 2 * len(a.x)), 1, mode="edge")),
        "lab_to_rgb": Call(lambda a: color.lab2rgb(a.lab)),
        "rgb_to_hsv": Call(lambda a: color.rgb2hsv(a.x)),
        "hsv_to_rgb": Call(lambda a: color.hsv2rgb(a.hsv)),
        "rgb_to_luv": Call(lambda a: color.rgb2luv(a.x)),
        "rgb_to_ycbcr": Call(lambda a: color.rgb2ycbcr(a.x), None),  # the other swing
        "delta_e_2000": Call(lambda a: color.deltaE_ciede2000(a.lab, np.roll(a.lab, 1, 0))),
        "equalize": Call(lambda a: exposure.equalize_hist(a.gray), None),
        "threshold_otsu": Call(lambda a: a.gray8 > filters.threshold_otsu(a.gray8)),
        "random_walker": Call(lambda a: segmentation.random_walker(a.x, a.seeds, BETA, "bf", copy=False, **last)),
        "watershed": Call(lambda a: segmentation.watershed(a.relief, a.markers, 1)),
        "chan_vese": Call(lambda a: segmentation.chan_vese(a.gray, tol=0, max_num_iter=100)),
    }
    return Library(f"scikit-image {skimage.__version__}", _each_image, calls)


def kornia(threads: int, device: str = "cpu") -> Library:
    import kornia as k
    import torch

    torch.set_num_threads(threads)
    square = torch.ones(5, 5, device=device)
    disk = torch.tensor([[i * i + j * j <= 9 for j in range(-3, 4)] for i in range(-3, 4)]).to(square)

    def view(arrays: Arrays, count: int) -> Arrays:
        def place(array: np.ndarray) -> Any:
            batch = array[:count]
            planes = np.moveaxis(batch, -1, 1) if batch.ndim == 4 else batch[:, None]
            return torch.from_numpy(np.ascontiguousarray(planes)).to(device)

        placed = Arrays(*map(place, arrays))
        return placed._replace(mask=placed.mask.float())

    def match(a: Arrays) -> Any:  # one distribution for each channel of each image: it has one for all that it gets
        pairs = zip(a.x.flatten(0, 1), a.reference.flatten(0, 1), strict=True)
        return torch.stack([k.contrib.histogram_matching(*pair) for pair in pairs]).reshape(a.x.shape)

    def kmeans(a: Arrays) -> Any:
        pixels = a.x.flatten(2).mT.contiguous()
        fits = [k.contrib.KMeans(CLUSTERS, None, None, 10, 0) for _ in pixels]
        for fit, image in zip(fits, pixels, strict=True):
            fit.fit(image)
        return [fit.cluster_centers for fit in fits]

    hue = torch.tensor([2 * np.pi, 1, 1], device=device)[:, None, None]

    def images(y: Any) -> np.ndarray:
        return np.moveaxis(y.cpu().numpy(), 1, -1)

    calls = {
        "gaussian": Call(lambda a: k.filters.gaussian_blur2d(a.x, 17, (2.0, 2.0)), images),
        "median": Call(lambda a: k.filters.median_blur(a.x, 5), images),
        "bilateral": Call(lambda a: k.filters.bilateral_blur(a.x, 9, 0.1, (3.0, 3.0)), None),  # square window
        "unsharp_mask": Call(lambda a: k.filters.unsharp_mask(a.x, 17, (2.0, 2.0)), images),
        "clahe": Call(lambda a: k.enhance.equalize_clahe(a.gray, CLAHE_CLIP, (8, 8)), None),
        "rgb_to_lab": Call(lambda a: k.color.rgb_to_lab(a.x), images),
        "match_histogram": Call(match, images),
        "guided": Call(lambda a: k.filters.guided_blur(a.x, a.x, 17, 1e-3, separable=True), images),
        "connected_components": Call(
            lambda a: k.contrib.connected_components_union_find(a.mask), lambda y: y[:, 0].cpu().numpy()
        ),
        "box": Call(lambda a: k.filters.box_blur(a.x, 9, separable=device != "cpu"), images),
        "sobel": Call(lambda a: k.filters.sobel(a.x), images),
        "laplace": Call(lambda a: k.filters.laplacian(a.x, 3), None),  # another stencil
        "canny": Call(lambda a: k.filters.canny(a.gray, 0.1, 0.2, 9, (1.0, 1.0))[1], None),
        "erode": Call(lambda a: k.morphology.erosion(a.x, square), images),
        "closing": Call(lambda a: k.morphology.closing(a.x, disk), images),
        "resize_area": Call(
            lambda a: k.geometry.resize(a.x, tuple(n // 2 for n in a.x.shape[2:]), interpolation="area"), images
        ),
        "resize_linear": Call(
            lambda a: k.geometry.resize(a.x, tuple(2 * n for n in a.x.shape[2:]), align_corners=False), images
        ),
        "lab_to_rgb": Call(lambda a: k.color.lab_to_rgb(a.lab), images),
        "rgb_to_hsv": Call(lambda a: k.color.rgb_to_hsv(a.x), lambda y: images(y / hue)),
        "hsv_to_rgb": Call(lambda a: k.color.hsv_to_rgb(a.hsv * hue), images),
        "rgb_to_luv": Call(lambda a: k.color.rgb_to_luv(a.x), images),
        "rgb_to_ycbcr": Call(lambda a: k.color.rgb_to_ycbcr(a.x), images),
        "equalize": Call(lambda a: k.enhance.equalize(a.gray), None),
        "threshold_otsu": Call(lambda a: k.filters.otsu_threshold(a.gray)[1], None),  # bins between minimum and maximum
        "kmeans": Call(kmeans, None),
        "distance_transform": Call(lambda a: k.contrib.distance_transform(1 - a.mask), None),  # approximate
    }
    wait = torch.cuda.synchronize if device != "cpu" else lambda: None
    name = f"kornia {k.__version__} (torch {torch.__version__})"
    return Library(name, view, calls, True, wait, functools.partial(torch.inference_mode, True))


def colour_science(threads: int) -> Library:
    import color

    del threads
    calls = {"rgb_to_oklab": Call(lambda a: color.XYZ_to_Oklab(color.sRGB_to_XYZ(a.x)))}
    return Library(f"color-science {color.__version__}", _each_image, calls)


# Column of the table, module to look for, and the library.
LIBRARIES: dict[str, tuple[str, Callable[..., Library]]] = {
    "cv2": ("cv2", opencv),
    "skimage": ("skimage", scikit_image),
    "kornia": ("kornia", kornia),
    "color": ("color", colour_science),
}
