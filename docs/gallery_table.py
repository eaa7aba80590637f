"""What the gallery of docs/imaging.md shows of each operator: the photograph, the text that is run, what is like it.

Text of a chain is run by gen.imaging.chain, other text as Python with the names that make_gallery.py gives it. `like`
names equivalents elsewhere: "= code" gives the same (away from the border, before rounding to 8 bits), "~ code; why"
does not. There x is an array [h w c], t a tensor [1 c h w], im a Pillow image, r (rt) the reference and g the luma;
where a text has several operators, its first one is meant.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Entry(NamedTuple):
    """One row of a table."""

    photo: str  # of gallery_photos.PHOTOS
    text: str  # begins with the name of the operator
    like: tuple[str, ...] = ()
    meaning: str = ""  # instead of the first line of the docstring
    show: str = ""  # of Python: how the result is drawn, see make_gallery._drawn

    @property
    def name(self) -> str:
        """That of the operator: of Python texts the first of gen.imaging."""
        text = self.text.partition("|")[0]
        functions = re.findall(r"(?:filters|color|segment)\.(\w+)", text)
        return functions[0] if functions else text.partition("(")[0]


# Sections whose texts are Python, not chains.
PYTHON = {"palettes and seeds", "segmentation"}

SECTIONS: dict[str, list[Entry]] = {
    "regions": [
        Entry(
            "astronaut",
            "inside('background', 'saturation(0.0)|exposure(-1.0)')",
            (),
            "A chain where the mask is; outside not a bit changes.",
        ),
        Entry(
            "astronaut",
            "map_segments('threshold_multiotsu(3)', 'gaussian(4.0)')",
            (),
            "A chain on each segment, on a ground of the mean color of the segment.",
        ),
    ],
    "smoothing": [
        Entry(
            "cat",
            "box(3)",
            (
                "= cv2.blur(x, (7, 7))",
                "= kornia.filters.box_blur(t, (7, 7))",
                "= im.filter(ImageFilter.BoxBlur(3))",
            ),
        ),
        Entry(
            "cat",
            "gaussian(2.0)",
            (
                "= cv2.GaussianBlur(x, (17, 17), 2)",
                '= skimage.filters.gaussian(x, 2, mode="mirror", channel_axis=-1)',
                "= kornia.filters.gaussian_blur2d(t, (17, 17), (2.0, 2.0))",
                "~ im.filter(ImageFilter.GaussianBlur(2)); three box filters",
            ),
        ),
        Entry(
            "salted",
            "median(3)",
            (
                "= cv2.medianBlur(x, 3)",
                "= kornia.filters.median_blur(t, (3, 3))",
                "= im.filter(ImageFilter.MedianFilter(3))",
            ),
        ),
        Entry(
            "salted",
            "percentile_filter(3, 75)",
            (
                '= scipy.ndimage.rank_filter(x, 6, (3, 3, 1), mode="mirror")',
                "= im.filter(ImageFilter.RankFilter(3, 6))",
            ),
        ),
        Entry(
            "noisy",
            "bilateral(9, sigma_color=0.4, sigma_space=3.0)",
            (
                "= cv2.bilateralFilter(x, 9, 0.4, 3)",
                "~ skimage.restoration.denoise_bilateral(x, 9, 0.23, 3, channel_axis=-1); square, other distance",
                "~ kornia.filters.bilateral_blur(t, (9, 9), 0.4, (3.0, 3.0)); square window",
            ),
        ),
        Entry(
            "noisy dark",
            "joint_bilateral('flash', 9, sigma_color=0.15, sigma_space=3.0)",
            (
                "= cv2.ximgproc.jointBilateralFilter(r, x, 9, 0.15, 3)",
                "~ kornia.filters.joint_bilateral_blur(t, rt, (9, 9), 0.15, (3.0, 3.0)); square window",
            ),
            "A bilateral filter with the nearness in color measured in another image, here one taken with flash.",
        ),
        Entry(
            "noisy",
            "guided(4, eps=0.04)",
            (
                "= cv2.ximgproc.guidedFilter(x, x, 4, 0.04)",
                "= kornia.filters.guided_blur(t, t, (9, 9), 0.04)",
            ),
            "In each window the linear function of the picture itself (or of a guide) that comes nearest to it.",
        ),
        Entry(
            "noisy",
            "denoise_nl_means(0.09, noise=0.08)",
            (
                "~ skimage.restoration.denoise_nl_means(x, 5, 6, 0.09, True, 0.08, channel_axis=-1); smaller patches",
                "~ cv2.fastNlMeansDenoisingColored(np.uint8(255 * x), None, 23, 23, 5, 13); 8 bits, in Lab",
            ),
        ),
        Entry(
            "noisy",
            "total_variation(0.12)",
            ("= skimage.restoration.denoise_tv_chambolle(x, 0.12, eps=0, max_num_iter=51, channel_axis=-1)",),
            "The image near to this one that has little total variation: even regions with sharp edges.",
        ),
        Entry(
            "noisy",
            "anisotropic_diffusion(0.12, iterations=12)",
            ("~ cv2.ximgproc.anisotropicDiffusion(np.uint8(255 * x), 0.2, 0.12, 12); 8 bits",),
        ),
    ],
    "sharpening": [
        Entry(
            "soft",
            "unsharp_mask(1.5, 1.0)",
            (
                "= skimage.filters.unsharp_mask(x, 1.5, 1.0, preserve_range=True, channel_axis=2)",
                "= kornia.filters.unsharp_mask(t, (13, 13), (1.5, 1.5))",
                "~ im.filter(ImageFilter.UnsharpMask(1.5, 100, 0)); three box filters",
            ),
        ),
        Entry("soft", "contrast_adaptive_sharpen(1.0)"),
        Entry(
            "motorcycle",
            "detail_enhance(1.5, radius=4, eps=0.02)",
            ("= x + 1.5 * (x - cv2.ximgproc.guidedFilter(x, x, 4, 0.02))",),
        ),
        Entry(
            "soft",
            "high_boost(1.5)",
            ("= cv2.filter2D(x, -1, np.float32([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]) * 1.5 / 8) + x",),
        ),
    ],
    "restoration": [
        Entry(
            "blurred",
            "richardson_lucy(1.5, iterations=20)",
            ("= skimage.restoration.richardson_lucy(g, psf, 20, clip=False); takes an array, black outside",),
            "The image that, blurred, most likely gives this one; the blur is a sigma or a point spread function.",
        ),
        Entry(
            "blurred",
            "wiener(1.5, balance=0.005)",
            ("= skimage.restoration.wiener(g, psf, 0.005, clip=False); takes an array, periodic",),
            "The image that, blurred, comes nearest to this one and is smooth.",
        ),
    ],
    "edges": [
        Entry(
            "motorcycle",
            "sobel|levels(0.0, 0.3)",
            (
                "= cv2.magnitude(cv2.Sobel(x, -1, 1, 0), cv2.Sobel(x, -1, 0, 1)) / 8",
                "= skimage.filters.sobel(g) / 2**0.5",
                "= kornia.filters.sobel(t); at least 0.001",
            ),
        ),
        Entry(
            "motorcycle",
            "scharr|levels(0.0, 0.3)",
            (
                "= cv2.magnitude(cv2.Scharr(x, -1, 1, 0), cv2.Scharr(x, -1, 0, 1)) / 32",
                "= skimage.filters.scharr(g) / 2**0.5",
            ),
        ),
        Entry(
            "moon",
            "laplace|levels(-0.15, 0.15)",
            (
                "= cv2.Laplacian(x, -1, ksize=1)",
                "= -skimage.filters.laplace(g, 3)",
                "~ kornia.filters.laplacian(t, 3); eight equal neighbors, normalized",
            ),
        ),
        Entry(
            "moon",
            "difference_of_gaussians(1.0, 2.0)|levels(-0.1, 0.1)",
            ('= skimage.filters.difference_of_gaussians(x, 1, 2, mode="mirror", channel_axis=-1)',),
        ),
        Entry(
            "astronaut",
            "canny(1.0, 0.15, 0.4)",
            (
                '= skimage.feature.canny(g, 1, 0.15, 0.4, mode="mirror")',
                "~ kornia.filters.canny(t, 0.15, 0.4, (9, 9), (1.0, 1.0))[1]; other weights of gray, other slopes",
                "~ cv2.Canny(np.uint8(255 * g), 38, 102, L2gradient=True); 8 bits, no smoothing",
            ),
            "1 on edges one pixel thin, else 0; one channel.",
        ),
    ],
    "morphology": [
        Entry(
            "page",
            "erode(1)",
            (
                "= cv2.erode(x, np.ones((3, 3)))",
                "= skimage.morphology.erosion(g, np.ones((3, 3)))",
                "= kornia.morphology.erosion(t, torch.ones(3, 3))",
                "= im.filter(ImageFilter.MinFilter(3))",
            ),
        ),
        Entry(
            "page",
            "dilate(1)",
            (
                "= cv2.dilate(x, np.ones((3, 3)))",
                "= skimage.morphology.dilation(g, np.ones((3, 3)))",
                "= kornia.morphology.dilation(t, torch.ones(3, 3))",
                "= im.filter(ImageFilter.MaxFilter(3))",
            ),
        ),
        Entry(
            "stars",
            "opening(2, shape='disk')",
            (
                "= cv2.morphologyEx(x, cv2.MORPH_OPEN, skimage.morphology.disk(2))",
                "= skimage.morphology.opening(g, skimage.morphology.disk(2))",
                "= kornia.morphology.opening(t, torch.tensor(skimage.morphology.disk(2)))",
            ),
        ),
        Entry(
            "page",
            "closing(4, shape='disk')",
            (
                "= cv2.morphologyEx(x, cv2.MORPH_CLOSE, skimage.morphology.disk(4))",
                "= skimage.morphology.closing(g, skimage.morphology.disk(4))",
                "= kornia.morphology.closing(t, torch.tensor(skimage.morphology.disk(4)))",
            ),
        ),
        Entry(
            "coins",
            "white_tophat(16)",
            (
                "= cv2.morphologyEx(x, cv2.MORPH_TOPHAT, np.ones((33, 33)))",
                "= skimage.morphology.white_tophat(g, np.ones((33, 33)))",
                "= kornia.morphology.top_hat(t, torch.ones(33, 33))",
            ),
        ),
        Entry(
            "page",
            "black_tophat(4)|levels(0.0, 0.6)|invert",
            (
                "= cv2.morphologyEx(x, cv2.MORPH_BLACKHAT, np.ones((9, 9)))",
                "= skimage.morphology.black_tophat(g, np.ones((9, 9)))",
                "= kornia.morphology.bottom_hat(t, torch.ones(9, 9))",
            ),
        ),
        Entry(
            "coins",
            "morphological_gradient(1)",
            (
                "= cv2.morphologyEx(x, cv2.MORPH_GRADIENT, np.ones((3, 3)))",
                "= kornia.morphology.gradient(t, torch.ones(3, 3))",
            ),
        ),
    ],
    "frequency": [
        Entry(
            "cat",
            "low_pass(0.08, method='butterworth')",
            ("= skimage.filters.butterworth(x, 0.08, False, 2, channel_axis=-1); periodic, not reflected",),
        ),
        Entry(
            "cat",
            "high_pass(0.08, method='butterworth')|brightness(0.5)",
            ("= skimage.filters.butterworth(x, 0.08, True, 2, channel_axis=-1); periodic, not reflected",),
        ),
        Entry("cat", "band_pass(0.03, 0.12)|brightness(0.5)"),
    ],
    "size": [
        Entry(
            "thumbnail",
            "resize(132, 176, method='lanczos3')",
            (
                '= np.stack([Image.fromarray(c, "F").resize((176, 132), Image.LANCZOS) for c in planes], -1)',
                "~ cv2.resize(x, (176, 132), interpolation=cv2.INTER_LANCZOS4); four lobes, no antialiasing",
            ),
            "The image with another number of pixels: by area, linear, cubic, Lanczos or nearest, antialiased.",
        ),
    ],
    "lens and film": [
        Entry(
            "rocket",
            "motion_blur(13, angle=20.0)",
            ("~ kornia.filters.motion_blur(t, 13, 20.0, 0.0); not in linear light, other weights",),
        ),
        Entry("rocket", "defocus_blur(4)"),
        Entry("lamps", "bloom(6.0, 1.0, threshold=0.2)"),
        Entry("lamps", "halation(6.0, 1.0, threshold=0.2)"),
        Entry("cat", "vignette(0.9)"),
        Entry("motorcycle", "chromatic_aberration(3.0)"),
        Entry("astronaut", "grain(0.06)"),
    ],
    "print": [
        Entry(
            "coffee",
            "posterize(4)",
            (
                "~ kornia.enhance.posterize(t, 2); its brightest level is 0.75",
                "~ ImageOps.posterize(im, 2); its brightest level is 192",
            ),
        ),
        Entry("coffee", "ordered_dither(2, size=4)"),
        Entry("coffee", "error_diffusion(2)", ('~ im.convert("1"); black and white only',)),
        Entry("coffee", "halftone(5.0)"),
        Entry(
            "astronaut",
            "pixelate(11)",
            (
                "= cv2.resize(cv2.resize(x, (16, 12), interpolation=cv2.INTER_AREA), (176, 132), "
                "interpolation=cv2.INTER_NEAREST)",
                "= im.reduce(11).resize((176, 132), Image.NEAREST)",
            ),
        ),
        Entry(
            "coffee",
            "reduce_colors(6, dither='ordered')",
            ("~ im.quantize(6).convert('RGB'); median cut, error diffusion",),
            "Each pixel in one of the main colors of its image, or in a pattern of two that mix to it.",
        ),
        Entry("cat", "kuwahara(3)", ("~ cv2.xphoto.oilPainting(np.uint8(255 * x), 3, 1); by histograms",)),
        Entry(
            "coffee",
            "jpeg(8)",
            ("~ im.save(file, quality=8, subsampling=0)", "~ kornia.enhance.jpeg_codec_differentiable(t, q)"),
        ),
        Entry(
            "scratched",
            "inpaint('scratches')",
            (
                "~ skimage.restoration.inpaint_biharmonic(x, mask, channel_axis=-1)",
                "~ cv2.inpaint(np.uint8(255 * x), mask, 3, cv2.INPAINT_NS)",
            ),
            "Fills what a mask covers smoothly from what is around it.",
        ),
        Entry("coins", "emboss(4.0)", ("~ im.filter(ImageFilter.EMBOSS); one angle, 3 x 3",)),
        Entry(
            "coffee",
            "invert",
            (
                "= skimage.util.invert(x)",
                "= kornia.enhance.invert(t)",
                "= ImageOps.invert(im)",
                "= 255 - np.uint8(255 * x)",
            ),
            "1 - x, the negative.",
        ),
        Entry(
            "coffee",
            "solarize(0.5)",
            ("= kornia.enhance.solarize(t, 0.5)", "= ImageOps.solarize(im, 128)"),
        ),
        Entry("cat", "sepia(1.0)", ("= kornia.color.sepia_from_rgb(t, rescale=False)",)),
    ],
    "tone": [
        Entry("rocket", "exposure(1.5)"),
        Entry("rocket", "brightness(0.2)", ("= kornia.enhance.adjust_brightness(t, 0.2, clip_output=False)",)),
        Entry(
            "dull",
            "contrast(1.6)",
            (
                "= (x - 0.5) * 1.6 + 0.5",
                "~ kornia.enhance.adjust_contrast_with_mean_subtraction(t, 1.6); around the mean",
                "~ ImageEnhance.Contrast(im).enhance(1.6); around the mean",
            ),
        ),
        Entry(
            "rocket",
            "gamma(0.5)",
            ("= skimage.exposure.adjust_gamma(x, 0.5)", "= kornia.enhance.adjust_gamma(t, 0.5)"),
        ),
        Entry("dull", "levels(0.2, 0.75)", ("= skimage.exposure.rescale_intensity(x, (0.2, 0.75), (0, 1))",)),
        Entry(
            "coffee",
            "curves((0.0, 0.25, 0.75, 1.0), (0.0, 0.12, 0.88, 1.0))",
            ("= scipy.interpolate.PchipInterpolator((0, 0.25, 0.75, 1), (0, 0.12, 0.88, 1))(x)",),
        ),
        Entry("backlit", "shadows_highlights(shadows=1.0, highlights=-0.3)"),
        Entry(
            "scene",
            "tone_map('filmic', exposure=0.8)",
            (
                "~ cv2.createTonemapReinhard().process(x); other curves",
                "~ cv2.createTonemapDrago().process(x); other curves",
            ),
            "Linear light of any brightness to display-referred sRGB: Reinhard, Drago, filmic, ACES, exponential.",
        ),
        Entry(
            "dull",
            "equalize",
            (
                "= cv2.equalizeHist(np.uint8(255 * g))",
                "~ skimage.exposure.equalize_hist(g); the darkest is not 0",
                "~ kornia.enhance.equalize(t); each channel by itself",
                "~ ImageOps.equalize(im); each channel by itself",
            ),
        ),
        Entry(
            "retina",
            "clahe(3.0, tiles=(4, 4))",
            (
                "= cv2.createCLAHE(3, (4, 4)).apply(np.uint8(255 * g))",
                "~ skimage.exposure.equalize_adapthist(g, (33, 44), 0.012); another limit",
                "~ kornia.enhance.equalize_clahe(t, 3.0, (4, 4)); each channel by itself",
            ),
        ),
    ],
    "color": [
        Entry(
            "coffee",
            "saturation(0.3)",
            (
                "~ kornia.enhance.adjust_saturation(t, 0.3); in HSV",
                "~ ImageEnhance.Color(im).enhance(0.3); gray by the weights of Rec. 601",
            ),
        ),
        Entry("tissue", "vibrance(1.0)", (), "Saturation, more for what has little of it."),
        Entry(
            "motorcycle",
            "hue(0.4)",
            ("~ kornia.enhance.adjust_hue(t, 2.5); in HSV, in radians",),
            "Hues turned in Oklch, in turns; lightness and chroma are kept.",
        ),
        Entry(
            "cat",
            "temperature(-0.7)",
            (),
            "As under a warmer or colder light, by adaptation in linear light; also a tint.",
        ),
        Entry("astronaut", "lift_gamma_gain(lift=(0.0, 0.02, 0.12), gamma=(1.0, 1.0, 1.05), gain=(1.05, 1.0, 0.8))"),
        Entry(
            "cat",
            "split_tone(0.73, 0.18, 0.07)",
            (),
            "One hue added to the shadows and another to the highlights, in Oklab.",
        ),
        Entry(
            "cast",
            "white_balance('gray_world')",
            ("~ cv2.xphoto.createGrayworldWB().balanceWhite(np.uint8(255 * x)); 8 bits, gains on R, G, B",),
            "Without the color cast of its light, estimated by gray world, white patch or shades of gray.",
        ),
        Entry("cast", "balance_to_neutral((0.58, 0.68, 0.78))", (), "A picked color becomes gray, in linear light."),
        Entry(
            "coffee",
            "lut('film.cube')",
            ("~ im.filter(ImageFilter.Color3DLUT(17, table)); trilinear, this one too if told",),
        ),
        Entry("motorcycle", "simulate_cvd('deutan')", (), "How it looks with a color vision deficiency."),
    ],
    "matching": [
        Entry("cat", "match_reinhard('evening')"),
        Entry("cat", "match_linear('evening')"),
        Entry("cat", "match_sliced('evening')"),
        Entry(
            "cat",
            "match_histogram('evening')",
            (
                "~ skimage.exposure.match_histograms(x, r, channel_axis=-1); all pixels of a level to one value",
                "~ kornia.contrib.histogram_matching(t, rt); the whole tensor at once",
            ),
        ),
        Entry("drifted", "match_low_frequency('before')"),
    ],
    "segmentation": [
        Entry(
            "coffee",
            "segment.slic(x, 150)",
            ("~ skimage.segmentation.slic(x, 150, 10); other seeds",),
            "About as many superpixels as asked for, alike in color and near in place.",
            show="outlines",
        ),
        Entry(
            "coins",
            "segment.watershed(relief, markers)",
            (
                "= skimage.segmentation.watershed(relief, markers); but for ties",
                "~ cv2.watershed(np.uint8(255 * rgb), markers); lines between basins",
            ),
            "Floods a relief, here sobel, from markers, here what is surely coin or surely ground.",
            show="labels",
        ),
        Entry(
            "astronaut",
            "segment.random_walker(x, strokes, 2).labels",
            ("= skimage.segmentation.random_walker(x, strokes, 130, channel_axis=-1, return_full_prob=True)",),
            "Spreads a few strokes over even regions: labels and probabilities.",
            show="labels",
        ),
        Entry(
            "astronaut",
            "segment.foreground(x)",
            ("~ cv2.grabCut(np.uint8(255 * x), mask, box, bgd, fgd, 5); needs a box, a hard cut",),
            "The object against what lies at the border, as a mask from 0 to 1.",
        ),
        Entry(
            "coins",
            "segment.chan_vese(x, steps=200) < 0.5",
            ("= ~skimage.segmentation.chan_vese(g, 0.25, tol=0, max_num_iter=200)",),
            "A soft mask of two regions that are each as even as can be.",
        ),
        Entry(
            "coffee",
            "segment.kmeans(x, 5).labels",
            ("~ cv2.kmeans(x.reshape(-1, 3), 5, None, criteria, 1, cv2.KMEANS_PP_CENTERS); random seeds",),
            "Groups of similar colors, optionally of near places; shown in their mean colors.",
            show="means",
        ),
        Entry(
            "coins",
            "segment.connected_components(mask).labels",
            (
                "= skimage.measure.label(mask, connectivity=2)",
                "~ cv2.connectedComponents(np.uint8(mask), connectivity=8)[1]; other numbers",
                "~ kornia.contrib.connected_components(t, 100); other numbers, needs enough rounds",
            ),
            "Numbers the connected pieces of a mask or of equal labels.",
            show="labels",
        ),
        Entry(
            "coins",
            "segment.clear_border(segment.remove_small_objects(labels, 200))",
            ("= skimage.segmentation.clear_border(skimage.morphology.remove_small_objects(labels, max_size=199))",),
            "Labels without small pieces, and without those that touch the border.",
            show="labels",
        ),
        Entry(
            "coins",
            "segment.distance_transform(ground)",
            ("= scipy.ndimage.distance_transform_edt(ground)",),
            "From each pixel of a mask, the distance to the nearest pixel outside, in pixels.",
            show="scaled",
        ),
        Entry(
            "coins",
            "segment.expand_labels(labels, 6)",
            ("~ skimage.segmentation.expand_labels(labels, 6); other ties",),
            "Labels that grow by up to a distance, and stop where they meet.",
            show="labels",
        ),
        Entry(
            "coins",
            "segment.find_boundaries(labels)",
            ("= skimage.segmentation.find_boundaries(labels, mode='thick')",),
            "A mask of the pixels beside a pixel of another label.",
        ),
        Entry(
            "coins",
            "x > segment.threshold_otsu(x)",
            ("= g > skimage.filters.threshold_otsu(g)", "= cv2.threshold(g8, 0, 255, cv2.THRESH_OTSU)[1]"),
            "The threshold that splits the values into two classes as far apart as possible.",
        ),
        Entry(
            "coffee",
            "(luma > segment.threshold_multiotsu(x, 4)).sum(-1)",
            ("= np.digitize(g, skimage.filters.threshold_multiotsu(g, 4), right=True); of 8-bit values",),
            "The same for up to four classes.",
            show="scaled",
        ),
        Entry(
            "page",
            "luma > segment.threshold_local(x, 12, offset=0.05)",
            ("= g > skimage.filters.threshold_local(g, 25, offset=0.05, mode='mirror')",),
            "A threshold for each pixel, by the pixels around it.",
        ),
    ],
    "palettes and seeds": [
        Entry(
            "coffee",
            "color.palette(x, 6)",
            ("~ im.quantize(6).getpalette()[:18]; median cut",),
            "The main colors of each image with their shares of the pixels, most frequent first.",
            show="stripes",
        ),
        Entry(
            "coins",
            "filters.reconstruct(filters.erode(x, 6), x)",
            ('= skimage.morphology.reconstruction(skimage.morphology.erosion(g, np.ones((13, 13))), g, "dilation")',),
            "A seed dilated again and again below a limit; from an eroded seed: without small highlights.",
        ),
    ],
}
