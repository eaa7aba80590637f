"""Images that are one image, and images that are not."""

import numpy as np
import pytest
from PIL import Image

from gen.audit_checks import duplicates
from gen.audit_checks.fingerprints import (
    SIDE,
    WAYS,
    fingerprint,
    fingerprints,
    sampling,
    spectra,
    turned,
    turned_images,
)
from gen.audit_checks.sharpness import blurred

RNG = np.random.default_rng(0)


def pictures(count: int, side: int = 96) -> np.ndarray:
    """Images uint8 [n side side 1] whose spectrum falls as that of photographs."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    waves = np.fft.rfft2(RNG.normal(size=(count, side, side))) / (frequency + 1 / side)
    found = np.fft.irfft2(waves, s=(side, side))
    found -= found.mean((1, 2), keepdims=True)
    return np.clip(128 + 50 * found / found.std((1, 2), keepdims=True), 0, 255).astype(np.uint8)[..., None]


def test_fingerprint_averages_areas():
    image = RNG.integers(0, 255, (96, 144, 1), np.uint8)
    areas = image[..., 0].reshape(SIDE, 2, SIDE, 3).mean((1, 3))
    assert np.abs(fingerprint(image) - areas).max() <= 0.51
    assert (fingerprints(image[None])[0] == fingerprint(image)).all()
    assert sampling(20, 0.0, 1.0).sum(1) == pytest.approx(1)
    assert fingerprint(image[:20, :1]).shape == (SIDE, SIDE)


@pytest.mark.parametrize("way", WAYS)
def test_spectra_turn_as_images_do(way):
    gray = fingerprints(pictures(3))
    direct = spectra(np.ascontiguousarray(turned_images(gray, way)))
    assert turned(spectra(gray), way) == pytest.approx(direct, abs=1e-4)


def test_spectra_have_norm_one_and_plain_images_none():
    gray = fingerprints(pictures(4))
    gray[3] = 77
    assert (duplicates.spectra_of(gray) ** 2).sum((1, 2)) == pytest.approx([1, 1, 1, 0], abs=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_a_turned_image_is_found_with_its_turn(way):
    gray = fingerprints(pictures(30))
    copy = np.ascontiguousarray(turned_images(gray[7:8], way))
    (pair,) = duplicates.find(np.concatenate([gray, copy]), crops=False)
    assert (pair.first, pair.second) == (7, 30)
    assert pair.correlation > 0.99


def test_different_images_are_not_paired_and_plain_ones_neither():
    gray = fingerprints(pictures(300))
    gray[:5] = np.arange(5)[:, None, None] * 40
    assert duplicates.find(gray) == []


def test_copies_are_found_through_tone_noise_blur_and_size():
    images = pictures(40, 96)
    changed = images.astype(np.float32)
    changed[0] = 0.6 * changed[0] + 60
    changed[1] = 255 * (changed[1] / 255) ** 1.4
    changed[2] += 12 * RNG.normal(size=changed[2].shape)
    changed[3, ..., 0] = blurred(changed[3, ..., 0], 1.0)
    copies = [fingerprint(np.clip(changed[i], 0, 255)) for i in range(4)]
    copies.append(fingerprint(images[4].reshape(48, 2, 48, 2, 1).mean((1, 3))))
    found = duplicates.find(np.concatenate([fingerprints(images), np.stack(copies)]))
    assert {(p.first, p.second) for p in found} == {(i, 40 + i) for i in range(5)}


def test_a_part_of_an_image_is_found_with_its_size():
    images = pictures(40, 200)
    parts = [fingerprint(images[i, 10:192, 4:186]) for i in range(10)]
    found = duplicates.find(np.concatenate([fingerprints(images), np.stack(parts)]))
    pairs = {(p.first, p.second) for p in found}
    assert pairs <= {(i, 40 + i) for i in range(10)}
    assert len(pairs) >= 8
    assert all(88 <= int(p.how.split("%")[0].split()[-1]) <= 94 for p in found)


def test_what_differs_at_one_place_is_another_image():
    images = np.repeat(pictures(1), 2, 0)
    images[1, 30:45, 30:45] = 255 - images[1, 30:45, 30:45]
    assert duplicates.find(fingerprints(images)) == []


def test_images_of_a_set_that_is_all_alike_are_not_all_one():
    common = pictures(1).astype(np.float32)
    images = np.clip(0.93 * common + 0.07 * pictures(200), 0, 255)
    gray = fingerprints(images)
    assert len(duplicates.find(gray, crops=False)) == 0
    again = np.concatenate([gray, gray[5:6]])
    assert [(p.first, p.second) for p in duplicates.find(again, crops=False)] == [(5, 200)]


def test_across_finds_what_both_sets_have():
    gray = fingerprints(pictures(60))
    mirrored = np.ascontiguousarray(turned_images(gray[[3, 8]], WAYS[1]))
    assert duplicates.across(gray[:50], np.concatenate([gray[50:], mirrored])) == {3, 8}


def test_groups_join_what_hangs_together():
    assert duplicates.groups(6, [(0, 2), (2, 5), (1, 4)]) == [[0, 2, 5], [1, 4]]
    assert duplicates.groups(3, []) == []


def test_few_images_are_no_trouble():
    assert duplicates.find(np.zeros((0, SIDE, SIDE), np.uint8)) == []
    assert duplicates.find(np.zeros((1, SIDE, SIDE), np.uint8)) == []


def rims(count: int, seed: int) -> np.ndarray:
    """Images uint8 [n 96 96 1] of one arc between black and a surface of faint texture, each of its own."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:96, :96]
    inside = np.hypot(rows - 110, columns - 110) < 100
    textures = np.stack([blurred(rng.normal(0, 25, (96, 96)).astype(np.float32), 1.5) for _ in range(count)])
    return np.clip(np.where(inside, 140 + textures, 2), 0, 255).astype(np.uint8)[..., None]


def test_parts_that_share_one_edge_alone_are_no_copies():
    gray = fingerprints(np.concatenate([pictures(40), rims(2, 0)]))
    assert duplicates.find(gray) == []


def test_a_plain_picture_enlarged_is_found_though_few_of_its_parts_show_anything():
    rows, columns = np.mgrid[:98, :98]
    blob = 60 + 90 * np.exp(-((rows - 30) ** 2 + (columns - 60) ** 2) / 60)
    small = Image.fromarray(blob.astype(np.uint8))
    copy = fingerprint(np.asarray(small.resize((147, 69), Image.Resampling.BICUBIC))[..., None])
    gray = np.concatenate([fingerprints(pictures(40)), fingerprint(np.asarray(small)[..., None])[None], copy[None]])
    assert [(pair.first, pair.second) for pair in duplicates.find(gray)] == [(40, 41)]
