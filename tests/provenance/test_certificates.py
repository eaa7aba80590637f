"""What may sign, and the one line about each certificate and key that may not."""

from __future__ import annotations

import logging
import pickle

import certificates as made
import pytest
from cryptography.hazmat.primitives import serialization as pem

from gen.errors import InputError
from gen.provenance import c2pa
from gen.provenance.certificates import PASSPHRASE, load_certificates, load_credentials
from gen.provenance.test_ca import key_to_pem, to_pem


@pytest.fixture(scope="module")
def authority():
    return made.make_authority()


def line(call):
    """The one line that refuses what is wrong."""
    with pytest.raises(InputError) as refused:
        call()
    text = str(refused.value)
    assert "\n" not in text
    assert len(text) < 500
    assert "PRIVATE KEY" not in text.replace("-----BEGIN PRIVATE KEY-----", "")
    return text


@pytest.mark.parametrize("name", made.REFUSED)
def test_what_may_not_sign_is_refused_in_one_line_that_says_why(name, authority, tmp_path):
    make, words = made.REFUSED[name]
    certificate, key = make(authority).files(tmp_path)
    told = line(lambda: c2pa.signer(certificate, key))
    assert words in told
    assert str(certificate) in told or str(key) in told
    assert any(word in told for word in ("needed: ", "allowed: ", "renew", "wait, or", "append it", "give the two"))


@pytest.mark.parametrize("name", made.ALLOWED)
def test_what_may_sign_is_accepted_in_any_order(name, authority, tmp_path):
    chain = made.ALLOWED[name](authority)
    loaded = load_credentials(*chain.files(tmp_path))
    assert loaded.name == "signer"
    other = made.shuffled(chain, [authority.root[0]])
    assert load_credentials(*other.files(tmp_path)) == loaded


def test_the_root_is_left_out_as_readers_have_it(authority, tmp_path):
    chain = authority.sign()
    certificates = (*chain.certificates, authority.root[0])
    loaded = load_credentials(*chain._replace(certificates=certificates).files(tmp_path))
    assert loaded.chain.encode() == to_pem(*chain.certificates)


def test_certificate_and_key_may_be_in_one_file(authority, tmp_path):
    chain = authority.sign()
    both = tmp_path / "both.pem"
    both.write_bytes(to_pem(*chain.certificates) + key_to_pem(chain.key))
    assert load_credentials(both, both).algorithm == "es256"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no PEM certificate"),
        (b"\x30\x82\x01\x01", "no PEM certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "holds a private key and no certificate"),
    ],
)
def test_what_is_no_certificate_is_refused(content, words, authority, tmp_path):
    certificate, key = authority.sign().files(tmp_path)
    certificate.write_bytes(content)
    assert words in line(lambda: c2pa.signer(certificate, key))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no PEM private key"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds a certificate and no private key"),
        (b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n", "cannot be read"),
    ],
)
def test_what_is_no_private_key_is_refused_and_not_repeated(content, words, authority, tmp_path):
    certificate, key = authority.sign().files(tmp_path)
    key.write_bytes(content)
    told = line(lambda: c2pa.signer(certificate, key))
    assert words in told
    assert "c2VjcmV0" not in told


def test_missing_files_and_folders_are_refused(authority, tmp_path):
    certificate, key = authority.sign().files(tmp_path)
    assert "cannot read the private key" in line(lambda: c2pa.signer(certificate, tmp_path / "none"))
    assert "cannot read the certificate" in line(lambda: c2pa.signer(tmp_path / "none", key))
    assert "not a regular file" in line(lambda: c2pa.signer(tmp_path, key))


def test_an_encrypted_key_needs_its_passphrase(authority, tmp_path, monkeypatch):
    chain = authority.sign()
    certificate, key = chain.files(tmp_path)
    locked = pem.BestAvailableEncryption(b"open sesame")
    key.write_bytes(chain.key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, locked))
    assert PASSPHRASE in line(lambda: c2pa.signer(certificate, key))
    monkeypatch.setenv(PASSPHRASE, "close sesame")
    told = line(lambda: c2pa.signer(certificate, key))
    assert "does not open it" in told
    assert "sesame" not in told
    monkeypatch.setenv(PASSPHRASE, "open sesame")
    assert c2pa.signer(certificate, key).name == "signer"
    key.write_bytes(key_to_pem(chain.key))  # one that is not encrypted needs none
    assert c2pa.signer(certificate, key).name == "signer"


def test_keys_of_the_older_formats_are_read(authority, tmp_path):
    chain = authority.sign()
    certificate, key = chain.files(tmp_path)
    older = pem.PrivateFormat.TraditionalOpenSSL
    key.write_bytes(chain.key.private_bytes(pem.Encoding.PEM, older, pem.NoEncryption()))
    assert load_credentials(certificate, key).key == key_to_pem(chain.key)


def test_a_key_is_in_no_text_and_no_pickle(authority, tmp_path):
    files = authority.sign().files(tmp_path)
    signer, loaded = c2pa.signer(*files), load_credentials(*files)
    for text in (repr(signer), str(signer), repr(loaded), str(vars(signer))):
        assert "PRIVATE KEY" not in text
    for held in (signer, loaded):
        with pytest.raises(TypeError, match="private key"):
            pickle.dumps(held)


def test_a_key_that_others_can_read_is_told(authority, tmp_path, caplog):
    certificate, key = authority.sign().files(tmp_path)
    with caplog.at_level(logging.WARNING):
        c2pa.signer(certificate, key)
        assert caplog.text == ""
        key.chmod(0o644)
        c2pa.signer(certificate, key)
    assert "others can read this private key; chmod 600 it" in caplog.text


def test_the_environment_names_a_signer(authority, tmp_path, monkeypatch):
    for name in (c2pa.CERTIFICATE, c2pa.PRIVATE_KEY):
        monkeypatch.delenv(name, raising=False)
    assert c2pa.signer_from_environment() is None
    certificate, key = authority.sign().files(tmp_path)
    monkeypatch.setenv(c2pa.CERTIFICATE, str(certificate))
    assert "$GEN_C2PA_PRIVATE_KEY is not" in line(c2pa.signer_from_environment)
    monkeypatch.setenv(c2pa.PRIVATE_KEY, str(key))
    assert c2pa.signer_from_environment().name == "signer"


@pytest.mark.parametrize(
    "tsa", ["", "example.com", "ftp://example.com", "http://", "http://a b", "http://x\n", "http://é"]
)
def test_what_is_no_time_stamp_authority_is_refused(tsa, authority, tmp_path):
    assert "needed: http" in line(lambda: c2pa.signer(*authority.sign().files(tmp_path), tsa=tsa))


def test_names_that_would_damage_a_terminal_are_escaped(authority, tmp_path):
    chain = authority.sign()
    other = tmp_path / "x\x1b[31m.pem"
    other.write_bytes(b"")
    assert "\x1b" not in line(lambda: load_certificates(other))
    assert "\x1b" not in line(lambda: c2pa.signer(chain.files(tmp_path)[0], other))
