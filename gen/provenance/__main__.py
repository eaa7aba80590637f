"""Makes what signing needs, to try it out:

    python -m gen.provenance init-test-ca DIR    a test authority: root.pem, certificate.pem, private_key.pem

The certificates are named "gen TEST": nobody trusts them, and nobody should. What they sign is "valid, signer unknown"
to everyone who does not name DIR/root.pem as trusted. docs/trust.md says how to get a real certificate.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gen.cli import Options, option, run_main
from gen.errors import InputError
from gen.files import printable
from gen.provenance.certificates import INSTALL
from gen.provenance.test_ca import CAFiles, init_test_ca


@dataclass(frozen=True, kw_only=True)
class ProvenanceOptions(Options):
    """What to make, and where."""

    command: Literal["init-test-ca"] = option(..., "What to do: init-test-ca", positional="COMMAND")
    folder: str | Path = option(..., "A new or an empty folder", positional="DIR")


def provenance(options: ProvenanceOptions) -> CAFiles:
    """Makes a test authority. Raises InputError for files that are there already, and without the extra."""
    try:
        return init_test_ca(options.folder)
    except ImportError:
        raise InputError(f"certificates need the package cryptography: {INSTALL}") from None


def main(options: ProvenanceOptions) -> None:
    """Prints what was made, and the commands that use it."""
    made = provenance(options)
    root, certificate, key = (shlex.quote(printable(path)) for path in made)
    print(f"A test authority, which nobody trusts, in {printable(options.folder)}. The private key is for you alone.")
    print("\nSign with it:\n")
    print(f"  export GEN_C2PA_CERTIFICATE={certificate} GEN_C2PA_PRIVATE_KEY={key}")
    print("  python -m gen.sample --workdir RUN --out images --provenance=sign")
    print("\nCheck what it signed; without --trust its signature is valid, but of an unknown signer:\n")
    print(f"  python -m gen.verify images --trust {root}")


if __name__ == "__main__":
    run_main(main, ProvenanceOptions)
