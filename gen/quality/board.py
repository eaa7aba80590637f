"""All metrics of a set of images against a reference, as cards."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gen.errors import InputError, nearest
from gen.features import Extractor
from gen.files import printable
from gen.metrics import bootstrap, diversity, kernel, labels, memorisation, moments, neighbours, sliced
from gen.metrics.bootstrap import Value
from gen.metrics.neighbours import Neighbours
from gen.quality.cards import Better, Card, distance_name
from gen.quality.sets import Images, K, Reference, subset

EPSILON = 1e-4  # of a way between latents (Karras et al. 2019)
_PIXELS = "pixels alone"
LEAST_HELD_OUT = 100  # images: fewer say nothing of their 1 % quantile


@dataclass(frozen=True)
class Question:
    """What is measured: generated images, against real ones, by an extractor; where they came from, for the cards."""

    generated: Images
    reference: Reference
    extractor: Extractor
    of: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    replicates: int = bootstrap.REPLICATES
    path: tuple[np.ndarray, np.ndarray] | None = None  # images, float [n h w c], EPSILON apart on ways between latents

    @property
    def options(self) -> dict[str, Any]:
        """What every metric takes."""
        return {"replicates": self.replicates, "seed": self.seed}

    @functools.cached_property
    def near(self) -> Neighbours:
        """Of each generated image, the nearest training image."""
        return neighbours.nearest(self.generated.features, self.reference.train.features, 1)

    def card(
        self,
        metric: str,
        value: Value | float,
        better: Better,
        *,
        pixels: bool = False,
        split: str | None = None,
        counts: tuple[int, int] | None = None,
        **settings: Any,
    ) -> Card:
        """A card of this question. pixels: the metric looks at no features. split: of the real images, "none" for none;
        None: of those to compare with. counts: how many of both sets the metric looked at, if not all. settings: of the
        metric."""
        value = value if isinstance(value, Value) else Value(float(value))
        references = {"train": len(self.reference.train), "none": 0}.get(split or "", len(self.reference.real))
        samples, references = counts or (len(self.generated), references)
        if self.of.get("reconstructed"):
            settings["reconstructed"] = True
        return Card(
            metric=metric,
            value=float(value.value),
            low=_finite(value.low),
            high=_finite(value.high),
            better=better,
            extractor=_PIXELS if pixels else self.extractor.name,
            extractor_digest="" if pixels else self.extractor.digest,
            resize="none" if pixels else self.extractor.resize,
            split=split or self.reference.split,
            samples=samples,
            references=references,
            seed=self.seed,
            data_digest=self.reference.digest,
            settings=settings,
            of=dict(self.of),
        )

    def named(self, kind: str) -> str:
        """A metric with the extractor in its name, see `distance_name`."""
        return distance_name(kind, self.extractor)


def _frechet(q: Question) -> Iterable[Card]:
    value = moments.frechet_distance(q.generated.features, q.reference.real.features, **q.options)
    yield q.card(q.named("FD"), _not_negative(value), "lower")


def _frechet_infinite(q: Question) -> Iterable[Card]:
    count, dimensions = q.generated.features.shape
    if count < 4 * dimensions:
        raise InputError(f"{count} samples of {dimensions} features: below {4 * dimensions} it is far too low")
    value = moments.frechet_infinite(q.generated.features, q.reference.real.features, **q.options)
    yield q.card(f"{q.named('FD')}-infinite", value, "lower")


def _kernel(q: Question) -> Iterable[Card]:
    size = min(1000, len(q.generated), len(q.reference.real))
    value = kernel.kernel_distance(q.generated.features, q.reference.real.features, size=size, **q.options)
    yield q.card(q.named("KD"), value, "lower", subset=size)


def _rbf(q: Question) -> Iterable[Card]:
    """With the kernel as wide as real images are apart, as features of this repository have no scale of their own."""
    real = q.reference.real.features
    some = real[subset(len(real), 500)]
    sigma = float(f"{np.median(neighbours.nearest(some, some, len(some) - 1, exclude_self=True).distances):.4g}")
    value = _not_negative(kernel.rbf_mmd(q.generated.features, real, sigma=sigma, **q.options))
    yield q.card(q.named("MMD"), value, "lower", sigma=sigma)


def _mind(q: Question) -> Iterable[Card]:
    value = sliced.mind(q.generated.features, q.reference.real.features, **q.options)
    yield q.card(q.named("MIND"), _not_negative(value), "lower")


def _neighbours(q: Question) -> Iterable[Card]:
    generated, real = q.generated.manifold, q.reference.real.manifold
    for name, value in neighbours.precision_recall(generated, real, k=3, **q.options)._asdict().items():
        yield q.card(name, value, "higher", k=3)
    for name, value in neighbours.density_coverage(generated, real, k=K, **q.options)._asdict().items():
        yield q.card(name, value, "higher", k=K)


def _copies(q: Question) -> Iterable[Card]:
    held_out = _enough_held_out(q)
    sets = (q.generated.features, q.reference.train.features, held_out.features)
    found = memorisation.memorisation(*sets, near=q.near, held_out_near=q.reference.held_out_near)
    about: dict[str, Any] = {"split": "train", "held_out": len(held_out)}
    yield q.card("memorised", found.share, "lower", expected=round(found.expected, 6), **about)
    yield q.card("memorised-p", found.p_value, "neither", **about)


def _nearer_than_new(q: Question) -> Iterable[Card]:
    held_out = _enough_held_out(q)
    sets = (q.generated.features, q.reference.train.features, held_out.features)
    value = memorisation.c_t(*sets, near=q.near, held_out_near=q.reference.held_out_near, **q.options)
    yield q.card("C_T", value, "neither", split="train", held_out=len(held_out))


def _authentic(q: Question) -> Iterable[Card]:
    value = memorisation.auth_pct(q.generated.features, q.reference.train.features, near=q.near, **q.options)
    yield q.card("AuthPct", value, "neither", split=None if q.reference.split == "all" else "train")


def _enough_held_out(q: Question) -> Images:
    held_out = q.reference.held_out
    if len(held_out) < LEAST_HELD_OUT:
        raise InputError(f"{len(held_out)} held-out images do not tell how near new ones are; {LEAST_HELD_OUT} do")
    return held_out


def _vendi(q: Question) -> Iterable[Card]:
    for order in (1.0, 2.0):
        value = diversity.vendi(q.generated.features, q=order, **q.options)
        yield q.card(f"{q.named('Vendi')}-q{order:g}", value, "higher", split="none")


def _score(q: Question) -> Iterable[Card]:
    logits = np.random.default_rng(q.seed).permutation(_logits(q))  # it is of parts, and images may come by class
    value = diversity.inception_score(logits, **q.options)
    yield q.card(q.named("IS"), value, "higher", split="none", **_accuracy(q))


def _modes(q: Question) -> Iterable[Card]:
    logits, counts = _class_logits(q)
    if not counts.all():
        raise InputError(f"no real image of class {q.reference.class_names[int(counts.argmin())]} to compare with")
    found = labels.modes(logits.argmax(1), counts / counts.sum(), **q.options)
    yield q.card("modes-covered", found.covered, "higher", classes=len(counts), **_accuracy(q))
    yield q.card("modes-divergence", found.divergence, "lower", classes=len(counts), **_accuracy(q))


def _agreement(q: Question) -> Iterable[Card]:
    logits, _ = _class_logits(q)
    value = labels.agreement(logits.argmax(1), _asked(q), **q.options)
    yield q.card("class-agreement", value, "higher", split="none", **_accuracy(q))


def _class_distances(q: Question) -> Iterable[Card]:
    real, asked = q.reference.real, _asked(q)
    assert real.labels is not None
    found = labels.class_distances(q.generated.features, asked, real.features, real.labels, **q.options)
    for k, value in found.items():
        if np.isfinite(value.value):  # else a class with one image at most
            name, counts = q.reference.class_names[k], (int(np.sum(asked == k)), int(np.sum(real.labels == k)))
            yield q.card(f"{q.named('FD')}-class-{printable(name)}", _not_negative(value), "lower", counts=counts)


def _logits(q: Question) -> np.ndarray:
    if q.generated.logits is None:
        raise InputError(f"the extractor {q.extractor.name} does not classify these images")
    return q.generated.logits


def _class_logits(q: Question) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the classes of the data, and how many real images each class has."""
    real, names = q.reference.real, q.reference.class_names
    logits = _logits(q)
    if real.labels is None or logits.shape[1] != len(names):
        raise InputError(f"the extractor {q.extractor.name} knows {logits.shape[1]} classes, the data has {len(names)}")
    return logits, np.bincount(real.labels, minlength=len(names))


def _asked(q: Question) -> np.ndarray:
    if q.generated.labels is None or q.reference.real.labels is None:
        raise InputError("the images have no classes")
    return q.generated.labels


def _accuracy(q: Question) -> dict[str, Any]:
    """The numbers of a classifier are no better than it is."""
    return {} if q.extractor.accuracy is None else {"classifier_accuracy": round(q.extractor.accuracy, 4)}


def _path(q: Question) -> Iterable[Card]:
    if q.path is None:
        raise InputError("these images come from no latents to walk between")
    value = diversity.path_length(*map(q.extractor.features, q.path), epsilon=EPSILON, **q.options)
    yield q.card(q.named("PPL"), value, "lower", split="none", pairs=len(q.path[0]), epsilon=EPSILON)


def _sliced(q: Question) -> Iterable[Card]:
    levels = sliced.sliced_wasserstein(q.generated.images, q.reference.real.images, **q.options)
    for level, value in levels.items():
        yield q.card(f"SWD-{level}", _not_negative(value), "lower", pixels=True)


def _ms_ssim(q: Question) -> Iterable[Card]:
    pairs = min(1000, max(1, len(q.generated) // 2))  # more would share their images, and not be as sure as they seem
    options = q.options if pairs >= 20 else {"seed": q.seed, "replicates": 0}
    value = diversity.ms_ssim_diversity(q.generated.images, labels=q.generated.labels, pairs=pairs, **options)
    yield q.card("MS-SSIM", value, "lower", pixels=True, split="none")


_Metric = Callable[[Question], Iterable[Card]]
_GROUPS: dict[str, tuple[_Metric, ...]] = {
    "frechet": (_frechet,),
    "frechet_infinite": (_frechet_infinite,),
    "kernel": (_kernel,),
    "rbf": (_rbf,),
    "mind": (_mind,),
    "neighbours": (_neighbours,),
    "memorisation": (_copies, _nearer_than_new, _authentic),
    "vendi": (_vendi,),
    "score": (_score,),
    "classes": (_modes, _agreement, _class_distances),
    "path": (_path,),
    "sliced": (_sliced,),
    "ms_ssim": (_ms_ssim,),
}
METRICS = tuple(_GROUPS)


def check_metrics(names: Sequence[str]) -> None:
    """Raises InputError for a name that is none of METRICS."""
    for name in names:
        if name not in METRICS:
            raise InputError(f"no metric '{name}'{nearest(name, METRICS)}; allowed: all, cheap, {', '.join(METRICS)}")


def measure(
    question: Question, *, metrics: Sequence[str] = METRICS, say: Callable[[str], None] = lambda text: None
) -> list[Card]:
    """The cards of the metrics asked for, in order.

    A metric that cannot be had of these images, too few of them for one, is left out. say: told that, with the reason,
    and how long each took.
    """
    check_metrics(metrics)
    cards = list[Card]()
    for name in metrics:
        began, before, reasons = time.monotonic(), len(cards), list[str]()
        for metric in _GROUPS[name]:
            try:
                for card in metric(question):
                    cards.append(card)
            except InputError as error:
                reasons.append(str(error))
        without = f"left out: {'; '.join(dict.fromkeys(reasons))}"
        took = f"{name} in {time.monotonic() - began:.1f} s" + (f"; {without}" if reasons else "")
        say(took if len(cards) > before else f"{name} {without}")
    return cards


def _not_negative(value: Value) -> Value:
    """With the interval of what cannot be negative."""
    return value._replace(low=max(value.low, 0.0))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
