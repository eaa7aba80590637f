"""Adversarial training: a relativistic pairing loss and both zero-centered gradient penalties (R3GAN, Huang et al.
2024).

Inside this file images are [b h w c] in [-1, 1]; in and out of it they are in [0, 1].
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen.augment import DEFAULT, augment
from gen.devices import constrain, interleave
from gen.errors import InputError
from gen.losses import ADVERSARIAL, Adversarial, finite_difference_norm, squared_gradient_norm
from gen.models.text_encoder import mix_captions
from gen.tasks import Metrics
from gen.tasks.draws import draw_labels, draw_latents
from gen.tasks.networks import drop_captions, fit, init_network, know_conditions, no_captions, reads
from gen.tasks.parts import in_parts
from gen.tasks.schedule import DECAY, IMAGES, RATE, SHARE, WEIGHT, Range, by_step, check_numbers, cosine, progress
from gen.tasks.state import TrainState, apply_gradients, initial_state, next_state

Given = Sequence[jax.Array]  # labels int32 [b], and captions int32 [b l] where they are learned


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gan:
    """The adversarial Task, with roles "generator" (averaged) and "discriminator".

    The generator's images are paired with fresh real ones, so that a step takes two real images per image of the batch.
    Every Range is a cosine over `schedule_images`. Networks may be the user's own: docs/own_networks.md.
    """

    generator: nn.Module  # latents [b latent], labels [b] and, of data with captions, these [b l] -> images
    discriminator: nn.Module  # images, labels [b] and perhaps captions [b l] -> logits [b]
    schedule_images: int  # real images over which every Range goes from its first to its second value
    conditional: bool | None = None  # by class; None: if the data has labels, and captions are not learned
    captioned: bool | None = None  # by caption; None: if the data has captions
    drop_captions_probability: float = 0.1  # share of images without their caption
    mismatch: float = 1.0  # weight of telling the caption of a real image from that of another (Reed et al. 2016)
    loss: Adversarial = "relativistic"  # of the two networks
    gamma: Range = (0.05, 0.005)  # weight of the penalties: gamma / 2 * (R1 + R2)
    penalty: Literal["exact", "finite_difference"] = "exact"  # the latter estimates them, without second derivatives
    penalty_stride: int = 1  # penalize every k-th image of the batch: the same expectation for a k-th of the work
    learning_rate: Range = (2e-4, 5e-5)  # of Adam, for both networks
    beta2: Range = (0.9, 0.99)  # of Adam; its beta1 is 0
    augmentation: Range = (0.0, 0.0)  # probability that the discriminator sees an image through each augmentation
    operation_weights: Mapping[str, float] | None = None  # multiplies that probability by operation; None: R3GAN's
    ema_half_life: Range = (0.0, 500_000.0)  # of the averaged generator, in images
    image_shape: tuple[int, int, int]  # height, width, channels; this and the next are given by the data
    num_classes: int  # 0: not by class
    caption_length: int = 0  # tokens of a caption; 0: not by caption
    batch_size: int  # given by the run

    real_images_per_sample = 2
    can_sample = True
    can_reconstruct = False

    def __post_init__(self) -> None:
        if self.penalty_stride < 1 or self.batch_size % self.penalty_stride:
            raise InputError(f"task.penalty_stride={self.penalty_stride} must divide batch_size={self.batch_size}")
        check_numbers(self, gamma=WEIGHT, learning_rate=RATE, beta2=DECAY)
        check_numbers(self, augmentation=SHARE, operation_weights=WEIGHT, ema_half_life=IMAGES)
        check_numbers(self, drop_captions_probability=SHARE, mismatch=WEIGHT)
        know_conditions(self)
        facts = {"num_classes": self.num_classes} | reads(self.caption_length)
        for role in ("generator", "discriminator"):
            fit(self, role, image_shape=tuple(self.image_shape), **facts)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (self.generator.latent,)

    def init(self, key: jax.Array) -> TrainState:
        g_key, d_key = jax.random.split(key)
        label = jnp.zeros((1,), jnp.int32)
        z, image = jnp.zeros((1, self.generator.latent)), jnp.zeros((1, *self.image_shape))
        given = label, *no_captions(1, self.caption_length)
        params = {
            "generator": init_network(g_key, self.generator, "task.generator", z, *given, shape=image.shape),
            "discriminator": init_network(d_key, self.discriminator, "task.discriminator", image, *given, shape=(1,)),
        }
        return initial_state(params, dict.fromkeys(params, self._optimizer), "generator")

    def step(self, state: TrainState, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[TrainState, Metrics]:
        d_key, g_key, z_key = jax.random.split(key, 3)
        at = progress(self, state.step)
        b = self.batch_size
        # One half for each network, taken along an axis that is not sharded, so that no image changes its device.
        real = (2 * batch["image"] - 1).reshape(b, 2, *self.image_shape)
        given = [batch["label"].reshape(b, 2)]  # the conditions
        if self.caption_length:
            caption_key = jax.random.fold_in(key, 1)
            caption = drop_captions(caption_key, batch["caption"], probability=self.drop_captions_probability)
            given.append(caption.reshape(b, 2, -1))
        given_d, given_g = ([array[:, half] for array in given] for half in (0, 1))
        z = constrain(jax.random.normal(z_key, (b, 2, self.generator.latent)))
        g_params, d_params = state.params["generator"], state.params["discriminator"]

        fake = _apply(self.generator, g_params, z[:, 0], *given_d)
        d_grad = jax.grad(self._discriminator_loss, has_aux=True)
        d_grads, metrics = d_grad(d_params, d_key, real[:, 0], fake, given_d, at)
        d_params, d_opt = apply_gradients(self._optimizer, d_params, d_grads, state.opt_state["discriminator"])

        g_grad = jax.value_and_grad(self._generator_loss)
        g_loss, g_grads = g_grad(g_params, d_params, g_key, z[:, 1], real[:, 1], given_g, at)
        g_params, g_opt = apply_gradients(self._optimizer, g_params, g_grads, state.opt_state["generator"])

        half_life = cosine(self.ema_half_life, at)
        metrics |= {"g_loss": g_loss, "learning_rate": cosine(self.learning_rate, at), "ema_half_life": half_life}
        params = {"generator": g_params, "discriminator": d_params}
        opt_state = {"generator": g_opt, "discriminator": d_opt}
        return next_state(state, params, opt_state, half_life=half_life, images=b), metrics

    def label(self, keys: jax.Array) -> jax.Array | None:
        return draw_labels(keys, self.num_classes, fold=1)

    def sample(self, ema_params: Mapping[str, Any], keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        z = conditions["latent"] if "latent" in conditions else draw_latents(keys, self.latent_shape)
        label = conditions["label"] if conditions.get("label") is not None else self.label(keys)
        z *= conditions.get("truncation", 1.0)
        return self.decode(
            ema_params, z, label, caption=conditions.get("caption"), caption_mix=conditions.get("caption_mix")
        )

    def decode(
        self,
        ema_params: Mapping[str, Any],
        latents: jax.Array,
        labels: jax.Array | None,
        *,
        caption: jax.Array | None = None,
        caption_mix: jax.Array | None = None,
        clipped: bool = True,
    ) -> jax.Array:
        """Generates images [n h w c] in [0, 1], or around it unless `clipped`, of latents [n d].

        labels: int [n], or float [n k], the share of each class in a mixed one; None where there are no classes.
        caption: tokens int [n l], see gen.text; None: without. With caption_mix [n], two captions each, [n 2 l], and
        the share of the second.
        """
        captions = no_captions(latents.shape[0], self.caption_length) if caption is None else (caption,)
        mixing = (functools.partial(mix, by) for mix, by in ((_mix_classes, labels), (mix_captions, caption_mix)))
        with contextlib.ExitStack() as stack:
            for interceptor in mixing:
                stack.enter_context(nn.intercept_methods(interceptor))
            images = _apply(self.generator, ema_params["generator"], latents, int_labels(latents, labels), *captions)
        images = (images + 1) / 2
        return jnp.clip(images, 0.0, 1.0) if clipped else images

    def features(self, params: Mapping[str, Any], images: jax.Array) -> tuple[jax.Array, ...]:
        """Computes the stages of the discriminator for images [n h w c] in [0, 1]: float32 [n h' w' c'] each.

        Raises InputError for a discriminator that has no method `stages`.
        """
        if not hasattr(self.discriminator, "stages"):
            raise InputError(
                f"{type(self.discriminator).__name__} has no method 'stages', by which images are compared"
            )
        stages = self.discriminator.apply(params["discriminator"], 2 * images - 1, method="stages")
        return cast(tuple[jax.Array, ...], stages)

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        adam = optax.inject_hyperparams(optax.adam, static_args=("b1", "eps"))
        return adam(by_step(self, self.learning_rate), b1=0.0, b2=by_step(self, self.beta2), eps=1e-8)

    def _logits(self, d_params: Any, key: jax.Array, images: jax.Array, given: Given, at: jax.Array) -> jax.Array:
        """Computes the logits [b] of augmented images."""
        if self.augmentation != (0.0, 0.0):
            operation_weights = DEFAULT if self.operation_weights is None else self.operation_weights
            images = augment(key, images, cosine(self.augmentation, at), operation_weights=operation_weights)
        return _apply(self.discriminator, d_params, images, *given)

    def _discriminator_loss(
        self, d_params: Any, key: jax.Array, real: jax.Array, fake: jax.Array, given: Given, at: jax.Array
    ) -> tuple[jax.Array, Metrics]:
        """Computes adversarial loss + gamma/2 * (R1 + R2), penalties through the augmentation (R3GAN, section 2)."""

        every = self.penalty_stride

        def pairs(columns: slice) -> tuple[jax.Array, list[jax.Array]]:
            """Interleaves real and generated images, and their conditions, of columns of [b/every every]."""
            rows = [a.reshape(-1, every, *a.shape[1:])[:, columns] for a in (real, fake, *given)]
            real_part, fake_part, *conditions = (a.reshape(-1, *a.shape[2:]) for a in rows)
            return interleave(real_part, fake_part), [interleave(part, part) for part in conditions]

        images, conditions = pairs(slice(0, 1))
        critic = lambda x: self._logits(d_params, key, x, conditions, at)  # noqa: E731
        if self.penalty == "exact":
            logits, squared_norm = squared_gradient_norm(critic, images)
        else:
            logits, squared_norm = finite_difference_norm(jax.random.fold_in(key, 2), critic, images)
        if every > 1:  # the rest of the batch is only classified
            others, other_conditions = pairs(slice(1, every))
            rest = self._logits(d_params, jax.random.fold_in(key, 1), others, other_conditions, at)
            logits = jnp.concatenate([logits, rest])
        r1, r2 = squared_norm[::2].mean(), squared_norm[1::2].mean()
        real_logits, fake_logits = logits[::2], logits[1::2]
        loss = ADVERSARIAL[self.loss].discriminator(real_logits, fake_logits).mean()
        gamma = cosine(self.gamma, at)
        metrics = {
            "d_loss": loss,
            "r1": r1,
            "r2": r2,
            "logit_real": real_logits.mean(),
            "logit_fake": fake_logits.mean(),
            "d_accuracy": (real_logits > fake_logits).mean(),  # 0.5: real and generated cannot be told apart
            "gamma": gamma,
            "augmentation": cosine(self.augmentation, at),
        }
        if self.caption_length and self.mismatch:
            # Of the real images of `pairs`, in which every caption stands twice, with the caption of the next one.
            *labels, caption = conditions
            others = self._logits(d_params, key, images, [*labels, jnp.roll(caption, 2, axis=0)], at)[::2]
            told = ADVERSARIAL["relativistic"].discriminator(logits[: len(images) : 2], others).mean()
            loss += self.mismatch * told
            metrics["caption_loss"] = told
        return loss + gamma / 2 * (r1 + r2), metrics

    def _generator_loss(
        self,
        g_params: Any,
        d_params: Any,
        key: jax.Array,
        z: jax.Array,
        real: jax.Array,
        given: Given,
        at: jax.Array,
    ) -> jax.Array:
        real_key, fake_key = jax.random.split(key)
        real_logits = self._logits(d_params, real_key, real, given, at)
        fake_logits = self._logits(d_params, fake_key, _apply(self.generator, g_params, z, *given), given, at)
        return ADVERSARIAL[self.loss].generator(real_logits, fake_logits).mean()


def int_labels(latents: jax.Array, labels: jax.Array | None) -> jax.Array:
    """Returns labels int [n] for the network, also where `labels` are none or mixed."""
    return jnp.zeros(latents.shape[:1], jnp.int32) if labels is None or labels.ndim > 1 else labels


def _mix_classes(labels: jax.Array | None, call: Any, inputs: Any, options: Any, context: Any) -> Any:
    """Intercepts the embedding in Flax: shares of classes [n k] get the mean of their embeddings."""
    embeds = isinstance(context.module, nn.Embed) and context.method_name == "__call__"
    if embeds and labels is not None and labels.ndim > 1:
        return labels @ context.module.embedding
    return call(*inputs, **options)


def _apply(network: nn.Module, params: Any, *inputs: jax.Array) -> jax.Array:
    return in_parts(functools.partial(network.apply, params), *inputs)
