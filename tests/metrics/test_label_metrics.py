import numpy as np
import pytest

from gen.errors import InputError
from gen.metrics.bootstrap import Value
from gen.metrics.labels import agreement, by_class, class_distances, modes
from gen.metrics.moments import frechet_distance


def normal(n, d=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def test_agreement_by_hand():
    predicted, asked = np.array([0, 1, 1, 2, 5]), np.array([0, 1, 2, 2, 2])
    assert agreement(predicted, asked, replicates=0) == pytest.approx(Value(0.6), nan_ok=True)
    assert {c: value.value for c, value in by_class(predicted, asked).items()} == {0: 1, 1: 1, 2: pytest.approx(1 / 3)}
    value = agreement(np.tile(predicted, 40), np.tile(asked, 40))
    # The deviation of a share p of n is sqrt(p (1 - p) / n).
    assert (value.high - value.low) / 2 == pytest.approx(1.96 * np.sqrt(0.6 * 0.4 / 200), rel=0.2)


def test_class_distances_are_distances_within_classes():
    generated, real = normal(60), normal(80, seed=1)
    labels, real_labels = np.arange(60) % 3, np.arange(80) % 3
    found = class_distances(generated, labels, real, real_labels, seed=5)
    assert list(found) == [0, 1, 2]
    for c, value in found.items():
        assert value == frechet_distance(generated[labels == c], real[real_labels == c], seed=5)


def test_class_distances_see_swapped_classes():
    real = normal(400) + 5 * (np.arange(400) % 2)[:, None]
    generated = normal(400, seed=1) + 5 * (np.arange(400) % 2)[:, None]
    labels = np.arange(400) % 2
    right, wrong = (class_distances(generated, x, real, labels, replicates=0) for x in (labels, 1 - labels))
    assert all(value.value < 1 for value in right.values())
    assert all(value.value > 50 for value in wrong.values())


def test_a_class_without_samples_is_nan():
    found = class_distances(normal(20), np.zeros(20, int), normal(40, seed=1), np.arange(40) % 2)
    assert np.isfinite(found[0].value)
    assert np.isnan(found[1]).all()


def test_modes_by_hand():
    # Shares 1/2, 1/2, 0, 0 of four equal classes: KL = log 2 nats.
    found = modes(np.array([0, 1] * 50), np.ones(4))
    assert found.covered.value == 2
    assert found.divergence.value == pytest.approx(np.log(2))
    found = modes(np.repeat([0, 1, 2], [50, 30, 20]), np.array([5, 3, 2]), replicates=0)
    assert found.covered == pytest.approx(Value(3), nan_ok=True)
    assert found.divergence.value == pytest.approx(0, abs=1e-12)


def test_modes_move_as_the_docstring_says():
    rng = np.random.default_rng(0)
    good, dropped = (modes(rng.integers(k, size=2000), np.ones(100)) for k in (100, 60))
    assert (good.covered.value, dropped.covered.value) == (100, 60)
    assert good.divergence.value == pytest.approx(99 / 4000, rel=0.4)
    assert dropped.divergence.low > good.divergence.high
    for found in (good, dropped):
        assert 0 <= found.divergence.low <= found.divergence.value <= found.divergence.high
        assert found.covered.low <= found.covered.value <= found.covered.high <= 100


def test_intervals_of_modes_stay_within_what_is_possible():
    found = modes(np.repeat(np.arange(4), 25), np.ones(4))
    assert found.divergence.low == 0 == pytest.approx(found.divergence.value, abs=1e-12)
    assert found.covered == (4, 4, 4)
    rare = modes(np.array([0] * 50 + [1, 2, 3]), np.ones(4)).covered
    assert rare.low < rare.value == rare.high == 4


def test_the_interval_of_covered_is_that_of_new_samples():
    rng = np.random.default_rng(0)
    found = [modes(rng.integers(100, size=150), np.ones(100), seed=s).covered for s in range(100)]
    half = np.mean([value.high - value.low for value in found]) / 2
    assert half == pytest.approx(1.96 * np.std([value.value for value in found]), rel=0.4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: agreement(np.zeros(3, int), np.zeros(4, int)), "asked has 4 labels for 3 samples"),
        (lambda: agreement(np.zeros(3), np.zeros(3, int)), "predicted is float64"),
        (lambda: by_class(np.zeros((3, 2), int), np.zeros(3, int)), r"shape \(3, 2\)"),
        (lambda: agreement(np.zeros(0, int), np.zeros(0, int)), r"shape \(0,\)"),
        (
            lambda: class_distances(normal(4), np.array([0, 0, 1, 7]), normal(4), np.array([0, 0, 1, 1])),
            "class 7 is not among the 2 classes",
        ),
        (lambda: class_distances(normal(4), np.arange(3), normal(4), np.arange(4)), "labels has 3 labels for 4"),
        (lambda: modes(np.array([0, 4]), np.ones(4)), "predicted holds classes 0 to 4; allowed 0 to 3"),
        (lambda: modes(np.array([0, 1]), np.array([1, 0])), "one positive number for each class"),
    ],
)
def test_refuses(call, message):
    with pytest.raises(InputError, match=message):
        call()
