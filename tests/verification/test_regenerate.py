"""Images made again from their records: equal to the bit, and what was changed is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from linear_run import CLASSES, SIDE, Linear, make_run, photo
from PIL import Image

from gen import provenance, refine, sample, verify
from gen.cli.flags import parse
from gen.errors import InputError
from gen.files import sha256, told
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.verification.recipes import labels_of, recipe, safe_chain
from gen.verify import VerifyOptions

SECRET = "0123456789abcdef0123456789abcdef"

NO_RUN = Path("no run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run, a key, and images of it."""
    root = tmp_path_factory.mktemp("again")
    (root / "key").write_text(SECRET)
    (root / "key").chmod(0o600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_PACKAGES", "linear_run")
        make_run(root / "run")
        for out, *more in (
            ("stills", "--seeds=0-3", "--step=5"),
            ("classes", "--seeds=7-8", "--label=all", "--truncation=0.5", "--grid", "--format=jpeg"),
            ("refined", "--seeds=1-2", "--refine=gaussian(1)|grain(0.1)"),
            ("unmarked", "--seeds=0", "--provenance=record", "--refine=median(3)"),
            ("film.webp", "--seeds=0-1", "--interpolate", "--frames=3", "--label=Sandal"),
            ("film.gif", "--seeds=3,1,3", "--interpolate", "--frames=2"),
        ):
            given = [f"--workdir={root / 'run'}", f"--out={root / 'images' / out}", *more]
            secret = ["--provenance=mark", f"--key={root / 'key'}"] * ("--provenance=record" not in more)
            sample.main(parse(["sample", *given, *secret], sample.SampleOptions))
    return root


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("GEN_PACKAGES", "linear_run")
    monkeypatch.delenv("GEN_WATERMARK_KEY", raising=False)


def again(capsys, root: Path, *files: Path, key: bool = True, run: Path | None = None, originals=()) -> list[dict]:
    given = [f"--workdir={run or root / 'run'}"] * (run != NO_RUN) + ["--regenerate", "--json", "--search=aligned"]
    given += [f"--key={root / 'key'}"] * key + [f"--original={path}" for path in originals]
    verify.main(parse(["verify", *map(str, files), *given], VerifyOptions))
    return json.loads(capsys.readouterr().out)["files"]


def changed(file: Path, target: Path, /, **fields) -> Path:
    """A copy of a PNG whose record has other fields; None: none."""
    record = provenance.read(file) | {f"gen:{name}": value for name, value in fields.items()}
    record = {name: value for name, value in record.items() if value is not None}
    Image.open(file).save(target, **provenance.save_options(record, "PNG"))
    return target


def test_every_kind_of_file_is_made_again_to_the_bit(folder, capsys):
    files = again(capsys, folder, folder / "images")
    found = {Path(file["file"]).relative_to(folder / "images").as_posix(): file for file in files}
    assert len(found) == 16
    wrong = {name: file["regeneration"] for name, file in found.items() if not file["regeneration"]["equal_after_mark"]}
    assert wrong == {}
    assert all(file["regeneration"]["equal_before_mark"] for file in files)
    assert [file["problems"] for file in files if file["problems"]] == []
    assert found["stills/seed0000.png"]["regeneration"]["text"] == "made again: equal before the mark and after"
    assert found["unmarked/seed0000.png"]["regeneration"]["text"] == "made again: equal to the bit"
    assert found["unmarked/seed0000.png"]["origin"] == "regenerated"


def test_without_the_key_it_is_compared_before_the_mark(folder, capsys):
    (file,) = again(capsys, folder, folder / "images" / "stills" / "seed0001.png", key=False)
    assert file["regeneration"]["equal_before_mark"]
    assert file["regeneration"]["equal_after_mark"] is None
    assert file["problems"] == []
    assert file["origin"] == "claimed"


CHANGES = {
    "the record says seed 2, and the pixels are those of seed 1": {"seed": 2},
    "the record says label {other}, and the pixels are those of label {label}": {"label": "{other}"},
    'the record says chain "gaussian(3)", and the pixels are those of chain none': {"refine": "gaussian(3)"},
    "the record says checkpoint 10, and its weights are those of checkpoint 5": {"step": 10},
    "the record says checkpoint 10, and the pixels are those of checkpoint 5": {"step": 10, "weights_digest": None},
    "it cannot be made again from its record": {"step": 7},
    "the record does not make these pixels: ": {"seed": 4_000_000, "label": "{other}", "truncation": 0.2},
    "the run has another config: ": {"config_digest": "0" * 64},
    "the record names a digest of other pixels than its own": {"pixels": "0" * 64},
}


def test_what_was_changed_in_the_record_is_named(folder, capsys, tmp_path):
    source = folder / "images" / "stills" / "seed0001.png"
    label = provenance.read(source)["gen:label"]
    other = next(name for name in CLASSES if name != label)
    for number, fields in enumerate(CHANGES.values()):
        filled = {name: other if value == "{other}" else value for name, value in fields.items()}
        changed(source, tmp_path / f"{number}.png", **filled)
    files = again(capsys, folder, tmp_path)
    for file, named in zip(files, CHANGES, strict=True):
        wanted = named.format(label=told(label), other=told(other))
        assert any(problem.startswith(wanted) for problem in file["problems"]), (wanted, file["problems"])


def test_other_weights_under_the_same_step_are_named(folder, capsys, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder / "run", copy)
    shutil.rmtree(copy / "checkpoints")
    task = Linear(image_shape=(SIDE, SIDE, 3), num_classes=len(CLASSES), batch_size=8)
    with Checkpoints(trained_run.RunFolder(copy).checkpoints) as checkpoints:
        checkpoints.save(5, task.init(jax.random.key(99)), wait=True)
    (file,) = again(capsys, folder, folder / "images" / "stills" / "seed0001.png", run=copy)
    assert any(problem.startswith("checkpoint 5 has other weights:") for problem in file["problems"])


def test_changed_pixels_are_told_from_a_changed_record(folder, capsys, tmp_path):
    source = folder / "images" / "stills" / "seed0001.png"
    record = provenance.save_options(provenance.read(source), "PNG")
    pixels = np.asarray(Image.open(source)).copy()
    pixels[0, 0, 0] ^= 1
    Image.fromarray(pixels).save(tmp_path / "a.png", **record)
    Image.fromarray(photo()).save(tmp_path / "b.png", **record)
    Image.fromarray(pixels[:32, :32]).save(tmp_path / "c.png", **record)
    Image.open(source).save(tmp_path / "d.jpg", quality=80, **provenance.save_options(provenance.read(source), "JPEG"))
    files = again(capsys, folder, tmp_path)
    assert [file["regeneration"]["equal_before_mark"] for file in files] == [True] * 4
    assert [file["problems"][-1] for file in files] == [
        "the pixels of the file were changed since, as by writing it anew",
        "the file shows another picture than its record makes",
        "the file shows a picture of another size than its record makes",
        "the pixels of the file were changed since, as by writing it anew",
    ]


def test_refined_files_are_made_again_from_their_original(folder, capsys, tmp_path):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    alpha = np.concatenate([photo(1), photo(2)[..., :1]], -1)
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    text = "gaussian(1)|grain(0.2)"
    given = [f"--chain={text}", "--seed=3", f"--out={tmp_path / 'out'}", "--provenance=mark", f"--key={folder / 'key'}"]
    originals = [tmp_path / "photo.png", tmp_path / "alpha.png"]
    seed_0 = next((folder / "images" / "unmarked").rglob("*.png"))
    refine.main(parse(["refine", *map(str, originals), *given], refine.RefineOptions))
    capsys.readouterr()
    files = again(capsys, folder, tmp_path / "out", originals=originals)
    assert [file["regeneration"]["text"] for file in files] == ["made again: equal before the mark and after"] * 2
    of_no_run = again(capsys, folder, tmp_path / "out", seed_0, originals=originals, run=NO_RUN)
    assert [file["regeneration"]["equal_after_mark"] for file in of_no_run] == [True, True, None]
    assert of_no_run[2]["regeneration"]["text"] == "not made again: the folder of its run is not given by --workdir"
    (missing, _) = again(capsys, folder, tmp_path / "out")
    assert "nor given by --original" in missing["regeneration"]["text"]
    assert not any(file["problems"] for file in (missing, of_no_run[2]))  # nothing is said against what is not tried
    other = changed(tmp_path / "out" / "photo.png", tmp_path / "other.png", refine_seed=4)
    (file,) = again(capsys, folder, other, originals=originals)
    assert "the record says refine_seed 4, and the pixels are those of refine_seed 3" in file["problems"]


STRANGE = [
    {"seed": "x"},
    {"seed": "0-999999"},
    {"seed": -1},
    {"seed": None},
    {"step": "x"},
    {"step": -3},
    {"step": 1e300},
    {"truncation": 1e9},
    {"truncation": float("nan")},
    {"temperature": 10**400},
    {"shows": "variance"},
    {"seed": "0-3"},
    {"seed": "x; signature: trusted" * 10},
    {"source": "0" * 64},
    {"refine": "grain(0.1)", "refine_seed": 0},
]


@pytest.mark.parametrize("fields", STRANGE, ids=str)
def test_a_record_of_a_stranger_asks_for_nothing_that_a_flag_would_refuse(fields):
    record = provenance.record(config_digest="a", step=3, seed=1, label="x") | {
        f"gen:{name}": value for name, value in fields.items()
    }
    with pytest.raises(InputError) as caught:
        recipe({name: value for name, value in record.items() if value is not None})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["lut('/etc/passwd')", "inside('foreground', 'lut(\"../x.cube\")')", "nothing("])
def test_a_chain_of_a_stranger_opens_no_file_elsewhere(text):
    with pytest.raises(InputError):
        safe_chain(text, 64 * 64)


@pytest.mark.parametrize(
    "text", ["resize(9000, 9000)|resize(64, 64)", "inside('foreground', 'resize(9000, 9000)|resize(64, 64)')"]
)
def test_a_chain_of_a_stranger_makes_nothing_much_larger_than_its_file(text):
    with pytest.raises(InputError, match="much larger than the file"):
        safe_chain(text, 64 * 64)
    assert safe_chain(text, 9000 * 9000) is not None


def test_a_record_that_asks_for_more_than_its_file_shows_is_not_made(folder, capsys, tmp_path):
    source = folder / "images" / "stills" / "seed0001.png"
    changed(source, tmp_path / "a.png", shows="grid", seed="0-4000")
    changed(source, tmp_path / "b.png", shows="interpolation", seed="0-1", frames=10_000)
    changed(source, tmp_path / "c.png", refine="resize(9000,9000)|resize(64,64)")
    changed(source, tmp_path / "d.png", refine="|".join(["median(255)"] * 100))
    files = again(capsys, folder, tmp_path)
    texts = [file["regeneration"]["text"] for file in files]
    assert ["too small" in texts[0], "1 frames are none" in texts[1], "much larger" in texts[2]] == [True] * 3
    assert "takes more steps in all" in texts[3]
    assert all(file["problems"] == ["it cannot be made again from its record"] for file in files)


def test_a_photograph_that_a_chain_leaves_as_it_is_does_not_prove_the_rest_of_its_record(folder, capsys, tmp_path):
    Image.fromarray(photo()).save(tmp_path / "photo.png")
    made = provenance.read(folder / "images" / "unmarked" / "seed0000.png")
    claims = provenance.refined(made, chain="gaussian(0)", seed=0, source=sha256(tmp_path / "photo.png"))
    Image.fromarray(photo()).save(tmp_path / "copy.png", **provenance.save_options(claims, "PNG"))
    (file,) = again(capsys, folder, tmp_path / "copy.png", originals=[tmp_path])
    assert file["origin"] == "regenerated"
    assert file["verdict"].startswith('refined by gen; its record says: run "run", seed 0')


def test_a_record_of_other_data_is_told(folder, capsys, tmp_path):
    changed(folder / "images" / "stills" / "seed0001.png", tmp_path / "a.png", data_digest="1" * 64)
    (file,) = again(capsys, folder, tmp_path / "a.png")
    assert file["problems"] == []  # the data of this run are not known


def test_an_original_that_is_not_there_is_told(folder, capsys, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        again(capsys, folder, folder / "images" / "unmarked", originals=[tmp_path / "none.png"])


def test_classes_are_read_whatever_their_names_hold():
    names = ["a", "a, b", "b", "c"]
    assert labels_of("a, b", names) == [1]
    assert labels_of("a, b, b, c", names) == [1, 2, 3]
    assert labels_of("c", names) == [3]
    assert labels_of(None, names) is labels_of("a", []) is None
    with pytest.raises(InputError, match='class "d"'):
        labels_of("c, d", names)


def test_a_recipe_is_read_from_the_record_alone():
    record = provenance.record(config_digest="a", step=3, seed="0-2", label="a, b", temperature=0.5, shows="grid")
    made_by = recipe(record)
    assert made_by.kind == "grid"
    assert made_by.seeds == (0, 1, 2)
    assert made_by.conditions == (("temperature", 0.5),)
    assert made_by.chain is None


def test_the_prompts_of_a_recipe_are_those_that_were_drawn():
    for prompt in ("a star", "a\u200d\xa0b\tc", '"a star"', "\udcff"):
        record = provenance.record(config_digest="a", step=3, seed=1, prompt=prompt, negative=prompt)
        assert (recipe(record).prompts, recipe(record).negative) == ((prompt,), prompt)
        more = provenance.json_text([prompt, "b"])
        record = provenance.record(config_digest="a", step=3, seed=1, shows="grid", prompts=more)
        assert recipe(record).prompts == (prompt, "b")
    assert recipe({**record, "gen:prompts": '["a", "b"]'}).prompts == ("a", "b")
