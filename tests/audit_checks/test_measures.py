"""Numbers of single images, against images of which they are known."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from gen.audit_checks import checks, compression, degradations, sharpness, tone
from gen.audit_checks.measures import Measures, measure, reduced

RNG = np.random.default_rng(0)


def step(width: float, side: int = 64) -> np.ndarray:
    """A bright disk on dark ground, its edge blurred by a Gaussian."""
    y, x = np.mgrid[:side, :side] - side / 2 + 0.5
    distance = np.hypot(x, y) - side / 4
    values = np.vectorize(math.erf)(-distance / (width * math.sqrt(2)))
    return (128 + 100 * values).astype(np.float32)


@pytest.mark.parametrize("width", [0.8, 1.0, 1.5, 2.0, 3.0])
def test_edge_width_is_the_blur_of_an_edge(width):
    assert sharpness.edge_width(step(width)) == pytest.approx(width, rel=0.1)


def test_edge_width_of_the_sharp_edge_counts_and_none_is_told_of_a_plain_image():
    both = np.concatenate([step(0.6), step(4.0)], axis=1)
    assert sharpness.edge_width(both) < 1
    assert math.isnan(sharpness.edge_width(np.full((32, 32), 7, np.float32)))
    assert math.isnan(sharpness.edge_width(np.zeros((4, 40), np.float32)))


def test_blur_of_an_impulse_is_a_gaussian():
    image = np.zeros((33, 33), np.float32)
    image[16, 16] = 1
    made = sharpness.blurred(image, 2.0)
    assert made.sum() == pytest.approx(1, abs=1e-5)
    assert made[16, 18] / made[16, 16] == pytest.approx(math.exp(-0.5), rel=1e-4)


def noise_image(side: int = 128, sigma: float = 30.0) -> np.ndarray:
    return np.clip(128 + sigma * RNG.normal(size=(side, side)), 0, 255).astype(np.float32)


def enlarged(image: np.ndarray, times: int, how=Image.Resampling.BICUBIC) -> np.ndarray:
    size = (image.shape[1] * times, image.shape[0] * times)
    return np.asarray(Image.fromarray(image.astype(np.uint8)).resize(size, how)).astype(np.float32)


def test_detail_is_level_in_white_noise_and_missing_in_what_was_enlarged():
    assert sharpness.detail(noise_image()) == pytest.approx(0, abs=0.2)
    assert sharpness.detail(enlarged(noise_image(64), 2)) < -2
    assert sharpness.detail(enlarged(noise_image(43), 3)) < -5
    assert math.isnan(sharpness.detail(np.full((64, 64), 9, np.float32)))


def test_periods_of_interpolation_are_found():
    assert sharpness.periodicity(noise_image()) < 8
    assert sharpness.periodicity(enlarged(noise_image(64), 3, Image.Resampling.BILINEAR)) > 10


def test_repetition_is_the_share_of_repeated_lines():
    assert sharpness.repetition(enlarged(noise_image(64), 2, Image.Resampling.NEAREST)) == pytest.approx(0.5, abs=0.01)
    assert sharpness.repetition(enlarged(noise_image(43), 3, Image.Resampling.NEAREST)) == pytest.approx(
        2 / 3, abs=0.01
    )
    assert sharpness.repetition(noise_image()) == 0
    margin = np.pad(noise_image(64), 32, constant_values=255)  # is no repetition
    assert sharpness.repetition(margin) == 0


@pytest.mark.parametrize("sigma", [3.0, 8.0, 20.0])
def test_noise_is_found_beside_what_is_no_noise(sigma):
    ramp = np.linspace(60, 180, 128, dtype=np.float32)
    image = ramp[:, None] + 0 * ramp + sigma * RNG.normal(size=(128, 128)).astype(np.float32)
    found, whiteness = degradations.noise(image)
    assert found == pytest.approx(sigma, rel=0.2)
    assert whiteness > 0.6
    assert degradations.noise(step(2.0))[0] < 0.5
    assert math.isnan(degradations.noise(image[:8])[0])


def test_rough_texture_is_not_white():
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.rfftfreq(128)[None]) + 1 / 128
    rough = np.fft.irfft2(np.fft.rfft2(RNG.normal(size=(128, 128))) / frequency, s=(128, 128))
    found, whiteness = degradations.noise((128 + 45 * (rough - rough.mean()) / rough.std()).astype(np.float32))
    assert found > 10
    assert whiteness < 0.5


def test_impulses_are_counted():
    image = np.full((200, 200), 120, np.float32)
    image[3::10, 3::10] = 255
    assert degradations.impulses(image) == pytest.approx(0.01, rel=0.05)
    assert degradations.impulses(step(1.0)) == 0


def jpeg(image: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def test_blocks_of_jpeg_grow_with_compression_wherever_the_grid_begins():
    image = sharpness.blurred(noise_image(160, 80), 2.0)
    decoded = [np.asarray(Image.open(io.BytesIO(jpeg(image, q)))).astype(np.float32) for q in (95, 20, 8)]
    slight, strong, stronger = (degradations.blocking(x) for x in decoded)
    assert slight < 0.1 < strong < stronger
    assert degradations.blocking(decoded[2][3:, 5:]) == pytest.approx(stronger, rel=0.25)


@pytest.mark.parametrize("quality", [10, 30, 50, 75, 90])
def test_quality_is_read_from_the_tables_of_a_file(quality):
    with Image.open(io.BytesIO(jpeg(noise_image(16), quality))) as opened:
        assert compression.jpeg_quality(opened.quantization[0]) == pytest.approx(quality, abs=1)


def colored(seed: int) -> np.ndarray:
    """Smooth waves of color with some grain: uint8 [96 120 3]."""
    rng = np.random.default_rng(seed)
    waves = np.stack([sharpness.blurred(rng.normal(0, 300, (96, 120)), 2.5) for _ in range(3)], -1)
    return np.clip(128 + waves + rng.normal(0, 2, waves.shape), 0, 255).astype(np.uint8)


def decoded(image: np.ndarray, quality: int) -> np.ndarray:
    with Image.open(io.BytesIO(jpeg(image, quality))) as opened:
        return np.asarray(opened)


@pytest.mark.parametrize("quality", [5, 12, 21, 30, 45])
def test_quality_is_told_from_pixels(quality):
    image = colored(quality)
    assert compression.compressed(decoded(image, quality)) == quality
    assert compression.compressed(decoded(image[..., 0], quality)[..., None]) == quality
    assert compression.compressed(decoded(decoded(image, quality), 92)) == quality  # the coarser of two
    assert math.isnan(compression.compressed(image))


@pytest.mark.parametrize(("top", "left"), [(3, 5), (0, 1), (7, 0)])
def test_quality_is_told_wherever_the_blocks_begin(top, left):
    assert compression.compressed(decoded(colored(1), 15)[top:, left:]) == 15


@pytest.mark.parametrize("ground", [255, 90, 161])
def test_quality_of_drawings_is_told_by_saving_them_again(ground):
    image = np.full((64, 64, 3), ground, np.uint8)
    rows, columns = np.mgrid[:64, :64]
    for row, column, radius, color in ((22, 20, 13, (250, 200, 30)), (40, 42, 17, (20, 120, 220)), (20, 48, 9, 0)):
        image[(rows - row) ** 2 + (columns - column) ** 2 < radius**2] = color
    assert compression.compressed(decoded(image, 12)) == 12
    assert math.isnan(compression.compressed(image))


@pytest.mark.parametrize("shape", [(64, 64, 3), (64, 64, 1), (1, 300, 3), (32, 32, 1)])
def test_quality_of_plain_and_tiny_images_is_not_known(shape):
    for level in (0, 90, 255):
        assert math.isnan(compression.compressed(np.full(shape, level, np.uint8)))


def test_tone_of_known_images():
    flat = np.full((10, 10, 3), 51, np.uint8)
    found = tone.tone(flat)
    assert found == pytest.approx((0.2, 0.2, 0.0, 0.0, 0.2), abs=1e-6)
    red = flat.copy()
    red[..., 0] = 255
    assert tone.tone(red).chroma == pytest.approx(0.8)
    assert tone.tone(red).brightest == 1
    half = np.zeros((10, 10), bool)
    half[:5] = True
    flat[5:] = 255
    assert tone.tone(flat, opaque=half).brightest == pytest.approx(0.2)
    assert tone.luminance(np.full((2, 2, 1), 7, np.uint8)).tolist() == [[7, 7], [7, 7]]


@pytest.mark.parametrize("axis", [0, 1])
def test_border_is_the_share_of_its_bands(axis):
    image = noise_image(100)
    padding = [(0, 0), (0, 0)]
    padding[axis] = (10, 15)
    assert tone.border(np.pad(image, padding)) == pytest.approx(0.2)
    padding[axis] = (10, 0)
    assert tone.border(np.pad(image, padding)) == 0  # one side: sky, or a floor


def test_objects_on_plain_ground_have_no_border_but_pictures_in_a_frame_do():
    assert tone.border(255 - step(0.5)) == 0
    assert tone.border(np.full((50, 50), 255, np.float32)) == 0
    assert tone.border(np.pad(noise_image(80), 10, constant_values=255)) == pytest.approx(0.2)
    rounded = np.full((100, 100), 255, np.float32)
    y, x = np.mgrid[:100, :100] - 49.5
    rounded[(np.abs(x) < 40) & (np.abs(y) < 40) & (np.abs(x) + np.abs(y) < 62)] = 60
    assert tone.border(rounded) == 0


def test_large_images_are_averaged_and_small_ones_are_as_they_are():
    image = RNG.integers(0, 255, (1024, 700, 3), np.uint8)
    assert reduced(image).shape == (512, 350, 3)
    assert reduced(image)[0, 0] == pytest.approx(image[:2, :2].mean((0, 1)))
    assert reduced(image[:512]).shape[0] == 256
    assert reduced(image[:400, :400]) is not None
    assert reduced(image[:1, :700]).ndim == 3


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 1), (2, 3, 3), (31, 33, 1), (700, 20, 3)])
def test_any_shape_is_measured(shape):
    numbers = measure(RNG.integers(0, 255, shape, np.uint8))
    assert not math.isnan(numbers.brightest)
    assert not math.isnan(numbers.information)
    assert checks.found_by_numbers(numbers._asdict() | {"aspect": 1.0}) is not None


def test_transparent_pixels_do_not_count_for_tone():
    image = np.zeros((20, 20, 3), np.uint8)
    image[5:15, 5:15] = 200
    alpha = np.zeros((20, 20), np.uint8)
    alpha[5:15, 5:15] = 255
    assert measure(image, alpha=alpha).mean == pytest.approx(200 / 255, abs=0.01)
    assert measure(image, alpha=alpha).border == 0


def test_measuring_is_deterministic():
    image = RNG.integers(0, 255, (90, 70, 3), np.uint8)
    assert repr(measure(image)) == repr(measure(image.copy()))


def test_every_rule_names_a_number_and_scores_one_at_its_threshold():
    names = {*Measures._fields, "aspect", "quality"}
    for kind in checks.BY_NUMBERS:
        for rule in checks.KINDS[kind].rules:
            assert {name for name, _ in rule} <= names
            at = dict(rule)
            assert checks.score(checks.KINDS[kind], at) == pytest.approx(1)
            assert kind in checks.found_by_numbers(at)


def test_unknown_numbers_find_nothing():
    assert checks.found_by_numbers(dict.fromkeys(Measures._fields, math.nan)) == {}


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("blur", lambda x: sharpness.blurred(x, 3.0)),
        ("noise", lambda x: x + 25 * RNG.normal(size=x.shape)),
        ("dark", lambda x: 0.2 * x),
        ("light", lambda x: 0.3 * x + 170),
        ("low_contrast", lambda x: 0.1 * x + 100),
        ("low_information", lambda x: 0 * x + 90),
        ("border", lambda x: np.pad(x, ((20, 20), (0, 0)))),
    ],
)
def test_a_fault_is_found_that_the_image_did_not_have(kind, made):
    image = np.clip(sharpness.blurred(noise_image(160, 200), 4.0), 0, 255)
    disks = np.where(np.tile(step(0.4, 40), (4, 4)) > 128, 250, image)
    colored = np.clip(np.stack([disks, 0.6 * disks, 0.2 * disks], -1), 0, 255)
    before = checks.found_by_numbers(measure(colored.astype(np.uint8))._asdict())
    assert kind not in before
    faulty = np.stack([np.clip(made(colored[..., c]), 0, 255) for c in range(3)], -1)
    assert kind in checks.found_by_numbers(measure(faulty.astype(np.uint8))._asdict())
