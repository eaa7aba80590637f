"""gen.audit: its files, its page, its exit codes; training without what it found."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen import api, audit
from gen.audit import AuditOptions, parse_command
from gen.data import folder, npz, quick_audit
from gen.errors import InputError


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def picture(seed: int, side: int = 40) -> np.ndarray:
    """Disks in color on waves, unlike those of any other seed."""
    rng = np.random.default_rng((seed, 6))
    y, x = np.mgrid[:side, :side]
    image = 120 + 60 * np.sin(x[..., None] / rng.uniform(3, 9, 3) + y[..., None] / rng.uniform(3, 9, 3))
    for _ in range(6):
        inside = np.hypot(x - rng.uniform(0, side), y - rng.uniform(0, side)) < rng.uniform(3, side / 4)
        image[inside] = rng.integers(0, 255, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


def make(root: Path, count: int = 12) -> Path:
    """A folder with one exact duplicate and one file that is no image."""
    root.mkdir()
    for i in range(count):
        Image.fromarray(picture(i)).save(root / f"{i:02}.png")
    Image.fromarray(picture(4)).save(root / "again.bmp")
    (root / "broken.jpg").write_bytes(b"x")
    return root


def run(*arguments: str) -> int:
    return audit.main(parse_command(["audit", *map(str, arguments)]))


def test_the_program_writes_its_files_and_says_what_it_found(tmp_path, capsys):
    assert run("--images", make(tmp_path / "set"), "--fast", "--out", "out") == 1
    told = capsys.readouterr().out
    assert told.startswith("Of 14 images 2 (14.3%) should be left out: 1 unreadable, 1 exact duplicate")
    found = json.loads(Path("out/audit.json").read_text())
    assert found["counts"] == {"unreadable": 1, "duplicate": 1}
    lines = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    assert len(lines) == 14
    assert {line["file"] for line in lines if line["findings"]} == {"broken.jpg", "again.bmp"}
    assert sorted(p.name for p in Path("out").iterdir()) == [
        ".gen-written.jsonl",
        "audit.html",
        "audit.json",
        "manifest.jsonl",
    ]
    assert run("--images", "set", "--fast", "--out", "out") == 1  # its own files are replaced


def test_what_is_sound_ends_with_0_and_goes_to_a_folder_of_its_name(tmp_path):
    make(tmp_path / "set")
    (tmp_path / "set" / "broken.jpg").unlink()
    (tmp_path / "set" / "again.bmp").unlink()
    assert run("--images", "set", "--fast") == 0
    assert Path("audits/set/audit.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to audit"),
        (["--images", "set", "--config", "experiments/shapes.py"], "name what to audit"),
        (["--images", "sett"], "did you mean 'set'"),
        (["--images", "set", "--out", "set/inside"], "lies in the audited folder"),
        (["--images", "set", "--allow", "none.txt"], "there is no such file"),
        (["--config", "FOLDER"], "this config names no images"),
        (["--images", "set", "--config.data.path=x"], "needs --config"),
        (["--images", "set", "--out", "foreign"], "not written by gen"),
        (["--images", "set", "--fats"], "did you mean '--fast'"),
    ],
)
def test_bad_input_is_one_line(tmp_path, arguments, message):
    make(tmp_path / "set")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "audit.json").write_text("mine")
    experiments = Path(__file__).parents[1] / "experiments"
    with pytest.raises(InputError, match=message):
        run(*(str(experiments / "folder.py") if argument == "FOLDER" else argument for argument in arguments))
    assert (tmp_path / "foreign" / "audit.json").read_text() == "mine"


def test_allowed_findings_pass(tmp_path):
    make(tmp_path / "set")
    Path("out").mkdir()
    Path("out/audit_allow.txt").write_text("# looked at\nduplicate\tagain.bmp\nbroken.jpg\n")
    assert run("--images", "set", "--fast", "--out", "out") == 0
    Path("out/audit_allow.txt").write_text("duplicates\tagain.bmp\n")
    with pytest.raises(InputError, match="line 1: no kind 'duplicates'; did you mean 'duplicate'"):
        run("--images", "set", "--fast", "--out", "out")


def test_names_are_text_on_the_page_and_it_asks_for_nothing(tmp_path):
    make(tmp_path / "set")
    names = ["<b>bold<b>.png", 'a "quote" & more.png', "line\nbreak.png", "right\u202eto left.png", "<script>.png"]
    for name in names:
        Image.fromarray(np.full((40, 40, 3), 9, np.uint8)).save(tmp_path / "set" / name)
    run("--images", "set", "--fast", "--out", "out")
    html = Path("out/audit.html").read_text(encoding="utf-8")
    assert "<b>bold" not in html
    assert "&lt;b&gt;bold&lt;b&gt;" in html
    assert "line\nbreak" not in html
    assert "\u202e" not in html
    assert "http:" not in html
    assert "https:" not in html
    assert 'src="data:' in html
    data = html.partition('id="data">')[2].partition("</script>")[0]
    assert {row[1] for row in json.loads(data)} >= {"<b>bold<b>.png", "again.bmp"}
    assert "<" not in data


def test_a_config_is_audited_with_its_own_files(tmp_path):
    make(tmp_path / "set")
    root = Path(__file__).parents[1]
    options = AuditOptions(
        config=str(root / "experiments/folder.py"), overrides=(("data.path", "set"),), fast=True, out="out"
    )
    found = audit.audit(options)
    assert found.counts == {"unreadable": 1, "duplicate": 1}
    shapes = AuditOptions(
        config=str(root / "experiments/shapes.py:smoke"), overrides=(("data.num_train", "80"),), fast=True, out="shapes"
    )
    assert len(audit.audit(shapes).entries) > 80


def test_training_leaves_out_what_an_audit_found(tmp_path):
    make(tmp_path / "set")
    run("--images", "set", "--fast", "--out", "out")
    found = json.loads(Path("out/audit.json").read_text())
    source = folder("set", 32, exclude="out/audit.json")
    images = len(source.train.images) + len(source.held_out.images)
    assert images == 12
    assert source.metadata["skipped"] == []
    assert source.metadata["excluded"] == {
        "audit": found["digest"],
        "kinds": sorted(
            [
                "unreadable",
                "truncated",
                "too_large",
                "leakage",
                "duplicate",
                "near_duplicate",
                "generated",
                "low_information",
            ]
        ),
        "images": 2,
    }
    assert source.metadata["audit"]["digest"] == found["digest"]
    only = folder("set", 32, exclude="out/audit.json", exclude_kinds=("unreadable",))
    assert len(only.train.images) + len(only.held_out.images) == 13
    assert folder("set", 32).metadata["audit"]["digest"] == found["digest"]  # it was audited as it is


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "is no audit.json"),
        ("no json", "is no audit.json"),
        ('{"findings": [{"file": "other.png", "kind": "duplicate"}], "digest": "a", "content": "b"}', "other images"),
    ],
)
def test_an_audit_of_something_else_is_refused(tmp_path, content, message):
    make(tmp_path / "set")
    Path("audit.json").write_text(content)
    with pytest.raises(InputError, match=message):
        folder("set", 32, exclude="audit.json")
    with pytest.raises(InputError, match="No such file"):
        folder("set", 32, exclude="none.json")


def test_files_that_changed_since_the_audit_are_not_left_out(tmp_path):
    make(tmp_path / "set")
    run("--images", "set", "--fast", "--out", "out")
    Image.fromarray(picture(77)).save("set/again.bmp")  # was a duplicate
    source = folder("set", 32, exclude="out/audit.json")
    assert len(source.train.images) + len(source.held_out.images) == 13
    assert source.metadata["excluded"]["images"] == 1


def test_another_set_of_the_same_name_keeps_its_audit(tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent).mkdir()
        make(tmp_path / parent / "train")
    run("--images", "a/train", "--fast")
    with pytest.raises(InputError, match="holds the audit of another set"):
        run("--images", "b/train", "--fast")
    assert run("--images", "b/train", "--fast", "--out", "other") == 1


def test_an_audited_npz_is_known_to_training():
    np.savez("set.npz", x_train=np.stack([picture(i, 32) for i in range(30)]))
    assert "audit" not in npz("set.npz").metadata
    assert run("--images", "set.npz", "--fast") == 0
    assert npz("set.npz").metadata["audit"]["verdict"].startswith("Nothing wrong")


def test_a_set_too_large_for_the_quick_look_has_none(monkeypatch):
    monkeypatch.setattr(quick_audit, "MOST", 10)
    quick = quick_audit.QuickAudit()
    images = np.stack([picture(i, 32) for i in range(8)])
    quick.add(images, "train")
    quick.add(images, "held_out")
    assert quick.result() is None
    small = quick_audit.QuickAudit()
    small.add(images[:4], "train")
    small.add(images[2:4], "held_out")
    assert small.result() == {"duplicates": 0, "leakage": 2, "leaked_exactly": 2, "leaked_nearly": 0}


def test_rows_of_arrays_are_left_out(tmp_path):
    images = np.stack([picture(i, 32) for i in range(40)])
    images[9] = images[4]
    labels = (np.arange(40) % 2).astype(np.uint8)
    np.savez("set.npz", x_train=images, x_test=images[:5], y_train=labels, y_test=labels[:5])
    assert run("--images", "set.npz", "--fast", "--out", "out") == 1
    source = npz("set.npz", exclude="out/audit.json")
    assert len(source.train.images) == 34  # 0 to 4 are held out, too, and 9 is 4
    assert (source.train.images[0] == images[5]).all()
    assert source.train.labels[0] == 1
    with pytest.raises(InputError, match="another set, or of other options"):
        npz("set.npz", 16, exclude="out/audit.json")


def test_images_that_were_never_audited_are_told_of_in_one_line(tmp_path):
    make(tmp_path / "set")
    source = folder("set", 32)
    found = source.metadata["quick_audit"]
    assert (found["duplicates"], found["leakage"]) in {(1, 0), (0, 1)}  # by the hash of its name
    line = quick_audit.line(source.metadata, source.name)
    assert line.startswith("these images were never audited; a quick look found 1 ")
    run("--images", "set", "--fast", "--out", "out")
    source = folder("set", 32)
    assert quick_audit.line(source.metadata, source.name) == ""
    assert quick_audit.line({}, "shapes") == ""


def test_arrays_are_audited_from_python():
    images = np.stack([picture(i, 32) for i in range(20)])
    images[5] = images[2]
    found = api.audit(images, fast=True)
    assert [(f.file, f.other) for f in found.findings] == [("000005", "000002")]
    assert found.exclude() == ["000005"]
    assert api.audit(images / 255, fast=True).counts == found.counts


def test_an_audit_ends_with_code_2_and_one_line(tmp_path):
    command = [sys.executable, "-m", "gen.audit", "--images", "none"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "does not exist" in done.stderr


def test_overrides_are_those_of_training():
    options = parse_command(["audit", "--config=experiments/folder.py", "--config.data.path=x", "--fast"])
    assert options.fast
    assert list(options.overrides) == [("data.path", "x")]
