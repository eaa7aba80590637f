"""Labels in doubt, outliers, distributions that differ, and patterns that many images share."""

import numpy as np
import pytest

from gen.audit_checks import labels, outliers, pattern
from gen.audit_checks.sharpness import blurred

RNG = np.random.default_rng(0)


def test_a_label_is_in_doubt_where_another_class_is_as_probable_as_it_is_of_its_own():
    sure = np.tile([[0.9, 0.1]], (50, 1))
    probabilities = np.concatenate([sure, sure[:, ::-1]])
    given = np.repeat([0, 1], 50)
    given[3] = 1
    score, looks = labels.in_doubt(probabilities, given)
    assert np.flatnonzero(score >= 1).tolist() == [3]
    assert looks[3] == 0
    assert score[3] == pytest.approx(1.6)


def test_a_class_without_examples_and_alike_classes_leave_labels_alone():
    probabilities = np.tile([[0.4, 0.35, 0.25]], (20, 1))
    score, _ = labels.in_doubt(probabilities, np.zeros(20, int))
    assert (score < 1).all()


def test_distances_are_those_of_all_pairs():
    features, others = RNG.normal(size=(40, 5)), RNG.normal(size=(30, 5))
    pairs = np.linalg.norm(features[:, None] - others[None], axis=-1)
    assert outliers.distances(features, reference=others, k=3) == pytest.approx(np.sort(pairs, 1)[:, 2], rel=1e-4)
    own = np.linalg.norm(features[:, None] - features[None], axis=-1)
    assert outliers.distances(features, k=3) == pytest.approx(np.sort(own, 1)[:, 3], rel=1e-3)


def test_far_images_are_outliers_and_a_plain_cloud_has_none():
    cloud = RNG.normal(size=(500, 8))
    assert (outliers.outlying(outliers.distances(cloud)) < 1).all()
    cloud[:3] = 40 * np.eye(8)[:3]
    assert np.flatnonzero(outliers.outlying(outliers.distances(cloud)) >= 1).tolist() == [0, 1, 2]


def test_kolmogorov_smirnov_is_that_of_scipy():
    stats = pytest.importorskip("scipy.stats")
    for shift in (0.0, 0.2, 1.0):
        first, second = RNG.normal(size=300), RNG.normal(shift, size=400)
        wanted = stats.ks_2samp(first, second, method="asymp")
        size, probability = outliers.kolmogorov_smirnov(first, second)
        assert size == pytest.approx(wanted.statistic)
        assert probability == pytest.approx(wanted.pvalue, abs=0.03)
    assert outliers.kolmogorov_smirnov(np.full(4, np.nan), first) == (0.0, 1.0)


def test_a_watermark_at_one_place_is_found_and_nothing_else():
    images = np.stack([blurred(x, 2.0) for x in 128 + 120 * RNG.normal(size=(60, 64, 64)).astype(np.float32)])
    there, share = pattern.shared_pattern(images)
    assert share == 0
    assert pattern.shared_pattern(images[:5])[1] == 0
    images[:, 40:42, 10:50] += 25
    there, share = pattern.shared_pattern(images)
    assert share > 0
    rows, columns = np.nonzero(there)
    assert rows.min() >= 37
    assert rows.max() <= 44
    assert columns.min() >= 7
    assert columns.max() <= 53
