"""Tells what is known about where images come from: python -m gen.verify FILE|DIR... [--trust CA] [--key FILE]

Prints a line for each file: what its record says; whether a signature (C2PA) is trusted, valid of an unknown signer,
broken or absent; whether gen's invisible mark is found, and whether it agrees with the record. A record is plain text
that anyone can copy to any image, so it proves nothing alone; a trusted signature or the mark do. An image in which
nothing is found may be generated nevertheless. Signatures are trusted by the authorities of --trust alone.

    python -m gen.verify photos --trust ca.pem --json > verdicts.json

The mark can be looked for only with the key that it was made with: --key, $GEN_WATERMARK_KEY, or your own. Where it is
not found as written, it is looked for in crops and at other scales, which takes seconds for an image;
--search=aligned leaves that out. Images below 64 pixels may be too small to tell alone, and those of a folder are also
looked at together.

With --regenerate images are made again from their records, and compared before the mark and after: those of a model
need --workdir DIR, the folder of its run; those of gen.refine the file that was refined, among the files or by
--original. What lacks these is told, and changes no exit code. A record that asks for far more than its file shows, or
whose chain would take many minutes, is not made again.

Files are parsed in a process of its own, which may use 2 GiB of memory and 30 s for a file, and open nothing.
--json prints one document: "files", each with "origin" (signed, marked, regenerated, claimed, unknown or unreadable),
"problems", "record", "signature", "mark" and "verdict"; "small_images"; "ignored", what was passed over in folders;
"key"; "exit_code"; for bad input "error" and no files. Exit codes, the first that holds:

    2  bad input, or a file that is no image that can be read
    1  a file in which something does not fit: a broken signature, a record against the mark, or records, or pixels
    3  a file in which nothing was found
    4  a file that only says where it comes from: by a record, or by a signature that nobody vouches for
    0  every file has a trusted signature or the mark, or was made again to the bit, and all fits
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gen import cli
from gen.cli import Options, option, run_main
from gen.errors import InputError
from gen.files import printable
from gen.outputs.output_path import check_writable
from gen.training import compile_cache

if TYPE_CHECKING:
    from gen.verification.answers import Parsed
    from gen.verification.findings import Verdict
    from gen.verification.parse import Parser
    from gen.verification.regenerate import Regenerator
    from gen.verification.verify_files import Verification
    from gen.watermark import Key


@dataclass(frozen=True, kw_only=True)
class VerifyOptions(Options):
    """Which files to verify, and by what."""

    inputs: Sequence[str | Path] = option(
        (), "Image files, and folders with their subfolders.", group="Files", positional="FILE|DIR..."
    )
    json: bool = option(False, "Print one JSON document instead of lines.")
    html: str | Path | None = option(None, "Also write a page with pictures and verdicts to this file.")
    key: str | Path | None = option(None, "File with the secret of the mark.", group="Evidence")
    trust: Sequence[str | Path] = option((), "PEM files of authorities to trust, or folders of them.")
    search: Literal["aligned", "full"] = option("full", "Where to look for the mark; aligned: as written.")
    regenerate: bool = option(False, "Make each image again from its record.", group="Regeneration")
    workdir: str | Path | None = option(None, "Folder of the run that made them; not needed for files of gen.refine.")
    original: Sequence[str | Path] = option((), "Files that were refined, and folders of them.")


def verify(options: VerifyOptions, *, tell: Callable[[str], None] = lambda line: None) -> Verification:
    """Verifies image files. tell: called with each line as soon as it is known. Raises InputError for bad input."""
    if not options.inputs:
        raise InputError("no images: name files or folders, python -m gen.verify FILE|DIR...")
    if options.workdir is not None and not options.regenerate:
        raise InputError("--workdir needs --regenerate")
    from gen.image_io import find_images, ignored_line
    from gen.outputs import manifest
    from gen.provenance.key import known_key
    from gen.provenance.trust_list import load_trust
    from gen.verification.page import Page
    from gen.verification.parse import Parser
    from gen.verification.verify_files import verify_files

    page = Path(options.html) if options.html else None
    if page:
        check_writable(page.parent, "--html")
        manifest.check([page], what="--html")
    found, key = find_images(options.inputs), known_key(options.key)
    shown = Page()

    def seen(verdict: Verdict, parsed: Parsed) -> None:
        tell(verdict.line)
        if page:
            shown.add(verdict, parsed)

    with Parser(load_trust(options.trust)) as parser:
        regenerator = _regenerator(options, parser, key, found.files)
        result = verify_files(found.files, parser, key=key, search=options.search, regenerator=regenerator, seen=seen)
    for pooled in result.small:
        tell(pooled.line)
    if line := ignored_line(found):
        cli.say(line)
    if page:
        manifest.write(page, shown.html(result.small).encode())
    return result._replace(ignored=found.ignored)


def _regenerator(options: VerifyOptions, parser: Parser, key: Key | None, files: Sequence[Path]) -> Regenerator | None:
    if not options.regenerate:
        return None
    from gen.image_io import find_images
    from gen.verification.regenerate import Regenerator

    originals = [*files, *(find_images(options.original).files if options.original else ())]
    workdir = Path(options.workdir) if options.workdir is not None else None
    return Regenerator(workdir, parser, key=key, originals=originals)


def main(options: VerifyOptions) -> int:
    """Prints a line for each file, or the JSON document; returns the exit code. Raises InputError for bad input."""
    compile_cache.enable(None)
    if not options.json:
        result = verify(options, tell=lambda line: print(line, flush=True))
        if len(result.verdicts) > 1:
            cli.say(result.summary)
        return result.exit_code
    try:
        result = verify(options)
    except InputError as error:
        print(json.dumps({"error": printable(error, longest=1000), "exit_code": 2, "files": []}, indent=2))
        raise
    print(json.dumps(result.data(), indent=2))
    return result.exit_code


if __name__ == "__main__":
    run_main(main, VerifyOptions)
