"""Large and long images get the mark that small ones get, in strips, with bounded memory, and it is found."""

from __future__ import annotations

import tracemalloc

import jax
import numpy as np
import pytest

from gen.watermark import detect, embed, embedding, frame, grid, key, large, pattern, resampling

OWNER = key(b"the secret of the tests")


def picture(height: int, width: int, channels: int = 3, dtype: str = "uint8") -> np.ndarray:
    """Noise on a slope [1 h w c]: rough on the right, plain on the left."""
    y, x = np.indices((height, width))
    noise = np.random.default_rng(0).normal(size=(height, width, channels)) * (12 * x / width)[..., None]
    image = np.clip(100 + 60 * np.sin(y / 19)[..., None] + noise, 0, 255)[None] / 255
    return image.astype(dtype) if dtype == "float32" else np.rint(image * np.iinfo(dtype).max).astype(dtype)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(np.mean((a.astype(float) - b) ** 2) / 255**2))


@pytest.mark.parametrize(("length", "samples", "scale"), [(50, 16, 16 / 50), (16, 50, 50 / 16), (61, 90, 1.49)])
def test_blocks_are_the_matrix(length, samples, scale):
    whole = np.zeros((samples, length), np.float32)
    for block in resampling.blocks(length, samples, scale):
        whole[block.samples, block.pixels] = block.weights
    np.testing.assert_array_equal(whole, frame.resampling(length, samples, scale, samples, length))


@pytest.mark.parametrize(("channels", "dtype"), [(3, "uint8"), (4, "uint16"), (1, "float32")])
@pytest.mark.parametrize("part", [False, True])
def test_in_strips_the_mark_is_the_same(monkeypatch, channels, dtype, part):
    image = picture(70, 100, channels, dtype)
    region = (np.indices((70, 100)).sum(0) % 90 < 60) if part else None
    monkeypatch.setattr(embedding, "together", lambda *sides: True)
    whole = embed(image, OWNER, tag=5, region=region)
    monkeypatch.undo()
    strips = embed(image, OWNER, tag=5, region=region)
    tolerance = {"uint8": 1, "uint16": 4, "float32": 2e-5}[dtype]
    np.testing.assert_allclose(strips.astype(float), whole.astype(float), rtol=0, atol=tolerance)
    assert dtype != "uint8" or np.mean(strips != whole) < 5e-4  # what lies between two levels may be rounded either way
    assert (strips != image).any()
    monkeypatch.setattr(large, "_MEASURED", 4000)  # pixels: fewer than there are
    sparse = embed(image, OWNER, tag=5, region=region).astype(float)
    assert np.linalg.norm(sparse - image) / np.linalg.norm(whole.astype(float) - image) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("shape", [(1200, 900), (40, 2500), (2500, 40)])
def test_large_and_long_images_have_the_psnr_asked_for_and_are_found(shape):
    image = picture(*shape)
    marked = embed(image, OWNER, tag=5 << 16, psnr=41.0)
    assert psnr(marked, image) == pytest.approx(41, abs=0.05)
    (found,) = detect(marked, OWNER)
    assert (found.found, found.tag, found.place) == (True, 5 << 16, "")
    assert not detect(image, OWNER)[0].found


def test_an_empty_region_stays():
    image = picture(800, 20)
    np.testing.assert_array_equal(embed(image, OWNER, tag=5, region=np.zeros((800, 20), bool)), image)


@pytest.mark.parametrize(("height", "width", "size"), [(16, 16, 16), (32, 57, 32), (200, 64, 64)])
def test_on_a_grid_local_contrast_and_tiles_are_those_of_the_frame(height, width, size):
    _, rows, columns = frame.samples_of(height, width, size)
    samples = np.random.default_rng(0).normal(size=(2, rows, columns)).astype(np.float32) * 9
    sized = frame.matrices(height, width, size)
    padded = np.zeros((2, frame.whole(rows, size), frame.whole(columns, size)), np.float32)
    padded[:, :rows, :columns] = samples
    here = jax.jit(grid.local_contrast)(grid.on_grid(samples, size))
    for found, expected in zip(here, frame.local_contrast(padded, sized), strict=True):
        np.testing.assert_allclose(grid.cut(found, rows, columns), expected[:, :rows, :columns], atol=1e-4)
    inside = grid.inside(rows, columns, size)
    on_frame = frame.around(frame.local_contrast(padded, sized)[1], *sized["fold"])
    np.testing.assert_allclose(grid.folded(here[1] * inside, size), on_frame, rtol=1e-4, atol=1e-4)


def test_photographs_of_many_sizes_share_few_programs():
    programs = [embedding._mark._cache_size(), pattern._shaped._cache_size()]
    for side in range(16, 200, 9):
        embed(picture(side, side + side // 2), OWNER, tag=5)
    assert embedding._mark._cache_size() == programs[0]
    assert pattern._shaped._cache_size() - programs[1] <= 4  # one for each canonical size


def test_a_very_long_image_costs_little():
    image = np.random.default_rng(0).integers(0, 256, (16, 50_000, 3), np.uint8)
    detect(image[None, :, :2048], OWNER)  # compiles
    tracemalloc.start()
    detect(image[None], OWNER, search="full")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2**25


def test_memory_is_bounded():
    image = picture(1500, 2000)
    embed(image[:, :800], OWNER, tag=5)  # compiles
    tracemalloc.start()
    embed(image, OWNER, tag=5)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < image.nbytes + 90 * large._MEASURED  # a copy, and the pixels on which the strength is measured
