"""The results of an evaluation on the model card, each with what it was computed with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from gen.evaluation import METRICS
from gen.evaluation.results import MetricResult, interval, number
from gen.publishing.facts import Facts
from gen.publishing.markdown import Markdown, code, escaped

_COPIES = 1e-6  # probability of so many near samples, were they new, below which gen.evaluate calls them copies


def model_index_entry(result: MetricResult) -> dict[str, Any]:
    """Returns a result as an entry of the front matter's model-index."""
    names = ("low", "high", "num_samples", "num_references", "seed", "extractor")
    given: dict[str, Any] = {name: getattr(result, name) for name in names}
    given |= {"extractor_digest": result.extractor_digest} if result.extractor_digest else {}
    kind = re.sub(r"[^a-z0-9]+", "-", result.metric.lower()).strip("-")
    return {"type": kind or "metric", "name": result.metric, "value": result.value, "args": given}


def description(result: MetricResult) -> str:
    """Describes the metric of a result; "" for one that is unknown here."""
    return next((m.description for m in METRICS if m.matches(result.metric, result.extractor)), "")


def row(result: MetricResult) -> dict[str, Any]:
    """Returns the cells of a result's row in the table."""
    real = f" against {result.num_references:,} real ones ({result.split})" if result.num_references else ""
    digest = f" ({result.extractor_digest[:12]})" if result.extractor_digest else ""
    settings = {name: value for name, value in result.settings.items() if value is not None}
    return {
        "metric": result.metric,
        "value": number(result.value),
        "interval": interval(result) or "–",
        "better": "" if result.better == "neither" else result.better,
        "images": f"{result.num_samples:,}{real}",
        "extractor": f"{result.extractor}{digest}",
        "settings": ", ".join(f"{name}={value}" for name, value in settings.items()),
    }


def measured(facts: Facts) -> Markdown:
    """Says what was measured, and how."""
    if not facts.results:
        return Markdown("Not measured yet: `python -m gen.evaluate --workdir RUN` does, and renews this card.")
    first = facts.results[0]
    same = facts.evaluated == facts.step
    of = "This checkpoint" if same else f"Checkpoint {facts.evaluated:,}, which is another one,"
    given = {k: v for k, v in first.subject.items() if k not in ("run", "config_digest", "step", "weights_digest")}
    sampled = "".join(f", {name} {value}" for name, value in given.items())
    by = f"gen {escaped(first.version)}, {escaped(first.time[:10])}"
    conditions = f" with {code(sampled.removeprefix(', '))}" if sampled else ""
    return Markdown(
        f"{of} was measured by `python -m gen.evaluate`, {by}: images of seeds {first.seed} and up{conditions}; data "
        f"digest {code(first.data_digest[:12])}; images resized: {code(first.resize)}."
    )


def memorization(results: Sequence[MetricResult]) -> Markdown:
    """Says whether training images are copied, where that was measured."""
    found = {result.metric: result for result in results}
    words = list[str]()
    if {"memorized", "memorized-p"} <= found.keys():
        share, p = found["memorized"], found["memorized-p"].value
        verdict = "Training images are copied" if p < _COPIES else "No sign of copies"
        words.append(
            f"{verdict}: {share.value:.1%} of {share.num_samples:,} samples are nearer to a training image than 99 % "
            f"of held-out images are (95 % interval {interval(share)}); so many would be seen with probability "
            f"{p:.2g} if the samples were new images. One copy among thousands would not show."
        )
    for name in ("C_T", "AuthPct"):
        if name in found:
            words.append(f"`{name}` is {number(found[name].value)}: {description(found[name])}.")
    return Markdown(" ".join(words) or "Not measured.")
