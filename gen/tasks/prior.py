"""Learns the distribution of images as sequences of tokens, one given those before it, and draws new ones that way.

A sequence is the tokens of the context, where there is one, and then those of the image in some order of its cells, see
gen.tasks.token_orders. The context that a sequence is without is -1. Images are [b h w c] in [0, 1].
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen.devices import constrain
from gen.errors import InputError
from gen.models.recurrent import Recurrent
from gen.tasks import Metrics, autoregressive, token_orders
from gen.tasks.context import Context, check_context, context_shape, learned_shape, split_context
from gen.tasks.draws import draw_labels
from gen.tasks.networks import drop_captions, fit, know_conditions, no_captions, reads
from gen.tasks.schedule import IMAGES, RATE, SHARE, WEIGHT, Range, check_numbers, cosine, progress, warmed
from gen.tasks.state import TrainState, apply_gradients, initial_state, next_state
from gen.tasks.tokens import Tokenizer, of_shape

_SHARES = (
    *("drop_labels_probability", "drop_captions_probability", "drop_context_probability"),
    "region_first_probability",
)
_LABEL = 2**31  # what separates the random number of the label from those of the tokens, of which there are fewer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prior:
    """The Task with the role "prior" (averaged) and, with a tokenizer, the frozen role "autoencoder", to be filled by
    the config's init_from. A prior of pixels has an exact likelihood.

    With context "half_size" it enlarges: the context is the mean of each 2 x 2 pixels. With "previous_frame" each image
    of the data is two frames, one above the other; the upper is the context, and the lower is learned and made. Every
    Range is a cosine over `schedule_images`.
    """

    network: Recurrent
    schedule_images: int  # real images over which every Range goes from its first to its second value
    tokenizer: nn.Module | None = None  # a gen.models.autoencoder.Autoencoder with tokens; None: pixels as 256 values
    conditional: bool | None = None  # by class; None: if the data has labels, and captions are not learned
    captioned: bool | None = None  # by caption; None: if the data has captions
    drop_labels_probability: float = 0.1  # share of images without their class, for guidance and unknown classes
    drop_captions_probability: float = 0.1  # share of images without their caption
    context: Context = "none"  # what is given: the image at half size, or the frame before
    drop_context_probability: float = 0.1  # share of images without their context
    random_order: Range = (0.0, 0.0)  # probability of any permutation of the cells
    region_first_probability: float = 0.0  # that another order has a region first, whose tokens the loss does not count
    learning_rate: Range = (1e-3, 1e-4)  # of AdamW
    warmup_images: int = 0  # over which the learning rate rises to that
    weight_decay: float = 0.05  # of matrices
    ema_half_life: Range = (0.0, 10_000.0)  # of the averaged prior, in images
    image_shape: tuple[int, int, int]  # height, width, channels; this and the next are given by the data
    num_classes: int  # 0: not by class
    caption_length: int = 0  # tokens of a caption; 0: not by caption
    batch_size: int  # given by the run

    real_images_per_sample = 1
    can_sample = True
    can_reconstruct = True
    has_likelihood = True
    latent_shape = None

    def __post_init__(self) -> None:
        share = dict.fromkeys(_SHARES, SHARE)
        check_numbers(self, **share, random_order=SHARE, weight_decay=WEIGHT, ema_half_life=IMAGES)
        check_numbers(self, warmup_images=IMAGES, learning_rate=RATE)
        know_conditions(self)
        check_context(self)
        if self.tokenizer is not None:
            fit(self, "tokenizer", image_shape=self.shape)
            if not self.tokenizer.vocabulary:
                raise InputError("task.tokenizer has continuous codes; allowed: a bottleneck with tokens, such as FSQ")
        factor, grid = self._tokens.factor, self._tokens.grid
        if any(side % (2 * factor) for side in self.shape[:2]) and self.context == "half_size":
            raise InputError(
                f"task.context='half_size': half of {self.shape[0]} x {self.shape[1]} pixels is no whole number of "
                f"cells of {factor} x {factor} pixels"
            )
        grids = {"grid": grid(self.shape), "context": self.context_shape and grid(self.context_shape)}
        facts = {"num_classes": self.num_classes} | reads(self.caption_length, "text_vocabulary") | grids
        fit(self, "network", vocabulary=self._tokens.vocabulary, **facts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that are learned and made."""
        return learned_shape(self.context, self.image_shape)

    @property
    def context_shape(self) -> tuple[int, int, int] | None:
        """Height, width and channels of the context; None: there is none."""
        return context_shape(self.context, self.image_shape)

    def init(self, key: jax.Array) -> TrainState:
        prior_key, tokenizer_key = jax.random.split(key)
        positions = autoregressive.positions(self.network, autoregressive.raster(self.network, 1))
        given = self._unknown(1), *no_captions(1, self.caption_length)
        prior = self.network.init(prior_key, jnp.zeros_like(positions), positions, *given)
        frozen = {}
        if self.tokenizer is not None:
            frozen["autoencoder"] = self.tokenizer.init(tokenizer_key, jnp.zeros((1, *self.shape)))
        return initial_state({"prior": prior}, {"prior": self._optimizer}, "prior", **frozen)

    def step(self, state: TrainState, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[TrainState, Metrics]:
        at = progress(self, state.step)
        grad = jax.value_and_grad(self._loss, has_aux=True)
        tokens = self._example(state.ema_params, batch["image"])
        (_, metrics), grads = grad(state.params["prior"], key, tokens, batch, at)
        prior, opt_state = apply_gradients(self._optimizer, state.params["prior"], grads, state.opt_state["prior"])
        metrics |= {"learning_rate": warmed(self, state.step), "grad_norm": optax.tree.norm(grads)}
        half_life = cosine(self.ema_half_life, at)
        params, opt_states = {"prior": prior}, {"prior": opt_state}
        return next_state(state, params, opt_states, half_life=half_life, images=self.batch_size), metrics

    def label(self, keys: jax.Array) -> jax.Array | None:
        return draw_labels(keys, self.num_classes, fold=_LABEL)

    def sample(self, ema_params: Mapping[str, Any], keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        """Samples images [n h w c] in [0, 1], one per key [n]; token t of image i is drawn with fold_in(keys[i], t).

        Conditions, all optional, None as if absent:
        "label" int32 [n]: num_classes for an unknown class. Without labels they are drawn from the keys, but unknown
            where "given" or "context" say what to draw, if drop_labels_probability has taught that.
        "temperature" (else "truncation"), "top_k", "top_p": scalars, see models.token_sampling.
        "guidance": a scalar, above 1 away from what would be drawn without class and context.
        "given" [n h w c] in [0, 1] with "known" bool [n h w 1]: cells all of whose pixels are known keep the tokens of
            the given images; the others are drawn after these, in raster order.
        "context" [n h w c] in [0, 1], of `context_shape`.
        "caption" int32 [n l]: tokens of a prompt, see gen.text, and "negative" [n l]: of what guidance leads away from.
        "noise" [n t v], standard Gumbel, for each token of the image and of the vocabulary: used instead of the keys.
        Raises InputError for what this prior has not learned.
        """
        asked = {name: value for name, value in conditions.items() if value is not None}
        n = keys.shape[0]
        label = asked.get("label") if self.num_classes else None
        if label is None:
            unknown = self.drop_labels_probability and ("given" in asked or "context" in asked)
            label = self._unknown(n) if unknown else self.label(keys)
        context = self._context(ema_params, n, asked.get("context"))
        if "given" in asked:
            known = asked["known"] > 0
            image = self._tokens.encode_known(ema_params, of_shape(asked["given"], self.shape, "given images"), known)
            inside = self._tokens.whole_cells(known)
        else:
            image = jnp.zeros((n, math.prod(self.network.grid)), jnp.int32)
            inside = jnp.zeros((n, math.prod(self.network.grid[:2])), bool)
        by_class = self.num_classes and self.drop_labels_probability
        by_caption = self.caption_length and self.drop_captions_probability
        if "guidance" in asked and self.context == "none" and not (by_class or by_caption):
            raise InputError(
                "guidance needs a prior learned with a context, with classes and drop_labels_probability, or with "
                "captions and drop_captions_probability"
            )
        none = no_captions(n, self.caption_length)
        captions = [asked.get(name, *none) for name in ("caption", "negative")] if none else []
        settings = {name: asked.get(name) for name in ("top_k", "top_p")}
        drawn = autoregressive.draw(
            self.network,
            ema_params["prior"],
            keys,
            jnp.concatenate([image, context], axis=1),
            inside,
            label,
            *captions,
            unlabeled=self._unknown(n) if self.drop_labels_probability else label,
            guidance=asked.get("guidance"),
            noise=asked.get("noise"),
            settings=settings | {"temperature": asked.get("temperature", asked.get("truncation"))},
        )
        if self.context == "previous_frame" and "context" in asked:
            return self._tokens.follow(ema_params, drawn, asked["context"], context, self.shape)
        return self._tokens.decode(ema_params, drawn, self.shape)

    def reconstruct(self, ema_params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Encodes images [n h w c] in [0, 1] to tokens, and decodes them."""
        return self._tokens.decode(ema_params, self._tokens.encode(ema_params, images), self.shape)

    def surprisal(
        self,
        ema_params: Mapping[str, Any],
        images: jax.Array,
        label: jax.Array | None,
        *,
        context: jax.Array | None = None,
        caption: jax.Array | None = None,
    ) -> jax.Array:
        """Computes bits, float32 [n h w]: -log2 p of each cell given those before it in raster order.

        They are spread evenly over a cell's pixels; their sum is the exact length of the code of an image's tokens.

        images: [n h w c] in [0, 1]. label: [n]; None: unknown. context: [n h w c] of `context_shape`; None: without.
        caption: tokens [n l]; None: without.
        Raises InputError for what this prior has not learned.
        """
        if label is None and self.num_classes and not self.drop_labels_probability:
            raise InputError("this prior was learned without drop_labels_probability: it needs the class of each image")
        n = len(images)
        image = self._tokens.encode(ema_params, of_shape(images, self.shape, "images"))
        tokens = jnp.concatenate([image, self._context(ema_params, n, context)], axis=1)
        label = self._unknown(n) if label is None else label
        captions = no_captions(n, self.caption_length) if caption is None else (caption,)
        nats, _ = autoregressive.nll(
            self.network, ema_params["prior"], tokens, autoregressive.raster(self.network, n), label, *captions
        )
        return self._tokens.spread(nats / math.log(2), self.shape)

    @property
    def _tokens(self) -> Tokenizer:
        return Tokenizer(self.tokenizer)

    def _unknown(self, count: int) -> jax.Array | None:
        """Returns labels of the null class."""
        return constrain(jnp.full(count, self.num_classes, jnp.int32)) if self.num_classes else None

    def _context(self, params: Mapping[str, Any], count: int, images: jax.Array | None) -> jax.Array:
        """Encodes context images to tokens [count n]; of None: -1."""
        if images is None:
            return constrain(jnp.full((count, math.prod(self.network.context or (0,))), -1, jnp.int32))
        if self.context_shape is None:
            raise InputError("this prior was learned without context images (task.context='none')")
        return self._tokens.encode(params, of_shape(images, self.context_shape, "context images"))

    def _example(self, params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Encodes a batch of the data to tokens by position, [b n]: those of the context after those of the image."""
        image, context = split_context(self.context, images)
        context = self._context(params, len(images), context)
        return jnp.concatenate([self._tokens.encode(params, image), context], axis=1)

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        mask = functools.partial(jax.tree.map, lambda leaf: leaf.ndim > 1)
        adamw = optax.adamw(functools.partial(warmed, self), b1=0.9, b2=0.95, weight_decay=self.weight_decay, mask=mask)
        return optax.chain(optax.clip_by_global_norm(1.0), adamw)

    def _loss(
        self, params: Any, key: jax.Array, tokens: jax.Array, batch: Mapping[str, jax.Array], at: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        """Computes the cross-entropy in nats per token, but of those that are given in a region that comes first."""
        order_key, class_key, context_key = jax.random.split(key, 3)
        b, (rows, columns, channels), random = len(tokens), self.network.grid, cosine(self.random_order, at)
        order = token_orders.draw(
            order_key, b, rows, columns, random=random, region_first_probability=self.region_first_probability
        )
        without_class = constrain(jax.random.bernoulli(class_key, self.drop_labels_probability, (b,)))
        without_context = constrain(jax.random.bernoulli(context_key, self.drop_context_probability, (b, 1)))
        in_context = jnp.arange(tokens.shape[1]) >= math.prod(self.network.grid)
        tokens = jnp.where(without_context & in_context, -1, tokens)
        label = jnp.where(without_class, self.num_classes, batch["label"])
        captions: tuple[jax.Array, ...] = ()
        if self.caption_length:
            caption_key = jax.random.fold_in(key, 1)
            captions = (drop_captions(caption_key, batch["caption"], probability=self.drop_captions_probability),)
        nats, right = autoregressive.nll(self.network, params, tokens, order.cells, label, *captions)
        counted = (~order.given).repeat(channels, axis=1)
        loss, accuracy = ((a * counted).sum() / jnp.maximum(counted.sum(), 1) for a in (nats, right))
        metrics = {
            "bits": loss / math.log(2),  # per token; of pixels these are bits per dimension
            "accuracy": accuracy,  # share of tokens that were the most probable
            "random_order": order.random.mean(),  # shares of the batch
            "region_first_probability": order.region.mean(),
        }
        return loss, metrics
