"""Reading weights: what torch.save and others wrote comes out as it went in; nothing is run, all else is refused."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gen.errors import InputError
from gen.features.weights import read_weights

GOLDENS = Path(__file__).parent / "goldens"
KINDS = ["zip", "stream"]


def same(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype), name
        np.testing.assert_array_equal(found[name], array, err_msg=name)


def safetensors(path: Path, arrays: dict[str, np.ndarray], **header) -> Path:
    entries, content = {"__metadata__": {"format": "pt"}}, b""
    kinds = {"float32": "F32", "float16": "F16", "float64": "F64", "int64": "I64", "bool": "BOOL"}
    for name, array in arrays.items():
        end = len(content) + array.nbytes
        entries[name] = {"dtype": kinds[array.dtype.name], "shape": array.shape, "data_offsets": [len(content), end]}
        content += array.tobytes()
    text = json.dumps({**entries, **header}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


def torch_zip(path: Path, program: bytes, storages: tuple[bytes, ...] = (), **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        archive.writestr("archive/data.pkl", program)
        for i, storage in enumerate(storages):
            archive.writestr(f"archive/data/{i}", storage)
    return path


def torch_stream(path: Path, program: bytes) -> Path:
    head = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in head) + program)
    return path


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def window(offset: int, shape: tuple[int, ...], strides: tuple[int, ...], count: int) -> bytes:
    """A pickle of {"w": tensor} whose tensor is this window on a storage of `count` float32."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(count) + b"tQ"
    sizes = b"".join(b"(" + b"".join(map(number, part)) + b"t" for part in (shape, strides))
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + sizes + b"\x89}tR"
    return b"\x80\x02}" + text("w") + call + b"s."


# What torch wrote


@pytest.mark.parametrize("kind", KINDS)
def test_state_dict_by_torch(kind):
    found = read_weights(GOLDENS / f"state_{kind}.pth")
    same(found.tensors, dict(np.load(GOLDENS / "state.npz")))
    assert found.tensors["half"].dtype == found.tensors["brain"].dtype == found.tensors["double"].dtype == np.float32
    assert found.tensors["bn.num_batches_tracked"] == 2**40


def test_state_dict_by_the_torch_that_is_here(tmp_path):
    torch = pytest.importorskip("torch")
    from make_goldens_inception import as_numpy, state_dict

    for new in (True, False):
        torch.save(state_dict(), tmp_path / "state.pth", _use_new_zipfile_serialization=new)
        found = read_weights(tmp_path / "state.pth").tensors
        same(found, {name: as_numpy(tensor) for name, tensor in state_dict().items()})


def test_name_of_the_file_does_not_matter(tmp_path):
    shutil.copy(GOLDENS / "state_zip.pth", tmp_path / "weights.bin")
    same(read_weights(tmp_path / "weights.bin").tensors, read_weights(GOLDENS / "state_stream.pth").tensors)


# What others wrote

ARRAYS = {
    "a.weight": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "half": np.array([0.1], np.float16),
    "double": np.array([1 / 3]),
    "count": np.array(2**40),
    "mask": np.array([True, False]),
}
READ = {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in ARRAYS.items()}


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    save(tmp_path / "w.npz", **ARRAYS)
    same(read_weights(tmp_path / "w.npz").tensors, READ)


def test_safetensors(tmp_path):
    found = read_weights(safetensors(tmp_path / "w.safetensors", ARRAYS)).tensors
    same({name: found[name] for name in READ}, READ)


def test_safetensors_bfloat16(tmp_path):
    entry = {"b": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    content = np.array([1.5, -3e38], np.float32).view(np.uint16)[1::2].tobytes()
    path = safetensors(tmp_path / "w", {}, **entry)
    path.write_bytes(path.read_bytes() + content)
    np.testing.assert_allclose(read_weights(path).tensors["b"], [1.5, -3e38], rtol=2**-7)


def test_digest_is_that_of_the_file(tmp_path):
    import hashlib

    path = GOLDENS / "state_zip.pth"
    assert read_weights(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()


# What is refused


class Evil:
    """Unpickling this makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("write", [torch_zip, torch_stream])
@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_and_not_run(tmp_path, write, protocol):
    program = pickle.dumps({"w": Evil(tmp_path / "made")}, protocol)
    with pytest.raises(InputError, match=r"mkdir|instruction"):
        read_weights(write(tmp_path / "w.pth", program))
    assert not (tmp_path / "made").exists()
    pickle.loads(program)
    assert (tmp_path / "made").exists()  # so it was a program indeed


@pytest.mark.parametrize("protocol", [0, 1, 2, 5])
def test_plain_pickle_is_refused(tmp_path, protocol):
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"w": Evil(tmp_path / "made")}, protocol))
    with pytest.raises(InputError):
        read_weights(tmp_path / "w.pkl")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"cos\nsystem\n" + text("true") + b"\x85R.", r"os\.system"),
        (text("os") + text("system") + b"\x93.", r"os\.system"),
        (b"(" + text("true") + b"ios\nsystem\n.", "instruction INST"),
        (b"ccollections\nOrderedDict\n)\x81.", "instruction"),
        (b"ccollections\nOrderedDict\n(}tR.", "call"),
        (b"ctorch\nload\n.", r"torch\.load"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "call"),
        (b"}" + text("w") + b"Q.", "refers"),
        (b"\x82\x01.", "instruction"),
        (b"K\x01K\x02b.", "dict"),
        (b"])a.", "not a state dict"),
        (text("w")[:-1] + b".", "damaged"),
        (b"}" + text("step") + b"K\x07s.", "'step' is no tensor"),
        (b"}(K\x01K\x02u.", "no tensor"),
        (b"}))s.", "str"),
        (b"}" + text("w") + b"s.", "damaged"),
        (b"}", "damaged"),
        (b".", "damaged"),
        (b"R.", "damaged"),
        (b"u.", "damaged"),
        (b"h\x07.", "damaged"),
        (b"", "damaged"),
    ],
)
@pytest.mark.parametrize("write", [torch_zip, torch_stream])
def test_programs_that_are_no_state_dict(tmp_path, write, program, message):
    with pytest.raises(InputError, match=message) as caught:
        read_weights(write(tmp_path / "w.pth", b"\x80\x02" + program))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "w.pth") in str(caught.value)


def test_window_on_numbers(tmp_path):
    numbers = np.arange(6, dtype=np.float32)
    path = torch_zip(tmp_path / "w.pth", window(1, (2, 2), (3, 1), 6), (numbers.tobytes(),))
    np.testing.assert_array_equal(read_weights(path).tensors["w"], [[1, 2], [4, 5]])


@pytest.mark.parametrize(
    ("offset", "shape", "strides", "count"),
    [
        (3, (2, 2), (3, 1), 6),  # beyond the end
        (-1, (2,), (1,), 6),
        (5, (2,), (-1,), 6),
        (0, (-2,), (1,), 6),
        (0, (2,), (1, 1), 6),
        (0, (4, 4), (0, 0), 6),  # more numbers than there are; as well a terabyte of them
        (0, (2,), (1,), 7),  # more than the file has
        (0, (2,), (1,), -6),
    ],
)
def test_window_beyond_its_numbers(tmp_path, offset, shape, strides, count):
    path = torch_zip(tmp_path / "w.pth", window(offset, shape, strides, count), (bytes(24),))
    with pytest.raises(InputError, match="damaged"):
        read_weights(path)


def test_zip_that_unfolds(tmp_path):
    path = torch_zip(tmp_path / "w.pth", window(0, (2,), (1,), 6), (bytes(24),), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed"):
        read_weights(path)


def _shared(path: Path) -> Path:
    """50 MB of tensors in 40 kB: all windows on the same numbers."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(10_000) + b"tQq\x01"
    tensors = b""
    for i in range(1250):
        call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + (storage if i == 0 else b"h\x01")
        tensors += text(f"w{i}") + call + number(0) + number(10_000) + b"\x85" + number(1) + b"\x85\x89}tR"
    return torch_zip(path, b"\x80\x02}(" + tensors + b"u.", (bytes(40_000),))


def _overlapping(path: Path) -> Path:
    entries = {f"w{i}": {"dtype": "U8", "shape": [4000], "data_offsets": [0, 4000]} for i in range(2)}
    header = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(4000))
    return path


def _bytes(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_shared, "share numbers: they would be 50,000,000 bytes of 40,000"),
        (_overlapping, "damaged"),
        (lambda path: _bytes(path, struct.pack("<Q", 2**40) + b"{"), "header too large"),
        (lambda path: _bytes(path, struct.pack("<Q", 2 * 10**5) + b'{"a":' + b"[" * 10**5), "damaged"),
        (lambda path: torch_zip(path, b"\x80\x02" + b"N" * 2**24 + b"."), "has 16,777,219 bytes; at most"),
        (lambda path: torch_stream(path, b"N" * 2000 + b"."), "more than 1,000 instructions"),
        (lambda path: torch_zip(path, window(0, (1,) * 40, (1,) * 40, 6), (bytes(24),)), "damaged"),
        (lambda path: safetensors(path, {"\x1b" * 5000: np.zeros(1, np.float32)}), "a name of 5,000 characters"),
    ],
)
def test_small_files_that_ask_for_much_are_refused_at_once(tmp_path, monkeypatch, write, message):
    if "instructions" in message:
        monkeypatch.setattr("gen.features.state_dict._INSTRUCTIONS", 1000)
    tracemalloc.start()
    with pytest.raises(InputError, match=message) as error:
        read_weights(write(tmp_path / "x"))
    assert tracemalloc.get_traced_memory()[1] < 2**27
    tracemalloc.stop()
    assert len(str(error.value)) < 500
    assert str(error.value).isprintable()


def test_a_pipe_or_a_device_is_no_file_of_weights(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(InputError, match="not a regular file"):
            read_weights(path)


def test_numbers_with_the_high_byte_first(tmp_path):
    with zipfile.ZipFile(torch_zip(tmp_path / "w.pth", window(0, (2,), (1,), 6), (bytes(24),)), "a") as archive:
        archive.writestr("archive/byteorder", "big")
    with pytest.raises(InputError, match="high byte"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [2], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]},
        {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": 4, "data_offsets": [0, 16]},
        {"dtype": "F32", "shape": [4], "data_offsets": [16, 0]},
        {"dtype": "F32", "shape": [4]},
        {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]},
        {"dtype": "F4", "shape": [4], "data_offsets": [0, 16]},
        None,
    ],
)
def test_safetensors_that_lie(tmp_path, entry):
    path = safetensors(tmp_path / "w.safetensors", {"w": np.zeros(4, np.float32)}, w=entry)
    with pytest.raises(InputError, match=r"damaged|of type F4"):
        read_weights(path)


@pytest.mark.parametrize("text", [b"[1]", b"{", b'{"\xff": 1}', b"[" * 10**5])
def test_safetensors_without_header(tmp_path, text):
    (tmp_path / "w").write_bytes(struct.pack("<Q", len(text) + 1) + b"{" + text)
    with pytest.raises(InputError, match="damaged"):
        read_weights(tmp_path / "w")


def test_numbers_beyond_float32(tmp_path):
    np.savez(tmp_path / "w.npz", w=np.array([1e39]))
    with pytest.raises(InputError, match="'w' has numbers beyond"):
        read_weights(tmp_path / "w.npz")


def test_npz_with_objects(tmp_path):
    np.savez(tmp_path / "w.npz", w=np.array([Evil(tmp_path / "made")], object))
    with pytest.raises(InputError, match="w"):
        read_weights(tmp_path / "w.npz")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04", b"\x89HDF\r\n", bytes(100)])
def test_other_files(tmp_path, content):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"w\.pth"):
        read_weights(tmp_path / "w.pth")
    with pytest.raises(InputError, match="No such file"):
        read_weights(tmp_path / "other.pth")


@pytest.mark.parametrize("kind", ["zip", "stream", "npz", "safetensors"])
def test_damage_never_shows_as_anything_but_one_line(tmp_path, kind):
    path = tmp_path / "w"
    if kind == "npz":
        np.savez_compressed(path.with_suffix(".npz"), **ARRAYS)
        path = path.with_suffix(".npz")
    elif kind == "safetensors":
        safetensors(path, ARRAYS)
    else:
        shutil.copy(GOLDENS / f"state_{kind}.pth", path)
    whole = path.read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for i in range(250):
        damaged = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            damaged[rng.integers(len(whole))] = rng.integers(256)
        path.write_bytes(damaged[: rng.integers(len(whole))] if i % 4 == 0 else damaged)
        try:
            read_weights(path)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)  # noqa: PT017
    assert refused > 60


def test_stream_is_left_behind_its_pickle():
    from gen.features.state_dict import _unpickled

    stream = io.BytesIO(pickle.dumps({"a": [1, 2, True, None, 2.5]}, 2) + pickle.dumps([3, 4], 2) + b"rest")
    assert _unpickled(stream) == {"a": [1, 2, True, None, 2.5]}
    assert _unpickled(stream) == [3, 4]
    assert stream.read() == b"rest"
