"""Audits of sets whose faults are known."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from gen.audit_checks.checks import KINDS
from gen.auditing import auditor, items, learned, pool
from gen.auditing.findings import Finding
from gen.data import Examples
from gen.data.dataset import DatasetSplits
from gen.errors import InputError
from gen.features.network_training import Training


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path_factory.mktemp("cache")))


def picture(seed: int, side: int = 64) -> np.ndarray:
    """Disks and bars in color: sharp, and unlike those of any other seed."""
    rng = np.random.default_rng((seed, 5))
    y, x = np.mgrid[:side, :side]
    image = np.tile(rng.integers(0, 255, 3), (side, side, 1)).astype(np.float64)
    image += 60 * np.sin(x[..., None] / rng.uniform(3, 9, 3) + y[..., None] / rng.uniform(3, 9, 3))
    for _ in range(6):
        inside = np.hypot(x - rng.uniform(0, side), y - rng.uniform(0, side)) < rng.uniform(3, side / 4)
        image[inside] = rng.integers(0, 255, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


def save(file: Path, image: np.ndarray | Image.Image) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file)


def audited(path: Path, **options):
    return auditor.audit(items.of_path(path), **{"fast": True} | options).audit


def kinds(audit, file: str) -> set[str]:
    return {finding.kind for finding in audit.findings if finding.file == file}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Images in train and test, some of them faulty, by name."""
    root = tmp_path_factory.mktemp("audited") / "set"
    for i in range(40):
        save(root / ("test" if i < 8 else "train") / "ab"[i % 2] / f"{i:02}.png", picture(i))
    train = root / "train" / "a"
    shutil.copy(root / "test" / "a" / "00.png", train / "leaks.png")
    save(train / "leaks_mirrored.jpg", picture(2)[:, ::-1])
    shutil.copy(root / "train" / "a" / "10.png", train / "again.png")
    save(train / "turned.jpg", Image.fromarray(picture(12)).rotate(90))
    save(train / "blurred.png", Image.fromarray(picture(100)).filter(ImageFilter.GaussianBlur(3)))
    save(train / "gray.png", Image.fromarray(picture(101)).convert("L").convert("RGB"))
    save(train / "long.png", np.concatenate([picture(102 + i) for i in range(4)], 1))
    save(train / "large.png", picture(110, 600))
    (train / "broken.png").write_bytes(b"?")
    (root / "train" / "b" / "notes.txt").write_text("x")
    return root


def test_each_fault_is_found_by_name(folder):
    audit = audited(folder)
    assert kinds(audit, "train/a/leaks.png") == {"leakage"}
    assert "leakage" in kinds(audit, "train/a/leaks_mirrored.jpg")
    assert kinds(audit, "train/a/again.png") | kinds(audit, "train/a/10.png") >= {"duplicate"}
    assert "near_duplicate" in kinds(audit, "train/a/turned.jpg") | kinds(audit, "train/a/12.png")
    assert kinds(audit, "train/a/blurred.png") >= {"blur"}
    assert kinds(audit, "train/a/gray.png") == {"gray"}
    assert kinds(audit, "train/a/long.png") == {"odd_aspect", "odd_size"}
    assert kinds(audit, "train/a/large.png") >= {"odd_size"}
    assert kinds(audit, "train/a/broken.png") == {"unreadable"}
    sound = {entry.file for entry in audit.entries if not entry.findings}
    assert len(sound) >= 36
    assert any(".txt (1)" in note.text for note in audit.notes)


def test_the_result_is_told_in_a_sentence_and_sums_up(folder):
    audit = audited(folder)
    assert audit.verdict.startswith("Of 49 images ")
    assert "2 in both splits" in audit.verdict
    assert "what is measured on them is too good" in audit.verdict
    assert audit.counts["leakage"] == 2
    assert list(audit.counts) == [k for k in KINDS if k in audit.counts]
    assert set(audit.exclude()) >= {"train/a/leaks.png", "train/a/broken.png"}
    assert audit.exclude(["gray"]) == ["train/a/gray.png"]
    with pytest.raises(InputError, match="there are no findings 'grey'; did you mean 'gray'"):
        audit.exclude(["grey"])
    json.dumps(audit.data())
    assert len(list(audit.manifest_lines())) == 49


def test_an_audit_is_a_function_of_the_images(folder):
    first, again = audited(folder), audited(folder)
    assert first.digest == again.digest
    assert first.findings == again.findings


def test_nothing_is_written_into_the_folder_and_nothing_wrong_is_nothing_found(tmp_path):
    for i in range(12):
        save(tmp_path / "set" / f"{i}.png", picture(i))
    before = sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "set").rglob("*"))
    audit = audited(tmp_path / "set")
    assert sorted((p, p.stat().st_mtime_ns) for p in (tmp_path / "set").rglob("*")) == before
    assert audit.findings == []
    assert audit.verdict == "Nothing wrong was found in 12 images."


def test_planted_leakage_of_a_hundredth_is_found_whole(tmp_path):
    rng = np.random.default_rng(0)
    train, test = (np.stack([picture(i + start, 32) for i in range(count)]) for start, count in ((0, 400), (1000, 100)))
    planted = rng.permutation(400)[:4]
    train[planted[:2]] = test[[5, 9]]
    train[planted[2:]] = test[[20, 30], :, ::-1]
    np.savez(tmp_path / "set.npz", x_train=train, x_test=test)
    audit = audited(tmp_path / "set.npz")
    found = {f.file for f in audit.findings if f.kind == "leakage"}
    assert found == {f"train/{i:06}" for i in planted}


def test_an_interrupted_audit_goes_on_and_a_second_looks_at_what_is_new(tmp_path, monkeypatch):
    for i in range(70):
        save(tmp_path / "set" / f"{i:02}.png", picture(i, 24))
    monkeypatch.setattr(pool, "CHUNK", 32)
    asked, whole = list[int](), pool.inspected

    def interrupted(given, job):
        asked.append(len(given))
        for number, chunk in enumerate(whole(given, job)):
            yield chunk
            if len(asked) == 1 and number == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(pool, "inspected", interrupted)
    with pytest.raises(KeyboardInterrupt):
        auditor.look(items.of_path(tmp_path / "set"))
    table = auditor.look(items.of_path(tmp_path / "set"))
    assert asked == [70, 6]  # two chunks of 32 were noted
    save(tmp_path / "set" / "00.png", picture(900, 24))
    again = auditor.look(items.of_path(tmp_path / "set"))
    assert asked[2:] == [1]
    assert again.sha256[0] != table.sha256[0]
    assert again.sha256[1:] == table.sha256[1:]


def test_a_damaged_journal_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    save(tmp_path / "set" / "a.png", picture(0))
    auditor.look(items.of_path(tmp_path / "set"))
    (journal,) = (tmp_path / "cache" / "audits").iterdir()
    journal.write_bytes(b"not a data base" * 1000)
    assert auditor.look(items.of_path(tmp_path / "set")).errors == {}


def test_a_damaged_page_of_a_journal_is_no_end(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    for i in range(30):
        save(tmp_path / "set" / f"{i:02}.png", picture(i, 24))
    whole = auditor.look(items.of_path(tmp_path / "set"))
    (journal,) = (tmp_path / "cache" / "audits").iterdir()
    content = bytearray(journal.read_bytes())
    content[8192:] = b"x" * len(content[8192:])
    journal.write_bytes(bytes(content))
    assert auditor.look(items.of_path(tmp_path / "set")).sha256 == whole.sha256


def test_classes_that_are_tiny_or_rare_are_told(tmp_path):
    for i in range(60):
        save(tmp_path / "set" / ("many" if i < 55 else "few") / f"{i}.png", picture(i, 24))
    assert any("few (" in note.text for note in audited(tmp_path / "set").notes)


def test_captions_missing_unmatched_and_repeated_are_told(tmp_path):
    for i in range(30):
        save(tmp_path / "set" / f"{i:02}.png", picture(i, 24))
    lines = [{"file_name": f"{i:02}.png", "text": "a disk" if i < 15 else f"picture {i}"} for i in range(29)]
    lines.append({"file_name": "gone.png", "text": "nothing"})
    (tmp_path / "set" / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    audit = audited(tmp_path / "set")
    assert kinds(audit, "29.png") == {"uncaptioned"}
    told = " ".join(note.text for note in audit.notes)
    assert "1 captions of no image: gone.png" in told
    assert '"a disk" (15)' in told
    assert "passed over" not in told
    (tmp_path / "set" / "metadata.jsonl").write_text(json.dumps(lines[-1]))
    assert any("1 captions of no image: gone.png" in note.text for note in audited(tmp_path / "set").notes)


def test_what_a_third_of_a_set_is_like_is_told_once(tmp_path):
    for i in range(20):
        image = Image.fromarray(picture(i)).convert("L")
        save(tmp_path / "set" / f"{i:02}.png", image)
    audit = audited(tmp_path / "set")
    assert not any(f.kind == "gray" for f in audit.findings)
    assert any("grayscale=True" in note.text for note in audit.notes)


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_of_what_many_images_are_like_only_the_far_worse_are_named(share):
    images = np.stack([picture(i, 48) for i in range(40)])
    framed = round(share * len(images))
    for i in range(framed):
        band = 12 if i == 0 else 3
        images[i, :band] = images[i, -band:] = 0
    audit = auditor.audit(items.of_arrays(images), fast=True).audit
    assert [finding.file for finding in audit.findings if finding.kind == "border"] == ["000000"]
    assert f"{share:.0%} of the images are within a border" in [note.text for note in audit.notes]


def test_drift_names_what_differs_and_the_images_that_drive_it(tmp_path):
    for i in range(60):
        save(tmp_path / "old" / f"{i:02}.png", picture(i, 32))
        new = picture(i + 500, 32)
        save(tmp_path / "new" / f"{i:02}.png", new // 4 if i < 20 else new)
    audit = audited(tmp_path / "new", reference=items.of_path(tmp_path / "old"))
    assert audit.drift is not None
    assert "brightest" in {d.number for d in audit.drift.differences}
    assert audited(tmp_path / "old", reference=items.of_path(tmp_path / "old")).drift.differences == []


def test_what_somebody_looked_at_is_let_pass(folder):
    allowed = lambda finding: finding.file == "train/a/leaks.png"  # noqa: E731
    audit = audited(folder, allowed=allowed)
    assert kinds(audit, "train/a/leaks.png") == set()
    assert audit.allowed == 1


def test_arrays_and_splits_are_audited_as_files_are():
    images = np.stack([picture(i, 32) for i in range(30)])
    images[7] = images[3]
    audit = auditor.audit(items.of_arrays(images), fast=True).audit
    assert [(f.file, f.kind, f.other) for f in audit.findings] == [("000007", "duplicate", "000003")]
    splits = DatasetSplits(
        "set", Examples(images, np.zeros(30, np.int32)), Examples(images[3:4], np.zeros(1, np.int32))
    )
    audit = auditor.audit(items.of_splits(splits, name="set"), fast=True).audit
    assert {(f.file, f.kind) for f in audit.findings} == {("train/000003", "leakage"), ("train/000007", "leakage")}


def test_networks_find_swapped_labels_and_strangers():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400).astype(np.int32)
    images = rng.integers(90, 130, (400, 32, 32, 3)).astype(np.uint8)
    images[labels == 1, 8:24, 8:24] += 100
    images[:3] = rng.integers(0, 255, (3, 1, 1, 3)) * np.ones((3, 32, 32, 3), int)
    given = labels.copy()
    swapped = np.arange(50, 70)
    given[swapped] = 1 - given[swapped]
    splits = DatasetSplits("set", Examples(images, given), Examples(images[:1], given[:1]), ("dark", "bright"))
    collection = items.of_splits(splits, name="set")
    table = auditor.look(collection)
    found = learned.learned(collection, table, np.array([400]), training=Training(30, 60, 64))
    doubted = {int(f.file[-6:]) for f in found if f.kind == "label"}
    assert len(doubted & set(swapped.tolist())) >= 18
    assert len(doubted - set(swapped.tolist()) - {0, 1, 2}) <= 5
    assert all(isinstance(f, Finding) for f in found)


def test_an_empty_set_and_a_missing_one_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        items.of_path(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="it is empty"):
        items.of_path(tmp_path / "empty")
