"""Arrays of others: what NumPy writes comes back; what lies about its size, or is none, gets one line and no memory."""

import contextlib
import io
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from gen.errors import InputError
from gen.npz import npz_names, read_npz, texts

ARRAYS = {
    "floats": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4),
    "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "others": np.arange(5).astype(">i4"),
    "names": np.array(["a", "ü"]),
    "bytes": np.array([b"a", b"bc"]),
    "one": np.array(3.5),
    "none": np.zeros((0, 7), np.uint8),
    "truth": np.array([True, False]),
}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_comes_back(tmp_path, save):
    save(tmp_path / "x.npz", **ARRAYS)
    found = read_npz(tmp_path / "x.npz")
    assert list(found) == list(ARRAYS) == npz_names(tmp_path / "x.npz")
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype.newbyteorder("=")
    assert list(read_npz(tmp_path / "x.npz", ["one", "gone"])) == ["one"]


def _npy(shape, descr="|u1", content=b""):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + content


def _zip(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def _encrypted(path, offset=8, value=1):
    data = bytearray(_zip(path, x=_npy((3,), content=b"abc")).read_bytes())
    central = data.find(b"PK\x01\x02")
    data[central + offset] = data[offset - 2] = value
    path.write_bytes(data)
    return path


def _overlapping(path):
    """Two entries of one place, as zip bombs have them."""
    data = bytearray(_zip(path, a=_npy((10_000,), content=bytes(10_000)), b=_npy((1,), content=b"1")).read_bytes())
    first = data.find(b"PK\x01\x02")
    second = data.find(b"PK\x01\x02", first + 4)
    data[second + 16 : second + 28] = data[first + 16 : first + 28]
    data[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(data)
    return path


BAD = {
    "2.7 PiB": (
        lambda path: _zip(path, x=_npy((10**9, 1000, 1000, 3), content=b"12")),
        "declares 3,000,000,000,000,000",
    ),
    "a bomb": (
        lambda path: _zip(path, zipfile.ZIP_DEFLATED, x=bytes(2**28 + 1)),
        "it declares 268,435,457 bytes and has",
    ),
    "negative": (lambda path: _zip(path, x=_npy((-1, -5), content=b"12345")), "damaged"),
    "of no size": (lambda path: _zip(path, x=_npy((10**12,), "|S0")), "damaged"),
    "objects": (lambda path: _zip(path, x=_npy((1,), "|O", b"12345678")), "x is pickled objects"),
    "records": (lambda path: _zip(path, x=_npy((1,), [("a", "<f4")], b"1234")), "x is of type"),
    "dates": (lambda path: _zip(path, x=_npy((1,), "<M8[s]", b"12345678")), "x is of type"),
    "encrypted": (_encrypted, "x.npy is encrypted"),
    "method 99": (lambda path: _encrypted(path, 10, 99), "compressed in a way"),
    "lzma": (lambda path: _zip(path, zipfile.ZIP_LZMA, x=_npy((1,))), "compressed in a way"),
    "overlap": (_overlapping, "damaged"),
    "nested header": (lambda path: _zip(path, x=b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10_000), "damaged"),
    "a text": (lambda path: _write(path, b"hello"), "damaged file: File is not a zip file"),
    "nothing": (lambda path: _write(path, b""), "damaged"),
    "one array": (lambda path: _write(path, _npy((1,), content=b"1")), "a single .npy array"),
    "a folder": (lambda path: path.mkdir() or path, "not a regular file"),
    "gone": (lambda path: path, "no such file"),
}


def _write(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_is_refused_in_one_line_without_memory(tmp_path, monkeypatch, kind):
    monkeypatch.setattr("gen.npz._MOST", 2**16)
    make, message = BAD[kind]
    path = make(tmp_path / "x.npz")
    tracemalloc.start()
    with pytest.raises(InputError, match=message) as error:
        read_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 400


def test_a_flipped_bit_is_noticed_by_the_checksum(tmp_path):
    path = _zip(tmp_path / "x.npz", x=_npy((1000,), content=bytes(1000)))
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="damaged file: Bad CRC"):
        read_npz(path)


def test_damage_anywhere_is_one_line(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", a=np.arange(20), b=np.array(["x"]))
    data, random = (tmp_path / "x.npz").read_bytes(), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(data)
        for place in random.integers(0, len(data), 3):
            damaged[place] = random.integers(256)
        (tmp_path / "y.npz").write_bytes(damaged)
        with contextlib.suppress(InputError):
            read_npz(tmp_path / "y.npz")


@pytest.mark.parametrize("array", [np.eye(2), np.array("a"), np.array([0x110000], np.uint32).view("<U1")])
def test_texts_are_texts(array):
    with pytest.raises(InputError, match="names "):
        texts(array, "names")
    assert texts(np.array([b"a", b"\xff"]), "names") == ("a", "\\xff")
    assert texts(np.arange(2), "names") == ("0", "1")
    assert texts(np.array(["e\u0301"]), "names") == ("\u00e9",)
    with pytest.raises(InputError, match="twice"):
        texts(np.array(["\u00e9", "e\u0301"]), "names")
