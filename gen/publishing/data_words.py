"""The words and figures of the dataset card. What others wrote stands in code spans, see gen/publishing/markdown.py."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from gen.publishing.facts import Facts
from gen.publishing.front_matter import front_matter
from gen.publishing.markdown import Markdown, cell, code
from gen.publishing.wording import data_name, pixels

_SHOWN_CLASSES = 100
_SIZES = {"n<1K": 1e3, "1K<n<10K": 1e4, "10K<n<100K": 1e5, "100K<n<1M": 1e6, "1M<n<10M": 1e7, "10M<n<100M": 1e8}
_LICENSES = re.compile(r"mit|apache-2\.0|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[1-4]\.\d|odbl|pddl|unlicense|bsd-[23]-clause")


def of_data(facts: Facts) -> dict[str, Any]:
    """Returns what the template of the dataset card takes."""
    data = facts.data
    skipped = [
        str(entry.get("reason", "?")) if isinstance(entry, Mapping) else "?" for entry in data.get("skipped", ())
    ]
    classes = [code(name) for name in data.get("class_names", ())]
    more = len(classes) - _SHOWN_CLASSES
    return {
        "front_matter": Markdown(front_matter(_data_front(facts))),
        "name": data_name(facts),
        "what": _data_what(facts),
        "rows": list(_data_rows(facts)),
        "classes": Markdown(", ".join(classes[:_SHOWN_CLASSES]) + (f" and {more:,} more" if more > 0 else "")),
        "skipped": f"{len(skipped):,} files were left out; the run's data.json names them." if skipped else "",
        "reasons": Counter(skipped).most_common(20),
        "changes": [_change(change) for change in data.get("changes", ())],
        "seen": _seen(facts),
        "audit": Markdown(" ".join(_audit(data))),
        "license": "" if data.get("license") else "under which license, ",
    }


def _data_front(facts: Facts) -> dict[str, Any]:
    count = facts.data.get("num_train", 0) + facts.data.get("num_held_out", 0)
    size = next((name for name, below in _SIZES.items() if count < below), "100M<n<1B")
    labeled = ["image-classification"] if facts.data.get("class_names") else []
    license_text = str(facts.data.get("license", "")).lower()
    return {
        "pretty_name": data_name(facts),
        "license": license_text if _LICENSES.fullmatch(license_text) else None,
        "size_categories": [size],
        "task_categories": ["unconditional-image-generation", *labeled],
        "tags": ["gen", "image"],
    }


def _data_what(facts: Facts) -> str:
    data = facts.data
    height, width, channels = data["image_shape"]
    held_out = f", and {data['num_held_out']:,} held out to measure with" if data.get("num_held_out") else ""
    return f"{data.get('num_train', 0):,} images to train on{held_out}: {pixels((height, width, channels))}."


def _data_rows(facts: Facts) -> Iterator[tuple[str, Any]]:
    data = facts.data
    yield "Name", cell(data_name(facts))
    yield "Read by", cell(facts.config.data["call"])
    for name in ("source", "license"):
        yield name.capitalize(), cell(data[name]) if data.get(name) else "not stated"
    yield "Classes", f"{data['num_classes']:,}" if data["num_classes"] else "none"
    for name, value in data.get("options", {}).items():
        yield f"Option {name}", cell(json.dumps(value, ensure_ascii=False))
    yield "Digest", cell(data.get("digest", "unknown"))


def _audit(data: Mapping[str, Any]) -> Iterator[str]:
    """Yields what audits found, in sentences."""
    audit, quick, left_out = (data.get(name) or {} for name in ("audit", "quick_audit", "excluded"))
    if audit:
        yield f"By `python -m gen.audit`: {code(audit.get('verdict', ''))}, digest {code(audit.get('digest', ''))}."
    else:
        yield "Not audited."
    if quick:
        found = f"{quick.get('duplicates', 0):,} exact duplicates and {quick.get('leakage', 0):,} images in both splits"
        yield f"A quick look while decoding found {found}."
    if left_out:
        kinds = ", ".join(map(str, left_out.get("kinds", ())))
        yield f"{left_out.get('images', 0):,} images were left out by an audit ({code(kinds)})."


def _change(change: Mapping[str, Any]) -> Markdown:
    parts = {name: code(json.dumps(change.get(name), ensure_ascii=False)) for name in ("was", "is")}
    return Markdown(f"After step {change.get('after_step')}: was {parts['was']}, is {parts['is']}.")


def _seen(facts: Facts) -> str:
    mirrored = " Each is flipped left to right with probability 1/2." if facts.config.mirror else ""
    size = pixels(facts.data["image_shape"])
    return f"As 8-bit images of {size}, decoded and fitted once, by the options above.{mirrored}"
