"""Time stamps of an authority on this machine: who is told the time, and what a changed one is worth."""

from __future__ import annotations

import datetime
import shutil
import socket

import certificates as made
import forgery
import pytest
from time_authority import time_authority

from gen.errors import InputError
from gen.provenance import c2pa

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl answers for the authority")


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return made.make_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def stamped(kit, tmp_path_factory):
    with time_authority(kit.authority, tmp_path_factory.mktemp("tsa")) as tsa:
        files = kit.authority.sign().files(tmp_path_factory.mktemp("signer"))
        return kit._replace(signer=c2pa.signer(*files, tsa=tsa)).file("JPEG")


@needs_openssl
def test_a_time_stamp_of_a_trusted_authority_tells_the_time(kit, stamped):
    found = c2pa.read(stamped, anchors=kit.anchors)
    assert (found.state, found.problems) == ("trusted", [])
    since = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(found.time)
    assert datetime.timedelta(0) <= since < datetime.timedelta(minutes=10)


@needs_openssl
def test_a_time_stamp_of_an_unknown_authority_tells_no_time(kit, stamped):
    found = c2pa.read(stamped)
    assert (found.state, found.time) == ("valid", None)
    assert "who stamped it is not on the trust list" in found.problems[1]


@needs_openssl
def test_a_time_stamp_that_was_changed_breaks_the_signature(kit, stamped):
    begin = stamped.index(b"sigTst2")
    content = bytearray(stamped)
    content[stamped.index(b"\x18\x0f20", begin) + 4] ^= 1  # a digit of its year, after the head of GeneralizedTime
    found = c2pa.read(bytes(content), anchors=kit.anchors)
    assert (found.state, found.time) == ("broken", None)
    assert "the time stamp was changed, or is of something else" in found.problems


@needs_openssl
def test_a_time_stamp_of_something_else_breaks_the_signature(kit, stamped, tmp_path):
    """Signed by another key, whose signature nobody stamped."""
    chain = kit.authority.sign()
    other = forgery.resigned(stamped, chain.certificates, chain.key, keep=("sigTst2",))
    found = c2pa.read(other, anchors=kit.anchors)
    assert (found.state, found.time) == ("broken", None)


def test_an_authority_that_does_not_answer_is_one_line(kit, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        tsa = f"http://127.0.0.1:{closed.getsockname()[1]}"
        signer = c2pa.signer(*kit.authority.sign().files(tmp_path), tsa=tsa)
        with pytest.raises(InputError, match=f"cannot sign: the time stamp authority {tsa} gave no time stamp") as told:
            kit._replace(signer=signer).file("PNG")
    assert "\n" not in str(told.value)
