"""Composes what a C2PA signature says of an image: who wrote it, what was done to make it, and our record.

Assertions, as in the C2PA specification 2.2, chapter 18: `c2pa.actions.v2` (made by a model, or a source that was
opened and edited), `c2pa.soft-binding` (the watermark, by which a copy without metadata finds its way back),
`cawg.training-mining` (whether others may train on it), and `org.gen-images.record`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gen import __version__
from gen.errors import InputError, nearest
from gen.files import printable

RECORD_LABEL = "org.gen-images.record"
CREATED, OPENED, EDITED, PLACED = "c2pa.created", "c2pa.opened", "c2pa.edited", "c2pa.placed"
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
# https://cv.iptc.org/newscodes/digitalsourcetype/ without the terms that it has retired, which are read all the same.
SOURCE_TYPES = {
    *("algorithmicallyEnhanced", "algorithmicMedia", "composite", "compositeCapture", "compositeSynthetic"),
    *("compositeWithTrainedAlgorithmicMedia", "computationalCapture", "dataDrivenMedia", "digitalCapture"),
    *("digitalCreation", "humanEdits", "negativeFilm", "positiveFilm", "print", "screenCapture"),
    *("trainedAlgorithmicMedia", "virtualRecording"),
}
_RETIRED = {"digitalArt", "minorHumanEdits", "softwareImage"}
_OF_C2PA = {f"http://c2pa.org/digitalsourcetype/{term}": term for term in ("empty", "trainedAlgorithmicData")}
_TRAINING = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")


def manifest(
    record: Mapping[str, Any], *, sources: int, mark: Mapping[str, Any] | None, training: bool | None
) -> dict[str, Any]:
    """Returns the definition of a manifest for an image with a record.

    sources: how many files it was made from, named source-0, ...; see `ingredient`. mark: the watermark's algorithm,
    key (its name) and tag. training: whether others may train on the image, if that is to be said. Raises InputError
    for a digital source type that IPTC does not list.
    """
    assertions: list[dict[str, Any]] = [{"label": "c2pa.actions.v2", "data": {"actions": _actions(record, sources)}}]
    assertions += [{"label": RECORD_LABEL, "data": dict(record)}]
    if mark:
        value = ", ".join(f"{name} {mark[name]}" for name in ("key", "tag") if name in mark)
        block = {"scope": {}, "value": value}  # an empty scope is the whole image
        assertions += [{"label": "c2pa.soft-binding", "data": {"alg": str(mark["algorithm"]), "blocks": [block]}}]
    if training is not None:
        use = {"use": "allowed" if training else "notAllowed"}
        assertions += [{"label": "cawg.training-mining", "data": {"entries": dict.fromkeys(_TRAINING, use)}}]
    for assertion in assertions:  # what the signer states himself, and did not gather from others
        assertion["created"] = True
    version = str(record.get("gen:version", __version__))
    return {"claim_generator_info": [{"name": "gen", "version": version}], "assertions": assertions}


def ingredient(number: int, sources: int) -> dict[str, str]:
    """Returns the definition of a source: the parent where it is the only one, else a component."""
    relationship = "parentOf" if sources == 1 else "componentOf"
    return {"title": f"source {number + 1}", "relationship": relationship, "label": f"source-{number}"}


def source_type_uri(term: Any) -> str:
    """Returns the address of a term of IPTC's list of digital source types. Raises InputError for any other."""
    term = str(term).removeprefix(IPTC)
    if term not in SOURCE_TYPES:
        raise InputError(
            f"digital source type '{printable(term)}': IPTC has no such term{nearest(term, SOURCE_TYPES)}; "
            f"allowed: {', '.join(sorted(SOURCE_TYPES))}"
        )
    return IPTC + term


def source_type_term(uri: Any) -> str | None:
    """Returns the last part of a digital source type that was read; None for one that no list has."""
    if not isinstance(uri, str):
        return None
    term = uri.removeprefix(IPTC) if uri.startswith(IPTC) else ""
    return term if term in SOURCE_TYPES | _RETIRED else _OF_C2PA.get(uri)


def _actions(record: Mapping[str, Any], sources: int) -> list[dict[str, Any]]:
    kind, chain = record.get("gen:digital_source_type"), record.get("gen:refine")
    edited: dict[str, Any] = {"action": EDITED, "description": f"refined by gen: {chain}"} if chain else {}
    if sources == 1:
        opened = {"action": OPENED, "parameters": {"ingredientIds": ["source-0"]}}
        edited = edited or {"action": EDITED, "description": "a part made by a model of gen"}
        return [opened, edited | ({"digitalSourceType": source_type_uri(kind)} if kind else {})]
    if not kind:
        raise InputError("the record names no digital source type, which a signature must; allowed: a term of IPTC")
    created = {"action": CREATED, "digitalSourceType": source_type_uri(kind), "description": "made by gen"}
    placed = [{"action": PLACED, "parameters": {"ingredientIds": [f"source-{i}"]}} for i in range(sources)]
    return [created, *placed, *([edited] if edited else [])]
