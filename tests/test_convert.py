"""gen.convert: every kind of input comes back with labels and captions; damage is listed; interrupted work goes on."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from gen.convert import ConvertOptions, convert, main
from gen.converting import converter
from gen.data import DatasetSplits, folder, npz, shards
from gen.errors import InputError

SIDE = 20


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))


def pixels(number: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)


def png(number: int, side: int = SIDE) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels(number, side)).save(content, "png")
    return content.getvalue()


def pictures(root: Path, count: int = 12, side: int = SIDE) -> Path:
    for i in range(count):
        file = root / ("cat", "dog")[i % 2] / f"{i:02}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(i, side))
    return root


def options(out: Path, *inputs: Path, **given: object) -> ConvertOptions:
    return ConvertOptions(inputs=inputs, out=out, **{"resolution": SIDE, "shards": 3, "held_out": 0.2} | given)


def known(source: DatasetSplits) -> dict[int, tuple[str | None, tuple[str, ...], str]]:
    """By number of the picture: class, captions and split."""
    of, found = {pixels(i).tobytes(): i for i in range(40)}, {}
    for split in ("train", "held_out"):
        part = getattr(source, split)
        for i in range(len(part.images)):
            name = source.class_names[part.labels[i]] if source.num_classes else None
            texts = tuple(part.captions.of(i)) if part.captions else ()
            assert found.setdefault(of[part.images[i].tobytes()], (name, texts, split)) == (name, texts, split)
    return found


def same(a: DatasetSplits, b: DatasetSplits) -> None:
    assert a.class_names == b.class_names
    for split in ("train", "held_out"):
        x, y = getattr(a, split), getattr(b, split)
        np.testing.assert_array_equal(np.asarray(x.images), np.asarray(y.images))
        np.testing.assert_array_equal(x.labels, y.labels)
        assert (x.captions is None) == (y.captions is None)
        if x.captions is not None:
            assert [x.captions.of(i) for i in range(len(x.labels))] == [y.captions.of(i) for i in range(len(y.labels))]


# -- Kinds of input


@pytest.mark.parametrize("given", [{}, {"grayscale": True, "resolution": 8}])
def test_a_folder_with_metadata(tmp_path, given):
    root = pictures(tmp_path / "in")
    lines = [json.dumps({"file_name": f"cat/{i:02}.png", "text": [f"no {i}", "cat"]}) for i in (0, 2, 4)]
    (root / "metadata.jsonl").write_text("\n".join(lines))
    before = {file: file.stat().st_mtime_ns for file in root.rglob("*")}
    convert(options(tmp_path / "out", root, **given))
    same(shards(tmp_path / "out"), folder(root, held_out=0.2, **{"resolution": SIDE} | given))
    assert {file: file.stat().st_mtime_ns for file in root.rglob("*")} == before


def test_a_zip_of_stylegan(tmp_path):
    file = tmp_path / "set.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(12):
            archive.writestr(f"00000/img{i:08}.png", png(i))
        labels = [[f"00000/img{i:08}.png", i % 3] for i in range(11)]
        archive.writestr("dataset.json", json.dumps({"labels": labels}))
    convert(options(tmp_path / "out", file))
    source = shards(tmp_path / "out")
    same(source, folder(file, SIDE, held_out=0.2))
    assert {i: name for i, (name, _, _) in known(source).items()} == {i: str(i % 3) for i in range(11)}
    assert source.metadata["skipped"] == [{"file": "00000/img00000011.png", "reason": "is not in dataset.json"}]


@pytest.mark.parametrize("test", [True, False])
def test_an_npz(tmp_path, test):
    file = tmp_path / "set.npz"
    x = np.stack([pixels(i) for i in range(12)])
    part = {"x_test": x[8:], "y_test": np.arange(4) % 3} if test else {}
    train = x[:8] if test else x
    texts = np.array([f"no {i}" for i in range(len(train))])
    np.savez(file, x_train=train, y_train=np.arange(len(train)) % 3, captions_train=texts, **part)
    convert(options(tmp_path / "out", file))
    same(shards(tmp_path / "out"), npz(file, SIDE, held_out=0.2))


def tar(file: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(file, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def test_webdataset_tars(tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(2):
        members: dict[str, bytes] = {}
        for i in range(number * 8, number * 8 + 8):
            members[f"a/{i:05}.png"] = png(i)
            members[f"a/{i:05}.cls"] = str(i % 3).encode()
            members[f"a/{i:05}.txt"] = f"no {i}\nin a tar\n".encode() if i % 2 else b""
            members[f"a/{i:05}.seg.png"] = b"is none of ours"
        members["a/99999.cls"] = b"1"
        tar(tmp_path / "in" / f"{number:05}.tar", members)
    convert(options(tmp_path / "out", tmp_path / "in"))
    source = shards(tmp_path / "out")
    found = known(source)
    expected = {i: (str(i % 3), (f"no {i}", "in a tar") if i % 2 else ()) for i in range(16)}
    assert {i: value[:2] for i, value in found.items()} == expected
    assert source.caption_length == 64
    assert 1 <= len(source.held_out.images) <= 8
    several = [tmp_path / "in" / "00000.tar", tmp_path / "in" / "00001.tar"]
    again = convert(options(tmp_path / "again", *several))
    assert again.digest == source.metadata["digest"]


def test_webdataset_with_json_and_words_as_classes(tmp_path):
    members = dict[str, bytes]()
    for i in range(10):
        members[f"{i}.png"] = png(i)
        about = {"caption": f"no {i}", "label": ("zebra", "ant")[i % 2]} if i != 3 else {"caption": "x"}
        members[f"{i}.json"] = json.dumps(about).encode()
    members["4.json"] = b"{"
    convert(options(tmp_path / "out", tar(tmp_path / "a.tar", members)))
    source = shards(tmp_path / "out")
    expected = {i: (("zebra", "ant")[i % 2], (f"no {i}",)) for i in range(10) if i not in (3, 4)}
    assert {i: value[:2] for i, value in known(source).items()} == expected
    assert {e["file"]: e["reason"] for e in source.metadata["skipped"]} == {
        "a.tar/3": "has no label",
        "a.tar/4": "has no label",
    }


@pytest.mark.parametrize("struct", [True, False])
def test_parquet_of_hugging_face(tmp_path, struct):
    names = ["airplane", "bird", "ship"]
    (tmp_path / "in").mkdir()
    for split, begin, count in (("train", 0, 14), ("test", 14, 4)):
        numbers = range(begin, begin + count)
        images = [{"bytes": png(i), "path": f"{i}.png"} if struct else png(i) for i in numbers]
        table = pyarrow.table(
            {"image": images, "label": [i % 3 for i in numbers], "text": [f"no {i}" for i in numbers]}
        )
        about = {"info": {"features": {"label": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(about)})
        file = tmp_path / "in" / f"{split}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(table, file, row_group_size=5)
    convert(options(tmp_path / "out", tmp_path / "in"))
    source = shards(tmp_path / "out")
    assert source.class_names == tuple(names)
    expected = {i: (names[i % 3], (f"no {i}",), "train" if i < 14 else "held_out") for i in range(18)}
    assert known(source) == expected


def test_parquet_with_words_as_classes_and_an_empty_row(tmp_path):
    images = [png(i) for i in range(9)] + [None]
    table = pyarrow.table({"image": images, "label": [("zebra", "ant")[i % 2] for i in range(10)]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    convert(options(tmp_path / "out", tmp_path / "a.parquet"))
    source = shards(tmp_path / "out")
    assert source.class_names == ("ant", "zebra")
    assert {i: value[0] for i, value in known(source).items()} == {i: ("zebra", "ant")[i % 2] for i in range(9)}
    assert source.train.captions is None
    reason = "the row holds no bytes of an image"
    assert source.metadata["skipped"] == [{"file": "a.parquet/000009", "reason": reason}]


# -- Damage


def test_what_cannot_be_read_is_left_out_listed_and_counted(tmp_path, caplog):
    root = pictures(tmp_path / "in")
    (root / "cat" / "cut.png").write_bytes(png(0)[:200])
    (root / "dog" / "small.png").write_bytes(png(0, side=8))
    index = convert(options(tmp_path / "out", root))
    assert index.skipped == 2
    listed = [json.loads(line) for line in (tmp_path / "out" / "skipped.jsonl").read_text().splitlines()]
    assert {entry["file"] for entry in listed} == {"cat/cut.png", "dog/small.png"}
    assert {e["reason"] for e in listed} >= {"is 8x8, smaller than resolution=20"}
    assert "2 of 14 images cannot be used" in caplog.text
    assert "--small=enlarge takes the 1 too small" in caplog.text
    assert sum(s.images for split in index.splits.values() for s in split) == 12
    source = shards(tmp_path / "out")
    assert source.metadata["skipped"] == listed
    same(source, folder(root, SIDE, held_out=0.2))


@pytest.mark.parametrize(
    ("given", "message"),
    [({"strict": True}, r"cat/cut.png: "), ({"small": "refuse"}, r"dog/small.png: is 8x8, smaller")],
)
def test_strict_refuses(tmp_path, given, message):
    root = pictures(tmp_path / "in")
    (root / "cat" / "cut.png").write_bytes(png(0)[:200])
    (root / "dog" / "small.png").write_bytes(png(0, side=8))
    with pytest.raises(InputError, match=message):
        convert(options(tmp_path / "out", root, **given))
    assert not (tmp_path / "out" / "index.json").exists()
    assert list((tmp_path / "out").glob(".*.partial")) == []


def test_a_tar_that_was_cut(tmp_path):
    file = tar(tmp_path / "a.tar", {f"{i}.png": png(i) for i in range(8)})
    content = file.read_bytes()
    file.write_bytes(content[: content.rindex(b"IEND") - 600])  # in the last image
    try:
        convert(options(tmp_path / "out", file))
    except InputError as error:
        assert str(error).startswith(f"convert: {file}: cannot be read as a tar")  # noqa: PT017
    else:
        assert len(known(shards(tmp_path / "out"))) == 7


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tar", b"x" * 2000, "cannot be read as a tar that is not compressed"),
        ("a.parquet", b"x" * 2000, "cannot be read as parquet"),
        ("a.npz", b"x" * 2000, "cannot be read as an .npz file"),
        ("a.zip", b"x" * 2000, "neither a folder of images nor a zip of one"),
    ],
)
def test_files_that_are_not_what_they_are_called(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        convert(options(tmp_path / "out", tmp_path / name))
    assert "\n" not in str(error.value)


# -- Interruptions


def contents(out: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in out.iterdir()}


def test_an_interrupted_conversion_goes_on_with_the_missing_shards(tmp_path, monkeypatch):
    root = pictures(tmp_path / "in", 20)
    whole = options(tmp_path / "whole", root, shards=5)
    convert(whole)
    written, write = list[str](), converter.write_shard

    def interrupted(job):
        if len(written) == 2:
            (job.file.parent / f".{job.file.name}.0123.partial").write_bytes(b"half of a shard")
            raise KeyboardInterrupt
        write(job)
        written.append(job.file.name)

    out = tmp_path / "out"
    monkeypatch.setattr(converter, "write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert(options(out, root, shards=5))
    with pytest.raises(InputError, match="or not finished"):
        shards(out)
    first = {name: (out / name).stat().st_mtime_ns for name in written}
    written.clear()
    monkeypatch.setattr(converter, "write_shard", lambda job: (write(job), written.append(job.file.name)))
    convert(options(out, root, shards=5))
    assert len(written) == 4
    assert {name: (out / name).stat().st_mtime_ns for name in first} == first
    assert contents(out) == contents(tmp_path / "whole")
    written.clear()
    convert(options(out, root, shards=5))  # nothing is left to do
    assert written == []
    next(out.glob("train-00002*.array_record")).unlink()  # as the message about a damaged one says
    convert(options(out, root, shards=5))
    assert len(written) == 1
    assert contents(out) == contents(tmp_path / "whole")


def test_many_processes_write_what_one_writes_and_a_killed_program_goes_on(tmp_path):
    root = pictures(tmp_path / "in", 40, side=400)
    for i in range(40, 80):
        (root / "cat" / f"{i}.png").write_bytes((root / "cat" / "00.png").read_bytes())
    command = [sys.executable, "-m", "gen.convert", str(root), "--resolution=16", "--shards=16", "--out"]
    out = tmp_path / "out"
    running = subprocess.Popen([*command, str(out)])
    while not list(out.glob("train-*.npz")) and running.poll() is None:
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (out / "index.json").exists(), "it was done before it was killed: the test needs more images"
    assert list(out.glob("train-*.npz"))
    done = subprocess.run([*command, str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "images of 16 x 16 x 3 to train with" in done.stdout
    alone = options(tmp_path / "alone", root, resolution=16, shards=16, held_out=0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(converter, "_FEW", 1000)  # in this process
        convert(alone)
    assert contents(out) == contents(tmp_path / "alone")


# -- What a person may do wrong


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"inputs": ()}, "nothing to convert: name a folder"),
        ({"inputs": ["{tmp}/im"]}, "im does not exist; did you mean 'in'?"),
        ({"out": None}, "--out is missing"),
        ({"resolution": None}, "--resolution is missing"),
        ({"out": "{tmp}/in/shards"}, "where nothing is written"),
        ({"out": "{tmp}/other"}, "is not empty, and no folder of gen.convert"),
        ({"out": "gs://bucket/x"}, "mount the storage"),
        ({"inputs": ["{tmp}/in", "{tmp}/other"]}, "several must all be .tar, or all .parquet"),
        ({"inputs": ["{tmp}/other"]}, "1 file ignored: 1 .md"),
        ({"inputs": ["{tmp}/mixed"]}, "or set --nolabeled"),
        ({"resolution": 64}, "12 cannot be used (first: "),
    ],
)
def test_bad_input_is_one_line(tmp_path, given, message):
    pictures(tmp_path / "in")
    pictures(tmp_path / "mixed")
    (tmp_path / "mixed" / "loose.png").write_bytes(png(0))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.md").write_text("mine")
    fill = lambda value: value.format(tmp=tmp_path) if isinstance(value, str) else value  # noqa: E731
    filled = {name: [*map(fill, v)] if isinstance(v, list) else fill(v) for name, v in given.items()}
    with pytest.raises(InputError) as error:
        convert(ConvertOptions(**{"inputs": [tmp_path / "in"], "out": tmp_path / "out", "resolution": SIDE} | filled))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert (tmp_path / "other" / "notes.md").read_text() == "mine"


def test_a_folder_of_another_conversion_is_left_alone(tmp_path):
    root, out = pictures(tmp_path / "in"), tmp_path / "out"
    convert(options(out, root))
    before = contents(out)
    for other in (options(out, root, resolution=8), options(out, root, shards=2)):
        with pytest.raises(InputError, match="holds a conversion of other images, or by other options"):
            convert(other)
    (root / "cat" / "00.png").write_bytes(png(39))
    with pytest.raises(InputError, match="holds a conversion of other images"):
        convert(options(out, root))
    assert contents(out) == before


def test_the_program_says_what_it_made_and_what_is_damaged(tmp_path, capsys):
    root, out = pictures(tmp_path / "in"), tmp_path / "out"
    assert main(options(out, root)) == 0
    assert "2 classes, no captions, 0 left out" in capsys.readouterr().out
    assert main(ConvertOptions(inputs=[out], verify=True)) == 0
    assert capsys.readouterr().out == "ok\n"
    shard = next(out.glob("held_out*.array_record"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert main(ConvertOptions(inputs=[out], verify=True)) == 1
    assert capsys.readouterr().out.startswith(f"{shard}: has another sha256")
