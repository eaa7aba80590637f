"""Opens a page on this computer to explore, refine and check what models make: python -m gen.studio RUN...

The page is served on 127.0.0.1 alone, to who has its address with the secret that stands in it, and asks nothing of the
network. What is saved goes into OUT, with records, marks and signatures as by gen.sample and gen.refine; files that gen
did not write are never replaced. Ctrl-C ends it. docs/studio.md shows what it can do.

Needs starlette and uvicorn: pip install "gen-images[studio]".
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
import webbrowser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gen import cli
from gen.cli import option, run_main
from gen.errors import InputError
from gen.files import expand, printable
from gen.outputs.output_path import check_writable
from gen.provenance.policy import PolicyOptions
from gen.training import compile_cache

if TYPE_CHECKING:
    from gen.studio_app.server import Server

_INSTALL = 'pip install "gen-images[studio]"'


@dataclass(frozen=True, kw_only=True)
class StudioOptions(PolicyOptions):
    """Which runs to open, and where what is saved goes."""

    runs: Sequence[str | Path] = option((), "Folders of runs", group="Studio", positional="RUN...")
    out: str | Path = option("studio", "Folder for what is saved")
    port: int = option(0, "Port on 127.0.0.1; 0: one that is free", at_least=0, at_most=65535)
    browser: bool = option(True, "Open the page in the browser")


def studio(options: StudioOptions) -> Server:
    """Makes the server of the page, ready to `serve`. Raises InputError for bad input."""
    if not options.runs:
        raise InputError("no run: name folders, python -m gen.studio RUN...")
    check_writable(Path(options.out))
    policy = options.policy()
    try:
        from gen.studio_app.server import Server
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in ("starlette", "uvicorn"):
            raise
        raise InputError(f"gen.studio needs {name}, which is not there: {_INSTALL}") from None
    from gen.studio_app.workspace import Workspace

    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", options.port))
    except OSError as error:
        bound.close()
        raise InputError(f"--port={options.port}: {error.strerror}; leave it out for one that is free") from None
    try:
        return Server(Workspace([expand(run) for run in options.runs], expand(options.out), policy), bound)
    except BaseException:
        bound.close()
        raise


def main(options: StudioOptions) -> None:
    """Serves the page until Ctrl-C."""
    compile_cache.enable(None)
    server = studio(options)
    server.warm_up()
    cli.say(f"{server.address}  (Ctrl-C ends it; what is saved goes into {printable(options.out)})")
    with _leading_to(server.address) as page:
        if options.browser:
            webbrowser.open(page.as_uri())
        server.serve()


@contextlib.contextmanager
def _leading_to(address: str) -> Iterator[Path]:
    """Makes a file that leads to an address: on the command line of a browser others could read the secret in it."""
    with tempfile.TemporaryDirectory(prefix="gen-studio-") as folder:  # which its owner alone may enter
        page = Path(folder) / "studio.html"
        page.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={address}">')
        yield page


if __name__ == "__main__":
    run_main(main, StudioOptions)
