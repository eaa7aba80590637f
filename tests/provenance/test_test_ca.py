"""The test authority: its files, their modes, and what they are good for."""

from __future__ import annotations

import io
import stat

import pytest
from PIL import Image

from gen.cli import parse
from gen.errors import InputError
from gen.provenance import c2pa
from gen.provenance.__main__ import ProvenanceOptions, main
from gen.provenance.certificates import common_name, load_certificates
from gen.provenance.test_ca import init_test_ca


def test_a_test_authority_signs_and_is_trusted_only_when_named(tmp_path):
    made = init_test_ca(tmp_path / "ca")
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "PNG")
    record = {"gen:digital_source_type": "trainedAlgorithmicMedia"}
    signed = c2pa.sign(file.getvalue(), "PNG", record, c2pa.signer(made.certificate, made.private_key))
    assert c2pa.read(signed).state == "valid"
    for trust in (made.root, tmp_path / "ca"):
        assert c2pa.read(signed, trust=[trust]).state == "trusted"
    other = init_test_ca(tmp_path / "other")
    assert c2pa.read(signed, trust=[other.root]).state == "valid"


def test_its_names_say_that_it_is_a_test_and_its_key_is_private(tmp_path):
    made = init_test_ca(tmp_path / "ca")
    for path in made:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    names = [common_name(one) for path in made[:2] for one in load_certificates(path)]
    assert len(names) == 3
    assert all(name.startswith("gen TEST") for name in names)
    assert sum("not trusted by anyone" in name for name in names) == 2


def test_nothing_is_replaced(tmp_path):
    (tmp_path / "private_key.pem").write_text("mine")
    with pytest.raises(InputError, match="is there already, and is not replaced"):
        init_test_ca(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["private_key.pem"]
    assert (tmp_path / "private_key.pem").read_text() == "mine"


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        init_test_ca(tmp_path / "file" / "ca")


def test_the_program_prints_the_commands_and_no_key(tmp_path, capsys):
    main(parse(["", "init-test-ca", str(tmp_path / "my ca")], ProvenanceOptions))
    told = capsys.readouterr().out
    assert f"--trust '{tmp_path}/my ca/root.pem'" in told
    assert "GEN_C2PA_PRIVATE_KEY=" in told
    assert "BEGIN" not in told


def test_an_unknown_command_is_refused(tmp_path):
    with pytest.raises(InputError, match="init-test-ca"):
        parse(["", "init-test", str(tmp_path)], ProvenanceOptions)
