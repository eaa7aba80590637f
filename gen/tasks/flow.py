"""Flow matching: learns the velocity from noise to images along straight paths, and follows it to draw new ones.

Lipman et al. 2023, "Flow matching for generative modeling", and Liu et al. 2023, "Flow straight and fast". The path of
an image x and standard normal noise e is z = (1 - t) x + t e, its velocity dz/dt = e - x; t = 1 is noise. Images are
[b h w c] in [0, 1] in and out, and in [-1, 1] inside this file; with an autoencoder z are its latents.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen.devices import constrain
from gen.errors import InputError
from gen.models.text_encoder import mix_captions
from gen.models.token_sampling import classifier_free_guidance
from gen.tasks import Metrics, ode
from gen.tasks.context import (
    Context,
    as_channels,
    check_context,
    context_shape,
    doubled,
    halved,
    learned_shape,
    split_context,
)
from gen.tasks.draws import draw_labels, draw_latents
from gen.tasks.latents import Latents
from gen.tasks.muon import muon
from gen.tasks.networks import drop_captions, fit, init_network, know_conditions, no_captions, reads
from gen.tasks.parts import in_parts
from gen.tasks.schedule import IMAGES, RATE, SHARE, WEIGHT, Range, check_numbers, cosine, progress, warmed
from gen.tasks.state import TrainState, apply_gradients, initial_state, next_state
from gen.tasks.tokens import of_shape

_SIDE = 32  # pixels, of images of which `time_logits` are
_SHORTEST = 0.02  # the time below which an expected image is no longer told from z by dividing by the time
_TOLERANCE = 0.01  # of a likelihood, in bits per dimension
_PROBES = 2  # of a likelihood
_SHARES = (
    *("drop_labels_probability", "drop_captions_probability", "drop_context_probability"),
    *("guidance_times", "last_time"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flow:
    """The flow-matching Task with the role "flow" (averaged) and, with an autoencoder, the frozen role "autoencoder",
    to be filled by the config's init_from. Every Range of training is a cosine over `schedule_images`.

    The loss is the mean squared error of the velocity, whatever the network predicts. A flow of pixels has a
    likelihood. What is known of an image (a part; its average over 2 x 2 pixels) can be given without having been
    learned; with `context` it is learned, as in gen.tasks.prior.
    """

    network: nn.Module  # z, times [b], labels [b] and perhaps context and captions [b l] -> z, a gen.models.unet.UNet
    schedule_images: int  # real images over which every Range goes from its first to its second value
    autoencoder: nn.Module | None = None  # a gen.models.autoencoder.Autoencoder, whose latents are z; None: pixels
    latent_scale: float = 1.0  # standard deviation of its latents, by which they are divided
    prediction: Literal["velocity", "image"] = "velocity"  # what the network makes, see `_velocity`
    data_deviation: float = 0.5  # of z of the data, about, for "velocity"
    # Times of training are logit-normal (Esser et al. 2024, equation 19), with this for images of up to 32 x 32
    # pixels. Of twice the side the same noise hides less: the mean is log 2 more (not of latents), and with it the
    # steps of sampling move, too (ibid., equation 23); the deviation is a quarter more, so that grain is learned, too.
    time_logits: tuple[float, float] = (0.0, 1.0)  # mean and deviation of log(t / (1 - t)); larger images: both more
    conditional: bool | None = None  # by class; None: if the data has labels, and captions are not learned
    captioned: bool | None = None  # by caption; None: if the data has captions
    drop_labels_probability: float = 0.1  # share of images without their class, for guidance and unknown classes
    drop_captions_probability: float = 0.1  # share of images without their caption
    context: Context = "none"  # what is learned to be given: the image at half size, or the frame before
    drop_context_probability: float = 0.1  # share of images without their context
    learning_rate: Range = (1e-3, 0.0)  # of Muon and Adam, see gen.tasks.muon
    warmup_images: int = 0  # over which the learning rate rises to that
    ema_half_life: Range = (0.0, 10_000.0)  # of the averaged flow, in images
    steps: int = 20  # of sampling, unless asked otherwise; each evaluates the network twice
    last_time: float = 0.0  # from it, 1 / steps or 0.02, the latest, one step goes to the expected image: less grain
    guidance: float = 1.0  # of sampling, unless asked otherwise
    guidance_times: tuple[float, float] = (0.0, 1.0)  # the times at which there is guidance (Kynkaanniemi et al. 2024)
    image_shape: tuple[int, int, int]  # height, width, channels; this and the next are given by the data
    num_classes: int  # 0: not by class
    caption_length: int = 0  # tokens of a caption; 0: not by caption
    batch_size: int  # given by the run

    real_images_per_sample = 1
    can_sample = True

    def __post_init__(self) -> None:
        share = dict.fromkeys(_SHARES, SHARE)
        check_numbers(self, **share, guidance=WEIGHT, ema_half_life=IMAGES, warmup_images=IMAGES, learning_rate=RATE)
        check_numbers(
            self, steps=(1, 10_000), latent_scale=(1e-6, 1e6), data_deviation=(1e-6, 1e6), time_logits=(-10.0, 10.0)
        )
        know_conditions(self)
        check_context(self)
        shape = self.shape
        if self.context == "half_size" and (shape[0] % 2 or shape[1] % 2):
            raise InputError(f"task.context='half_size' needs even sides; the data is {shape[0]} x {shape[1]} pixels")
        if self.autoencoder is not None:
            fit(self, "autoencoder", image_shape=shape)
            if self.autoencoder.vocabulary:
                raise InputError("task.autoencoder has tokens; allowed: continuous codes, such as DiagonalGaussian")
        if self.guidance != 1.0:
            self._check_guidance()
        facts = {"num_classes": self.num_classes} | reads(self.caption_length)
        fit(self, "network", image_shape=self.latent_shape, **facts)

    @property
    def can_reconstruct(self) -> bool:
        """Whether it reconstructs images: by its autoencoder."""
        return self.autoencoder is not None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the images that are learned and made."""
        return learned_shape(self.context, self.image_shape)

    @property
    def context_shape(self) -> tuple[int, int, int] | None:
        """Height, width and channels of the context that was learned; None: none was."""
        return context_shape(self.context, self.image_shape)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of z: the images', or that of the autoencoder's latents."""
        return self.shape if self.autoencoder is None else cast(tuple[int, ...], self.autoencoder.latent_shape)

    @property
    def unlearned_contexts(self) -> tuple[Context, ...]:
        """The contexts that can be given without having been learned."""
        halves = self.autoencoder is None and not (self.shape[0] % 2 or self.shape[1] % 2)
        return ("half_size",) if halves and self.context == "none" else ()

    @property
    def last_step(self) -> float:
        """The time from which the last step of sampling goes to the expected image, unless 1 / steps is later."""
        return max(self.last_time, _SHORTEST)

    @property
    def time_shift(self) -> float:
        """By how much t / (1 - t) is larger, in training and sampling, than with a mean of 0: see `time_logits`."""
        return math.exp(self.time_logits[0]) * 2.0**self._doublings

    @property
    def _doublings(self) -> float:
        """How often the side of images has doubled from 32 pixels on; 0 of latents."""
        side = math.prod(self.shape[:2]) ** 0.5 if self.autoencoder is None else 0
        return math.log2(max(side / _SIDE, 1.0))

    @property
    def has_likelihood(self) -> bool:
        """Whether there is a `surprisal` of images."""
        return self.autoencoder is None

    def init(self, key: jax.Array) -> TrainState:
        flow_key, autoencoder_key = jax.random.split(key)
        z, time, label = jnp.zeros((1, *self.latent_shape)), jnp.ones(1), jnp.zeros(1, jnp.int32)
        given: tuple[Any, ...] = () if self.context == "none" else (self._context(1, None),)
        given += no_captions(1, self.caption_length)
        flow = init_network(flow_key, self.network, "task.network", z, time, label, *given, shape=z.shape)
        frozen = {}
        if self.autoencoder is not None:
            frozen["autoencoder"] = self.autoencoder.init(autoencoder_key, jnp.zeros((1, *self.shape)))
        return initial_state({"flow": flow}, {"flow": self._optimizer}, "flow", **frozen)

    def step(self, state: TrainState, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[TrainState, Metrics]:
        grad = jax.value_and_grad(self._loss)
        loss, grads = grad(state.params["flow"], state.ema_params, key, batch)
        flow, opt_state = apply_gradients(self._optimizer, state.params["flow"], grads, state.opt_state["flow"])
        half_life = cosine(self.ema_half_life, progress(self, state.step))
        metrics = {"loss": loss, "learning_rate": warmed(self, state.step), "grad_norm": optax.tree.norm(grads)}
        params, opt_states = {"flow": flow}, {"flow": opt_state}
        return next_state(state, params, opt_states, half_life=half_life, images=self.batch_size), metrics

    def label(self, keys: jax.Array) -> jax.Array | None:
        return draw_labels(keys, self.num_classes, fold=1)

    def sample(self, ema_params: Mapping[str, Any], keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        """Samples images [n h w c] in [0, 1], one per key [n], by Heun's method.

        Conditions, all optional, None as if absent:
        "label" int32 [n]: num_classes for an unknown class. Without labels they are drawn from the keys, but unknown
            where "given" or "context" say what to draw, if drop_labels_probability has taught that.
        "latent" [n d]: the noise, instead of that of the keys. "truncation" and "temperature": scalars that shrink it.
        "steps": an int. "guidance": a scalar, above 1 away from what would be drawn without class and context.
        "given" [n h w c] in [0, 1] with "known" bool [n h w 1]: pixels that are kept, up to the autoencoder.
        "context" [n h w c] in [0, 1], of `context_shape`; of half the size if none was learned.
        "caption" int32 [n l]: tokens of a prompt, see gen.text, and "negative" [n l]: of what guidance leads away from.
            With "caption_mix" [n] two captions each, [n 2 l], and the share of the second.
        Raises InputError for what this flow has not learned.
        """
        asked = {name: value for name, value in conditions.items() if value is not None}
        if refused := [name for name in ("top_k", "top_p") if name in asked]:
            raise InputError(f"{refused[0]} is of priors, which draw tokens; a flow has none")
        n = keys.shape[0]
        label = asked.get("label") if self.num_classes else None
        if label is None:
            unknown = self.drop_labels_probability and ("given" in asked or "context" in asked)
            label = None if unknown else self.label(keys)
        context, guidance = self._context(n, asked.get("context")), asked.get("guidance", self.guidance)
        caption, negative = asked.get("caption"), asked.get("negative")
        if "guidance" in asked:
            self._check_guidance()
        elif guidance == 1.0 or (label is None and caption is None and "context" not in asked):
            guidance = None  # it would change nothing

        def velocity(z: jax.Array, t: jax.Array) -> jax.Array:
            with nn.intercept_methods(functools.partial(mix_captions, asked.get("caption_mix"))):
                given = self._velocity(ema_params["flow"], z, t, label, context, caption)
            if guidance is None:
                return given
            low, high = self.guidance_times

            def guided() -> jax.Array:
                without = self._velocity(ema_params["flow"], z, t, None, self._context(n, None), negative)
                return classifier_free_guidance(given, without, guidance)

            return jax.lax.cond((low <= t) & (t <= high), guided, lambda: given)

        noise = asked["latent"] if "latent" in asked else draw_latents(keys, self.latent_shape)
        noise = noise * (asked.get("truncation", 1.0) * asked.get("temperature", 1.0))  # an array of the caller
        z = ode.solve(
            velocity,
            noise.reshape(n, *self.latent_shape),
            steps=asked.get("steps", self.steps),
            last=self.last_step,
            shift=self.time_shift,
            project=self._projection(ema_params, asked),
            keys=keys,
        )
        return self._latents.decode(ema_params, z)

    def reconstruct(self, ema_params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Encodes images [n h w c] in [0, 1] to latents, and decodes them."""
        return self._latents.decode(ema_params, self._latents.encode(ema_params, images))

    def velocity(
        self,
        ema_params: Mapping[str, Any],
        z: jax.Array,
        time: jax.Array,
        *,
        label: jax.Array | None = None,
        caption: jax.Array | None = None,
    ) -> jax.Array:
        """Computes dz/dt of z [n h w c], in [-1, 1] at time 0, at `time` [] or [n], of unknown context.

        label: [n], num_classes for an unknown class; None: all unknown. caption: tokens [n l]; None: without.
        """
        return self._velocity(ema_params["flow"], z, time, label, self._context(z.shape[0], None), caption)

    def surprisal(
        self,
        ema_params: Mapping[str, Any],
        images: jax.Array,
        label: jax.Array | None,
        *,
        context: jax.Array | None = None,
        caption: jax.Array | None = None,
    ) -> jax.Array:
        """Computes bits, float32 [n h w]: -log2 of the probability of images of 256 values, spread over their pixels.

        The density is that of the flow, uniform noise fills the step between two values (Theis et al. 2016, section
        3.1: a bound), and the divergence is estimated by 2 probes, the same for every image; the integral is within
        about 0.01 bits per dimension, unless 64 steps do not reach that. See `gen.tasks.ode.nats`.

        images: [n h w c] in [0, 1]. label: [n]; None: unknown. context: [n h w c] of `context_shape`; None: without.
        caption: tokens [n l]; None: without.
        Raises InputError for what this flow has not learned.
        """
        if not self.has_likelihood:
            raise InputError("a flow of latents has no likelihood of images; allowed: a flow of pixels")
        if label is None and self.num_classes and not self.drop_labels_probability:
            raise InputError("this flow was learned without drop_labels_probability: it needs the class of each image")
        n, (noise_key, probe_key) = len(images), jax.random.split(jax.random.key(0))
        images = of_shape(images, self.shape, "images") + jax.random.uniform(noise_key, self.shape, minval=-0.5) / 255
        given = self._context(n, context)
        velocity = lambda z, t: self._velocity(ema_params["flow"], z, t, label, given, caption)  # noqa: E731
        probes = ode.random_probes(probe_key, _PROBES, self.shape)
        nats, _ = ode.nats(velocity, 2 * images - 1, probes, tolerance=_TOLERANCE * math.log(2))
        return (nats - math.log(2 / 255)).sum(-1) / math.log(2)

    def _loss(self, params: Any, frozen: Any, key: jax.Array, batch: Mapping[str, jax.Array]) -> jax.Array:
        keys, n, label, caption = jax.random.split(key, 5), len(batch["image"]), batch["label"], None
        if self.caption_length:
            caption_key = jax.random.fold_in(key, 1)
            caption = drop_captions(caption_key, batch["caption"], probability=self.drop_captions_probability)
        images, context = split_context(self.context, batch["image"])
        if self.autoencoder is None:  # of 256 values, which would have no density
            images += constrain(jax.random.uniform(keys[0], images.shape, minval=-0.5, maxval=0.5)) / 255
        x = jax.lax.stop_gradient(self._latents.encode(frozen, images))
        e = constrain(jax.random.normal(keys[1], x.shape))
        # One time in each n-th of its distribution: less noise in the loss than from independent times.
        share = constrain((jnp.arange(n) + jax.random.uniform(keys[2], (n,))) / n)
        mean, deviation = math.log(self.time_shift), self.time_logits[1] * (1 + self._doublings / 4)
        t = jax.nn.sigmoid(mean + deviation * jax.scipy.special.ndtri(jnp.clip(share, 1e-6, 1 - 1e-6)))
        without_class = constrain(jax.random.bernoulli(keys[3], self.drop_labels_probability, (n,)))
        label, given = jnp.where(without_class, self.num_classes, label), self._context(n, context)
        if given is not None:
            given *= constrain(jax.random.bernoulli(keys[4], 1 - self.drop_context_probability, (n, 1, 1, 1)))
        at = t[:, None, None, None]
        z = (1 - at) * x + at * e
        wanted = e - x if self.prediction == "velocity" else (z - x) / jnp.maximum(at, _SHORTEST)  # equal from then on
        return jnp.square(self._velocity(params, z, t, label, given, caption) - wanted).mean()

    def _velocity(
        self,
        params: Any,
        z: jax.Array,
        time: jax.Array,
        label: jax.Array | None,
        context: jax.Array | None,
        caption: jax.Array | None,
    ) -> jax.Array:
        """Computes dz/dt of z [n h w c] at times [] or [n]. label: [n]; None: unknown. caption: [n l]; None: none.

        "image": the network makes x (Li and He 2025, "JiT"), and dz/dt = (z - x) / t. "velocity": it makes what the
        best linear guess for normal data of mean 0 lacks, on the scale of that (Karras et al. 2022, equation 7, for
        this path).
        """
        time = jnp.broadcast_to(time, z.shape[0])
        label = constrain(jnp.full(z.shape[0], self.num_classes, jnp.int32)) if label is None else label
        given: tuple[jax.Array, ...] = () if context is None else (context,)
        given += no_captions(z.shape[0], self.caption_length) if caption is None else (caption,)
        made = in_parts(functools.partial(self.network.apply, params), z, time, label, *given)
        t = time[:, None, None, None]
        if self.prediction == "image":
            return (z - made) / jnp.maximum(t, _SHORTEST)
        variance = (1 - t) ** 2 * self.data_deviation**2 + t**2  # of z
        return (t - (1 - t) * self.data_deviation**2) / variance * z + self.data_deviation / jnp.sqrt(variance) * made

    def _projection(self, params: Mapping[str, Any], asked: Mapping[str, Any]) -> Any:
        """Returns what moves an expected z to what is known of the image; None: nothing is, or it was learned."""
        if "given" in asked:
            known, images = asked["known"] > 0, of_shape(asked["given"], self.shape, "given images")
            given, known = self._latents.encode_known(params, images, known)
            return lambda x: jnp.where(known, given, x)
        if "context" in asked and self.context == "none":
            if not self.unlearned_contexts:
                raise InputError("this flow was learned without context images (task.context='none')")
            half = context_shape("half_size", self.image_shape) or self.shape
            average = 2 * of_shape(asked["context"], half, "context images") - 1
            return lambda x: x + doubled(average - halved(x))
        return None

    def _context(self, count: int, images: jax.Array | None) -> jax.Array | None:
        """Returns the input of the network for context images: these at the size of the others, and 1; of None: 0."""
        if self.context_shape is None:
            return None
        images = None if images is None else of_shape(images, self.context_shape, "context images")
        return constrain(as_channels(images, count, self.shape, self._latents.factor))

    @property
    def _latents(self) -> Latents:
        return Latents(self.autoencoder, self.latent_scale)

    def _check_guidance(self) -> None:
        by_class = self.num_classes and self.drop_labels_probability
        by_caption = self.caption_length and self.drop_captions_probability
        if self.context == "none" and not (by_class or by_caption):
            raise InputError(
                "guidance needs a flow learned with a context, with classes and drop_labels_probability, or with "
                "captions and drop_captions_probability"
            )

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        return optax.chain(optax.clip_by_global_norm(1.0), muon(functools.partial(warmed, self)))
