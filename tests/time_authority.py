"""A time stamp authority (RFC 3161) on this machine, which answers by the program openssl."""

from __future__ import annotations

import contextlib
import http.server
import pathlib
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

from certificates import Authority, used_for
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID as Use

from gen.provenance.test_ca import issue, key_to_pem, make_key, to_pem

_CONFIG = """
[tsa]
serial = serial
signer_cert = tsa.pem
certs = chain.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""
_CRITICAL = (x509.ExtendedKeyUsage, x509.KeyUsage)


@contextlib.contextmanager
def time_authority(authority: Authority, folder: pathlib.Path) -> Iterator[str]:
    """Gives the address of a time stamp authority whose certificate comes from `authority`."""
    key = make_key()
    tsa = _critical(issue(key, "time", authority.middle, days=100, extensions=used_for(Use.TIME_STAMPING)), authority)
    (folder / "tsa.pem").write_bytes(to_pem(tsa))
    (folder / "chain.pem").write_bytes(to_pem(authority.middle[0]))
    (folder / "tsa.key").write_bytes(key_to_pem(key))
    (folder / "serial").write_text("01\n")
    (folder / "tsa.conf").write_text(_CONFIG)

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            command = "openssl ts -reply -section tsa -config tsa.conf -queryfile query -out reply"
            subprocess.run(command.split(), cwd=folder, capture_output=True, check=True)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.end_headers()
            self.wfile.write((folder / "reply").read_bytes())

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _critical(certificate: x509.Certificate, authority: Authority) -> x509.Certificate:
    """Issues a certificate again, with its use as a critical extension, which RFC 3161, 2.3 wants."""
    builder = (
        x509.CertificateBuilder(certificate.issuer, certificate.subject, certificate.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
    )
    for extension in certificate.extensions:
        builder = builder.add_extension(extension.value, critical=isinstance(extension.value, _CRITICAL))
    return builder.sign(authority.middle[1], hashes.SHA256())
