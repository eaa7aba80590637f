"""gen.verify: a line for each file, exit codes, JSON and the page; images of a run that are marked and signed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from linear_run import make_run, photo
from PIL import Image

from gen import provenance, sample, verify
from gen.cli.flags import parse
from gen.errors import InputError
from gen.verify import VerifyOptions

pytest.importorskip("c2pa")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, a key, an authority, and images: signed and marked, marked, recorded."""
    from gen.provenance import test_ca

    root = tmp_path_factory.mktemp("verify")
    (root / "key").write_text("0123456789abcdef0123456789abcdef")
    (root / "key").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_PACKAGES", "linear_run")
        run = make_run(root / "run")
        test_ca.init_test_ca(root / "ca")
        certificate, key = f"--certificate={root}/ca/certificate.pem", f"--private_key={root}/ca/private_key.pem"
        for level, more in (("sign", [certificate, key]), ("mark", []), ("record", [])):
            given = [f"--workdir={run}", f"--out={root / level}", "--seeds=0-1", f"--provenance={level}", *more]
            secret = [f"--key={root / 'key'}"] * (level != "record")
            sample.main(parse(["sample", *given, *secret], sample.SampleOptions))
    return root


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    """No key and no certificate of whoever runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GEN_PACKAGES", "linear_run")
    monkeypatch.delenv("GEN_WATERMARK_KEY", raising=False)


def program(capsys, *arguments) -> tuple[int, list[str]]:
    code = verify.main(parse(["verify", *map(str, arguments)], VerifyOptions))
    return code, capsys.readouterr().out.splitlines()


def seed(folder: Path, number: int = 0) -> Path:
    return folder / f"seed000{number}.png"


def test_a_signed_and_marked_image_is_proven(folder, capsys):
    code, lines = program(capsys, folder / "sign", f"--key={folder / 'key'}", f"--trust={folder / 'ca' / 'root.pem'}")
    assert code == 0
    assert len(lines) == 2
    assert 'made by gen: run "run", seed 0' in lines[0]
    assert "signature: trusted (signed by" in lines[0]
    assert lines[0].endswith("it agrees with the record")


def test_without_the_authority_the_signer_is_unknown_and_without_the_key_no_mark_is_looked_for(folder, capsys):
    code, lines = program(capsys, folder / "sign")
    assert code == 4
    assert "signature: valid, signer unknown" in lines[0]
    assert "signature: trusted" not in lines[0]
    assert "mark: not looked for (no key)" in lines[0]


def test_verifying_never_makes_a_key(folder, capsys, tmp_path):
    program(capsys, folder / "mark")
    assert not (tmp_path / "config").exists()


def test_a_copy_without_metadata_is_known_by_its_mark(folder, capsys, tmp_path):
    Image.open(seed(folder / "mark")).save(tmp_path / "copy.jpg", quality=90)
    code, lines = program(capsys, tmp_path, f"--key={folder / 'key'}", "--search=aligned")
    assert code == 0
    assert "carries gen's mark (p = " in lines[0]
    assert lines[0].endswith("no record, no signature")


def test_another_key_finds_nothing_and_the_record_proves_nothing(folder, capsys, tmp_path):
    (tmp_path / "other").write_text("fedcba9876543210")
    code, lines = program(capsys, folder / "mark", f"--key={tmp_path / 'other'}", "--search=aligned")
    assert code == 4
    assert "nothing proves it" in lines[0]
    assert "no mark found with this key" in lines[0]


def test_a_record_copied_to_a_photo_is_no_proof(folder, capsys, tmp_path):
    record = provenance.read(seed(folder / "mark"))
    Image.fromarray(photo()).save(tmp_path / "photo.png", **provenance.save_options(record, "PNG"))
    code, lines = program(capsys, tmp_path, f"--key={folder / 'key'}", "--search=aligned")
    assert code == 4
    assert "says that it was made by gen" in lines[0]
    assert "nothing proves it" in lines[0]


def test_exit_codes_in_their_order(folder, capsys, tmp_path):
    key = [f"--key={folder / 'key'}", "--search=aligned"]
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    code, lines = program(capsys, seed(folder / "mark"), seed(folder / "record"), tmp_path / "photo.png", *key)
    assert code == 3
    assert "nothing found" in lines[2]
    assert "this does not tell whether it was generated" in lines[2]
    changed = provenance.read(seed(folder / "mark")) | {"gen:config_digest": "f" * 64}
    Image.open(seed(folder / "mark")).save(tmp_path / "other.png", **provenance.save_options(changed, "PNG"))
    code, lines = program(capsys, tmp_path / "photo.png", tmp_path / "other.png", *key)
    assert code == 1
    assert "the mark names another run than the record" in lines[1]
    (tmp_path / "torn.png").write_bytes(b"torn")
    code, lines = program(capsys, tmp_path / "torn.png", tmp_path / "other.png", *key)
    assert code == 2
    assert "not an image that can be read" in lines[0]


def test_a_change_after_signing_breaks_the_signature(folder, capsys, tmp_path):
    (tmp_path / "broken.png").write_bytes(seed(folder / "sign").read_bytes() + b"more")
    trust = f"--trust={folder / 'ca' / 'root.pem'}"
    code, lines = program(capsys, tmp_path, trust)
    assert code == 1
    assert "signature: broken" in lines[0]
    assert "signature: trusted" not in lines[0]


def test_json_is_one_document_with_everything(folder, capsys):
    trust = f"--trust={folder / 'ca' / 'root.pem'}"
    code, lines = program(capsys, folder / "sign", folder / "record", trust, f"--key={folder / 'key'}", "--json")
    data = json.loads("\n".join(lines))
    assert data["exit_code"] == code == 4
    assert [file["origin"] for file in data["files"]] == ["signed", "signed", "claimed", "claimed"]
    first = data["files"][0]
    assert first["signature"]["state"] == "trusted"
    assert first["signature"]["source_type"] == "trainedAlgorithmicMedia"
    assert first["mark"]["found"]
    assert first["mark"]["agrees_with_record"]
    assert first["record"]["gen:seed"] == 0
    assert set(first["record_places"]) >= {"signature", "text", "EXIF", "XMP"}
    assert "secret" not in json.dumps(data)
    assert "0123456789abcdef" not in json.dumps(data)


def test_json_is_a_document_also_for_bad_input_and_unreadable_files(folder, capsys, tmp_path):
    (tmp_path / "torn.png").write_bytes(b"torn")
    (tmp_path / "x.txt").write_bytes(b"x")
    code, lines = program(capsys, tmp_path, "--json")
    data = json.loads("\n".join(lines))
    assert (code, data["files"][0]["origin"], data["ignored"]) == (2, "unreadable", {".txt": 1})
    with pytest.raises(InputError, match="there is no such file"):
        program(capsys, tmp_path / "none.png", "--json")
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2


def test_pictures_of_any_sides_are_looked_at(folder, capsys, tmp_path):
    for name, sides in (("a", (1, 1)), ("b", (1, 5000)), ("c", (200_000, 3))):
        Image.new("RGB", sides).save(tmp_path / f"{name}.png")
    code, lines = program(capsys, tmp_path, f"--key={folder / 'key'}", "--search=aligned", f"--html={tmp_path}/a.html")
    assert code == 3
    assert all("nothing found (no record, no signature, no" in line and "narrow" not in line for line in lines[:3])
    assert lines[-1].endswith("3 images below 64 pixels together: no mark found with this key")


def test_the_page_shows_each_file_and_is_written_over_nothing_of_others(folder, capsys, tmp_path):
    (tmp_path / "in").mkdir()
    name = "<b>&.png"
    (tmp_path / "in" / name).write_bytes(seed(folder / "mark").read_bytes())
    (tmp_path / "in" / "torn.png").write_bytes(b"torn")
    page = tmp_path / "out" / "verify.html"
    program(capsys, tmp_path / "in", f"--html={page}")
    text = page.read_text()
    assert text.count("<li ") == 2
    assert "&lt;b&gt;&amp;.png" in text
    assert "<b>&.png" not in text
    assert text.count("data:image/webp;base64,") == 1
    program(capsys, tmp_path / "in", f"--html={page}")  # over its own
    page.write_text("mine")
    with pytest.raises(InputError, match="not written by gen"):
        program(capsys, tmp_path / "in", f"--html={page}")
    assert page.read_text() == "mine"


def test_small_images_of_a_folder_are_looked_at_together_where_one_alone_does_not_tell(folder, capsys, tmp_path):
    from gen import watermark

    key = watermark.key(b"0123456789abcdef0123456789abcdef")
    small = np.stack([photo(i)[16:48, 16:48] for i in range(24)])
    marked = watermark.embed(small, key, tag=0)
    for i, image in enumerate(marked):
        Image.fromarray(image).save(tmp_path / f"{i}.jpg", quality=50)
    _, lines = program(capsys, tmp_path, f"--key={folder / 'key'}", "--search=aligned")
    assert len(lines) == 25
    assert not all("carries gen's mark" in line for line in lines[:-1])
    assert "24 images below 64 pixels together: mark found (p = " in lines[-1]
    told = [image for image, found in zip(marked, watermark.detect(marked, key), strict=True) if found.found]
    (tmp_path / "told").mkdir()
    for i, image in enumerate(told):
        Image.fromarray(image).save(tmp_path / "told" / f"{i}.png")
    _, lines = program(capsys, tmp_path / "told", f"--key={folder / 'key'}")
    assert len(lines) == len(told) > 1


def test_the_last_line_counts_the_verdicts(folder, capsys):
    verify.main(
        parse(["verify", str(folder / "mark"), str(folder / "record"), f"--key={folder / 'key'}"], VerifyOptions)
    )
    assert "gen: 4 files; only says so: 2, carries the mark: 2\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no images"),
        (["none.png"], "there is no such file or folder"),
        (["IN", "--workdir=x"], "--workdir needs --regenerate"),
        (["IN", "--trust=none.pem"], "no such file of trusted authorities"),
        (["IN", "--key=none"], "there is no such file"),
        (["IN", "--html=IN/key/x.html"], "--html: cannot make the folder"),
        (["IN", "--search=ful"], "did you mean 'full'"),
    ],
)
def test_bad_input_is_refused_in_one_line(folder, capsys, arguments, message):
    given = [
        str(folder / "mark") if argument == "IN" else argument.replace("=IN", f"={folder}") for argument in arguments
    ]
    with pytest.raises(InputError, match=message) as caught:
        program(capsys, *given)
    assert "\n" not in str(caught.value)
