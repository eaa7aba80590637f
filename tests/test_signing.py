"""Signatures as a person uses them: a test authority, gen.sample, gen.refine, gen.verify; and where the key is not."""

from __future__ import annotations

import socket

import certificates as made
import pytest
from linear_run import make_run

from gen import refine, sample, verify
from gen.cli.flags import parse
from gen.errors import InputError
from gen.provenance import test_ca
from gen.provenance.c2pa_manifest import IPTC


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A run, an authority, and two signed images."""
    folder = tmp_path_factory.mktemp("signing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_PACKAGES", "linear_run")
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        make_run(folder / "run")
        test_ca.init_test_ca(folder / "ca")
        sampled(folder, "signed", "--seeds=0-1")
    return folder


@pytest.fixture(autouse=True)
def _alone(monkeypatch, root):
    monkeypatch.setenv("GEN_PACKAGES", "linear_run")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(root / "config"))


def credentials(root):
    return ["--provenance=sign", f"--certificate={root}/ca/certificate.pem", f"--private_key={root}/ca/private_key.pem"]


def sampled(root, out, *more):
    given = [f"--workdir={root / 'run'}", f"--out={root / out}", *credentials(root), *more]
    sample.main(parse(["sample", *given], sample.SampleOptions))


def verified(capsys, *given):
    capsys.readouterr()
    code = verify.main(parse(["verify", *map(str, given)], verify.VerifyOptions))
    return code, capsys.readouterr().out.splitlines()


def refined(root, source, out, *more):
    given = [str(source), "--chain=invert", f"--out={root / out}", *credentials(root), *more]
    return refine.main(parse(["refine", *given], refine.RefineOptions))


def test_what_is_refined_is_signed_again_and_keeps_the_signature_of_its_source(root, capsys):
    assert refined(root, root / "signed" / "seed0000.png", "refined", "--format=jpeg") == 0
    code, lines = verified(capsys, root / "refined", f"--trust={root / 'ca'}")
    assert code == 0
    assert "made and refined by gen" in lines[0]
    assert 'signature: trusted (signed by "gen TEST signer, not trusted by anyone"' in lines[0]
    found = made.report((root / "refined" / "seed0000.jpg").read_bytes())
    assert len(found["manifests"]) == 2


def test_a_signed_file_that_was_changed_and_then_refined_is_told(root, capsys, tmp_path):
    content = bytearray((root / "signed" / "seed0001.png").read_bytes())
    at = content.index(b"tEXt") - 4
    content = content[:at] + content[at + 12 + int.from_bytes(content[at : at + 4]) :]  # a text is gone
    (tmp_path / "changed.png").write_bytes(content)
    assert refined(root, tmp_path / "changed.png", "laundered") == 0
    _, lines = verified(capsys, root / "laundered", f"--trust={root / 'ca'}")
    assert "of a source, the picture or its metadata was changed after it was signed" in lines[0]


def test_where_no_time_stamp_is_given_no_file_is_left(root):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        tsa = f"--tsa=http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(InputError, match=r"the time stamp authority .* gave no time stamp") as told:
            sampled(root, "no_time", "--seeds=0-3", tsa)
        assert "\n" not in str(told.value)
        with pytest.raises(InputError, match="none of the 2 files can be refined"):
            refined(root, root / "signed", "no_time", tsa)
    assert not list(root.glob("no_time/**/*.*"))


def test_what_a_camera_signed_is_not_said_to_be_generated(root, capsys, tmp_path):
    kit = made.make_kit(tmp_path)
    anchors, photo = tmp_path / "root.pem", tmp_path / "photo.jpg"
    anchors.write_text(kit.anchors)
    photo.write_bytes(kit.of_another_tool([{"action": "c2pa.created", "digitalSourceType": f"{IPTC}digitalCapture"}]))
    code, lines = verified(capsys, photo, f"--trust={anchors}")
    assert code == 0
    assert "says that a camera took it" in lines[0]
    assert "signature: trusted" in lines[0]
    assert "gen" not in lines[0].replace(str(tmp_path), "").replace("no mark", "").split("photo.jpg: ")[1]


def test_the_key_is_in_no_file_but_its_own(root):
    secret = (root / "ca" / "private_key.pem").read_bytes()
    lines = [line for line in secret.splitlines() if b"-----" not in line]
    having = [path for path in root.rglob("*") if path.is_file() and any(line in path.read_bytes() for line in lines)]
    assert [path.name for path in having] == ["private_key.pem"]
