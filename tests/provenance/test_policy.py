"""Levels, and what goes with each: keys, certificates, time stamps, what is said of training."""

from __future__ import annotations

import certificates as made
import numpy as np
import pytest

from gen.cli import parse
from gen.errors import InputError
from gen.outputs import image_writer
from gen.provenance import c2pa, record
from gen.provenance.policy import PolicyOptions, policy

RECORD = record(config_digest="a" * 64, step=1, seed=1)


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No key, certificate or level of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("GEN_WATERMARK_KEY", "GEN_PROVENANCE", c2pa.CERTIFICATE, c2pa.PRIVATE_KEY):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return made.make_authority().sign().files(tmp_path_factory.mktemp("files"))


def signing(files, **more):
    return policy("sign", certificate=files[0], private_key=files[1], **more)


def test_a_certificate_signs_and_no_certificate_marks(files, monkeypatch):
    assert (policy().level, policy().signer) == ("mark", None)
    assert policy(certificate=files[0], private_key=files[1]).level == "sign"
    monkeypatch.setenv(c2pa.CERTIFICATE, str(files[0]))
    with pytest.raises(InputError, match=r"give --private_key or \$GEN_C2PA_PRIVATE_KEY"):
        policy()
    monkeypatch.setenv(c2pa.PRIVATE_KEY, str(files[1]))
    assert policy().signer.name == "signer"
    assert policy("mark").signer is None
    monkeypatch.setenv("GEN_PROVENANCE", "record")
    assert (policy().level, policy().signer, policy().key) == ("record", None, None)


def test_what_does_not_go_together_is_refused(files, monkeypatch):
    with pytest.raises(InputError, match="to sign, a certificate and its private key are needed"):
        policy("sign")
    for name, value in {
        "certificate": files[0],
        "private_key": files[1],
        "tsa": "http://x",
        "training": "allowed",
    }.items():
        for level in ("off", "record", "mark"):
            with pytest.raises(InputError, match=f"--{name} and --provenance={level} do not go together"):
                policy(level, **{name: value})
        with pytest.raises(InputError, match="to sign, a certificate and its private key are needed"):
            policy(**{name: value})
    with pytest.raises(InputError, match=r"--training=maybe; it must be allowed or notAllowed"):
        signing(files, training="maybe")
    with pytest.raises(InputError, match=r"--provenance=signed; it must be one of .*did you mean 'sign'"):
        policy("signed")


def test_secrets_are_not_shown(files):
    assert "key" not in repr(signing(files)).lower().replace("private_key", "")


@pytest.mark.parametrize(("training", "use"), [("allowed", "allowed"), ("notAllowed", "notAllowed"), (None, None)])
def test_what_is_said_of_training_is_in_the_signature(training, use, files):
    more = [] if training is None else [f"--training={training}"]
    given = ["", "--provenance=sign", f"--certificate={files[0]}", f"--private_key={files[1]}", *more]
    rules = parse(given, PolicyOptions).policy()
    content = image_writer.encode([np.zeros((32, 32, 3), np.uint8)], format="png", record=RECORD, policy=rules)
    labels = [one["label"] for one in next(iter(made.report(content)["manifests"].values()))["assertions"]]
    assert ("cawg.training-mining" in labels) == (use is not None)
    if use:
        entries = made.stated(content, "cawg.training-mining")["entries"]
        assert {entry["use"] for entry in entries.values()} == {use}


def test_the_level_of_the_environment_holds_for_what_is_given_none(monkeypatch, capsys):
    monkeypatch.setenv("GEN_PROVENANCE", "off")
    assert (policy().level, policy().key, policy().records) == ("off", None, False)
    assert "provenance: off: the files say nothing" in capsys.readouterr().err
    assert policy("record").records
    assert "provenance: record: " in capsys.readouterr().err
    monkeypatch.setenv("GEN_PROVENANCE", "record")
    assert policy().level == "record"
    assert "provenance: record: " in capsys.readouterr().err  # as it is less than by default
    monkeypatch.setenv("GEN_PROVENANCE", "on")
    with pytest.raises(InputError, match=r"\$GEN_PROVENANCE=on; it must be one of off, record, mark, sign"):
        policy()


def test_a_key_goes_with_a_mark_alone(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("a secret of the tests")
    (tmp_path / "key").chmod(0o600)
    assert policy(key=tmp_path / "key").key.name == policy("mark", key=tmp_path / "key").key.name
    for level in ("off", "record"):
        with pytest.raises(InputError, match=f"--key and --provenance={level} do not go together"):
            policy(level, key=tmp_path / "key")
    monkeypatch.setenv("GEN_PROVENANCE", "record")
    with pytest.raises(InputError, match=r"--key and \$GEN_PROVENANCE=record do not go together"):
        policy(key=tmp_path / "key")


def test_where_nothing_is_marked_no_key_is_made(tmp_path):
    assert policy(marks=False).key is None
    assert not (tmp_path / "config").exists()


def test_a_sidecar_needs_a_record():
    assert parse(["", "--provenance=record", "--sidecar"], PolicyOptions).policy().sidecar
    with pytest.raises(InputError, match="--sidecar writes the record"):
        parse(["", "--provenance=off", "--sidecar"], PolicyOptions).policy()
