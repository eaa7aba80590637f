"""Generators, decoders and flows as model.onnx, in float32, checked against jax in onnxruntime before it is kept.

Of a flow it holds one evaluation of the velocity: whoever runs it takes the steps, as gen.publishing.flow_steps does.
jax2onnx and onnxruntime are no dependencies of gen: docs/export.md shows the environment that has them.
"""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from gen.errors import InputError
from gen.files import printable
from gen.publishing import flow_steps
from gen.publishing.sampler import Input, flat, of_run
from gen.runs.trained_run import TrainedRun
from gen.tasks.flow import Flow
from gen.tasks.prior import Prior

TOLERANCE = 1e-4  # of a pixel in [0, 1]
_CHECKED = ((0,), (1, 2, 3, 4, 5))  # seeds of the batches that are compared
_FIXED = {1: 8, 5: 4}  # bytes of the fields of a message that have a fixed size, by their kind


def refusal(task: Any) -> str | None:
    """Returns why a task has no model.onnx; None: it has, unless its network cannot be converted."""
    if isinstance(task, Prior):
        return "a prior draws its tokens one after the other"
    if isinstance(task, Flow) and task.caption_length:
        return "a flow that reads captions needs its text as tokens, for which model.onnx has no input"
    if isinstance(task, Flow) and task.autoencoder is not None:
        return "a flow of latents needs its autoencoder, too, and model.onnx holds one network"
    return None


def serialize(run: TrainedRun, *, asked: str = "--onnx") -> bytes:
    """Converts a run, for any number of images: its sampler, each input but numbers, see `Sampler`, in, "images" out;
    of a flow its velocity, see gen.publishing.flow_steps.

    asked: the option that wants it. Its metadata say which weights it has, and how far it was from jax, of a pixel.
    Raises InputError for what `refusal` names, a network that cannot be converted, and where the packages are missing.
    """
    if reason := refusal(run.task):
        raise InputError(f"{reason}; model.onnx is for generators, decoders and flows of pixels")
    try:
        import jax2onnx
        import onnxruntime
    except ImportError as error:
        needed = "jax2onnx and onnxruntime, in an environment of their own (docs/export.md)"
        raise InputError(f"{asked} needs {needed}: {printable(error)}") from None
    for name in ("onnx_ir", "jax2onnx"):
        logging.getLogger(name).setLevel(logging.ERROR)
    run = in_float32(run)
    function, inputs, output = _converted(run)
    (b,) = export.symbolic_shape("b")
    specs = [jax.ShapeDtypeStruct((b, *i.shape), jnp.dtype(i.dtype)) for i in inputs.values()]  # type: ignore[misc]
    try:
        names = {"input_names": list(inputs), "output_names": [output]}
        model = jax2onnx.to_onnx(function, inputs=specs, model_name="gen", **names)
        for name, value in (("step", str(run.step)), ("weights_digest", run.weights_digest)):
            model.metadata_props.add(key=name, value=value)
        content: bytes = model.SerializeToString()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

        def evaluate(given: Mapping[str, Any]) -> np.ndarray:
            made: np.ndarray = session.run([output], {name: np.asarray(given[name]) for name in inputs})[0]
            return made

        difference = float(np.max(list(_differences(run, evaluate))))  # NaN, if any is
        model.metadata_props.add(key="difference", value=f"{difference:.1e}")
    except Exception as error:  # a converter and a runtime have many for what they cannot do
        reason = printable(" ".join(f"{type(error).__name__}: {error}".split()))
        raise InputError(f"this network cannot become model.onnx ({reason})") from None
    if not difference <= TOLERANCE:
        raise InputError(f"model.onnx would differ from the model by {difference:.1e}; allowed: {TOLERANCE:.0e}")
    return bytes(model.SerializeToString())


def _converted(run: TrainedRun) -> tuple[Callable[..., jax.Array], dict[str, Input], str]:
    """Returns what model.onnx computes, the inputs that it takes in this order, and the name of its output."""
    weights, numbers = flat(run.ema_params), dict[str, jax.Array]()
    if isinstance(run.task, Flow):
        of, inputs = flow_steps.velocity(run, run.task)
    else:
        of, every = of_run(run)[:2]
        inputs = {name: given for name, given in every.items() if given.shape is not None}
        numbers = {n: jnp.asarray(i.neutral, i.dtype) for n, i in every.items() if i.shape is None}
    function = lambda *given: of(weights, dict(zip(inputs, given, strict=True)) | numbers)  # noqa: E731
    return function, inputs, "velocity" if isinstance(run.task, Flow) else "images"


def metadata(content: bytes) -> dict[str, str]:
    """Reads the metadata of a model.onnx without the packages: field 14 of its message, pairs of key and value.

    Returns {} for what is no such message. https://protobuf.dev/programming-guides/encoding/ has the format.
    """
    try:
        pairs = [dict(_fields(pair)) for number, pair in _fields(content) if number == 14]
        return {pair[1].decode(): pair[2].decode() for pair in pairs}
    except (IndexError, KeyError, UnicodeDecodeError, ValueError):
        return {}


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields number and content of each field of a message that holds bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        size, after = _varint(message, at)
        if kind == 2:
            if after + size > len(message):
                raise ValueError("a field ends behind its message")
            yield tag >> 3, message[after : after + size]
        elif kind not in _FIXED and kind != 0:
            raise ValueError("a group")
        at = after + size if kind == 2 else after if kind == 0 else at + _FIXED[kind]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """Reads a number of 7 bits a byte; returns it, and where it ends."""
    value = 0
    for i in range(10):
        value |= (message[at + i] & 127) << 7 * i
        if message[at + i] < 128:
            return value, at + i + 1
    raise ValueError("a number of more than 64 bits")


def _differences(run: TrainedRun, evaluate: Callable[[Mapping[str, Any]], np.ndarray]) -> Iterator[float]:
    """Yields how far the images of onnxruntime are from those of jax, at most. evaluate: inputs -> what it computes."""
    sampler, weights = of_run(run), flat(run.ema_params)
    compiled = jax.jit(sampler.function)
    for seeds in _CHECKED:
        drawn, task = sampler.draw(seeds), run.task
        made = flow_steps.images(evaluate, task, drawn) if isinstance(task, Flow) else evaluate(drawn)
        wanted = np.asarray(compiled(weights, drawn))
        yield float(np.abs(made - wanted).max()) if made.shape == wanted.shape else math.inf


def in_float32(run: TrainedRun) -> TrainedRun:
    """Returns the run with networks that compute in float32 alone: onnxruntime has no bfloat16 on CPUs."""
    changed: Any = {}
    for role in ("generator", "network"):
        network = getattr(run.task, role, None)
        off = {name: off for name, off in (("bfloat16", False), ("bfloat16_from", None)) if hasattr(network, name)}
        if network is not None and off:
            changed[role] = network.clone(**off)
    task = dataclasses.replace(run.task, **changed)  # type: ignore[type-var]
    return dataclasses.replace(run, task=task)
