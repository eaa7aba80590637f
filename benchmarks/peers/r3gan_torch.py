"""The peer: gen/models/r3gan.py and the step of gen/tasks/gan.py, ported to PyTorch.

Parameters keep the names that Flax gives them ("Block_0/Conv_1/kernel"). Images are [b c h w] in [-1, 1]. Where PyTorch
offers several ways to one result the benchmark tries them all (`WAYS`) and takes the fastest. Eager: torch.compile
cannot differentiate twice, which R1 and R2 need.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from gen.losses import STEP

Parameters = dict[str, Tensor]


class Way(NamedTuple):
    """One way to compute the same."""

    layout: str  # of memory: "contiguous" or "channels_last"
    pointwise: str  # a 1x1 convolution: "conv" or "matmul"
    fir: (
        str  # resampling: "pool" (bilinear interpolation, average pooling), "conv" (depthwise) or "slices" (as in Flax)
    )

    def __str__(self) -> str:
        return f"{self.layout}, 1x1 as {self.pointwise}, FIR as {self.fir}"

    def place(self, x: Tensor) -> Tensor:
        """`x` in this layout, if it is a stack of images or kernels."""
        last = self.layout == "channels_last" and x.ndim == 4
        return x.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


WAYS = [
    Way(*way)
    for way in itertools.product(("contiguous", "channels_last"), ("conv", "matmul"), ("pool", "conv", "slices"))
]


class Networks(NamedTuple):
    """The fields of the two Flax modules, which must agree, and how to compute."""

    widths: tuple[int, ...]
    blocks: int
    expansion: float
    group_size: int | None
    patch: int
    bfloat16_from: int | None
    num_classes: int
    way: Way

    @classmethod
    def of(cls, network: Any, way: Way) -> Networks:
        """`network`: a gen.models.r3gan Generator or Discriminator."""
        return cls(**{name: getattr(network, name) for name in cls._fields if name != "way"}, way=way)

    def dtype(self, side: int) -> torch.dtype:
        low = self.bfloat16_from is not None and side >= self.bfloat16_from
        return torch.bfloat16 if low else torch.float32

    def generate(self, p: Parameters, z: Tensor, label: Tensor) -> Tensor:
        """Latents [b latent], labels [b] to images [b c h w], float32."""
        if self.num_classes:
            z = torch.cat([z, F.embedding(label, p["Embed_0/embedding"])], dim=-1)
        x = self.way.place(p["basis"] * F.linear(z, p["latent/kernel"])[:, :, None, None])
        changes = itertools.count()
        for i, width in enumerate(self.widths):
            if i:
                x = x.to(self.dtype(2 * x.shape[2]))
                x = x if x.shape[1] == width else self._conv(x, p[f"Conv_{next(changes)}/kernel"])
                x = self._upsample(x)
            x = self._stage(p, x, i * self.blocks)
        if self.patch > 1:
            x = self._conv(x, p["fine/kernel"])
            for _ in range(self.patch.bit_length() - 1):
                x = self._upsample(x)
            x = F.leaky_relu(x + p["BiasLeakyReLU_0/bias"].to(x.dtype)[:, None, None], 0.2)
        return self._conv(x, p["image/kernel"]).float()

    def judge(self, p: Parameters, image: Tensor, label: Tensor) -> Tensor:
        """Images [b c h w], labels [b] to logits [b], float32."""
        x = image
        if self.patch > 1:
            x = F.leaky_relu(self._conv(x, p["fine/kernel"], p["BiasLeakyReLU_0/bias"]), 0.2)
            for _ in range(self.patch.bit_length() - 2):
                x = self._downsample(x)
            x = self._to_depth(x)
        x = self._conv(x.to(self.dtype(x.shape[2])), p["image/kernel"])
        changes = itertools.count()
        for done, i in enumerate(reversed(range(len(self.widths)))):
            x = self._stage(p, x, done * self.blocks)
            if i:
                x = self._downsample(x)
                x = x.to(self.dtype(x.shape[2]))
                if self.widths[i - 1] != self.widths[i]:
                    x = self._conv(x, p[f"Conv_{next(changes)}/kernel"])
        x = (x.float() * p["basis"]).sum(dim=(2, 3))
        if not self.num_classes:
            return F.linear(x, p["logit/kernel"])[:, 0]
        return (F.linear(x, p["features/kernel"]) * F.embedding(label, p["Embed_0/embedding"])).sum(dim=1)

    def _stage(self, p: Parameters, x: Tensor, first: int) -> Tensor:
        for n in range(first, first + self.blocks):
            name = f"Block_{n}"
            inner = int(x.shape[1] * self.expansion)
            y = self._conv(x, p[f"{name}/Conv_0/kernel"], p[f"{name}/BiasLeakyReLU_0/bias"])
            y = F.leaky_relu(y, 0.2)
            groups = inner // (self.group_size or inner)
            y = self._conv(y, p[f"{name}/Conv_1/kernel"], p[f"{name}/BiasLeakyReLU_1/bias"], groups)
            y = F.leaky_relu(y, 0.2)
            x = x + self._conv(y, p[f"{name}/Conv_2/kernel"])
        return x

    def _conv(self, x: Tensor, kernel: Tensor, bias: Tensor | None = None, groups: int = 1) -> Tensor:
        kernel = kernel.to(x.dtype)
        bias = None if bias is None else bias.to(x.dtype)
        if kernel.shape[-1] > 1 or self.way.pointwise == "conv":
            return F.conv2d(x, kernel, bias, padding=kernel.shape[-1] // 2, groups=groups)
        if self.way.layout == "channels_last":
            return F.linear(x.permute(0, 2, 3, 1), kernel[:, :, 0, 0], bias).permute(0, 3, 1, 2)
        y = torch.matmul(kernel[:, :, 0, 0], x.flatten(2))
        return (y if bias is None else y + bias[:, None]).unflatten(2, x.shape[2:])

    def _to_depth(self, x: Tensor) -> Tensor:
        """[b c 2h 2w] to [b 4c h w]. Not F.pixel_unshuffle, which orders the channels otherwise."""
        x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).permute(0, 3, 5, 1, 2, 4)
        return self.way.place(x.flatten(1, 3))

    def _upsample(self, x: Tensor) -> Tensor:
        """Twice the side, by [1 3 3 1]/4 with edges repeated."""
        if self.way.fir == "pool":
            return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        if self.way.fir == "conv":
            return F.conv_transpose2d(_edges(x, 1, 1), _taps(x, 4), stride=2, padding=3, groups=x.shape[1])
        for axis in (2, 3):
            n = x.shape[axis]
            padded = _edges(x, int(axis == 2), int(axis == 3))
            before, after = padded.narrow(axis, 0, n), padded.narrow(axis, 2, n)
            x = torch.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], dim=axis + 1).flatten(axis, axis + 1)
        return self.way.place(x)

    def _downsample(self, x: Tensor) -> Tensor:
        """Half the side, by [1 3 3 1]/8 with edges repeated."""
        if self.way.fir == "pool":
            x = F.avg_pool2d(F.avg_pool2d(_edges(x, 1, 1), 2, stride=1), 2, stride=1)
            return F.avg_pool2d(x, 2)
        if self.way.fir == "conv":
            return F.conv2d(_edges(x, 1, 1), _taps(x, 8), stride=2, groups=x.shape[1])
        for axis in (2, 3):
            padded = _edges(x, int(axis == 2), int(axis == 3))
            second = (slice(None),) * axis + (slice(None, None, 2),)
            a, b, c, d = (padded.narrow(axis, i, x.shape[axis] - 1)[second] for i in range(4))
            x = (a + 3 * b + 3 * c + d) / 8
        return self.way.place(x)


def _edges(x: Tensor, vertical: int, horizontal: int) -> Tensor:
    return F.pad(x, (horizontal, horizontal, vertical, vertical), mode="replicate")


def _taps(x: Tensor, total: float) -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype, device=x.device) / total
    return torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)


class Step:
    """The training step of gen.tasks.gan.Gan with the relativistic loss and no augmentation, on one device."""

    def __init__(self, task: Any, params: Mapping[str, Any], way: Way, device: str) -> None:
        """`task` is the Gan, `params` its Flax parameters by role."""
        self.task = task
        self.networks = {role: Networks.of(getattr(task, role), way) for role in params}
        self.params = {role: from_flax(tree, way, device) for role, tree in params.items()}
        self.average = [p.detach().clone() for p in self.params["generator"].values()]
        self.optimizers = {
            role: torch.optim.Adam(list(p.values()), betas=(0.0, 0.9), eps=1e-8, fused=True)
            for role, p in self.params.items()
        }
        self.device = device
        self.steps = 0

    def __call__(
        self, image: Tensor, label: Tensor, z: Tensor | None = None, noise: Tensor | None = None
    ) -> dict[str, Tensor]:
        """One step on uint8 images [2b c h w] and labels [2b]; gives the losses.

        z: latents [b 2 latent]; noise: of finite differences, like the penalized images; None: drawn.
        """
        b, at = self.task.batch_size, self.steps * self.task.batch_size / self.task.schedule_images
        real = (image.float() * (2 / 255) - 1).unflatten(0, (b, 2))
        label = label.unflatten(0, (b, 2))
        z = torch.randn(b, 2, self.task.generator.latent, device=self.device) if z is None else z
        g, d = self.networks["generator"].generate, self.networks["discriminator"].judge
        g_params, d_params = self.params["generator"], self.params["discriminator"]
        with torch.no_grad():
            fake = g(g_params, z[:, 0], label[:, 0])
        loss, metrics = self._discriminator_loss(real[:, 0], fake, label[:, 0], _cosine(self.task.gamma, at), noise)
        self._update("discriminator", loss, at)

        with torch.no_grad():
            real_logits = d(d_params, real[:, 1], label[:, 1])
        fake_logits = d(d_params, g(g_params, z[:, 1], label[:, 1]), label[:, 1])
        g_loss = F.softplus(real_logits - fake_logits).mean()
        self._update("generator", g_loss, at)
        half_life = _cosine(self.task.ema_half_life, at)
        decay = 0.5 ** (b / half_life) if half_life else 0.0
        get_ema_multi_avg_fn(decay)(self.average, [p.detach() for p in g_params.values()], None)
        self.steps += 1
        return metrics | {"g_loss": g_loss.detach()}

    def _discriminator_loss(
        self, real: Tensor, fake: Tensor, label: Tensor, gamma: float, noise: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        p, judge, every = self.params["discriminator"], self.networks["discriminator"].judge, self.task.penalty_stride

        def pairs(columns: slice) -> tuple[Tensor, Tensor]:
            """Real images, then generated ones, and their labels, of columns of the batch seen as [b/every every]."""
            parts = [a.unflatten(0, (-1, every))[:, columns].flatten(0, 1) for a in (real, fake, label)]
            return torch.cat(parts[:2]), torch.cat(parts[2:] * 2)

        images, labels = pairs(slice(0, 1))
        if self.task.penalty == "exact":
            images.requires_grad_()
            logits = judge(p, images, labels)
            (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
            squared_norm = gradient.square().sum(dim=(1, 2, 3))
        else:
            logits = judge(p, images, labels)
            noise = torch.randn_like(images) if noise is None else noise
            squared_norm = ((judge(p, images + STEP * noise, labels) - logits) / STEP).square()
        r1, r2 = (half.mean() for half in squared_norm.chunk(2))
        difference = torch.sub(*logits.chunk(2))
        if every > 1:  # the rest of the batch is only classified
            difference = torch.cat([difference, torch.sub(*judge(p, *pairs(slice(1, every))).chunk(2))])
        loss = F.softplus(-difference).mean()
        return loss + gamma / 2 * (r1 + r2), {"d_loss": loss.detach(), "r1": r1.detach(), "r2": r2.detach()}

    def _update(self, role: str, loss: Tensor, at: float) -> None:
        optimizer = self.optimizers[role]
        for group in optimizer.param_groups:
            group["lr"] = _cosine(self.task.learning_rate, at)
            group["betas"] = (0.0, _cosine(self.task.beta2, at))
        optimizer.zero_grad(set_to_none=True)
        loss.backward(inputs=list(self.params[role].values()))
        optimizer.step()


def from_flax(tree: Mapping[str, Any], way: Way, device: str) -> Parameters:
    """Leaves by path, as trainable tensors in PyTorch's order of axes."""
    leaves = ((name, torch.tensor(swap_axes(name, leaf), device=device)) for name, leaf in flat(tree))
    return {name: way.place(leaf).requires_grad_() for name, leaf in leaves}


def swap_axes(name: str, leaf: np.ndarray) -> np.ndarray:
    """A Flax leaf in PyTorch's order: kernels to [o i h w] or [o i], bases to [c h w], the others as they are."""
    if not name.endswith(("kernel", "basis")):
        return leaf
    return leaf.transpose({2: (1, 0), 3: (2, 0, 1), 4: (3, 2, 0, 1)}[leaf.ndim])


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """The leaves of Flax's {"params": ...} by path: "Block_0/Conv_1/kernel"."""
    for name, value in tree.get("params", tree).items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}/")
        else:
            yield prefix + name, np.asarray(value)


def _cosine(ends: tuple[float, float], progress: float) -> float:
    start, end = ends
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(max(progress, 0.0), 1.0)))
