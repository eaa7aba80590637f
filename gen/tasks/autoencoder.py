"""Autoencoding: learns to give images back through a bottleneck, with an adversary from the first step if asked for.

Inside this file images are [b h w c] in [-1, 1]; at its door they are in [0, 1].
"""

from __future__ import annotations

import dataclasses
import math
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
from gen.tasks.own import fresh
from gen.tasks.schedule import DECAY, IMAGES, RATE, WEIGHT, Range, check_numbers, cosine
from gen.tasks.state import TrainState, ema


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoencoder:
    """The autoencoding Task, with roles "autoencoder" (averaged) and, with a discriminator, "discriminator".

    loss = l1 |x - y| + l2 (x - y)^2 + perceptual * distance of the discriminator's features + adversarial + what the
    bottleneck asks for. Every Range is a cosine over `schedule_images`.
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

    draws = 1
    reconstructs = True

    def __post_init__(self) -> None:
        check_numbers(self, schedule_images=(1, IMAGES[1]), l1=WEIGHT, l2=WEIGHT, perceptual=WEIGHT, adversarial=WEIGHT)
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
        for role in ("network", "discriminator", "features"):
            if getattr(self, role) is not None:
                shape: dict[str, Any] = {"image_shape": tuple(self.image_shape)}
                network = getattr(self, role).clone(**shape | ({} if role == "network" else {"num_classes": 0}))
                network.check(f"task.{role}")
                object.__setattr__(self, role, network)

    @property
    def samples(self) -> bool:
        """Has it a distribution to draw from? Only a Gaussian bottleneck; for tokens a prior must be learned."""
        return bool(self.network.bottleneck.latents_are_normal)

    def init(self, key: jax.Array) -> TrainState:
        keys = jax.random.split(key, 3)
        image, label = jnp.zeros((1, *self.image_shape)), jnp.zeros((1,), jnp.int32)
        params = {"autoencoder": self.network.init(keys[0], image)}
        average = {"autoencoder": jax.tree.map(jnp.copy, params["autoencoder"])}
        opt_state = {"autoencoder": self._optimizer(self.beta1).init(params["autoencoder"])}
        if self.discriminator is not None:
            params["discriminator"] = fresh(keys[1], self.discriminator, "task.discriminator", image, label, shape=(1,))
            opt_state["discriminator"] = self._optimizer(0.0).init(params["discriminator"])
            params["lecam"] = {"real": jnp.zeros(()), "fake": jnp.zeros(())}
        if self.features is not None:
            average["features"] = self.features.init(keys[2], image, label)
        return TrainState(step=jnp.zeros((), jnp.int32), params=params, opt_state=opt_state, ema_params=average)

    def step(self, state: TrainState, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[TrainState, Metrics]:
        code_key, book_key = jax.random.split(key)
        at = self._progress(state.step)
        real = 2 * batch["image"] - 1
        params, opt_state = dict(state.params), dict(state.opt_state)

        judge = self._judge(state)
        grad = jax.value_and_grad(self._loss, has_aux=True)
        (loss, (fake, code, metrics)), grads = grad(params["autoencoder"], judge, code_key, real)
        learned, opt_state["autoencoder"] = self._update(
            self.beta1, params["autoencoder"], grads, opt_state["autoencoder"]
        )
        params["autoencoder"] = self.network.update(book_key, learned, code)
        if self.discriminator is not None:
            grad = jax.grad(self._discriminator_loss, has_aux=True)
            grads, (logits, extra) = grad(params["discriminator"], real, fake, params["lecam"])
            params["discriminator"], opt_state["discriminator"] = self._update(
                0.0, params["discriminator"], grads, opt_state["discriminator"]
            )
            params["lecam"] = {side: 0.99 * params["lecam"][side] + 0.01 * logits[side] for side in logits}
            metrics |= extra
        half_life = cosine(self.ema_half_life, at)
        average = ema(
            state.ema_params["autoencoder"], params["autoencoder"], half_life=half_life, images=self.batch_size
        )
        metrics |= {"loss": loss, "learning_rate": cosine(self.learning_rate, at)}
        return TrainState(
            step=state.step + 1,
            params=params,
            opt_state=opt_state,
            ema_params={**state.ema_params, "autoencoder": average},
        ), metrics

    def latent(self, keys: jax.Array) -> jax.Array:
        size = math.prod(self.network.latent_shape)
        return jax.vmap(lambda key: jax.random.normal(key, (size,)))(keys)

    def label(self, keys: jax.Array) -> jax.Array | None:
        return None

    def sample(self, ema_params: Mapping[str, Any], keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        if not self.samples and "latent" not in conditions:
            raise InputError(
                f"an autoencoder with {type(self.network.bottleneck).__name__} codes has no distribution to draw from; "
                "train a prior on it, such as experiments/fashion_mnist_prior.py"
            )
        z = conditions["latent"] if "latent" in conditions else self.latent(keys)
        return self.decode(ema_params, z * conditions.get("truncation", 1.0))

    def encode(self, ema_params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Latents [n d] of images [n h w c] in [0, 1]."""
        z = self.network.apply(ema_params["autoencoder"], 2 * images - 1, method="latent")
        return cast(jax.Array, z).reshape(len(images), -1)

    def decode(self, ema_params: Mapping[str, Any], latents: jax.Array) -> jax.Array:
        """Images [n h w c] in [0, 1] of latents [n d]."""
        z = latents.reshape(-1, *self.network.latent_shape)
        images = self.network.apply(ema_params["autoencoder"], z, method="decode")
        return jnp.clip((cast(jax.Array, images) + 1) / 2, 0.0, 1.0)

    def reconstruct(self, ema_params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Images [n h w c] in [0, 1], through the bottleneck and back."""
        return self.decode(ema_params, self.encode(ema_params, images))

    def _progress(self, step: jax.Array) -> jax.Array:
        return step * (self.batch_size / self.schedule_images)

    def _optimizer(self, beta1: float) -> optax.GradientTransformation:
        rate = lambda step: cosine(self.learning_rate, self._progress(step))  # noqa: E731
        return optax.adam(rate, b1=beta1, b2=0.99, eps=1e-8)

    def _update(self, beta1: float, params: Any, grads: Any, opt_state: Any) -> tuple[Any, Any]:
        updates, opt_state = self._optimizer(beta1).update(grads, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    def _judge(self, state: TrainState) -> tuple[Any, Any]:
        """Parameters of the discriminator in training, and of the network whose features are compared."""
        trained = state.params.get("discriminator")
        return trained, state.ema_params.get("features", trained)

    def _loss(
        self, params: Any, judge: tuple[Any, Any], key: jax.Array, real: jax.Array
    ) -> tuple[jax.Array, tuple[jax.Array, Any, Metrics]]:
        fake, code = cast(Any, self.network.apply(params, real, key=key))
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
        return cast(jax.Array, cast(nn.Module, self.discriminator).apply(params, images, _no_labels(images)))


def _feature_distance(critic: Any, params: Any, real: jax.Array, fake: jax.Array) -> jax.Array:
    """[b]: mean absolute difference of the critic's features, stage by stage (feature matching, Wang et al. 2018)."""
    params = jax.lax.stop_gradient(params)
    wanted = jax.lax.stop_gradient(critic.apply(params, real, method="stages"))
    made = critic.apply(params, fake, method="stages")
    distances = [jnp.abs(a - b).mean((1, 2, 3)) for a, b in zip(made, wanted, strict=True)]
    return jnp.stack(distances).mean(0)


def _no_labels(images: jax.Array) -> jax.Array:
    return constrain(jnp.zeros(len(images), jnp.int32))
