"""Small models as model.onnx, written by hand, and the same in numpy.

A generator, sigmoid(latent @ weights + classes[label]) as images, and a flow, (z - classes[label]) * time as velocity.
"""

from __future__ import annotations

import numpy as np

FLOAT, INT32, INT64 = 1, 6, 7
KINDS = {"float32": FLOAT, "int64": INT64}


def field(number: int, content: bytes | str | int) -> bytes:
    """Encodes a field of a message: a number, or bytes with their length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def tensor(name: str, array: np.ndarray) -> bytes:
    dims = b"".join(field(1, size) for size in array.shape)
    return dims + field(2, KINDS[array.dtype.name]) + field(8, name) + field(9, array.tobytes())


def value(name: str, kind: int, *shape: int) -> bytes:
    dims = b"".join(field(1, field(1, size) if size else field(2, "b")) for size in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def node(operator: str, inputs: list[str], output: str) -> bytes:
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, operator)


def drawn(latent: int, classes: int, shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draws the weights of a model."""
    rng, size = np.random.default_rng(0), int(np.prod(shape))
    return tuple(rng.normal(size=(count, size)).astype(np.float32) for count in (latent, classes))


def model(weights: np.ndarray, classes: np.ndarray, shape: tuple[int, int, int], **metadata: str) -> bytes:
    """Returns the content of model.onnx, for any number of images."""
    nodes = (
        node("MatMul", ["latent", "weights"], "of_latent"),
        node("Gather", ["classes", "label"], "of_label"),
        node("Add", ["of_latent", "of_label"], "sum"),
        node("Sigmoid", ["sum"], "flat"),
        node("Reshape", ["flat", "shape"], "images"),
    )
    arrays = {"weights": weights, "classes": classes, "shape": np.array([-1, *shape], np.int64)}
    given = [value("latent", FLOAT, 0, len(weights)), value("label", INT32, 0)]
    return _packed(nodes, arrays, given, value("images", FLOAT, 0, *shape), metadata)


def flow(classes: np.ndarray, shape: tuple[int, int, int], **metadata: str) -> bytes:
    """Returns the content of the model.onnx of a flow. classes: of each class, and at last of the unknown one."""
    nodes = (
        node("Gather", ["classes", "label"], "flat"),
        node("Reshape", ["flat", "shape"], "center"),
        node("Sub", ["z", "center"], "off"),
        node("Reshape", ["time", "one"], "at"),
        node("Mul", ["off", "at"], "velocity"),
    )
    sizes = {"shape": np.array([-1, *shape], np.int64), "one": np.array([-1, 1, 1, 1], np.int64)}
    given = [value("z", FLOAT, 0, *shape), value("time", FLOAT, 0), value("label", INT32, 0)]
    return _packed(nodes, {"classes": classes} | sizes, given, value("velocity", FLOAT, 0, *shape), metadata)


def velocity(classes: np.ndarray, given: dict[str, np.ndarray]) -> np.ndarray:
    """Returns what the flow computes of its inputs."""
    z = given["z"]
    return (z - classes[given["label"]].reshape(z.shape)) * given["time"].reshape(-1, 1, 1, 1)


def _packed(
    nodes: tuple[bytes, ...], arrays: dict[str, np.ndarray], given: list[bytes], made: bytes, metadata: dict[str, str]
) -> bytes:
    graph = b"".join(field(1, one) for one in nodes) + field(2, "g")
    graph += b"".join(field(5, tensor(name, array)) for name, array in arrays.items())
    graph += b"".join(field(11, one) for one in given) + field(12, made)
    pairs = b"".join(field(14, field(1, key) + field(2, text)) for key, text in metadata.items())
    return field(1, 8) + field(7, graph) + field(8, field(2, 17)) + pairs


def images(weights: np.ndarray, classes: np.ndarray, shape: tuple[int, int, int], latents, labels) -> np.ndarray:
    """Returns what the model makes."""
    return (1 / (1 + np.exp(-(np.float64(latents) @ weights + classes[labels])))).reshape(-1, *shape)
