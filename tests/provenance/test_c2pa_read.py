"""Who signed: each kind of certificate that may not sign is never trusted, however a file came to be signed by it."""

from __future__ import annotations

import certificates as made
import forgery
import pytest
from cryptography import x509

from gen.provenance import c2pa
from gen.provenance.c2pa_manifest import IPTC

WORDS = {  # what the line says when the file is read; else that the certificate is not one for signing content
    "self-signed": "is self-signed",
    "expired": "had expired, or was not valid yet",
    "not yet valid": "had expired, or was not valid yet",
    "of time stamps": "is for timeStamping only",
    "of OCSP": "is for OCSPSigning only",
    "wrong key": "made with another key",
    "no intermediate": "not on the trust list",
    "issued by a signer": "not on the trust list",
    "expired intermediate": "not on the trust list",
}


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return made.make_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def jpeg(kit):
    return kit.file("JPEG")


@pytest.mark.parametrize("name", made.REFUSED)
def test_what_may_not_sign_is_not_trusted_when_it_has_signed(name, kit, jpeg):
    chain = made.REFUSED[name][0](kit.authority)
    found = c2pa.read(forgery.resigned(jpeg, chain.certificates, chain.key), anchors=kit.anchors)
    assert found.state in ("valid", "broken")
    assert WORDS.get(name, "is not one for signing content") in found.problems[0]


@pytest.mark.parametrize("name", made.REFUSED)
def test_what_may_not_sign_is_not_trusted_where_it_is_listed_itself(name, kit, jpeg):
    chain = made.REFUSED[name][0](kit.authority)
    signed = forgery.resigned(jpeg, chain.certificates, chain.key)
    listed = made.to_pem(*chain.certificates[:1]).decode()
    for anchors in (listed, kit.anchors + listed):
        assert c2pa.read(signed, anchors=anchors).state in ("valid", "broken")


@pytest.mark.parametrize("name", made.ALLOWED)
def test_what_may_sign_is_trusted_where_its_authority_is_and_unknown_elsewhere(name, kit, jpeg):
    chain = made.ALLOWED[name](kit.authority)
    signed = forgery.resigned(jpeg, chain.certificates, chain.key)
    found = c2pa.read(signed, anchors=kit.anchors)
    assert (found.state, found.problems) == ("trusted", [])
    other = made.to_pem(made.make_authority().root[0]).decode()
    for anchors in ("", other):
        found = c2pa.read(signed, anchors=anchors)
        assert (found.state, found.problems) == ("valid", ["the signer is not on the trust list"])


def test_an_authority_of_the_same_name_with_another_key_is_not_trusted(kit, jpeg):
    chain = made.make_authority().sign()  # all names are the same
    found = c2pa.read(forgery.resigned(jpeg, chain.certificates, chain.key), anchors=kit.anchors)
    assert (found.state, found.problems) == ("valid", ["the signer is not on the trust list"])


def test_a_signer_too_far_below_an_authority_is_not_trusted(jpeg):
    chain, root = made.too_far_below()
    found = c2pa.read(forgery.resigned(jpeg, chain.certificates, chain.key), anchors=root)
    assert found.state == "valid"
    assert found.problems[0].endswith("is too far below the authority 'root', which allows fewer between them")
    middle = made.to_pem(chain.certificates[1]).decode()  # whoever trusts this one does not ask the root
    assert c2pa.read(forgery.resigned(jpeg, chain.certificates, chain.key), anchors=middle).state == "trusted"


def test_the_way_to_an_authority_may_be_as_long_as_it_allows(kit, jpeg):
    for length in (0, 1, None):
        allowed = {x509.BasicConstraints: x509.BasicConstraints(True, length)}
        key, signer_key = made.make_key(), made.make_key()
        middle = made.issue(key, "intermediate", kit.authority.root, days=9, authority=True, extensions=allowed)
        signer = made.issue(signer_key, "signer", (middle, key), days=9)
        found = c2pa.read(forgery.resigned(jpeg, (signer, middle), signer_key), anchors=kit.anchors)
        assert (found.state, found.problems) == ("trusted", [])


@pytest.mark.parametrize("uri", [f"{IPTC}trainedAlgorithmicMagic", "http://example.com/trainedAlgorithmicMedia"])
def test_an_invented_digital_source_type_of_another_tool_is_told(uri, kit):
    found = c2pa.read(kit.of_another_tool([{"action": "c2pa.created", "digitalSourceType": uri}]), anchors=kit.anchors)
    assert found.source_type is None
    assert any("digital source type that IPTC does not list" in problem for problem in found.problems)


def test_what_a_camera_signed_is_its_own(kit):
    actions = [{"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}]
    found = c2pa.read(kit.of_another_tool(actions), anchors=kit.anchors)
    assert (found.state, found.source_type, found.record, found.problems) == ("trusted", "digitalCapture", None, [])


def test_a_record_of_another_tool_is_not_ours(kit):
    created = {"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}
    found = c2pa.read(kit.of_another_tool([created], **{"org.other.record": {"gen:seed": 1}}), anchors=kit.anchors)
    assert (found.state, found.record) == ("trusted", None)
