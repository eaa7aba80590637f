"""Every file that can be read gives upright sRGB pixels of the right values; every other one gives one line."""

import io
import os
import struct
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms
from rare_images import exif, linear_gray_profile, png, saved, tiff

from gen.image_io import FORMATS, MAX_PIXELS, Unreadable, open_frames, open_image, open_picture

RAMP = np.linspace(0, 65535, 64).astype(np.uint16)[None].repeat(2, 0)  # all of it on two rows
NOISE = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)


def only_gray(data):
    picture = open_picture(data)
    assert picture.pixels.shape[-1] == 1
    assert picture.pixels.dtype == np.uint16
    assert picture.alpha is None
    return picture.pixels[..., 0]


def test_pixels_are_those_of_the_file():
    for format in ("PNG", "BMP", "TIFF", "PPM"):
        picture = open_picture(saved(NOISE, format))
        assert (picture.pixels == NOISE).all()
        assert picture.alpha is None
        assert (picture.format, picture.frames, picture.icc_profile) == (format, 1, None)
    assert open_picture(saved(NOISE[..., 0], "PNG")).pixels.shape == (8, 12, 1)


def test_pictures_turn_upright_whatever_else_exif_holds(tmp_path):
    upright = np.zeros((96, 64, 3), np.uint8)
    upright[:, :32], upright[:, 32:] = (0, 0, 255), (255, 0, 0)
    broken = (0x011A, 10, 1, struct.pack(">ii", -1, 0))  # XResolution -1/0, python-pillow/Pillow#8965
    tags = exif([(0x0112, 3, 1, struct.pack(">H", 6)), broken])
    for format in ("JPEG", "PNG", "WEBP"):
        data = saved(np.rot90(upright), format, exif=tags, **({"lossless": True} if format == "WEBP" else {}))
        pixels = open_picture(data).pixels
        assert pixels.shape == upright.shape
        assert np.abs(pixels.astype(int) - upright)[:, 4:28].max() < 4, format
        assert open_image(data).size == (64, 96)


@pytest.mark.parametrize(
    "tag",
    [
        *((0x0112, 3, 1, struct.pack(">H", value)) for value in (0, 1, 9, 65535)),
        (0x0112, 4, 1, struct.pack(">I", 2**32 - 1)),
        (0x0112, 2, 4, b"six\0"),
        (0x0112, 5, 1, struct.pack(">II", 6, 0)),
        (0x0112, 3, 2**31, b"\xff\xff\xff\xff"),
        (0x0112, 99, 1, b"\0\6\0\0"),
    ],
)
def test_other_orientations_are_upright(tag):
    assert open_picture(saved(NOISE, "PNG", exif=exif([tag]))).pixels.shape == NOISE.shape
    assert open_picture(saved(NOISE, "PNG", exif=exif([tag])[:20])).pixels.shape == NOISE.shape


def test_tiff_turns_and_its_odd_tags_do_no_harm():
    for orientation, turned in ((1, NOISE), (3, NOISE[::-1, ::-1]), (6, np.rot90(NOISE, -1)), (200, NOISE)):
        packed = {} if orientation == 200 else {"compression": "tiff_lzw"}
        data = saved(NOISE, "TIFF", tiffinfo={0x0112: orientation, 0x0131: "gen"}, **packed)
        assert (open_picture(data).pixels == turned).all()
    assert (only_gray(tiff(RAMP, tags=[(0x0112, 3), (0x8769, 7)])) == RAMP[::-1, ::-1]).all()  # no such EXIF


def test_sixteen_bits_keep_all_their_levels():
    for data in (png(RAMP), tiff(RAMP), tiff(RAMP, order=">"), saved(RAMP, "PPM"), tiff(RAMP.astype(np.int32))):
        assert (only_gray(data) == RAMP).all()
        assert (np.asarray(open_image(data, grayscale=True)) == np.rint(RAMP / 257)).all()
    assert (only_gray(saved(RAMP.repeat(4, 0), "JPEG2000"))[0] == RAMP[0]).all()


def test_sixteen_bits_come_before_transparency():
    picture = open_picture(png(RAMP, chunks=[(b"tRNS", b"\0\0")]))
    assert (picture.pixels[..., 0] == RAMP).all()
    assert (picture.alpha == np.where(RAMP == 0, 0, 65535)).all()
    assert picture.alpha.dtype == np.uint16
    shown = np.asarray(open_image(png(RAMP, chunks=[(b"tRNS", b"\0\0")]), grayscale=True, background=(7, 7, 7)))
    assert shown[0, 0] == 7
    assert (shown[0, 1:] == np.rint(RAMP[0, 1:] / 257)).all()
    both = np.stack([RAMP, RAMP[:, ::-1]], -1)
    picture = open_picture(png(both, color_type=4))
    assert (picture.pixels[..., 0] == RAMP).all()
    assert (picture.alpha == RAMP[:, ::-1]).all()


def test_transparent_values_of_few_and_of_many_bits_are_found():
    for depth, widened in ((1, 255), (2, 85), (4, 17)):
        values = np.arange(2**depth)[None].repeat(2, 0)
        picture = open_picture(png(values, depth=depth, chunks=[(b"tRNS", b"\0\1")]))
        wanted = values * widened
        assert (picture.pixels[:, : 2**depth, 0] == wanted).all()
        assert (picture.alpha == np.where(values == 1, 0, 255)).all(), depth
    color = np.stack([RAMP] * 3, -1)
    picture = open_picture(png(color, color_type=2, chunks=[(b"tRNS", struct.pack(">HHH", *[65535] * 3))]))
    assert (picture.alpha[0] == np.where(RAMP[0] >> 8 == 255, 0, 255)).all()


def test_what_white_is_comes_from_the_file():
    assert (only_gray(tiff(RAMP, photometric=0)) == 65535 - RAMP).all()
    eight = (RAMP >> 8).astype(np.uint8)
    assert (open_picture(tiff(eight, photometric=0)).pixels[..., 0] == 255 - eight).all()
    twelve = RAMP >> 4
    full = np.rint(twelve / 4095 * 65535)
    assert (only_gray(tiff(twelve, tags=[(281, 4095)])) == full).all()  # MaxSampleValue
    assert (only_gray(png(twelve, chunks=[(b"sBIT", b"\x0c")])) == full).all()
    on_top = twelve << 4  # as the PNG specification wants it
    assert (only_gray(png(on_top, chunks=[(b"sBIT", b"\x0c")])) == on_top).all()
    assert (only_gray(png(on_top >> 6 << 4, chunks=[(b"sBIT", b"\x0c")])) == on_top >> 6 << 4).all()
    assert (only_gray(png(twelve)) == twelve).all()  # nothing says so: nearly black


def test_floats_in_the_unit_range_are_read_and_others_named():
    values = (RAMP / 65535).astype(np.float32)
    for order in "<>":
        assert (only_gray(tiff(values, sample_format=3, order=order)) == RAMP).all()
    assert (only_gray(saved(Image.fromarray(values), "TIFF", compression="tiff_lzw")) == RAMP).all()
    for bad in (values * 255, values - 0.1, np.where(values > 0.5, np.nan, values).astype(np.float32)):
        with pytest.raises(Unreadable, match=r"floating point pixels lie in \[.*allowed is \[0, 1\]"):
            open_picture(tiff(bad, sample_format=3))
    with pytest.raises(Unreadable, match=r"its pixels lie in \[-5, 100000\]; allowed is \[0, 65535\]"):
        open_image(tiff(np.array([[-5, 100000]], np.int32), sample_format=2))


def _changed_primaries():
    """littleCMS's sRGB with the red and green primaries exchanged: colors that are far from sRGB's."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", data, 128)[0]
    for i in range(count):
        at = 132 + 12 * i
        if bytes(data[at : at + 4]) in (b"rXYZ", b"gXYZ"):
            data[at : at + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}[bytes(data[at : at + 4])]
    return bytes(data)


def test_colors_of_a_profile_become_srgb():
    profile = _changed_primaries()
    for alpha in (None, np.arange(96, dtype=np.uint8).reshape(8, 12)):
        pixels = NOISE if alpha is None else np.dstack([NOISE, alpha])
        picture = open_picture(saved(pixels, "PNG", icc_profile=profile))
        assert (picture.pixels == NOISE[..., [1, 0, 2]]).mean() > 0.9
        assert np.abs(picture.pixels.astype(int) - NOISE[..., [1, 0, 2]]).max() <= 1
        assert picture.icc_profile == profile
        assert alpha is None or (picture.alpha == alpha).all()
    gray = open_picture(saved(NOISE[..., 0], "PNG", icc_profile=profile)).pixels
    assert np.abs(gray[..., 0].astype(int) - NOISE[..., 0]).max() <= 1


def test_colors_are_those_of_littlecms():
    profile = _changed_primaries()
    wanted = ImageCms.profileToProfile(
        Image.fromarray(NOISE), io.BytesIO(profile), ImageCms.createProfile("sRGB"), renderingIntent=1, outputMode="RGB"
    )
    for format, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        data = saved(NOISE, format, icc_profile=profile, **options)
        assert (open_picture(data).pixels == np.asarray(wanted)).all()
        assert (np.asarray(open_image(data)) == np.asarray(wanted)).all()


def test_gray_of_a_profile_becomes_srgb_in_any_depth():
    linear = RAMP / 65535
    wanted = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    deep = open_picture(saved(RAMP, "PNG", icc_profile=linear_gray_profile())).pixels[..., 0]
    assert np.abs(deep / 65535 - wanted).max() < 0.7 / 255
    assert deep.dtype == np.uint16
    eight = open_picture(saved(np.rint(RAMP / 257).astype(np.uint8), "PNG", icc_profile=linear_gray_profile())).pixels
    assert np.abs(eight[..., 0] / 255 - wanted).max() < 3 / 255  # of 8 bits before and after


def test_srgb_itself_and_damaged_profiles_change_nothing():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # for other colors
    for profile in (srgb, lab, srgb[:200], b"no profile", srgb[:128] + bytes(400), b"\0" * 3000):
        assert (open_picture(saved(NOISE, "PNG", icc_profile=profile)).pixels == NOISE).all()
        assert (open_picture(saved(RAMP, "PNG", icc_profile=profile)).pixels[..., 0] == RAMP).all()


def test_print_and_film_colors_become_rgb():
    color = Image.new("RGB", (8, 8), (200, 30, 60))
    lab = ImageCms.profileToProfile(
        color, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    for image in (color.convert("CMYK"), lab, color.convert("YCbCr")):
        pixels = open_picture(saved(image, "TIFF")).pixels
        assert np.abs(pixels.astype(int) - (200, 30, 60)).max() <= 2
    pixels = open_picture(saved(color.convert("CMYK"), "JPEG", quality=100)).pixels  # which Adobe's way inverts
    assert np.abs(pixels.astype(int) - (200, 30, 60)).max() <= 3


def test_palettes_bits_and_gray_with_alpha():
    palette = Image.new("P", (2, 1))
    palette.putpalette([200, 30, 60, 9, 9, 9])
    palette.putpixel((1, 0), 1)
    picture = open_picture(saved(palette, "PNG", transparency=bytes([255, 40])))
    assert picture.pixels[0].tolist() == [[200, 30, 60], [9, 9, 9]]
    assert picture.alpha[0].tolist() == [255, 40]
    shown = np.asarray(open_image(saved(palette, "PNG", transparency=1), background=(1, 2, 3)))
    assert shown[0].tolist() == [[200, 30, 60], [1, 2, 3]]
    bits = open_picture(saved(Image.fromarray(NOISE[..., 0] > 99), "PNG")).pixels
    assert (bits[..., 0] == np.where(NOISE[..., 0] > 99, 255, 0)).all()
    picture = open_picture(saved(NOISE[..., :2], "PNG"))
    assert (picture.pixels[..., 0] == NOISE[..., 0]).all()
    assert (picture.alpha == NOISE[..., 1]).all()


def test_frames_of_an_animation():
    shades = [0, 99, 255]
    films = [Image.new("RGB", (9, 9), (shade, 0, 0)) for shade in shades]
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {} if format == "TIFF" else {"duration": 120}
        options |= {"lossless": True} if format == "WEBP" else {}
        data = saved(films[0], format, save_all=True, append_images=films[1:], **options)
        found = list(open_frames(data))
        assert [(p.frame, p.frames, int(p.pixels[0, 0, 0])) for p in found] == [(i, 3, s) for i, s in enumerate(shades)]
        assert format == "TIFF" or {p.duration for p in found} == {120}
        assert (open_picture(data, frame=2).pixels == found[2].pixels).all()
        assert (np.asarray(open_image(data)) == found[0].pixels).all()
        with pytest.raises(Unreadable, match="no frame 3"):
            open_picture(data, frame=3)


def test_texts_of_the_author_are_given():
    data = saved(NOISE, "JPEG", exif=exif([(0x013B, 2, 5, b"Anna\0"), (0x8298, 2, 8, b"(c) A\x1b\n\0")]))
    assert open_picture(data).metadata == {"author": "Anna", "copyright": "(c) A\\x1b"}


def test_pictures_too_large_are_refused_before_anything_is_decoded():
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    data = bytearray(saved(NOISE, "PNG"))
    data[16:29], data[29:33] = header, struct.pack(">I", zlib.crc32(b"IHDR" + header))
    for read in (open_picture, open_image):
        with pytest.raises(Unreadable, match=rf"{MAX_PIXELS:,} "):
            read(bytes(data))


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch):
    monkeypatch.setattr("gen.image_io.open._LARGE", 1)
    at_once, most, load = [0], [0], Image.Image.convert

    def counted(image, *args, **kwargs):
        at_once[0] += 1
        most[0] = max(most[0], at_once[0])
        time.sleep(0.01)
        at_once[0] -= 1
        return load(image, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "convert", counted)
    data = saved(np.dstack([NOISE, NOISE[..., 0]]), "PNG")
    with ThreadPoolExecutor(4) as pool:
        assert all(picture.pixels.shape == NOISE.shape for picture in pool.map(open_picture, [data] * 8))
    assert most == [1]


def test_only_known_formats_are_opened(tmp_path):
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    (tmp_path / "gs").chmod(0o755)
    (tmp_path / "photo.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    )
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{tmp_path}:{before}"
    try:
        with pytest.raises(Unreadable, match=f"no whole image of a format that is read: {FORMATS[0]}"):
            open_image(tmp_path / "photo.png")
    finally:
        os.environ["PATH"] = before
    assert not (tmp_path / "started").exists()


def test_what_is_no_regular_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path, reason in ((tmp_path / "pipe.png", "not a regular"), (tmp_path, "."), (tmp_path / "no.png", "No such")):
        with pytest.raises(Unreadable, match=reason):
            open_image(path)


def why_not(read, data):
    try:
        return read(data) and ""
    except Unreadable as error:
        return str(error)


def test_damaged_files_give_one_line_and_warnings_are_no_errors():
    rng = np.random.default_rng(0)
    whole = [saved(NOISE, "PNG"), saved(NOISE, "JPEG", exif=exif([(0x0112, 3, 1, b"\0\6\0\0")])), saved(NOISE, "GIF")]
    whole += [saved(NOISE, f) for f in ("TIFF", "WEBP", "BMP", "PPM", "AVIF", "JPEG2000")] + [tiff(RAMP), png(RAMP)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filters = list(warnings.filters)
        for data in whole:
            for _ in range(40):
                damaged = bytearray(data[: rng.integers(len(data) // 2, len(data) + 1)])
                for at in rng.integers(0, len(damaged), rng.integers(1, 12)):
                    damaged[at] = rng.integers(256)
                said = [why_not(read, bytes(damaged)) for read in (open_picture, open_image)]
                assert said[0] == said[1]
                assert said[0].isprintable()
                assert len(said[0]) < 300
        assert warnings.filters == filters
