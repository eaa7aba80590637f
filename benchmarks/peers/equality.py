"""The proof that gen and its peer compute the same: one step of both from the same parameters, images and latents."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch
from peers import r3gan_torch
from torch import Tensor


class Comparison:
    """Collects how far arrays are apart, relative to the norm of ours; inf where that cannot be said."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.found: dict[str, float] = {}

    def add(self, name: str, ours: Any, theirs: Tensor) -> None:
        a, b = np.asarray(ours, np.float64), theirs.detach().double().cpu().numpy()
        relative = np.linalg.norm(a - b) / np.linalg.norm(a) if a.shape == b.shape and a.any() else np.inf
        self.found[name] = float(np.nan_to_num(relative, nan=np.inf))

    def add_tree(self, name: str, ours: Any, theirs: dict[str, Tensor]) -> None:
        for path, leaf in r3gan_torch.flat(ours):
            self.add(f"{name} {path}", r3gan_torch.swap_axes(path, leaf), theirs[path])

    def tensor(self, array: Any) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self.device)


def differences(task: Any, image: np.ndarray, label: np.ndarray, way: r3gan_torch.Way, device: str) -> dict[str, float]:
    """By quantity: what the networks give, every loss, every gradient, every parameter and average after one step.

    `task` is a small Gan that computes in float32; `image` and `label` are what one step of it takes.
    """
    _no_shortcuts()
    comparison = Comparison(device)
    state, key = _state(task), jax.random.key(2)
    peer = r3gan_torch.Step(task, state.params, way, device)
    d_key, _, z_key = jax.random.split(key, 3)  # as Gan.step draws
    z = jax.random.normal(z_key, (task.batch_size, 2, task.generator.latent))
    penalized = (2 * task.batch_size // task.penalty_stride, *task.image_shape)
    noise = jax.random.normal(jax.random.fold_in(d_key, 2), penalized)
    noise = jnp.concatenate([noise[::2], noise[1::2]]).transpose(0, 3, 1, 2)  # real images, then generated ones
    state, metrics = jax.jit(task.step)(state, {"image": jnp.asarray(image) / 255, "label": jnp.asarray(label)}, key)
    pictures = way.place(comparison.tensor(image).permute(0, 3, 1, 2))
    drawn = comparison.tensor(z), way.place(comparison.tensor(noise))
    for name, loss in peer(pictures, comparison.tensor(label), *drawn).items():
        comparison.add(name, metrics[name], loss)
    for role, leaves in peer.params.items():
        first_moments = optax.tree_utils.tree_get(state.opt_state[role], "mu")  # beta1 is 0: these are the gradients
        gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
        comparison.add_tree(f"{role} gradient", first_moments, gradients)
        comparison.add_tree(f"{role} after a step", state.params[role], leaves)
    averages = dict(zip(peer.params["generator"], peer.average, strict=True))
    comparison.add_tree("average", state.ema_params["generator"], averages)
    return comparison.found


def differences_forward(
    task: Any, image: np.ndarray, label: np.ndarray, way: r3gan_torch.Way, device: str
) -> dict[str, float]:
    """As `differences`, for the generator's images and the discriminator's logits only."""
    _no_shortcuts()
    comparison = Comparison(device)
    params = _state(task).params
    peer = r3gan_torch.Step(task, params, way, device)
    z = jax.random.normal(jax.random.key(3), (len(label), task.generator.latent))
    critic_image = np.float32(image) / 127.5 - 1
    images = jax.jit(task.generator.apply)(params["generator"], z, label).transpose(0, 3, 1, 2)
    logits = jax.jit(task.discriminator.apply)(params["discriminator"], critic_image, label)
    tags, pictures = comparison.tensor(label), comparison.tensor(critic_image).permute(0, 3, 1, 2)
    p, networks = peer.params, peer.networks
    comparison.add("images", images, networks["generator"].generate(p["generator"], comparison.tensor(z), tags))
    comparison.add("logits", logits, networks["discriminator"].judge(p["discriminator"], pictures, tags))
    return comparison.found


def _no_shortcuts() -> None:
    """Full float32 products on both sides, where a GPU would take TF32."""
    jax.config.update("jax_default_matmul_precision", "highest")
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False


def _state(task: Any) -> Any:
    """A fresh state with noise on every parameter: zeros, as many are at the start, would agree with anything."""
    state, noise = jax.jit(task.init)(jax.random.key(0)), np.random.default_rng(1)
    noisy = jax.tree.map(lambda p: p + 0.1 * noise.standard_normal(p.shape, np.float32), state.params)
    return state.replace(params=noisy, ema_params={"generator": noisy["generator"]})
