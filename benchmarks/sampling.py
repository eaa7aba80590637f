"""What does the n-th token cost? Recurrent networks against a transformer with a key-value cache, in turns.

    python benchmarks/sampling.py                          # 4,096 tokens with RG-LRU, LSTM and transformer
    python benchmarks/sampling.py --batch_size 64          # more images at once: the cache outgrows the parameters
    python benchmarks/sampling.py --smoke                  # 64 tokens with tiny networks, no claim
    python benchmarks/sampling.py --json FILE              # also writes what it prints

Before anything is timed, each network must give the same logits step by step as on whole sequences (else exit 1).
Then each draws the tokens of one square grid in raster order, in stretches of --stretch tokens that are one compiled
program: each stretch by one network after the other, everything --repeats times. The transformer's cache grows by a
stretch at a time, so that it never attends over more than it has, and its growing is timed. Prints medians over the
repeats: time per token of all images together, size of the state between steps and peak memory of the program
(arguments, results and temporary arrays, parameters included) at several positions, and the time from the first token
to the 256th, 1,024th and 4,096th, with the speed-up over the transformer. The transformer has as many parameters as
the RG-LRU network (to 1 %); an LSTM of this width has more.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import statistics
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
from transformer import Transformer, grow

from gen import devices
from gen.models.recurrent import Recurrent

TOLERANCE = 1e-4


def networks(width: int, layers: int, vocabulary: int, side: int) -> dict[str, Any]:
    """The contestants, by name."""
    common = {"width": width, "layers": layers, "vocabulary": vocabulary, "grid": (side, side, 1), "num_classes": 10}
    recurrent = {cell: Recurrent(cell=cell, **common) for cell in ("rglru", "lstm")}
    return recurrent | {"transformer": Transformer(**common)}


def fresh(network: Any) -> Any:
    """Its parameters at the start."""
    tokens, label = jnp.zeros((1, 2), jnp.int32), jnp.zeros(1, jnp.int32)
    return jax.jit(network.init)(jax.random.key(0), tokens, jnp.arange(2)[None], label)


def disagreement(network: Any) -> float:
    """The largest difference between logits step by step and logits of whole sequences."""

    @jax.jit
    def largest(start: Any, key: jax.Array) -> jax.Array:
        # Away from the start, where the class has no influence.
        params = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape), start)
        cells, label = math.prod(network.grid), jnp.array([3, 10])
        tokens = jax.random.randint(key, (2, cells), 0, network.vocabulary)
        positions = jnp.tile(jnp.arange(cells), (2, 1))

        def one(carry: Any, t: jax.Array) -> tuple[Any, jax.Array]:
            token = jnp.where(t > 0, tokens[:, t - 1], -1)
            canvas = jnp.where(jnp.arange(cells) < t, tokens, -1)
            inputs = (carry, canvas, token, jnp.full(2, t - 1), jnp.full(2, t), label)
            logits, carry = network.apply(params, *inputs, method="step")
            return carry, logits

        logits = jax.lax.scan(one, network.initialize_carry(2), jnp.arange(cells))[1].swapaxes(0, 1)
        return jnp.abs(logits - network.apply(params, tokens, positions, label)).max()

    return float(largest(fresh(network), jax.random.key(1)))


class Sampler:
    """One network that draws tokens in raster order, a stretch at a time."""

    def __init__(self, network: Any, batch_size: int, stretch: int) -> None:
        self.network, self.batch_size, self.stretch = network, batch_size, stretch
        self.params = fresh(network)
        self.label = jnp.arange(batch_size) % 10
        self.cells = math.prod(network.grid)
        self.programs: dict[Any, Any] = {}

    def begin(self) -> None:
        """Goes back to the first token."""
        nothing, carry = jnp.full(self.batch_size, -1, jnp.int32), self.network.initialize_carry(self.batch_size)
        if isinstance(self.network, Transformer):
            carry = self.network.initialize_carry(self.batch_size, self.stretch)
        canvas = jnp.full((self.batch_size, self.cells), -1, jnp.int32)
        self.state, self.done = jax.block_until_ready((carry, canvas, nothing)), 0

    def advance(self) -> float:
        """Draws one stretch and returns the seconds that it took; the first of its size is also compiled."""
        start = time.perf_counter()
        if self.done:
            self.state = (self._grow(self.state[0], self.done + self.stretch), *self.state[1:])
        self.state = jax.block_until_ready(self.program()(self.params, self.label, self.state, self.done))
        self.done += self.stretch
        return time.perf_counter() - start

    def program(self) -> Any:
        """The compiled program for a state of this size."""
        sizes = tuple(leaf.shape for leaf in jax.tree.leaves(self.state))
        if sizes not in self.programs:
            options = devices.compiler_options()
            jitted = jax.jit(self._draw, donate_argnums=2, compiler_options=options)
            self.programs[sizes] = jitted.lower(self.params, self.label, self.state, self.done).compile()
        return self.programs[sizes]

    def memory(self) -> dict[str, int]:
        """Bytes of the state, and of everything while the program for this state runs."""
        found = self.program().memory_analysis()
        # Without what is donated: it is both an argument and a result.
        held = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
        state = sum(leaf.nbytes for leaf in jax.tree.leaves(self.state[0]))
        return {"state": state, "peak": held + found.temp_size_in_bytes}

    def _grow(self, carry: Any, capacity: int) -> Any:
        return jax.jit(grow, static_argnums=1)(carry, capacity) if isinstance(self.network, Transformer) else carry

    def _draw(self, params: Any, label: jax.Array, state: Any, first: jax.Array) -> Any:
        def one(state: Any, t: jax.Array) -> tuple[Any, None]:
            carry, canvas, token = state
            position = jnp.full(self.batch_size, t - 1)  # -1 at the first
            logits, carry = self.network.apply(
                params, carry, canvas, token, position, position + 1, label, method="step"
            )
            token = jax.random.categorical(jax.random.fold_in(jax.random.key(0), t), logits).astype(jnp.int32)
            return (carry, jax.lax.dynamic_update_slice(canvas, token[:, None], (0, t)), token), None

        return jax.lax.scan(one, state, first + jnp.arange(self.stretch))[0]


def measure(samplers: dict[str, Sampler], repeats: int) -> dict[str, Any]:
    """Seconds of every stretch, medians over the repeats, and bytes: {name: {"seconds", "state", "peak"}}."""
    stretches = next(iter(samplers.values())).cells // next(iter(samplers.values())).stretch
    seconds = {name: [[] for _ in range(stretches)] for name in samplers}
    memory: dict[str, list[dict[str, int]]] = {name: [] for name in samplers}
    for repeat in range(-1, repeats):  # the first compiles
        for sampler in samplers.values():
            sampler.begin()
        for i in range(stretches):
            for name, sampler in samplers.items():
                taken = sampler.advance()
                if repeat < 0:
                    memory[name].append(sampler.memory())
                else:
                    seconds[name][i].append(taken)
    return {
        name: {
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(samplers[name].params)),
            "seconds": [statistics.median(found) for found in seconds[name]],
            "state": [found["state"] for found in memory[name]],
            "peak": [found["peak"] for found in memory[name]],
        }
        for name in samplers
    }


def show(results: dict[str, Any], stretch: int, lengths: list[int]) -> None:
    """Prints both tables."""
    print("\ncost of a token at a position")
    print(f"{'position':>10}{'network':>14}{'ms':>10}{'state MB':>12}{'peak MB':>12}")
    for length in lengths:
        for name, found in results.items():
            at = length // stretch - 1
            milliseconds = 1e3 * found["seconds"][at] / stretch
            print(f"{length:>10,}{name:>14}{milliseconds:>10.3f}", end="")
            print(f"{found['state'][at] / 1e6:>12.3f}{found['peak'][at] / 1e6:>12.1f}")
    print("\ntime to sample all tokens")
    print(f"{'tokens':>10}{'network':>14}{'s':>10}{'speed-up':>12}")
    for length in lengths:
        total = {name: sum(found["seconds"][: length // stretch]) for name, found in results.items()}
        for name, seconds in total.items():
            print(f"{length:>10,}{name:>14}{seconds:>10.2f}{total['transformer'] / seconds:>11.1f}x")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=1000)
    parser.add_argument("--batch_size", type=int, default=4, help="images drawn at once")
    parser.add_argument("--side", type=int, default=64, help="of the square grid")
    parser.add_argument("--stretch", type=int, default=256, help="tokens that are timed together; divides side^2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true", help="smallest form")
    args = parser.parse_args()
    if args.smoke:
        args.width, args.layers, args.vocabulary, args.batch_size = 16, 1, 8, 2
        args.side, args.stretch, args.repeats = 8, 16, 1
    if args.side**2 % args.stretch:
        parser.error(f"--stretch={args.stretch} does not divide {args.side**2} tokens")

    devices.tune_allocator()
    device = jax.devices()[0]
    print(f"{device.device_kind or device.platform}, jax {jax.__version__}, {args.batch_size} images at once, ", end="")
    print(f"width {args.width}, {args.layers} layers, vocabulary {args.vocabulary}", flush=True)
    for name, network in networks(16, 1, 8, 4).items():
        with jax.default_matmul_precision("highest"):
            error = disagreement(network)
        if not error < TOLERANCE:
            print(f"{name}: step by step the logits differ by {error:.1e} from those of whole sequences")
            return 1

    contestants = networks(args.width, args.layers, args.vocabulary, args.side)
    samplers = {name: Sampler(network, args.batch_size, args.stretch) for name, network in contestants.items()}
    results = measure(samplers, args.repeats)
    print("parameters: " + ", ".join(f"{name} {found['parameters'] / 1e6:.2f} M" for name, found in results.items()))
    cells = args.side**2
    lengths = [n for n in (256, 1024, 4096) if n < cells and n % args.stretch == 0 and not args.smoke]
    show(results, args.stretch, [*(lengths or [args.stretch]), cells])
    if args.json:
        settings = {key: value for key, value in vars(args).items() if key not in ("json", "smoke")}
        facts = {"device": str(device.device_kind), "jax": jax.__version__}
        args.json.write_text(json.dumps({**facts, **settings, "networks": results}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
