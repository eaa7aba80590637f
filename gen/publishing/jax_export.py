"""The sampler as model.jaxexport: a StableHLO program that any jax runs, without gen, Flax or Python code of ours.

    sampler = jax.export.deserialize(bytearray(open("model.jaxexport", "rb").read()))
    images = sampler.call(weights, inputs)      # weights: as model.safetensors names them; inputs: see `sampler.Input`

The weights are an argument, so that they are stored once. The number of images is free.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import export

from gen.errors import InputError
from gen.files import printable
from gen.publishing.sampler import Input, flat, of_run
from gen.runs.trained_run import TrainedRun

PLATFORMS = ("cpu", "cuda", "tpu")


def serialize(run: TrainedRun) -> bytes:
    """Exports the sampler of a run, without its gradient.

    Raises InputError for a family that has none, and for a network that cannot be exported.
    """
    sampler = of_run(run)
    (b,) = export.symbolic_shape("b")
    weights = {name: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for name, leaf in flat(run.ema_params).items()}
    inputs = {name: _spec(given, b) for name, given in sampler.inputs.items()}
    program = jax.jit(lambda weights, inputs: sampler.function(weights, inputs))
    frames = jax.config.values["jax_traceback_in_locations_limit"]
    try:
        jax.config.update("jax_traceback_in_locations_limit", 0)  # else it names the source files of this machine
        return bytes(export.export(program, platforms=PLATFORMS)(weights, inputs).serialize(vjp_order=0))
    except ImportError:
        raise InputError("it needs the package flatbuffers: python -m pip install flatbuffers") from None
    except Exception as error:  # of a network of the user's own, which may need a number where jax.export has b
        reason = printable(" ".join(f"{type(error).__name__}: {error}".split()))
        raise InputError(f"the network cannot be exported for any number of images ({reason})") from None
    finally:
        jax.config.update("jax_traceback_in_locations_limit", frames)


def _spec(given: Input, b: Any) -> jax.ShapeDtypeStruct:
    shape = () if given.shape is None else (b, *given.shape)
    return jax.ShapeDtypeStruct(shape, jnp.dtype(given.dtype))
