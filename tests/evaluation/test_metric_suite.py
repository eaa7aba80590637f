"""The suite: every result records what it depends on; a metric that cannot be computed is left out with the reason."""

from __future__ import annotations

import dataclasses
import pathlib
import runpy
import typing

import numpy as np
import pytest
from comparisons import comparison, extractor

from gen.config import MetricGroup
from gen.errors import InputError
from gen.evaluation import GROUPS, METRICS, measure
from gen.evaluation.metric_functions import EPSILON
from gen.metrics import diversity, kernel, labels, memorization, moments, neighbors, sliced

QUICK = tuple(name for name in GROUPS if name not in ("sliced", "ms_ssim"))


def measured(asked, *metrics):
    return {result.metric: result for result in measure(asked, groups=metrics or QUICK)}


def words(asked, *metrics) -> list[str]:
    """What is said of metrics that are left out."""
    said = []
    measure(asked, groups=metrics or QUICK, say=said.append)
    return [line for line in said if "left out" in line]


@pytest.fixture(scope="module")
def asked():
    pairs = np.random.default_rng(0).random((2, 40, 16, 16, 3), dtype=np.float32)
    return dataclasses.replace(comparison(), path=(pairs[0], pairs[1]))


@pytest.fixture(scope="module")
def everything(asked):
    return measured(asked) | measured(comparison(40, real=12), "sliced", "ms_ssim")


def test_every_metric_is_there_with_its_way_and_an_interval(everything):
    ways = {name: result.better for name, result in everything.items()}
    assert ways == {
        **dict.fromkeys(["FD-own", "FD-own-infinite", "KD-own", "MMD-own", "MIND-own"], "lower"),
        **dict.fromkeys(["precision", "recall", "density", "coverage"], "higher"),
        "memorized": "lower",
        **{f"patch-energy-{period}": "neither" for period in (2, 4)},
        **{f"checkerboard-{period}": "lower" for period in (2, 4)},
        **dict.fromkeys(["memorized-p", "C_T", "AuthPct"], "neither"),
        **dict.fromkeys(["Vendi-own-q1", "Vendi-own-q2", "IS-own", "modes-covered"], "higher"),
        "modes-divergence": "lower",
        "class-agreement": "higher",
        **{f"FD-own-class-{name}": "lower" for name in ("circle", "square", "star")},
        **dict.fromkeys(["PPL-own", "SWD-16", "MS-SSIM"], "lower"),
    }
    for name, result in everything.items():
        if name != "memorized-p":
            assert result.low <= result.value <= result.high, name


def test_values_are_those_of_the_metrics(asked, everything):
    x, real = asked.generated, asked.reference.real
    train, held_out = asked.reference.train.features, asked.reference.held_out.features
    options = asked.options
    wanted = {
        "FD-own": moments.frechet_distance(x.features, real.features),
        "FD-own-infinite": moments.frechet_infinite(x.features, real.features),
        "KD-own": kernel.kernel_distance(x.features, real.features, size=60),
        "MMD-own": kernel.rbf_mmd(x.features, real.features, sigma=everything["MMD-own"].settings["sigma"]),
        "MIND-own": sliced.mind(x.features, real.features),
        "precision": neighbors.precision_recall(x.features, real.features).precision,
        "recall": neighbors.precision_recall(x.features, real.features).recall,
        "density": neighbors.density_coverage(x.features, real.features).density,
        "coverage": neighbors.density_coverage(x.features, real.features).coverage,
        "memorized": memorization.memorization(x.features, train, held_out).share,
        "C_T": memorization.c_t(x.features, train, held_out),
        "AuthPct": memorization.auth_pct(x.features, train),
        "Vendi-own-q1": diversity.vendi(x.features),
        "Vendi-own-q2": diversity.vendi(x.features, q=2),
        "IS-own": diversity.inception_score(np.random.default_rng(0).permutation(x.logits)),
        "modes-covered": labels.modes(x.logits.argmax(1), np.ones(3)).covered,
        "modes-divergence": labels.modes(x.logits.argmax(1), np.ones(3)).divergence,
        "class-agreement": labels.agreement(x.logits.argmax(1), x.labels),
        "PPL-own": diversity.path_length(*map(asked.extractor.features, asked.path), epsilon=EPSILON),
    }
    for name, value in wanted.items():
        assert everything[name].value == pytest.approx(value.value, rel=1e-12), name
    assert everything["FD-own"].high == moments.frechet_distance(x.features, real.features, **options).high


def test_values_of_pixels_are_those_of_the_metrics():
    asked = comparison(8, real=12)
    found, x = measured(asked, "sliced", "ms_ssim"), asked.generated
    assert found["SWD-16"].value == sliced.sliced_wasserstein(x.images, asked.reference.real.images)[16].value
    assert found["MS-SSIM"].value == diversity.ms_ssim_diversity(x.images, labels=x.labels, pairs=4).value
    assert found["MS-SSIM"].low is None  # four pairs do not say how sure that is


def test_a_grid_is_seen():
    asked = comparison(200, real=200)
    found = measured(asked, "spectrum")
    for result in found.values():
        assert result.value == pytest.approx(1, abs=0.1)
        assert (result.extractor, result.num_samples, result.num_references) == ("pixels alone", 200, 200)
    x = asked.generated
    board = 20 - 40 * (np.indices((16, 16)).sum(axis=0) % 2)[:, :, None]
    worse = dataclasses.replace(x, images=np.clip(x.images + board, 0, 255).astype(np.uint8))
    spoiled = measured(dataclasses.replace(asked, generated=worse), "spectrum")
    assert {name: result.low > 1.3 for name, result in spoiled.items()} == {
        "patch-energy-2": True, "patch-energy-4": False, "checkerboard-2": True, "checkerboard-4": False
    }  # fmt: skip


def test_results_tell_what_each_number_rests_on(everything):
    sizes = {name: (result.num_samples, result.num_references, result.split) for name, result in everything.items()}
    assert sizes["FD-own"] == (60, 150, "train")
    assert sizes["Vendi-own-q1"] == (60, 0, "none")
    assert sizes["memorized"] == (60, 150, "train")
    assert everything["memorized"].settings == {"expected": pytest.approx(1 / 111, abs=1e-6), "held_out": 110}
    assert everything["precision"].settings == {"k": 3}
    assert everything["coverage"].settings == {"k": 5}
    assert everything["KD-own"].settings == {"subset": 60}
    assert everything["class-agreement"].settings["classifier_accuracy"] == 0.9
    assert everything["SWD-16"].extractor == "pixels alone"
    assert everything["SWD-16"].extractor_digest == ""
    assert {result.extractor for result in everything.values()} == {"own", "pixels alone"}
    assert {tuple(result.subject.items()) for result in everything.values()} == {(("step", 7),)}


def test_the_width_of_the_kernel_is_that_of_real_images(asked, everything):
    x = asked.reference.real.features.astype(np.float64)
    apart = np.sqrt(np.square(x[:, None] - x[None]).sum(-1))[np.triu_indices(len(x), 1)]
    assert everything["MMD-own"].settings["sigma"] == pytest.approx(np.median(apart), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "frechet", "kernel_", "score"),
    [
        ("fid", "FID", "KID", "IS"),
        ("own", "FD-own", "KD-own", "IS-own"),
        ("pixels", "FD-pixels", "KD-pixels", "IS-pixels"),
        (
            "inception-0123456789ab",
            "FD-inception-0123456789ab",
            "KD-inception-0123456789ab",
            "IS-inception-0123456789ab",
        ),
        ("my.own:fid", "FD-my.own:fid", "KD-my.own:fid", "IS-my.own:fid"),
    ],
)
def test_only_the_fid_inception_gives_fid(name, frechet, kernel_, score):
    asked = comparison(by=extractor(name))
    found = list(measured(asked, "frechet", "frechet_infinite", "kernel", "score", "classes", "mind", "vendi"))
    assert {frechet, f"{frechet}-infinite", kernel_, score, f"{frechet}-class-star"} <= set(found)
    assert [metric for metric in found if "FID" in metric or "KID" in metric] == [
        metric for metric in found if name == "fid" and metric.startswith(("FID", "KID"))
    ]
    assert {f"MIND-{name}", f"Vendi-{name}-q1"} <= set(found)


def test_distances_do_not_end_below_nothing():
    copies = comparison(real=30)
    copies = dataclasses.replace(copies, generated=copies.reference.train)
    ends = {
        name: result.low for name, result in measured(copies, "frechet", "mind", "sliced", "kernel", "classes").items()
    }
    assert all(ends[f"FD-own{part}"] == 0 for part in ("", "-class-star"))
    assert ends["MIND-own"] == 0
    assert ends["SWD-16"] >= 0
    assert ends["KD-own"] < 0  # unbiased: below nothing half of the time


def test_copies_are_seen():
    asked = comparison()
    train = asked.reference.train
    copier = dataclasses.replace(asked, generated=train.take(np.arange(60)))
    found = measured(copier, "memorization")
    assert found["memorized"].value == 1.0
    assert found["memorized-p"].value < 1e-6
    assert measured(asked, "memorization")["memorized-p"].value > 0.01


def test_held_out_copies_of_training_images_leave_one_number_out():
    asked = comparison()
    reference = dataclasses.replace(asked.reference, held_out=asked.reference.train.take(np.arange(110)))
    asked = dataclasses.replace(asked, reference=reference)
    assert set(measured(asked, "memorization", "frechet")) == {"C_T", "AuthPct", "FD-own"}
    (line,) = words(asked, "memorization", "frechet")
    assert line.startswith("memorization in ")
    assert "110 of 110 held-out samples are copies of training samples" in line


def test_few_held_out_images_tell_nothing_of_copies():
    asked = comparison(held_out=99)
    assert set(measured(asked, "memorization")) == {"AuthPct"}
    (line,) = words(asked, "memorization")
    assert "99 held-out images do not tell how near new ones are; 100 do" in line


@pytest.mark.parametrize(
    ("count", "missing"),
    [
        (1, {"FD-own", "KD-own", "MIND-own", "precision", "IS-own"}),
        (2, {"FD-own-infinite", "precision", "density", "C_T", "IS-own"}),
        (5, {"FD-own-infinite", "precision", "density", "C_T", "IS-own"}),
        (50, set()),
    ],
)
def test_of_few_samples_there_are_fewer_numbers(count, missing):
    few = comparison(count)
    found = measured(few)
    assert not missing & set(found)
    assert {"memorized", "AuthPct", "Vendi-own-q1"} <= set(found)
    assert all(np.isfinite(result.value) for result in found.values())
    if missing:
        assert words(few)
    if count > 1:
        assert {"FD-own", "KD-own", "MMD-own", "MIND-own"} <= set(found)


def test_of_few_samples_there_are_fewer_numbers_of_pixels():
    for count, wanted in ((1, set()), (2, {"SWD-16"}), (4, {"SWD-16", "MS-SSIM"})):
        assert set(measured(comparison(count, real=10), "sliced", "ms_ssim")) == wanted


@pytest.mark.parametrize("real", [1, 2, 5])
def test_of_few_real_images_there_are_fewer_numbers(real):
    found = measured(comparison(real=real))
    assert all(np.isfinite(result.value) for result in found.values())
    assert "precision" not in found
    assert "Vendi-own-q1" in found


def test_without_classes_there_are_no_numbers_of_classes():
    asked = comparison(by=extractor(classes=0), labeled=False)
    assert not measured(asked, "classes", "score")
    assert words(asked, "classes") == [
        "classes left out: the extractor own does not classify these images; the images have no classes"
    ]


def test_another_network_s_classes_are_none_of_the_data():
    asked = comparison(by=extractor("fid"))
    other = dataclasses.replace(asked.generated, logits=np.zeros((60, 1008), np.float32))
    asked = dataclasses.replace(asked, generated=other)
    assert [name for name in measured(asked, "classes") if "FID" not in name] == []
    assert "knows 1008 classes, the data has 3" in words(asked, "classes")[0]


def test_a_class_that_real_images_lack():
    asked = comparison(real=2)
    assert "no real image of class star" in words(asked, "classes")[0]


def test_gray_images_and_small_ones():
    assert {"SWD-28", "MS-SSIM"} <= set(measured(comparison(20, real=30, side=28, channels=1), "sliced", "ms_ssim"))
    small = comparison(side=8)
    assert [line.split()[0] for line in words(small, "sliced", "ms_ssim")] == ["sliced", "ms_ssim"]
    assert not measured(small, "sliced", "ms_ssim")


def test_metrics_come_in_the_order_asked_for_and_say_how_long_they_took():
    said = []
    found = measure(comparison(), groups=("kernel", "frechet"), say=said.append)
    assert [result.metric for result in found] == ["KD-own", "FD-own"]
    assert [line.split(" in ")[0] for line in said] == ["kernel", "frechet"]


def test_an_unknown_metric():
    with pytest.raises(InputError, match="no metric 'kernal'; did you mean 'kernel'"):
        measure(comparison(), groups=("kernal",))


def test_the_same_question_has_the_same_answer():
    one, other = (measure(comparison(), groups=QUICK) for _ in range(2))
    assert [dataclasses.replace(result, time="") for result in one] == [
        dataclasses.replace(result, time="") for result in other
    ]


def test_worse_images_have_worse_numbers():
    good, bad = (
        measured(comparison(shift=shift), "frechet", "kernel", "rbf", "mind", "neighbors") for shift in (0.0, 1.5)
    )
    for name in good:
        sign = 1 if good[name].better == "lower" else -1
        assert sign * bad[name].value > sign * good[name].value, name


def test_the_table_of_the_docs_is_that_of_the_records():
    path = pathlib.Path(__file__).parents[2] / "docs" / "make_metrics.py"
    page = runpy.run_path(str(path))
    text = page["PAGE"].read_text(encoding="utf-8")
    assert page["with_table"](text) == text, "python docs/make_metrics.py writes it"
    assert all(f"| {metric.group} | {metric.description} |" in text for metric in METRICS)


def test_flags_and_configs_know_the_groups_that_the_records_have():
    assert typing.get_args(MetricGroup) == GROUPS


def test_a_name_belongs_to_one_metric_at_most(everything):
    for name, result in everything.items():
        assert [metric.better for metric in METRICS if metric.matches(name, result.extractor)] == [result.better]
    assert not any(metric.matches("FID", "own") for metric in METRICS)
    assert [metric.full_name("fid") for metric in METRICS if metric.matches("FID-infinite", "fid")] == ["FID-infinite"]
