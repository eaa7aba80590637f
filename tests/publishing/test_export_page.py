"""The page of an export: what it is made of, what is refused, and the random numbers of its scripts."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import re
import shutil
import subprocess
import tarfile

import jax
import jax.numpy as jnp
import numpy as np
import onnx_models
import pytest
import tiny
from untrained import untrained

from gen import export
from gen.config import build, spec
from gen.errors import InputError
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import DiagonalGaussian
from gen.provenance import xmp
from gen.publishing import flow_steps, onnx_export, onnxruntime_web, page
from gen.runs import trained_run
from gen.sampling import by_seed
from gen.tasks import ode
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.flow import Flow

pytest.importorskip("flatbuffers")  # which jax.export needs

TEMPLATES = page._TEMPLATES
RUNTIME = {name: f"content of {name}".encode() for name in onnxruntime_web.FILES}


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A folder with files whose checksums are known."""
    known = {name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in RUNTIME.items()}
    monkeypatch.setattr(onnxruntime_web, "FILES", known)
    (tmp_path / "npm" / "dist").mkdir(parents=True)
    for name, content in RUNTIME.items():
        (tmp_path / "npm" / "dist" / name).write_bytes(content)
    return tmp_path / "npm"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An exported model with a model.onnx that says what it must; it makes other images."""
    folder = tmp_path_factory.mktemp("page")
    untrained(folder / "gan", tiny.task_spec())
    export.export(export.ExportOptions(folders=(folder / "gan", folder / "out")))
    write_model(folder / "out")
    return folder / "out"


def write_model(folder, **changes):
    facts = {"weights_digest": trained_run.load(folder).weights_digest, "difference": "6.0e-07"} | changes
    parts = onnx_models.drawn(8, tiny.NUM_CLASSES, tiny.IMAGE_SHAPE)
    (folder / "model.onnx").write_bytes(onnx_models.model(*parts, tiny.IMAGE_SHAPE, **facts))


def with_page(source, out, runtime, **options):
    options = {"folders": (source, out), "page": True, "onnxruntime_web": runtime} | options
    return export.export(export.ExportOptions(**options))


def test_a_folder_with_a_page_has_all_that_it_needs(model, tmp_path, runtime):
    out = tmp_path / "out"
    with_page(model, out, runtime)
    assert {*page.FILES, "model.onnx", "model.safetensors"} <= {path.name for path in out.iterdir()}
    assert (out / "model.onnx").read_bytes() == (model / "model.onnx").read_bytes()
    for name, content in RUNTIME.items():
        assert (out / name).read_bytes() == content
    about = json.loads((out / "page.json").read_text())
    assert (about["shape"], about["latent"], about["truncation"]) == ([16, 16, 3], 8, True)
    assert about["classes"] == trained_run.load(model).class_names
    export.export(export.ExportOptions(folders=(model, out)))
    assert not {path.name for path in out.iterdir()} & {*page.FILES, "model.onnx"}


def test_the_page_asks_no_other_host_and_runs_no_script_of_its_text():
    html = (TEMPLATES / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    for name in page.PAGE:
        text = (TEMPLATES / name).read_text()
        assert "//" not in re.sub(r"^\s*//.*$|; // .*$|, // .*$", "", text, flags=re.MULTILINE).replace(" // ", "")
        assert "innerHTML" not in text
        assert " style=" not in text
    assert re.findall(r"<script\b[^>]*>(.*?)</script>", html) == [""]
    script = (TEMPLATES / "page.js").read_text()
    assert set(re.findall(r'\bat\("(\w+)"\)', script)) <= set(re.findall(r'\bid="(\w+)"', html))


def test_the_record_of_the_page_is_that_of_gen(model):
    run = trained_run.load(model)
    about = page.about(run)
    wanted = run.record(seed=3, label="star", truncation=0.7)
    made = about["record"] | {name: wanted[name] for name in ("gen:seed", "gen:label", "gen:truncation", "gen:date")}
    assert made | {"gen:software": ""} == wanted | {"gen:software": ""}
    assert f"onnxruntime-web {onnxruntime_web.VERSION}" in made["gen:software"]
    text = json.dumps(made).replace("&", "&amp;").replace("<", "&lt;")
    packet = about["packet"].replace("@record@", text).replace("@date@", made["gen:date"])
    found = xmp.properties(packet.encode())
    assert json.loads(found[xmp.RECORD][0]) == made
    assert found["xmp:MetadataDate"] == [made["gen:date"]]


_DECODER = spec(Network, **tiny.AUTOENCODER, bottleneck=spec(DiagonalGaussian, size=4))


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (tiny.flow_spec(autoencoder=_DECODER), "a flow of latents needs its autoencoder, too"),
        (tiny.prior_spec(), "a prior draws its tokens one after the other"),
        (spec(Autoencoder, network=tiny.tokenizer(), schedule_images=1), "draws no images by itself"),
    ],
)
def test_families_without_a_page_are_one_line(tmp_path, runtime, task, said):
    untrained(tmp_path / "run", task)
    with pytest.raises(InputError, match=f"no page: .*{said}.*; allowed: generators") as error:
        with_page(tmp_path / "run", tmp_path / "out", runtime)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_flow_of_captions_is_one_line():
    task = build(tiny.flow_spec(), "task", image_shape=tiny.IMAGE_SHAPE, num_classes=0, batch_size=8, caption_length=8)
    assert "reads captions" in onnx_export.refusal(task)


def test_the_page_of_a_flow_knows_its_steps(tmp_path, runtime):
    run = trained_run.load(untrained(tmp_path / "run", tiny.flow_spec(guidance_times=(0.2, 1.0), last_time=0.1)))
    about = json.loads(page.files(run, runtime)["page.json"])
    told = {"steps": 2, "last": 0.1, "shift": 1, "guidance": 1.5, "guidance_times": [0.2, 1.0], "unknown": 8}
    assert about["flow"] == told
    assert (about["shape"], about["latent"], about["truncation"]) == ([16, 16, 3], 768, True)
    assert len(about["classes"]) == 8
    assert not {"gen:steps", "gen:guidance"} & set(about["record"])


def test_guidance_multiplies_what_a_flow_may_differ_by():
    of = lambda **changes: page.tolerance(  # noqa: E731
        build(tiny.flow_spec(**changes), "task", image_shape=tiny.IMAGE_SHAPE, num_classes=8, batch_size=8)
    )
    assert of(guidance=1.0) == of(guidance=0.5) == page.TOLERANCE == 1e-3
    assert of(guidance=3.0) == pytest.approx(3e-3)


def test_a_model_that_is_too_large_or_too_far_from_jax_is_refused(model, tmp_path, runtime, monkeypatch):
    source = tmp_path / "source"
    shutil.copytree(model, source)
    for difference in ("4.0e-06", "nan", "-1"):
        write_model(source, difference=difference)
        with pytest.raises(InputError, match=r"model.onnx differs from jax by .* of 255 levels; allowed: 0.001"):
            with_page(source, tmp_path / "out", runtime)
    write_model(source, difference="?")
    with pytest.raises(InputError, match="does not say how far it is from jax"):
        with_page(source, tmp_path / "out", runtime)
    write_model(source)
    monkeypatch.setattr(page, "LARGEST", 1000)
    with pytest.raises(InputError, match=r"no page: model.onnx is .* MB; allowed: 0 MB"):
        with_page(source, tmp_path / "out", runtime)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("jax2onnx") is not None, reason="jax2onnx is installed")
def test_a_model_of_other_weights_is_not_taken(model, tmp_path, runtime):
    source = tmp_path / "source"
    shutil.copytree(model, source)
    write_model(source, weights_digest="0" * 64)
    with pytest.raises(InputError, match="--page needs jax2onnx and onnxruntime"):
        with_page(source, tmp_path / "out", runtime)


def test_metadata_of_a_model_are_read_without_its_packages(model):
    content = (model / "model.onnx").read_bytes()
    assert onnx_export.metadata(content)["difference"] == "6.0e-07"
    for damaged in (b"", b"\x0b", b"\xff" * 20, b"PNG", content[:-1], bytes([114, 2, 255, 255])):
        assert onnx_export.metadata(damaged) in ({}, {"weights_digest": trained_run.load(model).weights_digest})


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as package:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            package.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_the_runtime_is_read_of_a_folder_and_of_a_package(runtime, tmp_path):
    archive = tmp_path / "o.tgz"
    archive.write_bytes(packed({f"package/dist/{name}": content for name, content in RUNTIME.items()}))
    for place in (runtime, runtime / "dist", archive):
        assert onnxruntime_web.read(place) == RUNTIME


def test_another_runtime_is_refused_with_the_command_to_type(runtime, tmp_path):
    hint = r"; type npm pack onnxruntime-web@\d+\.\d+\.\d+ and give --onnxruntime_web onnxruntime-web-\S+\.tgz$"
    name = "ort.wasm.min.mjs"
    other, longer, short = ({f"package/dist/{n}": c for n, c in RUNTIME.items()} for _ in range(3))
    other[f"package/dist/{name}"] = RUNTIME[name].upper()
    longer[f"package/dist/{name}"] += b"!"
    del short[f"package/dist/{name}"]
    for files, said in ((other, "is not that of"), (longer, "is not that of"), (short, f"has no {name}")):
        (tmp_path / "o.tgz").write_bytes(packed(files))
        with pytest.raises(InputError, match=said + ".*" + hint):
            onnxruntime_web.read(tmp_path / "o.tgz")
    (runtime / "dist" / name).write_bytes(RUNTIME[name] + b"!")
    whole = packed(other)
    for content in (b"", b"text", whole[:-20]):
        (tmp_path / "bad.tgz").write_bytes(content)
        with pytest.raises(InputError, match=hint):
            onnxruntime_web.read(tmp_path / "bad.tgz")
    for place in (tmp_path / "none", runtime, tmp_path):
        with pytest.raises(InputError, match=hint):
            onnxruntime_web.read(place)


SEEDS = [*range(998), 2**31, 2**32 - 1]
DRAW = """import { normal, drawnLabel } from "./random.mjs";
const seeds = JSON.parse(process.argv[2]);
const labels = [1, 8, 10, 1000, 65536].map((classes) => seeds.map((seed) => drawnLabel(seed, classes)));
console.log(JSON.stringify({ normals: seeds.map((seed) => Array.from(normal(seed, 64))), labels }));
"""


def run_node(folder, script, argument):
    """Runs a script with a value as JSON, and returns what it prints as JSON."""
    (folder / "script.mjs").write_text(script)
    command = ["node", str(folder / "script.mjs"), json.dumps(argument)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
def test_scripts_draw_the_random_numbers_of_jax(tmp_path):
    shutil.copy(TEMPLATES / "random.js", tmp_path / "random.mjs")
    made = run_node(tmp_path, DRAW, SEEDS)
    keys = by_seed.keys(SEEDS)
    wanted = np.asarray(jax.vmap(lambda key: jax.random.normal(key, (64,)))(keys))
    np.testing.assert_allclose(np.float32(made["normals"]), wanted, atol=2e-6, rtol=1e-6)
    for labels, classes in zip(made["labels"], (1, 8, 10, 1000, 65536), strict=True):
        draw = lambda key, n=classes: jax.random.randint(jax.random.fold_in(key, 1), (), 0, n)  # noqa: E731
        assert labels == np.asarray(jax.vmap(draw)(keys)).tolist()


STEPS = """import { guided, solve, times } from "./flow.mjs";
const { counts, last, shift, noise, settings } = JSON.parse(process.argv[2]);
const bent = async (z, time, known) => z.map((value) => Math.fround(Math.tanh(value) * (known ? 1 : 0.5) - time));
const seen = [];
const how = { steps: 5, last, shift };
const go = async (ends) => solve(guided(bent, settings), Float32Array.from(noise), how, async (i, z) => {
  seen.push([i, z.length]);
  return i < ends;
});
const made = Array.from(await go(9));
const ended = await go(2);
console.log(JSON.stringify({ times: counts.map((steps) => Array.from(times(steps, last, shift))), made, ended, seen }));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
@pytest.mark.parametrize(("last", "mean"), [(0.02, 0.0), (0.3, 0.0), (0.02, 1.0), (0.3, -0.5)])
def test_scripts_take_the_steps_of_gen(tmp_path, last, mean):
    shutil.copy(TEMPLATES / "flow.js", tmp_path / "flow.mjs")
    noise, counts = np.asarray(jax.random.normal(jax.random.key(0), (1, 20))), [1, 2, 3, 7, 20, 333]
    spec = tiny.flow_spec(last_time=last, time_logits=(mean, 1.0))
    task = build(spec, "task", image_shape=tiny.IMAGE_SHAPE, num_classes=8, batch_size=8)
    assert isinstance(task, Flow)
    shift = task.time_shift
    given = {"counts": counts, "last": last, "shift": shift, "noise": noise[0].tolist()}
    made = run_node(tmp_path, STEPS, given | {"settings": {"guidance": 1.7, "between": [0.3, 0.8]}})
    assert made["times"] == [flow_steps.times(task, steps).tolist() for steps in counts]

    def velocity(z, t):
        given, unknown = jnp.tanh(z) - t, jnp.tanh(z) / 2 - t
        return jnp.where((t >= 0.3) & (t <= 0.8), unknown + 1.7 * (given - unknown), given)

    wanted = np.asarray(ode.solve(velocity, jnp.asarray(noise), steps=5, last=last, shift=shift))
    np.testing.assert_allclose(made["made"], wanted[0], atol=1e-6)
    assert made["ended"] is None
    assert made["seen"] == [[1, 20], [2, 20], [3, 20], [4, 20], [1, 20], [2, 20]]
