"""The files of ONNX Runtime for browsers, of the npm package onnxruntime-web: taken from a disk, known by their sha256.

gen neither contains nor fetches them: `npm pack` does.
"""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from pathlib import Path

from gen.errors import InputError
from gen.files import printable, read_regular

VERSION = "1.30.0"
PACKAGE = f"onnxruntime-web-{VERSION}.tgz"
COMMAND = f"npm pack onnxruntime-web@{VERSION}"
FILES = {  # of its folder dist: size, sha256
    "ort.wasm.min.mjs": (50_126, "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b"),
    "ort-wasm-simd-threaded.mjs": (24_381, "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"),
    "ort-wasm-simd-threaded.wasm": (14_239_897, "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
}


def read(place: Path) -> dict[str, bytes]:
    """Reads FILES from the package as npm packs it, from its folder, or from the one that holds them.

    Raises InputError, with the command to type, unless all are there with these very bytes.
    """
    hint = f"type {COMMAND} and give --onnxruntime_web {PACKAGE}"
    try:
        found = _of_folder(place) if place.is_dir() else _of_package(place)
    except (OSError, EOFError, tarfile.TarError, zlib.error, InputError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{printable(place)}: no onnxruntime-web there ({printable(reason)}); {hint}") from None
    for name, (_, digest) in FILES.items():
        if name not in found:
            raise InputError(f"{printable(place)} has no {name}; {hint}")
        if hashlib.sha256(found[name]).hexdigest() != digest:
            raise InputError(f"{printable(place)}: {name} is not that of onnxruntime-web {VERSION}; {hint}")
    return found


def _of_folder(folder: Path) -> dict[str, bytes]:
    dist = next((path for path in (folder / "dist", folder / "package" / "dist") if path.is_dir()), folder)
    return {name: read_regular(dist / name, most=size) for name, (size, _) in FILES.items() if (dist / name).is_file()}


def _of_package(path: Path) -> dict[str, bytes]:
    found = dict[str, bytes]()
    with tarfile.open(path, "r:gz") as package:
        for member in package:
            name = member.name.removeprefix("package/dist/")
            if name in FILES and name != member.name and member.isfile() and (file := package.extractfile(member)):
                found[name] = file.read(FILES[name][0] + 1)
    return found
