"""Signatures: signed and read again, tampered with, of unknown signers, with sources, and without a network."""

from __future__ import annotations

import io

import certificates as made
import numpy as np
import pytest
from PIL import Image

from gen.errors import InputError
from gen.provenance import c2pa

FORMATS = ("PNG", "JPEG", "WEBP")
RECORD = {
    "gen:version": "0.1.0",
    "gen:seed": 7,
    "gen:truncation": 0.7,
    "gen:label": "Bär \U0001f43b",
    "gen:digital_source_type": "trainedAlgorithmicMedia",
}


@pytest.fixture(scope="module")
def authority():
    return made.make_authority()


@pytest.fixture(scope="module")
def signer(authority, tmp_path_factory):
    return c2pa.signer(*authority.sign().files(tmp_path_factory.mktemp("signer")))


@pytest.fixture(scope="module")
def root(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("root") / "root.pem"
    path.write_bytes(made.to_pem(authority.root[0]))
    return path


def picture(format="PNG", seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return file.getvalue()


def pixels(content):
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("format", [*FORMATS, "GIF"])
def test_a_signed_file_is_trusted_where_its_authority_is_and_valid_elsewhere(format, signer, root):
    content = picture(format)
    signed = c2pa.sign(content, format, RECORD, signer)
    assert np.array_equal(pixels(signed), pixels(content))
    found = c2pa.read(signed, format, trust=[root])
    assert (found.state, found.signer, found.problems) == ("trusted", "signer", [])
    assert found.record == RECORD
    assert (found.source_type, found.actions) == ("trainedAlgorithmicMedia", ["c2pa.created"])
    assert found.time is None
    for other in (c2pa.read(signed, format), c2pa.read(signed)):
        assert (other.state, other.problems) == ("valid", ["the signer is not on the trust list"])


@pytest.mark.parametrize("format", FORMATS)
def test_no_signature_is_absent(format, signer, root):
    assert c2pa.read(picture(format), format, trust=[root]) == c2pa.Signature("absent")
    stripped = io.BytesIO()
    Image.open(io.BytesIO(c2pa.sign(picture(format), format, RECORD, signer))).save(stripped, format)
    assert c2pa.read(stripped.getvalue(), format, trust=[root]).state == "absent"


def test_changed_pixels_are_told(signer, root):
    signed = bytearray(c2pa.sign(picture("JPEG"), "JPEG", RECORD, signer))
    signed[-200] ^= 1
    found = c2pa.read(bytes(signed), trust=[root])
    assert (found.state, found.problems[0]) == ("broken", "the picture or its metadata was changed after it was signed")


def test_an_invented_digital_source_type_is_refused(signer):
    with pytest.raises(InputError, match="IPTC has no such term; did you mean 'trainedAlgorithmicMedia'"):
        c2pa.sign(picture(), "PNG", RECORD | {"gen:digital_source_type": "trainedAlgorithmicMagic"}, signer)
    with pytest.raises(InputError, match="no digital source type"):
        c2pa.sign(picture(), "PNG", {"gen:seed": 1}, signer)


def test_a_format_that_cannot_be_signed_is_refused(signer):
    assert [c2pa.can_sign(format) for format in ("png", "JPEG", "WebP", "BMP")] == [True, True, True, False]
    with pytest.raises(InputError, match="a BMP file cannot be signed; allowed: PNG, JPEG, WEBP"):
        c2pa.sign(picture("BMP"), "BMP", RECORD, signer)


def test_what_is_no_picture_is_refused_at_signing_and_broken_at_reading(signer):
    with pytest.raises(InputError, match="cannot sign: C2PA refuses it"):
        c2pa.sign(b"not a picture", "PNG", RECORD, signer)
    assert c2pa.read(b"not a picture").state == "absent"
    assert c2pa.read(b"", "PNG").state in ("absent", "broken")


def test_the_mark_is_bound_softly_by_its_algorithm(signer):
    mark = {"algorithm": "org.gen-images.watermark.1", "key": "0940ff02", "tag": 7}
    found = made.stated(c2pa.sign(picture(), "PNG", RECORD, signer, mark=mark), "c2pa.soft-binding")
    assert found["alg"] == "org.gen-images.watermark.1"
    assert [block["value"] for block in found["blocks"]] == ["key 0940ff02, tag 7"]


@pytest.mark.parametrize(("training", "use"), [(True, "allowed"), (False, "notAllowed")])
def test_whether_others_may_train_is_said_when_asked(training, use, signer):
    found = made.stated(c2pa.sign(picture(), "PNG", RECORD, signer, training=training), "cawg.training-mining")
    assert {entry["use"] for entry in found["entries"].values()} == {use}
    assert "cawg.ai_generative_training" in found["entries"]
    with pytest.raises(StopIteration):
        made.stated(c2pa.sign(picture(), "PNG", RECORD, signer), "cawg.training-mining")


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_refined_keeps_the_signature_of_its_source(format, signer, root):
    source = c2pa.sign(picture(format), format, RECORD, signer)
    refined = c2pa.sign(picture(format, 1), format, RECORD | {"gen:refine": "invert"}, signer, sources=[source])
    found = c2pa.read(refined, trust=[root])
    assert (found.state, found.actions, found.problems) == ("trusted", ["c2pa.opened", "c2pa.edited"], [])
    report = made.report(refined)
    assert len(report["manifests"]) == 2
    (parent,) = report["manifests"][report["active_manifest"]]["ingredients"]
    assert parent["relationship"] == "parentOf"
    assert parent["active_manifest"] == made.report(source)["active_manifest"]


def test_a_source_that_was_changed_is_told_and_the_new_signature_holds(signer, root):
    source = bytearray(c2pa.sign(picture("JPEG"), "JPEG", RECORD, signer))
    source[-200] ^= 1
    refined = c2pa.sign(picture(), "PNG", RECORD | {"gen:refine": "invert"}, signer, sources=[bytes(source)])
    found = c2pa.read(refined, trust=[root])
    told = "of a source, the picture or its metadata was changed after it was signed"
    assert (found.state, found.problems) == ("trusted", [told])


def test_several_sources_are_placed_in_a_new_picture(signer, root):
    sources = [picture(seed=seed) for seed in (1, 2)]
    found = c2pa.read(c2pa.sign(picture(), "PNG", RECORD, signer, sources=sources), trust=[root])
    assert (found.state, found.actions) == ("trusted", ["c2pa.created", "c2pa.placed", "c2pa.placed"])
