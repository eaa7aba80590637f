"""Pictures of an evaluation say what the numbers say, and the page holds both."""

from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from comparisons import comparison
from PIL import Image

from gen import provenance
from gen.evaluation import html, measure
from gen.evaluation.evaluate_run import Evaluation
from gen.evaluation.figures import classes, depth, draw_figures, manifold, nearest, spectra, typical
from gen.metrics import memorization, neighbors, spectrum
from gen.runs.trained_run import RunFolder

RED = (225, 30, 30)
QUICK = ("frechet", "neighbors", "vendi")


def count(picture: np.ndarray, color) -> int:
    return int((picture == np.array(color, np.uint8)).all(-1).sum())


def tinted(asked, colors):
    """The question with generated images of one color each."""
    images = np.broadcast_to(np.array(colors, np.uint8)[:, None, None], asked.generated.images.shape).copy()
    return dataclasses.replace(asked, generated=dataclasses.replace(asked.generated, images=images))


def test_pictures_are_titled_rgb():
    made = draw_figures(comparison())
    assert list(made) == ["nearest", "typical", "untypical", "classes", "map"]
    for title, picture in made.values():
        assert title[0].isupper()
        assert picture.dtype == np.uint8
        assert picture.shape[2] == 3
        assert max(picture.shape) < 1300


@pytest.mark.parametrize("options", [{"channels": 1, "side": 28}, {"labeled": False}, {"side": 260}, {"features": 1}])
def test_pictures_of_all_kinds_of_images(options):
    made = draw_figures(comparison(12, real=20, held_out=0, **options))
    assert ("classes" in made) == options.get("labeled", True)
    assert all(max(picture.shape) < 1500 for _, picture in made.values())


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_of_few_images_there_are_fewer_pictures(size):
    assert "nearest" in draw_figures(comparison(size))
    assert ("map" in draw_figures(comparison(size))) == (size > 5)
    assert ("map" in draw_figures(comparison(real=size))) == (size > 5)


def test_depth_is_realism_and_counts_as_precision_and_recall_do():
    asked = comparison(shift=1.0)
    real, generated = asked.reference.real.manifold, asked.generated.manifold
    found = neighbors.precision_recall(generated, real, k=3, replicates=0)
    deep = depth(asked.generated.features, real)
    assert (deep >= 1).mean() == found.precision.value
    assert (depth(asked.reference.real.features, generated) >= 1).mean() == found.recall.value
    x, y = generated.points.astype(np.float64), real.points.astype(np.float64)
    apart = np.sqrt(np.square(x[:, None] - y[None]).sum(-1))
    np.testing.assert_allclose(deep, (real.distances[None, :, 2] / apart).max(1), rtol=1e-6)


def test_a_copy_is_in_a_ball_of_radius_zero():
    copies = np.repeat(np.eye(3, 4), 4, axis=0)
    assert (depth(copies, neighbors.manifold(copies, k=3)) == 1).all()


def test_copies_are_deepest_and_come_first():
    asked = comparison()
    copies = asked.reference.train.take(np.arange(40, 60))
    features = np.concatenate([asked.generated.features[:40], copies.features])
    asked = dataclasses.replace(asked, generated=dataclasses.replace(asked.generated, features=features))
    colors = np.zeros((60, 3), int)
    colors[40:] = (10, 200, 30)
    asked = tinted(asked, colors)
    most, least = typical(asked)
    assert count(most, (10, 200, 30)) == 20 * 96 * 96
    assert count(least, (10, 200, 30)) == 0


def test_nearest_shows_pairs_and_frames_what_is_suspicious():
    asked = comparison()
    found = memorization.memorization(
        asked.generated.features, asked.reference.train.features, asked.reference.held_out.features
    )
    assert count(nearest(asked), RED) == 0 or found.share.value > 0
    train = asked.reference.train
    copier = dataclasses.replace(asked, generated=train.take(np.arange(60)))
    frames = count(nearest(copier), RED)
    assert frames == 32 * (100 * 100 - 96 * 96)  # 16 pairs
    picture = nearest(copier)
    height, width = picture.shape[0], picture.shape[1]
    assert (height, width) == (4 * (100 + 16 + 4) + 4, 4 * (216 + 4) + 4)  # a caption above each, also where all are 0
    left, right = (picture[24 : 24 + 96, at : at + 96] for at in (6, 106))
    assert (left == right).all()
    over_and_over = dataclasses.replace(asked, generated=train.take(np.arange(60) % 3))
    assert count(nearest(over_and_over), RED) == 3 * 2 * (100 * 100 - 96 * 96)  # each training image once
    few = dataclasses.replace(copier, reference=dataclasses.replace(asked.reference, held_out=train.take(np.arange(9))))
    assert count(nearest(few), RED) == frames  # copies are suspicious even where nothing is known to be held out
    assert "red frame" not in draw_figures(few)["nearest"][0]
    assert "red frame" in draw_figures(copier)["nearest"][0]


def test_classes_frame_what_the_classifier_sees_otherwise():
    asked = comparison()
    x = asked.generated
    shown = np.concatenate([np.flatnonzero(x.labels == k)[:10] for k in range(3)])
    wrong = int((x.logits[shown].argmax(1) != x.labels[shown]).sum())
    assert count(classes(asked), RED) == wrong * (100 * 100 - 96 * 96) > 0
    assert classes(asked).shape[0] == 300
    unsure = dataclasses.replace(asked, generated=dataclasses.replace(x, logits=None))
    assert count(classes(unsure), RED) == 0
    other = dataclasses.replace(asked, generated=dataclasses.replace(x, logits=np.zeros((60, 1008), np.float32)))
    assert count(classes(other), RED) == 0
    lacking = dataclasses.replace(asked, generated=x.take(np.flatnonzero(x.labels != 1)))
    assert classes(lacking).shape[0] == 200


def test_the_map_has_all_kinds_of_points_and_no_others():
    picture = manifold(comparison(shift=1.5))[:560]
    colors = [(185, 185, 185), (30, 30, 30), (20, 100, 190), (235, 110, 20)]
    assert all(count(picture, color) > 0 for color in colors)
    far = manifold(comparison(shift=50.0))[:560]
    assert [count(far, color) > 0 for color in colors] == [False, True, False, True]
    same = comparison()
    same = dataclasses.replace(same, generated=same.reference.real)
    assert [count(manifold(same)[:560], color) > 0 for color in colors] == [False, False, True, False]


def test_spectra_are_those_of_the_sets():
    asked = comparison(40, real=60)
    rings, lines = spectra(asked)
    assert [line.name for line in rings.lines] == [line.name for line in lines.lines] == ["samples", "real"]
    for chart, power in (
        (rings, spectrum.radial_power(asked.generated.images).power),
        (lines, spectrum.line_power(asked.generated.images).mean(axis=0)),
    ):
        assert chart.lines[0].last == f"{power[-1]:.3g}"
        assert len(chart.lines[0].stretches[0]) == 8
        assert [number for _, number in chart.x_ticks][-1] == "0.5"
    assert spectra(comparison(1)) == spectra(comparison(side=8)) == []


def test_the_page_has_every_number_and_picture(tmp_path):
    asked = comparison()
    boards = {"samples": measure(asked, groups=QUICK), "refined": measure(comparison(50), groups=QUICK)}
    boards["refined"] = [dataclasses.replace(result, subject={"refine": "blur(<1>)"}) for result in boards["refined"]]
    boards["samples"] = boards["samples"][:-1]  # one that only the other has
    record = provenance.record(config_digest="d", step=5, shows="figure")
    html.write(tmp_path / "out", Evaluation(boards, {"samples": asked, "refined": comparison(50)}, record))
    assert record.items() <= provenance.read(tmp_path / "out" / "typical.png").items()
    kinds = {"nearest": provenance.COMPOSITE, "map": provenance.DATA}  # which show real images, and none
    for name, kind in kinds.items():
        assert provenance.read(tmp_path / "out" / f"{name}.png") == {
            **provenance.read(tmp_path / "out" / "typical.png"),
            "gen:digital_source_type": kind,
            "gen:pixels": provenance.read(tmp_path / "out" / f"{name}.png")["gen:pixels"],
        }
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    pngs = ["classes.png", "map.png", "nearest.png", "typical.png", "untypical.png"]
    assert names == sorted([*pngs, "evaluation-refined.json", "evaluation.html", "evaluation.json", "section.html"])
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert page.count("<img ") == 5
    assert page.count("<svg ") == 2  # the spectra
    assert not re.search("https?:", page)
    for board in boards.values():
        for result in board:
            assert f">{result.metric}" in page
            assert f"<td>{result.value:.4g}" in page
    assert "FD-own ↓" in page
    assert "precision ↑" in page
    assert "blur(&lt;1&gt;)" in page
    assert "<td>–</td>" in page
    assert 'FD-own ↓<br><span class="quiet">Fréchet distance of two Gaussians' in page
    assert "FID" not in re.sub('base64,[^"]+', "", page)
    assert asked.extractor.digest[:12] in page
    assert len(json.loads((tmp_path / "out" / "evaluation-refined.json").read_text())) == len(boards["refined"])
    with Image.open(tmp_path / "out" / "map.png") as image:
        assert image.size == (560, 646)


def test_sets_without_pictures_have_a_page_and_nothing_of_an_earlier_one(tmp_path):
    asked = comparison()
    earlier = {"samples": measure(asked, groups=("frechet",))}
    html.write(tmp_path, Evaluation(earlier | {"refined": earlier["samples"]}, {"samples": asked}))
    assert len(list(tmp_path.iterdir())) > 3
    html.write(tmp_path, Evaluation({"images": measure(asked, groups=("frechet",))}, {}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evaluation.html", "evaluation.json", "section.html"]


def test_a_report_is_written_again_unless_its_run_goes_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.config.write_text(json.dumps({"total_images": 8}))
    folder.data.write_text(json.dumps({"name": "x"}))
    asked = comparison()
    html.write(tmp_path / "evaluation", Evaluation({"samples": measure(asked, groups=("frechet",))}, {}))
    path = tmp_path / "report.html"
    path.write_text('<span class="status running">')
    html.refresh(tmp_path)
    assert "FD-own" not in path.read_text()
    path.write_text('<span class="status stopped">')
    html.refresh(tmp_path)
    assert "FD-own" in path.read_text()
