"""State dicts as torch.save writes them, in both formats: a zip since PyTorch 1.6, before that a stream of pickles.

A pickle is a program. It is parsed by pickletools, which runs nothing; the few instructions that a dict of tensors
needs are interpreted here, without any import or call by name, and all others are refused. The published Inception
weights are in this format alone. Damage raises exceptions of any kind, which `read_weights` turns into one line.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gen.errors import InputError

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the older format
# What is read at most: bytes and instructions of a pickle, axes, and how much larger tensors are than what is stored.
_PICKLE, _INSTRUCTIONS, _AXES, _SHARED = 2**24, 2**22, 32, 4
_TYPES = {
    **{"torch DoubleStorage": "<f8", "torch FloatStorage": "<f4", "torch HalfStorage": "<f2"},
    **{"torch LongStorage": "<i8", "torch IntStorage": "<i4", "torch ShortStorage": "<i2", "torch CharStorage": "i1"},
    **{"torch ByteStorage": "u1", "torch BoolStorage": "?", "torch BFloat16Storage": jnp.bfloat16},
}
_DICT, _TENSOR, _PARAMETER = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
)
# Instructions (of pickletools) that put their argument, or a fresh value, on the stack.
_VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
)
_FRESH: dict[str, Callable[[], Any]] = {
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
    **{"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple},
}


class _Global(NamedTuple):
    """A name that the pickle would import: "module name"."""

    name: str


class _Storage(NamedTuple):
    """A flat array of numbers, kept outside the pickle."""

    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    """A window on a storage; offset and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def is_zip(archive: zipfile.ZipFile) -> bool:
    """Returns whether torch.save wrote this (or torch.jit.save, which is refused later for what it holds)."""
    return any(name.endswith("/data.pkl") for name in archive.namelist())


def read_zip(archive: zipfile.ZipFile) -> Iterator[tuple[str, np.ndarray]]:
    """Reads names and arrays of a state dict in the format since PyTorch 1.6."""
    root = next(name for name in archive.namelist() if name.endswith("/data.pkl")).removesuffix("data.pkl")

    def member(name: str, most: int | None = None) -> bytes:
        info = archive.getinfo(root + name)
        if info.compress_type != zipfile.ZIP_STORED:
            raise InputError(f"{name!r} is compressed, which torch.save does not do")
        if most is not None and info.file_size > most:
            raise InputError(f"{name!r} has {info.file_size:,} bytes; at most {most:,} are read")
        return archive.read(info)

    if sum(info.file_size for info in archive.infolist()) > _end(archive):
        raise InputError("a damaged file: it declares more bytes than it has")
    if root + "byteorder" in archive.namelist() and member("byteorder") != b"little":
        raise InputError("numbers with the high byte first cannot be read")
    tensors = dict(_tensors(_unpickled(io.BytesIO(member("data.pkl", most=_PICKLE)))))
    storages = {key: member(f"data/{key}") for key in {tensor.storage.key for tensor in tensors.values()}}
    yield from _arrays(tensors, storages)


def read_stream(stream: io.BytesIO) -> Iterator[tuple[str, np.ndarray]]:
    """Reads names and arrays of a state dict in the format before PyTorch 1.6."""
    if _unpickled(stream) != _MAGIC or _unpickled(stream) != _PROTOCOL:
        raise InputError("a pickle, but not by torch.save")
    system = _unpickled(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise InputError("numbers with the high byte first cannot be read")
    tensors = dict(_tensors(_unpickled(stream)))
    sizes = {tensor.storage.key: tensor.storage.dtype.itemsize for tensor in tensors.values()}
    keys = [_expect(key, str) for key in _expect(_unpickled(stream), list)]
    if set(keys) != set(sizes):
        raise InputError("a damaged file: its list of numbers does not fit its tensors")
    storages = {}
    for key in keys:
        head = stream.read(8)
        count = struct.unpack("<q", head)[0] if len(head) == 8 else -1
        storages[key] = stream.read(max(count, 0) * sizes[key])
    yield from _arrays(tensors, storages)


def _end(archive: zipfile.ZipFile) -> int:
    assert archive.fp is not None
    return archive.fp.seek(0, io.SEEK_END)


def _tensors(state: Any) -> Iterator[tuple[str, _Tensor]]:
    if not isinstance(state, dict):
        raise InputError("not a state dict: save model.state_dict() alone")
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, _Tensor):
            raise InputError(f"not a state dict: {name!r} is no tensor; save model.state_dict() alone")
        yield name, value


def _arrays(tensors: dict[str, _Tensor], storages: dict[str, bytes]) -> Iterator[tuple[str, np.ndarray]]:
    """Makes the arrays, unless they are many times what is stored: tensors may share numbers, and each is copied."""
    for name, tensor in tensors.items():
        _check(name, tensor, storages[tensor.storage.key])
    stored = sum(map(len, storages.values()))
    wanted = sum(math.prod(tensor.shape) * tensor.storage.dtype.itemsize for tensor in tensors.values())
    if wanted > _SHARED * stored:
        raise InputError(f"its tensors share numbers: they would be {wanted:,} bytes of {stored:,} that are stored")
    for name, tensor in tensors.items():
        yield name, _array(tensor, storages[tensor.storage.key])


def _check(name: str, tensor: _Tensor, content: bytes) -> None:
    """Raises InputError unless the window lies inside its storage and is no larger."""
    storage, offset, shape, strides = tensor
    numbers = (storage.size, offset, *shape, *strides)
    whole = (
        all(type(number) is int and 0 <= number < 2**63 for number in numbers) and len(shape) == len(strides) <= _AXES
    )
    if not whole or len(content) != storage.size * storage.dtype.itemsize:
        raise InputError(f"a damaged file: {name!r} has {len(content)} bytes of numbers")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    empty = math.prod(shape) == 0
    if not empty and (last >= storage.size or math.prod(shape) > storage.size):
        raise InputError(f"a damaged file: {name!r} reaches beyond its numbers")


def _array(tensor: _Tensor, content: bytes) -> np.ndarray:
    """Copies the window."""
    storage, offset, shape, strides = tensor
    if math.prod(shape) == 0:
        return np.zeros(shape, storage.dtype)
    flat = np.frombuffer(content, storage.dtype)[offset:]
    steps = [stride * storage.dtype.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(flat, shape, steps, writeable=False).copy()


def _unpickled(stream: io.BytesIO) -> Any:
    """Interprets the pickle that begins here, and leaves the stream behind it."""
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    argument: Any

    def popped(count: int) -> list[Any]:
        if not 0 <= count <= len(stack):
            raise InputError("a damaged file: its stack is empty")
        items = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        return items

    def items_of(name: str, count: int) -> list[Any]:
        """Pops one entry, or for a name that ends with S all since the last mark."""
        return popped(len(stack) - marks.pop() if name.endswith("S") else count)

    for index, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
        if index == _INSTRUCTIONS:
            raise InputError(f"a pickle of more than {_INSTRUCTIONS:,} instructions, which a state dict does not need")
        match name := instruction.name:
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case _ if name in _VALUES:
                stack.append(argument)
            case _ if name in _FRESH:
                stack.append(_FRESH[name]())
            case "MARK":
                marks.append(len(stack))
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                memo[len(memo) if argument is None else argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(popped(int(name[-1]))))
            case "TUPLE":
                stack.append(tuple(popped(len(stack) - marks.pop())))
            case "APPEND" | "APPENDS":
                items = items_of(name, 1)
                _expect(stack[-1], list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = items_of(name, 2)
                # Keys that hash in one step: a tuple of tuples may take for ever.
                pairs = {_expect(key, str, int): value for key, value in zip(items[::2], items[1::2], strict=True)}
                _expect(stack[-1], dict).update(pairs)
            case "BUILD":  # the attributes of a state dict, which are its _metadata
                popped(1)
                _expect(stack[-1], dict)
            case "GLOBAL":
                stack.append(_global(argument))
            case "STACK_GLOBAL":
                stack.append(_global(" ".join(_expect(part, str) for part in popped(2))))
            case "BINPERSID":
                stack.append(_storage(*popped(1)))
            case "REDUCE":
                stack.append(_called(*popped(2)))
            case _:
                raise InputError(f"the pickle has the instruction {name}, which a state dict does not need: refused")
    raise InputError("a damaged file: it has no end")


def _expect(value: Any, *kinds: type) -> Any:
    if not isinstance(value, kinds):
        raise InputError(f"a damaged file: {type(value).__name__} where {kinds[0].__name__} is wanted")
    return value


def _global(name: str) -> _Global:
    if name not in (_DICT, _TENSOR, _PARAMETER, *_TYPES):
        raise InputError(f"the pickle wants {name.replace(' ', '.')}, which a state dict does not need: refused")
    return _Global(name)


def _storage(reference: Any) -> _Storage:
    match reference:
        case ("storage", _Global(kind), str(key), str(), int(size)) if kind in _TYPES:
            return _Storage(key, np.dtype(_TYPES[kind]), size)
        case ("storage", _Global(kind), str(key), str(), int(size), None) if kind in _TYPES:  # the older format
            return _Storage(key, np.dtype(_TYPES[kind]), size)
    raise InputError("the pickle refers to numbers in a way that a state dict does not need: refused")


def _called(function: Any, arguments: Any) -> Any:
    match function, arguments:
        case _Global(name), () if name == _DICT:
            return {}
        case _Global(name), (_Storage() as storage, offset, tuple(shape), tuple(strides), *_) if name == _TENSOR:
            return _Tensor(storage, offset, shape, strides)
        case _Global(name), (_Tensor() as tensor, *_) if name == _PARAMETER:
            return tensor
    raise InputError("the pickle makes a call that a state dict does not need: refused")
