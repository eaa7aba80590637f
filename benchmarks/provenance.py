"""What the record and gen.verify do, how fast, and on hostile files. Signatures themselves: signatures.py.

    python benchmarks/provenance.py                        # all sections
    python benchmarks/provenance.py hostile regeneration   # these
    python benchmarks/provenance.py --smoke                # a few of each
    python benchmarks/provenance.py --json FILE            # also writes the numbers

verification: files for each second of one core, signed and marked, PNG and JPEG of 32 to 512 pixels.
marking: 1,000 images of 32 pixels by gen.sample with the mark and without it, in turns: the medians of the ratios, of
whole processes after a first one, whose compiled programs they find, and of an image. Exit code 1 where one is above
1.05.
large: images up to 6000 x 4000 pixels and very long ones: time and memory to mark them, and time to find the mark as
gen.verify does. Exit code 1 where it is not found.
hostile: 1,000 damaged copies of signed and marked files, and files made to exhaust, through gen.verify with a key and a
trusted authority: what they are taken for, the memory of parent and child, the longest time. Exit code 1 where a
changed copy stays trusted, or a file has no line of its own.
regeneration: images of every family made by gen.sample, and again by gen.verify in another process; and copies of which
the record was changed: how many of these changes are named. Exit code 1 where an image is not equal to the bit.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pathlib
import resource
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests")]

from damage import damaged  # noqa: E402
from export import untrained  # noqa: E402
from linear_run import photo  # noqa: E402

from gen import provenance, watermark  # noqa: E402
from gen.outputs import image_writer  # noqa: E402
from gen.provenance import c2pa, test_ca  # noqa: E402
from gen.provenance.policy import Policy  # noqa: E402
from gen.verification.reduction import reduced  # noqa: E402
from gen.verify import VerifyOptions, verify  # noqa: E402

SECRET = "0123456789abcdef0123456789abcdef"
PAIRS, SLOWER = 7, 1.05  # of processes; how much the mark may slow sampling
LARGE = (
    (512, 512, "uint8"),
    (1536, 2048, "uint8"),
    (3000, 4000, "uint8"),
    (4000, 6000, "uint8"),
    (4000, 6000, "uint16"),
    (300, 9000, "uint8"),
)
SIDES = (32, 64, 128, 256, 512)
FAMILIES = {
    "GAN": "shapes",
    "VAE": "celeba_vae",
    "prior of tokens": "fashion_mnist_prior",
    "prior of pixels": "fashion_mnist_pixels",
}
Rows = list[dict[str, Any]]


class Kit:
    """A key, a test authority, and what writes signed and marked files."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.key, self.root = folder / "key", folder / "ca" / "root.pem"
        self.key.write_text(SECRET)
        self.key.chmod(0o600)
        files = test_ca.init_test_ca(folder / "ca")
        signer = c2pa.signer(files.certificate, files.private_key)
        self.policy = Policy("sign", watermark.key(SECRET.encode()), signer)
        self.record = provenance.record(config_digest="a" * 64, step=1, seed=17, run="benchmark")

    def file(self, side: int, format: str, seed: int = 0) -> bytes:
        """Encodes a signed and marked image."""
        return image_writer.encode([photo(seed, side)], format=format, record=self.record, policy=self.policy)


def verification(count: int) -> Iterator[dict[str, Any]]:
    """Measures gen.verify on `count` files of each size and format."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        kit = Kit(folder)
        for side in SIDES[1:3] if count < 10 else SIDES:
            for format in ("png", "jpeg"):
                given = folder / f"{side}-{format}"
                given.mkdir()
                for i in range(count):
                    (given / f"{i}{image_writer.encoding.suffix(format)}").write_bytes(kit.file(side, format, i))
                options = VerifyOptions(inputs=[given], key=kit.key, trust=[kit.root], search="aligned")
                verify(options)  # compiles
                before, began = _cpu(), time.monotonic()
                result = verify(options)
                wall, cpu = time.monotonic() - began, _cpu() - before
                yield {
                    "side": side,
                    "format": format,
                    "files": count,
                    "files/s": round(count / wall, 1),
                    "files/s of one core": round(count / cpu, 1),
                    "signed": sum(verdict.origin == "signed" for verdict in result.verdicts),
                    "marked": sum(verdict.facts["mark"]["found"] for verdict in result.verdicts),
                }


def _cpu() -> float:
    """Seconds of computing by this process and its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def marking(count: int) -> Iterator[dict[str, Any]]:
    """Measures gen.sample with the mark and without it in turns: `count` images of 32 pixels, in a new process."""
    smoke, levels = count < 500, ("record", "mark")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "key").write_text(SECRET)
        (folder / "key").chmod(0o600)
        run, whole, each = untrained("shapes", folder / "runs"), {"record": [], "mark": []}, {"record": [], "mark": []}
        for pair in range(1 if smoke else PAIRS + 1):
            for level in levels if pair % 2 else levels[::-1]:
                out, key = folder / f"{level}{pair}", _key(folder) if level == "mark" else []
                given = [f"--workdir={run}", f"--out={out}", f"--seeds=0-{count - 1}", f"--provenance={level}", *key]
                began = time.monotonic()
                _program("sample", *given, GEN_CACHE=str(folder / "cache"))
                if not pair and not smoke:
                    continue  # it compiled what the others find
                whole[level].append(time.monotonic() - began)
                written = sorted(path.stat().st_mtime_ns for path in out.iterdir())[count // 4 :]
                # Of the later three quarters, when all is compiled:
                each[level].append((written[-1] - written[0]) / 1e6 / (len(written) - 1))
        slower = {
            name: float(np.median(np.divide(seconds["mark"], seconds["record"])))
            for name, seconds in (("process", whole), ("image", each))
        }
        yield {
            "images": count,
            **{f"s of a process, {level}": round(float(np.median(whole[level])), 2) for level in levels},
            **{f"ms an image, {level}": round(float(np.median(each[level])), 3) for level in levels},
            **{f"marked / recorded, {name}": round(ratio, 3) for name, ratio in slower.items()},
            "wrong": not smoke and max(slower.values()) > SLOWER,
        }


def large(count: int) -> Iterator[dict[str, Any]]:
    """Measures the mark in the first `count` of LARGE: its time and memory, and the time to find it."""
    secret = watermark.key(SECRET.encode())
    for height, width, dtype in LARGE[:count]:
        rng = np.random.default_rng(0)
        small = Image.fromarray(rng.integers(40, 216, (9, 12, 3), np.uint8))
        image = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
        image += rng.integers(-12, 13, (height, width, 1), np.int16)
        image = (np.clip(image, 0, 255).astype(dtype) * (np.iinfo(dtype).max // 255))[None]
        tracemalloc.start()
        watermark.embed(image, secret, tag=1)  # compiles
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        began = time.monotonic()
        marked = watermark.embed(image, secret, tag=1)
        made = time.monotonic()
        seen = reduced(marked[0])
        watermark.detect([seen], secret)  # compiles
        looked = time.monotonic()
        (found,) = watermark.detect([reduced(marked[0])], secret)
        done = time.monotonic()
        full = watermark.detect([seen], secret, search="full") and time.monotonic()
        again = watermark.detect([seen], secret, search="full") and time.monotonic()
        error = np.mean((marked.astype(np.float32) - image) ** 2) / np.iinfo(dtype).max ** 2
        yield {
            "height": height,
            "width": width,
            "bits": np.dtype(dtype).itemsize * 8,
            "s to mark": round(made - began, 3),
            "MiB to mark, with the result": round(most / 2**20),
            "MiB of the image": round(image.nbytes / 2**20),
            "PSNR": round(float(-10 * np.log10(error)), 2),
            "s to find": round(done - looked, 3),
            "s to find, full search": round(again - full, 2),
            "found": found.found,
            "wrong": not found.found,
        }


def hostile(count: int) -> Iterator[dict[str, Any]]:
    """Verifies `count` damaged files, and what was made to exhaust."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        kit = Kit(folder)
        given = folder / "given"
        given.mkdir()
        whole = {
            suffix: kit.file(64, image_writer.encoding.FORMATS[suffix]) for suffix in (".png", ".jpg", ".webp", ".gif")
        }
        same, rng = set[str](), np.random.default_rng(0)
        for i in range(count):
            suffix = list(whole)[i % len(whole)]
            content = damaged(rng, whole[suffix])
            (given / f"damaged{i:04d}{suffix}").write_bytes(content)
            if content == whole[suffix]:
                same.add(f"damaged{i:04d}{suffix}")
        for name, content in exhausting(whole[".png"], whole[".jpg"]).items():
            (given / name).write_bytes(content)
        lines, slowest, last = list[str](), 0.0, time.monotonic()

        def tell(line: str) -> None:
            nonlocal slowest, last
            slowest, last = max(slowest, time.monotonic() - last), time.monotonic()
            lines.append(line)

        options = VerifyOptions(inputs=[given], key=kit.key, trust=[kit.root], search="aligned")
        began = time.monotonic()
        result = verify(options, tell=tell)
        seconds = time.monotonic() - began
        files = sorted(path.name for path in given.iterdir())
        signatures = {v.name: v.facts["signature"]["state"] for v in result.verdicts if v.facts["signature"]}
        trusted = [name for name, state in signatures.items() if state == "trusted"]
        wrong = [name for name in trusted if pathlib.Path(name).name not in same]
        told = [line for line in lines if "\n" not in line and line.isprintable()]
        origins = Counter(verdict.origin for verdict in result.verdicts)
        states = Counter(signatures.values())
        yield {
            "files": len(files),
            "lines of their own": sum(any(f"/{name}: " in line for line in told) for name in files),
            "exit code": result.exit_code,
            **{f"origin {name}": number for name, number in sorted(origins.items())},
            **{f"signature {name}": number for name, number in sorted(states.items())},
            "unchanged copies": len(same),
            "changed and trusted": wrong,
            "seconds": round(seconds, 1),
            "longest between two lines, s": round(slowest, 2),
            "peak of the parent, MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "peak of a child, MiB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
            "wrong": bool(wrong) or result.exit_code != 2 or len(result.verdicts) != len(files),
        }


def exhausting(png: bytes, jpeg: bytes) -> dict[str, bytes]:
    """Files that ask for more memory, time or depth than there is, and files that are no images."""
    size = struct.pack(">II", 60_000, 60_000)
    large = png[:16] + size + png[24:29] + struct.pack(">I", zlib.crc32(png[12:16] + size + png[24:29])) + png[33:]
    zeros = zlib.compress(bytes(2**28), 9)
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    laughs = f'<?xpacket?><!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x:xmpmeta>&a11;</x:xmpmeta>'.encode()
    deep = b"<a>" * 200_000
    manifest = png.index(b"caBX") + 4
    store = bytearray(png[manifest : manifest + struct.unpack(">I", png[manifest - 8 : manifest - 4])[0]])
    boxes = bytes.fromhex("0000001e6a756d62000000166a756d6463327061001100108000")
    pixels = io.BytesIO()
    Image.fromarray(np.zeros((11_000, 12_000), np.uint8)).save(pixels, format="PNG", compress_level=9)
    return {
        "declared.png": large,
        "pixels.png": pixels.getvalue(),
        "ztxt.png": _with_chunk(png, b"zTXt", b"gen:seed\0\0" + zeros),
        "itxt.png": _with_chunk(png, b"iTXt", b"gen:seed\0\1\0\0\0" + zeros),
        "profile.png": _with_chunk(png, b"iCCP", b"x\0\0" + zeros),
        "long.png": _with_chunk(png, b"iTXt", b"gen:run\0\0\0\0\0" + b"x" * 10**7),
        "many.png": _with_chunk(png, b"tEXt", b"gen:x\0y", times=20_000),
        "laughs.png": _with_chunk(png, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + laughs),
        "deep.png": _with_chunk(png, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + deep),
        "json.png": _with_chunk(png, b"iTXt", b"Description\0\0\0\0\0" + b"[" * 10**6),
        "boxes.png": _with_chunk(png, b"caBX", boxes * 20_000),
        "length.png": _with_chunk(png, b"caBX", b"\xff\xff\xff\xff" + bytes(store[4:])),
        "nested.png": _with_chunk(
            png, b"caBX", b"".join(struct.pack(">I4s", 8 * (9_999 - i), b"jumb") for i in range(9_999))
        ),
        "store.png": _with_chunk(png, b"caBX", bytes(store) * 50),
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "segments.jpg": jpeg[:2]
        + (b"\xff\xeb" + struct.pack(">H", 65_535) + b"JP\0\1" + bytes(65_529)) * 200
        + jpeg[2:],
        "empty.png": b"",
        "text.png": b"hello",
        "pdf.png": b"%PDF-1.4\n",
        "program.png": pathlib.Path(sys.executable).resolve().read_bytes()[:100_000],
    }


def _with_chunk(png: bytes, kind: bytes, content: bytes, *, times: int = 1) -> bytes:
    """Puts chunks behind the header of a PNG, in place of its own of this kind."""
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return png[:33] + chunk * times + png[33:]


def regeneration(count: int) -> Iterator[dict[str, Any]]:
    """Makes images of every family, and again in another process."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "key").write_text(SECRET)
        (folder / "key").chmod(0o600)
        smoke = count < 10
        for family, experiment in list(FAMILIES.items())[: 1 if smoke else None]:
            run = untrained(experiment, folder / "runs")
            images, began = folder / experiment, time.monotonic()
            prior = "prior" in family
            few = max(2, count // 10)
            wanted = {
                "stills": [f"--seeds=0-{count - 1}"],
                "chain": [f"--seeds=0-{few - 1}", "--refine=gaussian(1)|grain(0.1)|unsharp_mask(1, 0.5)"],
                "options": [
                    f"--seeds=0-{few - 1}",
                    *(["--temperature=0.7", "--top_k=5"] if prior else ["--truncation=0.7"]),
                ],
                "jpeg": [f"--seeds=0-{few - 1}", "--format=jpeg"],
                "grid.png": [f"--seeds=0-{few - 1}", "--grid"],
            } | ({} if prior else {"film.webp": ["--seeds=0-2", "--interpolate", "--frames=4"]})
            for name, more in list(wanted.items())[: 2 if smoke else None]:
                _program(
                    "sample", f"--workdir={run}", f"--out={images / name}", "--provenance=mark", *_key(folder), *more
                )
            found = _again(folder, run, images)
            equal = [f["regeneration"]["equal_before_mark"] and f["regeneration"]["equal_after_mark"] for f in found]
            stills = [ok for f, ok in zip(found, equal, strict=True) if "/stills/" in f["file"]]
            yield {
                "family": family,
                "stills equal": f"{sum(stills)} of {len(stills)}",
                "all equal": f"{sum(equal)} of {len(equal)}",
                "seconds": round(time.monotonic() - began),
                **_tampered(folder, run, images, 1 if smoke else None),
                "wrong": not all(equal),
            }


def _tampered(folder: pathlib.Path, run: pathlib.Path, images: pathlib.Path, most: int | None) -> dict[str, Any]:
    """Changes one field in the records of copies; returns how many changes are told, and how many named.

    most: ways to change them; None: all.
    """
    sources = sorted((images / "stills").rglob("*.png"))[:5]
    ways: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "seed": lambda record: {"gen:seed": record["gen:seed"] + 1},
        "chain": lambda record: {"gen:refine": "gaussian(2)"},
        "checkpoint": lambda record: {"gen:weights_digest": "0" * 64},
        "config": lambda record: {"gen:config_digest": "0" * 64},
    }
    first = provenance.read(sources[0]) or {}
    if "gen:label" in first:
        ways["label"] = lambda record: {"gen:label": next(n for n in _labels(images) if n != record["gen:label"])}
    said = {
        "seed": "those of seed",
        "chain": "those of chain",
        "label": "those of label",
        "checkpoint": "other weights",
        "config": "another config",
    }
    row = {}
    for way, change in list(ways.items())[:most]:
        target = folder / f"{images.name}-{way}"
        target.mkdir()
        for source in sources:
            record = provenance.read(source) or {}
            with Image.open(source) as image:
                image.save(target / source.name, **provenance.save_options(record | change(record), "PNG"))
        found = _again(folder, run, target)
        told = sum(bool(file["problems"]) for file in found)
        named = sum(any(said[way] in problem for problem in file["problems"]) for file in found)
        row[f"changed {way}"] = f"{told} told, {named} named of {len(found)}"
    return row


def _labels(images: pathlib.Path) -> list[str]:
    records = (provenance.read(path) or {} for path in (images / "stills").rglob("*.png"))
    return sorted({record["gen:label"] for record in records if "gen:label" in record})


def _again(folder: pathlib.Path, run: pathlib.Path, images: pathlib.Path) -> list[dict[str, Any]]:
    given = [str(images), "--regenerate", f"--workdir={run}", "--json", "--search=aligned", *_key(folder)]
    return json.loads(_program("verify", *given, codes=(0, 1, 3, 4)))["files"]


def _key(folder: pathlib.Path) -> list[str]:
    return [f"--key={folder / 'key'}"]


def _program(name: str, *arguments: str, codes: tuple[int, ...] = (0,), **variables: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": tempfile.gettempdir()} | variables
    command = [sys.executable, "-m", f"gen.{name}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode not in codes:
        raise RuntimeError(f"gen.{name} {' '.join(arguments)}: {done.stderr[-2000:]}")
    return done.stdout


Sections = dict[str, tuple[Callable[[int], Iterator[dict[str, Any]]], int, int]]  # with their counts, and small ones
SECTIONS: Sections = {
    "verification": (verification, 200, 2),
    "marking": (marking, 1000, 32),
    "large": (large, 99, 1),
    "hostile": (hostile, 1000, 12),
    "regeneration": (regeneration, 100, 2),
}


def main(sections: Sections, description: str | None) -> int:
    """Prints what each section found; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=", ".join(sections))
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    given = parser.parse_args()
    if unknown := set(given.sections) - set(sections):
        parser.error(f"no section {', '.join(unknown)}; allowed: {', '.join(sections)}")
    found: dict[str, Rows] = {}
    for name in given.sections or sections:
        section, count, few = sections[name]
        print(f"-- {name}", flush=True)
        found[name] = []
        for row in section(few if given.smoke else count):
            found[name].append(row)
            print("; ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return int(any(row.get("wrong") for rows in found.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main(SECTIONS, __doc__))
