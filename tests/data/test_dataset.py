"""A batch is a pure function of (seed, step): epochs are permutations, wherever batches and processes cut them."""

import numpy as np
import pytest

from gen.data import BatchSampler, DatasetSplits, Examples
from gen.errors import InputError


def _examples(count):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8)
    return Examples(images, np.arange(count, dtype=np.int32) % 4)


@pytest.mark.parametrize(("count", "batch"), [(12, 4), (10, 4), (7, 7), (5, 13), (1, 3)])
def test_epochs_are_different_permutations_wherever_batches_cut_them(count, batch):
    data = BatchSampler(_examples(count), batch, seed=3)
    stream = np.concatenate([data.indices(step) for step in range(-(-6 * count // batch))])[: 6 * count]
    epochs = stream.reshape(6, count)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(np.arange(count), (6, 1)))
    if count > 4:
        assert len({tuple(epoch) for epoch in epochs}) == 6


def test_known_permutation():
    expected = np.concatenate([np.random.default_rng((5, epoch)).permutation(6) for epoch in (0, 1)])
    data = BatchSampler(_examples(6), 4, seed=5)
    np.testing.assert_array_equal(np.concatenate([data.indices(step) for step in range(3)]), expected)


def test_batch_depends_on_seed_and_step_only():
    first, second = BatchSampler(_examples(50), 8, seed=1), BatchSampler(_examples(50), 8, seed=1)
    for step in (9, 0, 1000, 9):
        np.testing.assert_array_equal(first.batch(step)["image"], second.batch(step)["image"])
    assert (first.indices(0) != BatchSampler(_examples(50), 8, seed=2).indices(0)).any()
    assert (first.indices(0) != first.indices(1)).any()


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_processes_together_see_the_global_batch(processes):
    data = BatchSampler(_examples(10), 8, seed=0)
    for step in range(4):
        share = 8 // processes
        parts = [data.batch(step, rows=slice(p * share, (p + 1) * share)) for p in range(processes)]
        whole = data.batch(step)
        for key in ("image", "label"):
            np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), whole[key])


def test_images_and_labels_belong_together():
    data = BatchSampler(_examples(40), 16, seed=0)
    batch = data.batch(2)
    assert batch["image"].shape == (16, 2, 3, 1)
    assert batch["image"].dtype == np.uint8
    assert batch["label"].dtype == np.int32
    np.testing.assert_array_equal(batch["image"][:, 0, 0, 0] % 4, batch["label"])
    assert data.num_examples == 40
    assert data.image_shape == (2, 3, 1)


def test_source_describes_itself():
    source = DatasetSplits("x", _examples(8), _examples(4), ("a", "b", "c", "d"))
    assert source.image_shape == (2, 3, 1)
    assert source.num_classes == 4
    assert DatasetSplits("x", _examples(8), _examples(4)).num_classes == 0


@pytest.mark.parametrize(("count", "batch", "seed"), [(0, 4, 0), (4, 0, 0), (4, 4, -1)])
def test_refuses_what_makes_no_batch(count, batch, seed):
    with pytest.raises(InputError):
        BatchSampler(_examples(count), batch, seed)
