"""Shards, and what gen.convert makes of them, by hands that mean ill: one line, exit code 2, nothing half written."""

import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import hostile
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from gen.cli import guard
from gen.convert import ConvertOptions, convert, main
from gen.data import shards

SIDE = 8


def png(number: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(content, "png")
    return content.getvalue()


def made(folder: Path, first: int = 0) -> Path:
    """Shards of 12 images, all of as many bytes."""
    file = folder / f"set{first}.npz"
    images = np.random.default_rng(first).integers(0, 256, (12, SIDE, SIDE, 3), np.uint8)
    np.savez(file, x_train=images, x_test=images[:4])
    convert(options(folder, file, out=f"shards{first}"))
    return folder / f"shards{first}"


def options(folder: Path, *files: Path, out: str = "out", **given: object) -> ConvertOptions:
    return ConvertOptions(inputs=files, out=folder / out, resolution=SIDE, shards=2, **given)


def ends(capsys: pytest.CaptureFixture[str], call) -> str:
    """What a program that ends with exit code 2 says: one line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        guard(call)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gen: ")
    return line


def read(folder: Path, **given: bool) -> None:
    source = shards(folder, **given)
    for part in (source.train, source.held_out):
        np.asarray(part.images)


def shard(folder: Path) -> Path:
    return min(folder.glob("train-*.array_record"))


def cut(folder: Path) -> None:
    os.truncate(shard(folder), shard(folder).stat().st_size // 2)


def emptied(folder: Path) -> None:
    """As large as before, with nothing in its second half: what a crash of the system leaves."""
    size = shard(folder).stat().st_size
    os.truncate(shard(folder), size // 2)
    os.truncate(shard(folder), size)


def wrong_sum(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    index["splits"]["train"][0]["sha256"] = "0" * 64
    (folder / "index.json").write_text(json.dumps(index))


def of_another_set(folder: Path) -> None:
    other = shard(made(folder.parent, first=1))
    assert other.stat().st_size == shard(folder).stat().st_size
    shutil.copy(other, shard(folder))


@pytest.mark.parametrize(
    ("harm", "verify", "told"),
    [
        (cut, False, "bytes instead of"),
        (emptied, False, "is damaged"),
        (emptied, True, "has another sha256"),
        (wrong_sum, True, "has another sha256"),
        (of_another_set, True, "has another sha256"),  # which only verify=True can tell: it is whole
    ],
)
def test_a_damaged_shard_is_one_line_with_its_name(tmp_path, capsys, harm, verify, told):
    folder = made(tmp_path)
    harm(folder)
    line = ends(capsys, lambda: read(folder, verify=verify))
    assert told in line
    assert shard(folder).name in line


def left(folder: Path) -> set[str]:
    """The files below a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_names_that_lead_elsewhere_are_only_names(tmp_path):
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    names = ["../../evil.png", "/tmp/evil.png", "..\\evil.png", "x\0y.png"]
    with tarfile.open(inside / "set.tar", "w") as archive:
        for i, name in enumerate([*names[:3], "ok.png", "fine.png", "good.png"]):
            member = tarfile.TarInfo(name)
            member.size = len(png(i))
            archive.addfile(member, io.BytesIO(png(i)))
    rows = [{"bytes": png(i), "path": name} for i, name in enumerate([*names, "a.png", "b.png"])]
    pyarrow.parquet.write_table(pyarrow.table({"image": rows}), inside / "set.parquet")
    for kind, count in (("tar", 5), ("parquet", 6)):  # a name of a tar that begins with a dot is hidden
        convert(options(inside, inside / f"set.{kind}", out=kind, held_out=0.3))
        found = shards(inside / kind)
        assert len(found.train.images) + len(found.held_out.images) == count
    assert left(tmp_path) == {f"a/b/{name}" for name in left(inside)}
    assert not Path("/tmp/evil.png").exists()
    assert {path.split("/")[0] for path in left(inside)} == {"set.tar", "set.parquet", "tar", "parquet"}


def test_a_member_of_huge_size_takes_no_memory(tmp_path, capsys):
    file = tmp_path / "bomb.tar"
    for size, there in ((2**30, 2**30), (2**50, 0)):  # a file with a hole of that size; one that says so only
        member = tarfile.TarInfo("bomb.png")
        member.size = size
        file.write_bytes(member.tobuf(tarfile.GNU_FORMAT))
        os.truncate(file, 512 + there + 1024)
        with hostile.refused(tmp_path / "canary"):
            convert(options(tmp_path, file, strict=True))
        ends(capsys, lambda: main(options(tmp_path, file, strict=True)))
        assert not [name for name in left(tmp_path) if "array_record" in name or "index.json" in name]
        shutil.rmtree(tmp_path / "out", ignore_errors=True)


def test_an_npz_with_a_program_is_refused_and_runs_nothing(tmp_path, capsys):
    canary, file = tmp_path / "canary", tmp_path / "evil.npz"
    np.savez(file, x_train=np.array([hostile.Evil(canary)] * 4, object), allow_pickle=True)
    line = ends(capsys, lambda: main(options(tmp_path, file)))
    assert "evil.npz" in line
    assert not canary.exists()
    assert left(tmp_path) == {"evil.npz"}
