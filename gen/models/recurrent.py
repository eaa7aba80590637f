"""A recurrent network over the tokens of an image in any order: trained on whole sequences, sampled in constant memory.

A stack of gated linear recurrences (Griffin, De et al. 2024, section 2); its input is that of gen.models.token_grid.
Sequences are tokens and positions, int32 [b n] each; labels int32 [b], num_classes for the null class. A caption, int32
[b l] as of gen.text, is read before them by the same layers, which then go on to write the image.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.errors import InputError
from gen.models import token_grid
from gen.models.bounds import EXPANSION, WIDTH, check_bounds
from gen.models.byte_embedding import ByteEmbedding
from gen.models.layers import rematerialized
from gen.models.recurrent_cells import CELLS, STATES, Cell
from gen.models.sequence_layers import AdaRMSNorm, Linear, broadcast_rows
from gen.models.token_grid import Grid

LayerCarry = tuple[jax.Array, jax.Array]  # the last inputs of the convolution [b 3 d], the state of the cell [b k d]
# The context tokens known so far [b P-G], every layer's, and what was read [b width], of no caption 0.
Carry = tuple[jax.Array, tuple[LayerCarry, ...], jax.Array]

_TAPS = 4  # of the causal convolution
_STRIDE = 4  # bytes of a caption that are read at once
_MOST_POSITIONS = 2**17  # their tables take half a GB then


class MLP(nn.Module):
    """Gated MLP on [b n d]: out(gelu(g) * u), with g and u of `hidden` channels."""

    hidden: int
    gain: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        gate, up = jnp.split(Linear(2 * self.hidden, name="in")(x), 2, axis=-1)
        return Linear(x.shape[-1], gain=self.gain, name="out")(nn.gelu(gate) * up)


class CausalConv(nn.Module):
    """Depthwise convolution over the last 4 steps of [b n d], as shifted sums.

    past [b 3 d] are the inputs before; those at the end are returned for the next piece.
    """

    @nn.compact
    def __call__(self, x: jax.Array, past: jax.Array) -> tuple[jax.Array, jax.Array]:
        n, d = x.shape[1:]
        kernel = self.param("kernel", nn.initializers.normal(_TAPS**-0.5), (_TAPS, d))
        bias = self.param("bias", nn.initializers.zeros, (d,))
        x = jnp.concatenate([past, x], axis=1)
        shape = (x.shape[0], n, d)
        taps = (broadcast_rows(kernel[i], shape) * x[:, i : i + n] for i in range(_TAPS))
        return sum(taps, start=broadcast_rows(bias, shape)), x[:, n:]


def layer_carry(cell: Cell, batch: int, width: int) -> LayerCarry:
    """Makes the state of a `Layer` before its first step."""
    return jnp.zeros((batch, _TAPS - 1, width)), jnp.zeros((batch, STATES[cell], width))


class Layer(nn.Module):
    """Residual recurrent block and residual MLP (Griffin, figure 2)."""

    cell: Cell
    hidden: int
    gain: float  # of what is added to the residual
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, carry: LayerCarry, label: jax.Array | None) -> tuple[jax.Array, LayerCarry]:
        past, state = carry
        d = x.shape[-1]
        gate, y = jnp.split(Linear(2 * d, name="in")(AdaRMSNorm(self.num_classes, name="norm")(x, label)), 2, axis=-1)
        y, past = CausalConv(name="conv")(y, past)
        y, state = CELLS[self.cell](name="cell")(y, state)
        x += Linear(d, gain=self.gain, name="out")(nn.gelu(gate) * y)
        x += MLP(self.hidden, self.gain, name="mlp")(AdaRMSNorm(self.num_classes, name="mlp_norm")(x, label))
        return x, (past, state)


class Recurrent(nn.Module):
    """Logits of each token of a sequence given those before it, all positions up to its own, and the class.

    `__call__` takes whole sequences; `initialize_carry` and `step` go through one token by token, with the same logits
    and a state whose size does not depend on how many there were.
    """

    width: int  # channels, and size of each layer's state
    layers: int
    cell: Cell = "rglru"  # of each layer
    expansion: float = 2.0  # hidden channels of the MLPs per channel
    neighbors: bool = True  # is each step told the known tokens around its position?
    remat: bool = False  # compute layers again for the gradient instead of keeping what is in them
    vocabulary: int = 256  # this and the next are given by the task
    grid: Grid = (8, 8, 1)  # rows, columns, channels of the tokens
    context: Grid | None = None  # of the given tokens, such as a smaller image or the frame before
    num_classes: int = 0  # 0: labels are not used
    text_vocabulary: int = 0  # of captions; 0: they are not read

    def check(self, place: str) -> None:
        """Raises InputError unless these fields make a network. place: the field to blame."""
        for name in ("width", "layers", "expansion"):
            if getattr(self, name) <= 0:
                raise InputError(f"{place}.{name}={getattr(self, name)}; allowed: more than 0")
        check_bounds(self, place, width=WIDTH, layers=(1, 256), expansion=EXPANSION)
        positions = token_grid.cells(self.grid) + token_grid.cells(self.context)
        if positions > _MOST_POSITIONS:
            raise InputError(
                f"{place}: images of {positions:,} tokens are too long to learn; allowed: {_MOST_POSITIONS:,}, by a "
                "tokenizer or smaller images"
            )

    def setup(self) -> None:
        self.inputs = token_grid.TokenEmbedding(self.width, self.vocabulary, self.grid, self.context)
        hidden, gain = round(self.expansion * self.width), (2 * self.layers) ** -0.5
        layer = rematerialized(Layer, self.remat)
        self.stack = [layer(self.cell, hidden, gain, self.num_classes) for _ in range(self.layers)]
        self.norm = AdaRMSNorm(self.num_classes)
        self.logits = Linear(self.vocabulary, use_bias=True)
        if self.text_vocabulary:
            self.text = ByteEmbedding(self.width, _STRIDE, self.text_vocabulary)
            self.prompt = Linear(self.width)

    def __call__(
        self, tokens: jax.Array, positions: jax.Array, label: jax.Array | None, *caption: jax.Array
    ) -> jax.Array:
        """Computes logits float32 [b n vocabulary], at t those of token t. No position occurs twice in a sequence."""
        around = token_grid.causal_neighbors(tokens, positions, self.grid, self.context) if self.neighbors else None
        token, position = (jnp.pad(a[:, :-1], ((0, 0), (1, 0)), constant_values=-1) for a in (tokens, positions))
        _, carries, prompt = self.read(label, *caption) if caption else self.initialize_carry(len(tokens))
        x = self._with_prompt(self.inputs(token, position, positions, around), prompt)
        return self._run(x, carries, label)[0]

    def read(self, label: jax.Array | None, caption: jax.Array) -> Carry:
        """Reads captions [b l]: makes the state before the first step of images of them. 0 alone is no caption.

        They end where the image begins, whatever their length.
        """
        known, carries, _ = self.initialize_carry(len(caption))
        caption = jnp.pad(caption, ((0, 0), (0, -caption.shape[1] % _STRIDE)))
        length = (caption > 0).sum(1, keepdims=True)
        source = jnp.arange(caption.shape[1]) - (caption.shape[1] - length)
        aligned = jnp.where(source >= 0, jnp.take_along_axis(caption, jnp.maximum(source, 0), axis=1), 0)
        x, carries = self._layers(self.text(aligned), carries, label)
        return known, carries, self.prompt(x[:, -1:])[:, 0]

    def initialize_carry(self, batch: int) -> Carry:
        """Makes the state before the first step of `batch` sequences without captions, without parameters."""
        known = jnp.full((batch, token_grid.cells(self.context)), -1, jnp.int32)
        layers = tuple(layer_carry(self.cell, batch, self.width) for _ in range(self.layers))
        return known, layers, jnp.zeros((batch, self.width if self.text_vocabulary else 0))

    def step(
        self,
        carry: Carry,
        canvas: jax.Array,
        token: jax.Array,
        position: jax.Array,
        target: jax.Array,
        label: jax.Array | None,
    ) -> tuple[jax.Array, Carry]:
        """Computes the logits [b vocabulary] of the token at `target` [b], and the state after this step.

        token, position: the one drawn last, [b] each; -1 for none at the first step. canvas: all tokens of `grid` known
        by now, that one among them, [b G], -1 elsewhere; those of the context are kept in the state.
        """
        known, carries, prompt = carry
        if self.context:
            first = token_grid.cells(self.grid)
            index = jnp.where(position >= first, position - first, known.shape[1])
            known = jax.vmap(lambda k, i, s: k.at[i].set(s, mode="drop"))(known, index, token)
        everything = jnp.concatenate([canvas, known], axis=1)
        around = (
            token_grid.known_neighbors(everything, target, self.grid, self.context)[:, None] if self.neighbors else None
        )
        x = self.inputs(token[:, None], position[:, None], target[:, None], around)
        logits, carries = self._run(self._with_prompt(x, prompt), carries, label)
        return logits[:, 0], (known, carries, prompt)

    def _with_prompt(self, x: jax.Array, prompt: jax.Array) -> jax.Array:
        """Adds what was read to the input of each step: a state that forgets is not all that there is of it."""
        return x + broadcast_rows(prompt[:, None], x.shape) if self.text_vocabulary else x

    def _run(
        self, x: jax.Array, carries: tuple[LayerCarry, ...], label: jax.Array | None
    ) -> tuple[jax.Array, tuple[LayerCarry, ...]]:
        x, after = self._layers(x, carries, label)
        return self.logits(self.norm(x, label)), after

    def _layers(
        self, x: jax.Array, carries: tuple[LayerCarry, ...], label: jax.Array | None
    ) -> tuple[jax.Array, tuple[LayerCarry, ...]]:
        after = []
        for layer, carry in zip(self.stack, carries, strict=True):
            x, carry = layer(x, carry, label)
            after.append(carry)
        return x, tuple(after)
