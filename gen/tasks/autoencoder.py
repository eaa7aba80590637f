"""Autoencoding: learns to reconstruct images through a bottleneck, with an adversary from the first step if asked for.

Inside this file images are [b h w c] in [-1, 1]; in and out of it they are in [0, 1].
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gen.devices import constrain
from gen.errors import InputError
from gen.losses import ADVERSARIAL, Adversarial, lecam, squared_gradient_norm
from gen.tasks import Metrics
from gen.tasks.draws import draw_latents
from gen.tasks.networks import fit, init_network
from gen.tasks.parts import in_parts
from gen.tasks.schedule import DECAY, IMAGES, RATE, WEIGHT, Range, by_step, check_numbers, cosine, progress
from gen.tasks.state import TrainState, apply_gradients, initial_state, next_state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoencoder:
    """The autoencoding Task, with roles "autoencoder" (averaged) and, with a discriminator, "discriminator".

    loss = l1 |x - y| + l2 (x - y)^2 + perceptual * distance of the discriminator's features + adversarial + the
    penalty of the bottleneck. Every Range is a cosine over `schedule_images`.
    """

    network: nn.Module  # a gen.models.autoencoder.Autoencoder
    schedule_images: int  # real images over which every Range goes from its first to its second value
    l1: float = 1.0  # weights of the terms, on images in [-1, 1]
    l2: float = 1.0
    discriminator: nn.Module | None = None  # images, labels [b] -> logits [b]; None: no adversary
    features: nn.Module | None = None  # a trained discriminator, filled by init_from; None: the one in training
    perceptual: float = 0.0  # weight of the feature distance
    adversarial: float = 0.0  # weight of the adversarial loss
    loss: Adversarial = "non_saturating"  # of the two networks
    gamma: float = 0.1  # weight of the penalty on real images: gamma / 2 * R1
    lecam: float = 0.0  # weight of the LeCam regularizer
    learning_rate: Range = (1e-3, 1e-4)  # of Adam, for both networks
    beta1: float = 0.9  # of the autoencoder's Adam; the discriminator's is 0
    ema_half_life: Range = (0.0, 10_000.0)  # of the averaged autoencoder, in images
    image_shape: tuple[int, int, int]  # height, width, channels; this and the next are given by the data
    num_classes: int
    batch_size: int  # given by the run

    real_images_per_sample = 1
    can_reconstruct = True

    def __post_init__(self) -> None:
        check_numbers(self, l1=WEIGHT, l2=WEIGHT, perceptual=WEIGHT, adversarial=WEIGHT)
        check_numbers(self, gamma=WEIGHT, lecam=WEIGHT, learning_rate=RATE, beta1=DECAY, ema_half_life=IMAGES)
        if self.adversarial and self.discriminator is None:
            raise InputError(f"task.adversarial={self.adversarial} needs a task.discriminator")
        if self.perceptual and self.discriminator is None and self.features is None:
            raise InputError(f"task.perceptual={self.perceptual} needs a task.discriminator or task.features")
        if self.discriminator is not None and not (self.adversarial or self.perceptual):
            raise InputError("task.discriminator is of no use while task.adversarial and task.perceptual are 0")
        critic = "features" if self.features is not None else "discriminator"
        if self.perceptual and not hasattr(getattr(self, critic), "stages"):
            raise InputError(f"task.perceptual={self.perceptual} needs a task.{critic} with a method 'stages'")
        fit(self, "network", image_shape=tuple(self.image_shape))
        for role in ("discriminator", "features"):
            if getattr(self, role) is not None:
                fit(self, role, image_shape=tuple(self.image_shape), num_classes=0)

    @property
    def can_sample(self) -> bool:
        """Whether it can be sampled: only with a Gaussian bottleneck; for tokens a prior must be learned."""
        return bool(self.network.bottleneck.latents_are_normal)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return cast(tuple[int, ...], self.network.latent_shape)

    def init(self, key: jax.Array) -> TrainState:
        keys = jax.random.split(key, 3)
        image, label = jnp.zeros((1, *self.image_shape)), jnp.zeros((1,), jnp.int32)
        params = {"autoencoder": self.network.init(keys[0], image)}
        optimizers = {"autoencoder": self._optimizer(self.beta1)}
        if (judge := self.discriminator) is not None:
            params["discriminator"] = init_network(keys[1], judge, "task.discriminator", image, label, shape=(1,))
            params["lecam"] = {"real": jnp.zeros(()), "fake": jnp.zeros(())}
            optimizers["discriminator"] = self._optimizer(0.0)
        frozen = {} if self.features is None else {"features": self.features.init(keys[2], image, label)}
        return initial_state(params, optimizers, "autoencoder", **frozen)

    def step(self, state: TrainState, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[TrainState, Metrics]:
        code_key, book_key = jax.random.split(key)
        at = progress(self, state.step)
        real = 2 * batch["image"] - 1
        params, opt_state = dict(state.params), dict(state.opt_state)

        grad = jax.value_and_grad(self._loss, has_aux=True)
        (loss, (fake, code, metrics)), grads = grad(params["autoencoder"], self._judge(state), code_key, real)
        learned, opt_state["autoencoder"] = apply_gradients(
            self._optimizer(self.beta1), params["autoencoder"], grads, opt_state["autoencoder"]
        )
        params["autoencoder"] = self.network.update(book_key, learned, code)
        if self.discriminator is not None:
            grad = jax.grad(self._discriminator_loss, has_aux=True)
            grads, (logits, extra) = grad(params["discriminator"], real, fake, params["lecam"])
            params["discriminator"], opt_state["discriminator"] = apply_gradients(
                self._optimizer(0.0), params["discriminator"], grads, opt_state["discriminator"]
            )
            params["lecam"] = {side: 0.99 * params["lecam"][side] + 0.01 * logits[side] for side in logits}
            metrics |= extra
        metrics |= {"loss": loss, "learning_rate": cosine(self.learning_rate, at)}
        half_life = cosine(self.ema_half_life, at)
        return next_state(state, params, opt_state, half_life=half_life, images=self.batch_size), metrics

    def label(self, keys: jax.Array) -> jax.Array | None:
        return None

    def sample(self, ema_params: Mapping[str, Any], keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        if not self.can_sample and "latent" not in conditions:
            raise InputError(
                f"an autoencoder with {type(self.network.bottleneck).__name__} codes has no distribution to draw from; "
                "train a prior on it, such as experiments/fashion_mnist_prior.py"
            )
        z = conditions["latent"] if "latent" in conditions else draw_latents(keys, self.latent_shape)
        return self.decode(ema_params, z * conditions.get("truncation", 1.0))

    def encode(self, ema_params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Encodes images [n h w c] in [0, 1] to latents [n d]."""
        z = self.network.apply(ema_params["autoencoder"], 2 * images - 1, method="latent")
        return cast(jax.Array, z).reshape(len(images), -1)

    def decode(self, ema_params: Mapping[str, Any], latents: jax.Array) -> jax.Array:
        """Decodes latents [n d] to images [n h w c] in [0, 1]."""
        z = latents.reshape(-1, *self.latent_shape)
        images = self.network.apply(ema_params["autoencoder"], z, method="decode")
        return jnp.clip((cast(jax.Array, images) + 1) / 2, 0.0, 1.0)

    def reconstruct(self, ema_params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Encodes and decodes images [n h w c] in [0, 1]."""
        return self.decode(ema_params, self.encode(ema_params, images))

    def _optimizer(self, beta1: float) -> optax.GradientTransformation:
        return optax.adam(by_step(self, self.learning_rate), b1=beta1, b2=0.99, eps=1e-8)

    def _judge(self, state: TrainState) -> tuple[Any, Any]:
        """Returns the parameters of the discriminator in training, and of the network whose features are compared."""
        trained = state.params.get("discriminator")
        return trained, state.ema_params.get("features", trained)

    def _loss(
        self, params: Any, judge: tuple[Any, Any], key: jax.Array, real: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, Any, Metrics]]:
        fake, code = self._reconstruct(params, key, real)
        error = fake - real
        squared = jnp.square(error).mean((1, 2, 3))
        loss = self.l1 * jnp.abs(error).mean((1, 2, 3)) + self.l2 * squared + code.penalty
        psnr = -10 * jnp.log10(jnp.maximum(squared / 4, 1e-10))  # of images in [0, 1]
        metrics = {"psnr": psnr.mean(), "penalty": code.penalty.mean()} | code.statistics
        d_params, f_params = judge
        if self.perceptual:
            critic = self.features if self.features is not None else self.discriminator
            distance = _feature_distance(critic, f_params, real, fake)
            loss += self.perceptual * distance
            metrics["feature_distance"] = distance.mean()
        if self.adversarial:
            real_logits = jax.lax.stop_gradient(self._logits(d_params, real))
            g_loss = ADVERSARIAL[self.loss].generator(real_logits, self._logits(d_params, fake))
            loss += self.adversarial * g_loss
            metrics["g_loss"] = g_loss.mean()
        return loss.mean(), (jax.lax.stop_gradient(fake), code, metrics)

    def _reconstruct(self, params: Any, key: jax.Array, real: jax.Array) -> tuple[jax.Array, Any]:
        """Encodes and decodes; the bottleneck, which may draw and counts codes, always has the whole batch."""
        if not hasattr(self.network, "code"):  # the user's own
            return cast(Any, self.network.apply(params, real, key=key))
        apply = functools.partial(self.network.apply, params)
        code = cast(Any, apply(in_parts(functools.partial(apply, method="features"), real), key=key, method="code"))
        return in_parts(functools.partial(apply, method="decode"), code.z), code

    def _discriminator_loss(
        self, params: Any, real: jax.Array, fake: jax.Array, averages: Mapping[str, jax.Array]
    ) -> tuple[jax.Array, tuple[dict[str, jax.Array], Metrics]]:
        real_logits, r1 = squared_gradient_norm(lambda x: self._logits(params, x), real)
        fake_logits = self._logits(params, fake)
        d_loss = ADVERSARIAL[self.loss].discriminator(real_logits, fake_logits)
        loss = d_loss + self.gamma / 2 * r1
        if self.lecam:
            loss += self.lecam * lecam(real_logits, fake_logits, averages["real"], averages["fake"])
        logits = {"real": real_logits.mean(), "fake": fake_logits.mean()}
        metrics = {
            "d_loss": d_loss.mean(),
            "r1": r1.mean(),
            "logit_real": logits["real"],
            "logit_fake": logits["fake"],
            "d_accuracy": (real_logits > fake_logits).mean(),
        }
        return loss.mean(), (logits, metrics)

    def _logits(self, params: Any, images: jax.Array) -> jax.Array:
        critic = functools.partial(cast(nn.Module, self.discriminator).apply, params)
        return cast(jax.Array, in_parts(critic, images, _no_labels(images)))


def _feature_distance(critic: Any, params: Any, real: jax.Array, fake: jax.Array) -> jax.Array:
    """Averages the absolute differences of the critic's stages, [b] (feature matching, Wang et al. 2018)."""
    params = jax.lax.stop_gradient(params)
    stages = functools.partial(critic.apply, params, method="stages")

    def distance(real: jax.Array, fake: jax.Array) -> jax.Array:
        pairs = zip(stages(fake), jax.lax.stop_gradient(stages(real)), strict=True)
        return jnp.stack([jnp.abs(a - b).mean((1, 2, 3)) for a, b in pairs]).mean(0)

    return cast(jax.Array, in_parts(distance, real, fake))


def _no_labels(images: jax.Array) -> jax.Array:
    return constrain(jnp.zeros(len(images), jnp.int32))
