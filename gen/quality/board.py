"""All metrics of a set of images against a reference, as cards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gen.errors import InputError, nearest
from gen.features import Extractor
from gen.metrics import bootstrap, diversity, kernel, labels, memorisation, moments, neighbours, sliced
from gen.metrics.bootstrap import Value
from gen.quality.cards import Better, Card
from gen.quality.sets import Images, Reference

_PIXELS = "pixels alone"


@dataclass(frozen=True)
class Question:
    """What is measured: generated images, against real ones, by an extractor; where they came from, for the cards."""

    generated: Images
    reference: Reference
    extractor: Extractor
    of: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    replicates: int = bootstrap.REPLICATES
    path: tuple[np.ndarray, np.ndarray] | None = None  # features [n d] of images EPSILON apart on ways between latents

    @property
    def options(self) -> dict[str, Any]:
        """What every metric takes."""
        return {"replicates": self.replicates, "seed": self.seed}

    def card(
        self, metric: str, value: Value | float, better: Better, *, by: str = "", split: str | None = None, **more: Any
    ) -> Card:
        """A card of this question. by: "pixels" for a metric of pixels; split: of the real images, "none" for none."""
        value = value if isinstance(value, Value) else Value(float(value))
        references = {"train": len(self.reference.train), "none": 0}.get(split or "", len(self.reference.real))
        return Card(
            metric=metric,
            value=float(value.value),
            low=_finite(value.low),
            high=_finite(value.high),
            better=better,
            extractor=by or self.extractor.name,
            extractor_digest="" if by else self.extractor.digest,
            resize="none" if by else self.extractor.resize,
            split=split or self.reference.split,
            samples=len(self.generated),
            references=references,
            seed=self.seed,
            data_digest=self.reference.digest,
            settings=more,
            of=dict(self.of),
        )

    def named(self, kind: str) -> str:
        """A distance with the extractor in its name: FID and KID are what only the FID Inception may be called."""
        return (
            f"{kind[0]}ID" if self.extractor.name == "fid" and kind in ("FD", "KD") else f"{kind}-{self.extractor.name}"
        )


def _frechet(q: Question) -> Iterable[Card]:
    value = moments.frechet_distance(q.generated.features, q.reference.real.features, **q.options)
    yield q.card(q.named("FD"), value, "lower")


def _frechet_infinite(q: Question) -> Iterable[Card]:
    value = moments.frechet_infinite(q.generated.features, q.reference.real.features, **q.options)
    yield q.card(f"{q.named('FD')}-infinite", value, "lower")


def _kernel(q: Question) -> Iterable[Card]:
    size = min(1000, len(q.generated), len(q.reference.real))
    value = kernel.kernel_distance(q.generated.features, q.reference.real.features, size=size, **q.options)
    yield q.card(q.named("KD"), value, "lower", subset=size)


def _rbf(q: Question) -> Iterable[Card]:
    """With the kernel as wide as real images are apart, as features of this repository have no scale of their own."""
    some = q.reference.real.features[:500]
    sigma = float(f"{np.median(neighbours.nearest(some, some, len(some) - 1, exclude_self=True).distances):.4g}")
    value = kernel.rbf_mmd(q.generated.features, q.reference.real.features, sigma=sigma, **q.options)
    yield q.card(q.named("MMD"), value, "lower", sigma=sigma)


def _mind(q: Question) -> Iterable[Card]:
    yield q.card(q.named("MIND"), sliced.mind(q.generated.features, q.reference.real.features, **q.options), "lower")


def _neighbours(q: Question) -> Iterable[Card]:
    generated, real = (neighbours.manifold(side.features, k=5) for side in (q.generated, q.reference.real))
    for name, value in neighbours.precision_recall(generated, real, k=3, **q.options)._asdict().items():
        yield q.card(name, value, "higher", k=3)
    for name, value in neighbours.density_coverage(generated, real, k=5, **q.options)._asdict().items():
        yield q.card(name, value, "higher", k=5)


def _memorisation(q: Question) -> Iterable[Card]:
    train, held_out = q.reference.train.features, q.reference.held_out.features
    if len(held_out) < _LEAST_HELD_OUT:
        return
    generated = q.generated.features
    near, held_out_near = (neighbours.nearest(x, train, 1) for x in (generated, held_out))
    found = memorisation.memorisation(generated, train, held_out, near=near, held_out_near=held_out_near)
    about: dict[str, Any] = {"split": "train", "held_out": len(held_out)}
    yield q.card("memorised", found.share, "lower", expected=round(found.expected, 6), **about)
    yield q.card("memorised-p", found.p_value, "neither", **about)
    c_t = memorisation.c_t(generated, train, held_out, near=near, held_out_near=held_out_near, **q.options)
    yield q.card("C_T", c_t, "neither", **about)
    yield q.card("AuthPct", memorisation.auth_pct(generated, train, near=near, **q.options), "neither", split="train")


def _vendi(q: Question) -> Iterable[Card]:
    for order in (1.0, 2.0):
        value = diversity.vendi(q.generated.features, q=order, **q.options)
        yield q.card(f"{q.named('Vendi')}-q{order:g}", value, "higher", split="none")


def _score(q: Question) -> Iterable[Card]:
    if q.generated.logits is not None:
        name = "IS" if q.extractor.name == "fid" else q.named("IS")
        yield q.card(name, diversity.inception_score(q.generated.logits, **q.options), "higher", split="none")


def _classes(q: Question) -> Iterable[Card]:
    logits, real, asked, names = q.generated.logits, q.reference.real, q.generated.labels, q.reference.class_names
    if logits is None or real.labels is None or logits.shape[1] != len(names):
        return
    predicted, counts = logits.argmax(1), np.bincount(real.labels, minlength=len(names))
    if counts.all():
        for name, value in labels.modes(predicted, counts / counts.sum(), **q.options)._asdict().items():
            yield q.card(f"modes-{name}", value, "higher" if name == "covered" else "lower", classes=len(names))
    if asked is not None:
        yield q.card("class-agreement", labels.agreement(predicted, asked, **q.options), "higher", split="none")
        distances = labels.class_distances(q.generated.features, asked, real.features, real.labels, **q.options)
        for k, value in distances.items():
            yield q.card(f"{q.named('FD')}-class-{names[k]}", value, "lower")


def _path(q: Question) -> Iterable[Card]:
    if q.path is not None:
        value = diversity.path_length(*q.path, epsilon=EPSILON, **q.options)
        yield q.card(q.named("PPL"), value, "lower", split="none", pairs=len(q.path[0]), epsilon=EPSILON)


def _sliced(q: Question) -> Iterable[Card]:
    if min(q.generated.images.shape[1:3]) < sliced.SMALLEST:
        return
    levels = sliced.sliced_wasserstein(q.generated.images, q.reference.real.images, **q.options)
    for level, value in levels.items():
        yield q.card(f"SWD-{level}", value, "lower", by=_PIXELS)


def _ms_ssim(q: Question) -> Iterable[Card]:
    if min(q.generated.images.shape[1:3]) >= len(diversity.WINDOW):
        value = diversity.ms_ssim_diversity(q.generated.images, labels=q.generated.labels, **q.options)
        yield q.card("MS-SSIM", value, "lower", by=_PIXELS, split="none")


EPSILON = 1e-4  # of a way between latents (Karras et al. 2019)
_LEAST_HELD_OUT = 100  # images: fewer say nothing of their 1 % quantile
_GROUPS: dict[str, Callable[[Question], Iterable[Card]]] = {
    "frechet": _frechet,
    "frechet_infinite": _frechet_infinite,
    "kernel": _kernel,
    "rbf": _rbf,
    "mind": _mind,
    "neighbours": _neighbours,
    "memorisation": _memorisation,
    "vendi": _vendi,
    "score": _score,
    "classes": _classes,
    "path": _path,
    "sliced": _sliced,
    "ms_ssim": _ms_ssim,
}
METRICS = tuple(_GROUPS)


def check_metrics(names: Sequence[str]) -> None:
    """Raises InputError for a name that is none of METRICS."""
    for name in names:
        if name not in METRICS:
            raise InputError(f"no metric '{name}'{nearest(name, METRICS)}; allowed: all, {', '.join(METRICS)}")


def measure(
    question: Question, *, metrics: Sequence[str] = METRICS, say: Callable[[str], None] = lambda text: None
) -> list[Card]:
    """The cards of the metrics asked for, in order. say: told how long each took."""
    check_metrics(metrics)
    cards = []
    for name in metrics:
        began = time.monotonic()
        cards += list(_GROUPS[name](question))
        say(f"{name} in {time.monotonic() - began:.1f} s")
    return cards


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
