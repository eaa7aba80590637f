"""Colors of 16 bits a channel come whole, from PNG and TIFF, upright."""

import struct

import numpy as np
import pytest
from rare_images import exif, png, saved

from gen.image_io import open_image, open_picture

VALUES = np.random.default_rng(0).integers(0, 65536, (6, 4, 4), dtype=np.uint16)


def tiff(values, order):
    """An uncompressed RGB TIFF of uint16 values [h w 3], in byte order "<" or ">"."""
    height, width, channels = values.shape
    at = 8 + 2 + 12 * 9 + 4
    entries = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, at), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, at + 6), (277, 3, 1, channels), (278, 3, 1, height), (279, 4, 1, values.nbytes)]
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(entries))
    for tag, kind, count, value in entries:
        head += struct.pack(order + "HHI", tag, kind, count)
        short = kind == 3 and count == 1
        head += struct.pack(order + "HH", value, 0) if short else struct.pack(order + "I", value)
    head += b"\0\0\0\0" + struct.pack(order + "3H", 16, 16, 16)
    return head + values.astype(values.dtype.newbyteorder(order)).tobytes()


@pytest.mark.parametrize(("channels", "color_type"), [(2, 4), (3, 2), (4, 6)])
def test_a_png_keeps_sixteen_bits(channels, color_type):
    values = VALUES[..., :channels]
    picture = open_picture(png(values, color_type=color_type))
    assert picture.pixels.dtype == np.uint16
    if channels % 2:
        assert picture.alpha is None
        np.testing.assert_array_equal(picture.pixels, values)
    else:
        np.testing.assert_array_equal(picture.pixels, values[..., :-1])
        np.testing.assert_array_equal(picture.alpha, values[..., -1])


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_keeps_sixteen_bits(order):
    np.testing.assert_array_equal(open_picture(tiff(VALUES[..., :3], order)).pixels, VALUES[..., :3])


def test_deep_colors_come_upright():
    turned = exif([(0x0112, 3, 1, struct.pack(">H", 6))]).removeprefix(b"Exif\0\0")
    picture = open_picture(png(VALUES[..., :3], color_type=2, chunks=[(b"eXIf", turned)]))
    np.testing.assert_array_equal(picture.pixels, np.rot90(VALUES[..., :3], -1))


def test_elsewhere_and_beside_transparent_colors_there_are_upper_bytes():
    data = png(VALUES[..., :3], color_type=2)
    np.testing.assert_array_equal(np.asarray(open_image(data)), VALUES[..., :3] >> 8)
    key = struct.pack(">3H", *VALUES[0, 0, :3].tolist())
    assert open_picture(png(VALUES[..., :3], color_type=2, chunks=[(b"tRNS", key)])).pixels.dtype == np.uint8
    assert open_picture(saved((VALUES[..., :3] >> 8).astype(np.uint8), "PNG")).pixels.dtype == np.uint8
