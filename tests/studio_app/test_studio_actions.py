"""What the actions of a studio answer, against what the programs and gen.api make."""

import base64
import io
import shlex
import time

import numpy as np
import pytest
from PIL import Image
from prior_runs import CLASSES, make_flow, make_run
from studio_server import pixels, serving, trained_gan

from gen import api, devices, provenance
from gen.image_io.pixels import to_uint8
from gen.refine import RefineOptions, refine
from gen.sample import SampleOptions, sample
from gen.studio_app.fields import Fields
from gen.studio_app.jobs import Job
from gen.studio_app.server import ACTIONS


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("studio")
    trained_gan(root / "gan")
    make_flow(root / "flow", (8, 8, 3))
    make_run(root / "prior", (8, 8, 3))
    return root


@pytest.fixture(scope="module")
def client(place):
    with serving([place / name for name in ("gan", "flow", "prior")], place / "out") as asked:
        yield asked


GAN, FLOW, PRIOR = range(3)


@pytest.mark.parametrize("run", [GAN, FLOW, PRIOR])
def test_a_grid_shows_what_the_api_makes(client, place, run):
    told = client.ask("grid", run=run, seeds=[3, 4, 9], label=1)
    model = api.load(client.server.workspace.runs[run])
    assert np.array_equal([pixels(uri) for uri in told["images"]], to_uint8(model.sample([3, 4, 9], label=1)))
    lines: dict = {}
    exec(told["python"], lines)
    assert np.array_equal([pixels(uri) for uri in told["images"]], to_uint8(lines["images"]))


def test_an_image_is_made_before_one_is_asked_for(client):
    before = client.server.jobs.add(lambda job: None).number
    client.server.warm_up()
    job = client.server.jobs.find(before + 1)
    deadline = time.monotonic() + 60
    while not job.ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (job.state, len(job.result["images"])) == ("done", 1)


def test_its_command_writes_the_files_that_it_saves(client, place, tmp_path):
    state = {"run": GAN, "seeds": [7], "label": 2, "truncation": 0.5}
    words = shlex.split(client.ask("grid", **state)["command"])
    assert words[:3] == ["python", "-m", "gen.sample"]
    flags = dict(word[2:].split("=", 1) for word in words[3:])
    flags |= {"out": str(tmp_path / "made"), "truncation": float(flags["truncation"])}
    sample(SampleOptions(**flags))
    (written,) = (tmp_path / "made").glob("*.png")
    (saved,) = client.ask("save", states=[state])["files"]
    assert (place / "out" / saved).read_bytes() == written.read_bytes()
    assert provenance.read(written)["gen:seed"] == 7


def test_a_description_names_what_can_be_done(client):
    gan, flow, prior = (client.ask("describe", run=run) for run in (GAN, FLOW, PRIOR))
    assert [one["kind"] for one in (gan, flow, prior)] == ["Gan", "Flow", "Prior"]
    assert gan["can"]["directions"]
    assert not gan["can"]["inpaint"]
    assert gan["pages"]["training"].startswith("/pages/")
    assert flow["can"]["inpaint"]
    assert flow["can"]["walk"]
    assert not flow["can"]["directions"]
    assert not prior["can"]["walk"]
    assert flow["classes"] == [*CLASSES]
    assert {one["name"] for one in prior["settings"]} == {"temperature", "top_k", "top_p", "guidance"}
    status, content, headers = client.send("GET", gan["pages"]["training"])
    assert status == 200
    assert b"<html" in content
    assert "sandbox" in headers["content-security-policy"]


def test_a_table_has_a_column_for_each_value(client):
    values = [{"value": 0}, {"value": 2}]
    told = client.ask("axes", run=GAN, axis="label", values=values, seeds=[1, 2])
    for column, label in zip(told["columns"], (0, 2), strict=True):
        assert column == client.ask("grid", run=GAN, seeds=[1, 2], label=label)["images"]
    steps = client.ask("axes", run=GAN, axis="step", values=[{"value": client.ask("describe")["step"]}], seeds=[1])
    assert steps["columns"][0] == client.ask("grid", run=GAN, seeds=[1])["images"]
    assert "no temperature" in client.ask("axes", run=GAN, axis="temperature", values=values, seeds=[1])["error"]


def test_the_corners_of_the_plane_are_the_seeds(client):
    state = {"run": GAN, "seeds": [0, 1, 2], "label": 0}
    places = [{"u": 0, "v": 0}, {"u": 1, "v": 0}, {"u": 0.3, "v": 1}]
    corners = client.ask("plane", **state, points=places)["images"]
    plain = client.ask("grid", **state)["images"]
    for corner, image in zip(corners, plain, strict=True):
        assert np.abs(pixels(corner).astype(int) - pixels(image)).max() <= 1


def test_a_way_ends_where_the_seeds_are_and_is_saved_as_an_animation(client, place):
    told = client.ask("interpolate", run=GAN, seeds=[0, 1], label=0, frames=3)
    assert len(told["images"]) == 4
    (name,) = client.ask("save_interpolation", run=GAN, seeds=[0, 1], label=0, frames=3)["files"]
    with Image.open(place / "out" / name) as opened:
        assert opened.n_frames == 4
        assert opened.format == "WEBP"


def test_moving_along_a_direction_changes_the_image_and_by_nothing_does_not(client):
    still = client.ask("edit", run=GAN, seeds=[3], strengths=[{"strength": 0}])
    moved = client.ask("edit", run=GAN, seeds=[3], strengths=[{"strength": 3}])
    plain = client.ask("grid", run=GAN, seeds=[3])["images"][0]
    assert np.abs(pixels(still["image"]).astype(int) - pixels(plain)).max() <= 1
    assert not np.array_equal(pixels(still["image"]), pixels(moved["image"]))
    lines: dict = {}
    exec(moved["python"], lines)
    assert np.array_equal(to_uint8(np.clip(lines["image"], 0, 1))[0], pixels(moved["image"]))
    assert "no latents" in client.ask("edit", run=FLOW, seeds=[3], strengths=[{"strength": 0}])["error"]


def test_the_nearest_training_images_are_in_order_of_their_distance(client):
    told = client.ask("nearest", run=GAN, seeds=[3])
    assert told["distances"] == sorted(told["distances"])
    assert len(told["images"]) == 6
    given = pixels(told["image"]).astype(float)
    for uri, distance in zip(told["images"], told["distances"], strict=True):
        assert distance == pytest.approx(np.sqrt(((pixels(uri) - given) ** 2).mean()), abs=0.01)


def test_what_is_not_painted_over_stays_to_the_bit(client):
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    kept = client.hand(image)
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 255
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, format="PNG")
    painted = base64.b64encode(buffer.getvalue()).decode()
    for run in (FLOW, PRIOR):
        told = client.ask("inpaint", run=run, seeds=[0, 1], label=0, id=kept["id"], mask=painted)
        for uri in told["images"]:
            assert np.array_equal(pixels(uri)[:, :4], image[:, :4])
        assert set(told["maps"]) == ({"variance"} if run == FLOW else {"variance", "surprisal"})
        region = client.ask("inpaint", run=run, seeds=[0, 1], label=0, id=kept["id"], region="right_half")
        assert region["images"] == told["images"]
    assert "paint" in client.ask("inpaint", run=FLOW, seeds=[0], label=0, id=kept["id"])["error"]


def test_answers_are_stopped_between_two_batches(client, monkeypatch):
    monkeypatch.setitem(devices._EACH, "cpu", 1)
    kept, jobs = client.hand(np.zeros((8, 8, 3), np.uint8)), client.server.jobs
    given = {"run": FLOW, "seeds": [*range(64)], "label": 0, "id": kept["id"], "region": "center"}
    shares = []

    class Stopping(Job):
        def check(self, share=None):
            shares.append(share)
            if share:
                self.stop()
            super().check(share)

    job = Stopping(0, lambda job: ACTIONS["inpaint"](client.server.workspace, Fields(given), job))
    jobs.add(lambda _: job.run())
    deadline = time.monotonic() + 60
    while not job.ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert job.state == "stopped"
    assert 0 < shares[-1] < 1


def test_a_chain_is_shown_as_gen_refine_makes_it(client, place):
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    kept = client.hand(image, "a photo.png")
    told = client.ask("refine", id=kept["id"], chain="sepia(0.5)|gaussian(1)")
    (name,) = client.ask("save_refined", id=kept["id"], chain="sepia(0.5)|gaussian(1)")["files"]
    with Image.open(place / "out" / name) as opened:
        assert np.array_equal(np.asarray(opened), pixels(told["after"]))
    assert provenance.read(place / "out" / name)["gen:refine"] == "sepia(0.5)|gaussian(1)"
    assert "position" in client.ask("refine", id=kept["id"], chain="sepja(1)")["error"]


def test_a_chain_in_a_region_leaves_the_rest_as_it_was(client):
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = (200, 60, 20)
    kept = client.hand(image)
    found = client.ask("find_region", id=kept["id"], x=0.9, y=0.5)
    assert found["share"] == pytest.approx(0.5, abs=0.02)
    told = client.ask("refine", id=kept["id"], chain="invert", at={"x": 0.9, "y": 0.5})
    after = pixels(told["after"])
    assert np.array_equal(after[:, :15], image[:, :15])
    assert not np.array_equal(after[:, 20:], image[:, 20:])


def test_the_command_makes_it_with_the_mask_that_is_saved_beside_it(client, place, tmp_path, monkeypatch):
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = (200, 60, 20)
    number, name = client.hand(image, "my photo (1).png")["id"], "my photo (1).png"
    monkeypatch.chdir(place / "out")
    Image.fromarray(image).save(name)
    for x in (0.9, 0.1):  # two regions of one image: each has its own mask
        asked = {"id": number, "chain": "invert", "at": {"x": x, "y": 0.5}}
        shown = client.ask("refine", **asked)["command"]
        saved = client.ask("save_refined", **asked)
        assert saved["command"] == shown
        words, (made, mask) = shlex.split(shown), saved["files"]
        text, out = words[5].removeprefix("--chain="), tmp_path / f"{x}"
        refine(RefineOptions(inputs=[name], chain=text, mask=[words[4].removeprefix("--mask=")], out=out))
        assert words[4] == f"--mask=region={mask}"
        (again,) = out.glob("*.png")
        with Image.open(made) as one, Image.open(again) as other:
            assert np.array_equal(np.asarray(one), np.asarray(other))


def test_an_image_that_was_made_here_is_verified_and_its_state_restored(client):
    kept = client.ask("take", run=GAN, seeds=[11], label=1, truncation=0.7)
    told = client.ask("verify", id=kept["id"])
    assert "equal" in told["text"]
    assert not told["problems"]
    assert told["state"] == {"run": GAN, "step": told["record"]["step"], "seeds": [11], "label": 1, "truncation": 0.7}
    again = client.ask("grid", **told["state"])["images"][0]
    assert np.array_equal(pixels(again), pixels(kept["image"]))


def test_an_image_of_nobody_is_told_so(client):
    told = client.ask("verify", id=client.hand(np.zeros((16, 16, 3), np.uint8))["id"])
    assert told["kind"] == "unknown"
    assert told["record"] == {}
    assert told["state"] is None


def test_operators_are_listed_with_forms_that_make_chains(client):
    told = client.ask("operators")
    names = {one["name"] for one in told["operators"]}
    assert {"gaussian", "sepia", "vibrance"} <= names
    assert not names & {"inside", "map_segments"}
    kept = client.hand(np.full((8, 8, 3), 90, np.uint8))
    for text in told["presets"].values():
        assert "error" not in client.ask("refine", id=kept["id"], chain=text)


def test_a_chain_of_the_state_refines_as_gen_sample_does(client, place, tmp_path):
    state = {"run": GAN, "seeds": [3], "refine": "gaussian(1)"}
    told = client.ask("grid", **state)
    sample(SampleOptions(workdir=place / "gan", seeds="3", refine="gaussian(1)", out=tmp_path / "made"))
    (written,) = (tmp_path / "made").glob("seed*.png")
    with Image.open(written) as opened:
        assert np.array_equal(np.asarray(opened), pixels(told["images"][0]))
    restored = client.ask("verify", id=client.ask("take", **state)["id"])
    assert restored["state"]["refine"] == "gaussian(1)"
    assert "equal" in restored["text"]


def test_the_lines_of_every_view_make_what_is_shown(client):
    asked = {"run": GAN, "seeds": [0, 1, 2], "label": 1, "truncation": 0.123456789}
    place = [{"u": 0.25, "v": 0.5}]
    way = client.ask("interpolate", **asked, frames=3)
    for told in (client.ask("grid", **asked), client.ask("plane", **asked, points=place), way):
        lines: dict = {}
        exec(told["python"], lines)
        assert np.array_equal([pixels(uri) for uri in told["images"]], to_uint8(lines["images"]))
    told = client.ask("axes", **asked, axis="truncation", values=[{"value": 0.5}, {"value": 1}])
    lines = {}
    exec(told["python"], lines)
    for column, made in zip(told["columns"], lines["columns"], strict=True):
        assert np.array_equal([pixels(uri) for uri in column], to_uint8(made))


def test_names_of_files_are_no_commands(client):
    for name in ("a;touch PWN $(id).png", "--out=x.png", "it's.png"):
        kept = client.hand(np.zeros((8, 8, 3), np.uint8), name)
        for told in (client.ask("verify", id=kept["id"]), client.ask("refine", id=kept["id"], chain="invert")):
            assert shlex.split(told["command"])[3] == ("./" + name if name.startswith("-") else name)


def test_deep_and_transparent_pictures_are_shown_on_white(client):
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    kept = client.hand(deep, "deep.png")
    after = pixels(client.ask("refine", id=kept["id"], chain="gaussian(0.01)")["after"])
    assert np.abs(after[..., 0].astype(int) - deep // 257).max() <= 1
    clear = np.zeros((900, 8, 4), np.uint8)
    clear[100:800] = (255, 0, 0, 255)
    for image in (clear[96:104], clear):
        told = client.ask("refine", id=client.hand(image, "clear.png")["id"], chain="gaussian(0.01)")
        assert pixels(told["after"])[0, 0].tolist() == [255, 255, 255]
        assert np.abs(pixels(told["after"]).astype(int) - pixels(told["before"])).max() <= 2


def test_half_a_character_is_refused(client):
    assert "half of a character" in client.ask("grid", run=GAN, seeds=[0], prompt="\ud800x")["error"]
