"""What C2PA signatures cost, what they notice, and whose are trusted.

    python benchmarks/signatures.py                # all sections
    python benchmarks/signatures.py tampering      # one
    python benchmarks/signatures.py --smoke        # a little of each
    python benchmarks/signatures.py --json FILE    # also writes the numbers

signing: images of 64, 256 and 512 pixels as files, marked, and marked and signed, by turns: milliseconds and bytes that
the signature adds. Exit code 1 where it takes more than 40 ms (median).
tampering: signed files of each format, of which bytes or bits are changed, deleted, inserted or appended, and chunks
swapped or left out; and each byte of a small file. Exit code 1 where a file that is not the same stays trusted. Beside
it, what the library that reads signatures trusts, without what gen looks at.
certificates: whether gen signs with certificates of each kind, and what it says of a file that was signed with one all
the same, by other means; where the authority is trusted, and where the signer's certificate itself is listed. Exit code
1 where one is trusted that must not be, or is not that should be.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

import certificates as made  # noqa: E402
import forgery  # noqa: E402
from linear_run import photo  # noqa: E402
from provenance import Kit, Sections, main  # noqa: E402
from tampering import WAYS, tampered  # noqa: E402
from time_authority import time_authority  # noqa: E402

from gen.errors import InputError  # noqa: E402
from gen.outputs import image_writer  # noqa: E402
from gen.provenance import c2pa  # noqa: E402

MOST_MS = 40.0  # that a signature may add to a file
FORMATS = ("png", "jpeg", "webp", "gif")


def signing(count: int) -> Iterator[dict[str, Any]]:
    """Encodes `count` images in all, with and without a signature."""
    with tempfile.TemporaryDirectory() as scratch:
        kit = Kit(pathlib.Path(scratch))
        policies = {"unsigned": dataclasses.replace(kit.policy, level="mark", signer=None), "signed": kit.policy}
        cases = [(side, format) for side in (64, 256, 512) for format in FORMATS[:3]]
        for side, format in cases if count > 9 else cases[:3]:
            images = [photo(seed, side) for seed in range(-(-count // len(cases)))]
            seconds: dict[str, list[float]] = {name: [] for name in policies}
            sizes: dict[str, list[int]] = {name: [] for name in policies}
            for turn, image in enumerate([images[0], *images]):  # the first compiles
                for name in sorted(policies, reverse=turn % 2 == 0):
                    began = time.perf_counter()
                    content = image_writer.encode([image], format=format, record=kit.record, policy=policies[name])
                    seconds[name].append(time.perf_counter() - began)
                    sizes[name].append(len(content))
            before, after = (np.asarray(seconds[name][1:]) * 1e3 for name in ("unsigned", "signed"))
            added = float(np.median(after - before))
            yield {
                "side": side,
                "format": format,
                "images": len(images),
                "unsigned, ms": round(float(np.median(before)), 1),
                "signed, ms": round(float(np.median(after)), 1),
                "added, ms": round(added, 1),
                "added in 95 %, ms": round(float(np.quantile(after - before, 0.95)), 1),
                "added, bytes": round(statistics.median(sizes["signed"]) - statistics.median(sizes["unsigned"])),
                "wrong": count > 9 and added > MOST_MS,
            }


def tampering(count: int) -> Iterator[dict[str, Any]]:
    """Changes a signed file `count` times in each way, and a small one at each byte (or some of them)."""
    with tempfile.TemporaryDirectory() as scratch:
        kit, rng = Kit(pathlib.Path(scratch)), np.random.default_rng(0)
        small, anchors = made.make_kit(pathlib.Path(scratch)), kit.root.read_text()
        for format in FORMATS:
            content = kit.file(64, format)
            for way in WAYS:
                times = count * (10 if way == "bytes" and count > 9 else 1)
                yield _told(format, way, (tampered(way, rng, content) for _ in range(times)), anchors)
            content = small.file(format)
            places = range(0, len(content), 1 if count > 9 else 200)
            each = (
                content[:at] + bytes([content[at] ^ 1 << int(rng.integers(8))]) + content[at + 1 :] for at in places
            )
            yield _told(format, "each byte of a small file", each, small.anchors)


def _told(format: str, way: str, files: Iterator[bytes], anchors: str) -> dict[str, Any]:
    states, alone = Counter[str](), 0
    for content in files:
        states[c2pa.read(content, format, anchors=anchors).state] += 1
        with contextlib.suppress(Exception):  # of what the library cannot read
            alone += made.report(content, anchors)["state"] == "Trusted"
    return {
        "format": format,
        "changed": way,
        "files": sum(states.values()),
        **{state: states[state] for state in ("trusted", "valid", "broken", "absent")},
        "trusted by the library alone": alone,
        "wrong": bool(states["trusted"] + states["valid"]),
    }


def certificates(count: int) -> Iterator[dict[str, Any]]:
    """Signs with each kind of certificate (of a few kinds if `count` is small), and reads what it signed."""
    with tempfile.TemporaryDirectory() as scratch:
        kit = made.make_kit(pathlib.Path(scratch))
        jpeg = kit.file("JPEG")
        kinds: list[tuple[str, Callable[[Any], Any], bool]] = [
            *((name, make, True) for name, make in made.ALLOWED.items()),
            *((name, make, False) for name, (make, _) in made.REFUSED.items()),
            ("unknown authority of the same names", lambda _: made.make_authority().sign(), False),
        ]
        for name, make, good in kinds[:: 1 if count > 9 else 12]:
            chain = make(kit.authority)
            signed = forgery.resigned(jpeg, chain.certificates, chain.key)
            listed = made.to_pem(chain.certificates[0]).decode()
            found = c2pa.read(signed, anchors=kit.anchors)
            alone = c2pa.read(signed, anchors=listed).state
            yield {
                "certificate": name,
                "signing": _signing(chain),
                "read": found.state,
                "listed itself": alone,
                "because": found.problems[0] if found.problems else "",
                "wrong": (found.state == "trusted") != good or (alone == "trusted" and not good),
            }
        if count > 9:
            yield from _expiring(kit)


def _signing(chain: Any) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            c2pa.signer(*chain.files(pathlib.Path(scratch)))
        except InputError:
            return "refused"
    return "accepted"


def _expiring(kit: Any) -> Iterator[dict[str, Any]]:
    """Signs, waits until the certificate has expired, and reads again: without a time stamp, and with some."""
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(seconds=10)
    dates = {"days": (end - now + made.DAY) / made.DAY, "extensions": {datetime.datetime: now - made.DAY}}
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        tsas: dict[str, str | None] = {"no time stamp": None}
        if shutil.which("openssl"):
            for name, of in (("a time stamp", kit.authority), ("an unknown time stamp", made.make_authority())):
                folder = pathlib.Path(scratch) / name
                folder.mkdir()
                tsas[name] = stack.enter_context(time_authority(of, folder))
        files = {}
        for name, tsa in tsas.items():
            signer = c2pa.signer(*kit.authority.sign(**dates).files(pathlib.Path(scratch)), tsa=tsa)
            files[name] = kit._replace(signer=signer).file("JPEG")
        before = {name: c2pa.read(content, anchors=kit.anchors) for name, content in files.items()}
        time.sleep((end - datetime.datetime.now(datetime.UTC)).total_seconds() + 1.5)
        for name, content in files.items():
            found = c2pa.read(content, anchors=kit.anchors)
            yield {
                "certificate": f"expires after it signed, {name}",
                "signing": "accepted",
                "read": f"{before[name].state}, then {found.state}",
                "listed itself": c2pa.read(content, anchors="").state,
                "because": found.problems[0] if found.problems else "",
                "wrong": (found.state == "trusted") != (name == "a time stamp"),
            }


SECTIONS: Sections = {
    "signing": (signing, 1000, 9),
    "tampering": (tampering, 200, 2),
    "certificates": (certificates, 10, 2),
}


if __name__ == "__main__":
    sys.exit(main(SECTIONS, __doc__))
