"""Findings that need networks, trained on the images themselves: labels in doubt, and images unlike all others.

The images are those of the table, 32 x 32 in color. On one core of an AMD EPYC the networks take about 5 minutes.
"""

from __future__ import annotations

import numpy as np

from gen import cli
from gen.audit_checks import labels as checks
from gen.audit_checks.outliers import distances, outlying
from gen.auditing.findings import Finding
from gen.auditing.items import Collection
from gen.auditing.table import Table
from gen.data import DatasetSplits, Examples
from gen.features.classifier import train_classifier
from gen.features.network_training import Training, output
from gen.features.self_supervised import encoder_network, train_encoder
from gen.files import printable

LEAST = 200  # images that networks learn anything from
TRAINING = Training(encoder_steps=400, classifier_steps=900, batch_size=128)
_SIDE = 32


def learned(
    collection: Collection, table: Table, unlike: np.ndarray, *, training: Training | None = None
) -> list[Finding]:
    """Returns labels in doubt and outliers. unlike: positions of images that are not to be judged, duplicates say."""
    kept = np.setdiff1d(table.readable, unlike)
    if len(kept) < LEAST:
        return []
    training = training or TRAINING
    findings = _outliers(table, kept, training)
    if len(collection.class_names) > 1:
        findings += in_doubt(collection, table, kept, training)
    return findings


def _outliers(table: Table, kept: np.ndarray, training: Training) -> list[Finding]:
    cli.say("training a network that tells images unlike all others")
    source = _source(table.color[kept], np.zeros(len(kept), np.int32), ())
    features = output(encoder_network(_SIDE), train_encoder(source, training=training), _SIDE, 0)(table.color[kept])
    scores = outlying(distances(features / np.linalg.norm(features, axis=1, keepdims=True)))
    return [
        Finding(table.items[i].name, "outlier", round(float(score), 3), "its nearest others are far")
        for i, score in zip(kept, scores, strict=True)
        if score >= 1
    ]


def in_doubt(collection: Collection, table: Table, kept: np.ndarray, training: Training) -> list[Finding]:
    """Finds labels in doubt among `kept` images: trains a classifier on each half, and asks it of the other."""
    cli.say("training two classifiers, each on a half, that judge the labels of the other")
    names, labels = collection.class_names, np.array([table.items[i].label for i in kept], np.int32)
    half = np.random.default_rng(0).permutation(len(kept)) % 2
    probabilities = np.zeros((len(kept), len(names)))
    for part in (0, 1):
        learn, ask = np.flatnonzero(half != part), np.flatnonzero(half == part)
        source = _source(table.color[kept[learn]], labels[learn], names, table.color[kept[ask]], labels[ask])
        logits = train_classifier(source, training=training, seed=part).logits(table.color[kept[ask]])
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        probabilities[ask] = shifted / shifted.sum(1, keepdims=True)
    scores, looks = checks.in_doubt(probabilities, labels)
    return [
        Finding(
            table.items[i].name,
            "label",
            round(float(score), 3),
            f"labeled {printable(names[label])}, looks like {printable(names[look])}",
        )
        for i, score, label, look in zip(kept, scores, labels, looks, strict=True)
        if score >= 1
    ]


def _source(
    images: np.ndarray,
    labels: np.ndarray,
    names: tuple[str, ...],
    held_out: np.ndarray | None = None,
    held_out_labels: np.ndarray | None = None,
) -> DatasetSplits:
    asked = images[:1] if held_out is None else held_out
    answers = labels[:1] if held_out_labels is None else held_out_labels
    return DatasetSplits("audited images", Examples(images, labels), Examples(asked, answers), names)
