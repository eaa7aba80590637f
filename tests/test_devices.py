"""The mesh, where arrays go on it, and that every way of feeding gives the same batches."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from gen import devices
from gen.data import Examples, loader
from gen.data.loader import DeviceLoader
from gen.errors import InputError


@pytest.fixture(scope="module")
def eight():
    return devices.mesh(-1, 2)


def test_mesh_takes_all_devices_with_auto_axes(eight):
    assert dict(eight.shape) == {"data": 4, "fsdp": 2}
    assert eight.axis_types == (AxisType.Auto, AxisType.Auto)
    assert dict(devices.mesh(2, -1).shape) == {"data": 2, "fsdp": 4}
    assert dict(devices.mesh(-1, 1, devices=jax.devices()[:1]).shape) == {"data": 1, "fsdp": 1}


@pytest.mark.parametrize(
    ("data", "fsdp", "message"),
    [
        (3, 1, "mesh.data=3 x mesh.fsdp=1 = 3, but there are 8 devices; allowed: 8 x 1, 4 x 2, 2 x 4, 1 x 8"),
        (-1, 3, "mesh.data=2 x mesh.fsdp=3 = 6, but there are 8 devices; allowed: 8 x 1, 4 x 2, 2 x 4, 1 x 8"),
        (-1, 16, "mesh.data=1 x mesh.fsdp=16 = 16, but"),
        (0, 1, "mesh.data=0; allowed: 1 or more, or -1"),
        (8, -2, "mesh.fsdp=-2; allowed: 1 or more, or -1"),
    ],
)
def test_mesh_that_does_not_fit(data, fsdp, message):
    with pytest.raises(InputError, match=re.escape(message)):
        devices.mesh(data, fsdp)


def test_state_sharding_splits_the_largest_divisible_axis_of_large_arrays(eight):
    shapes = {"kernel": (3, 3, 64, 128), "odd": (63, 129), "small": (32, 32), "scalar": (), "tie": (128, 128)}
    tree = {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in shapes.items()}
    found = {name: s.spec for name, s in devices.state_sharding(eight, tree).items()}
    assert found == {
        "kernel": P(None, None, None, "fsdp"),
        "odd": P(),
        "small": P(),
        "scalar": P(),
        "tie": P("fsdp", None),
    }
    alone = devices.state_sharding(devices.mesh(8, 1), tree)
    assert all(s.spec == P() for s in alone.values())


def test_check_batch(eight):
    devices.check_batch(16, eight)
    message = "batch_size=10 is not divisible by 8 devices; allowed: multiples of 8, nearest 8 or 16"
    with pytest.raises(InputError, match=message):
        devices.check_batch(10, eight)
    with pytest.raises(InputError, match=r"nearest 8$"):
        devices.check_batch(3, eight)
    with pytest.raises(InputError, match="batch_size=0"):
        devices.check_batch(0, eight)


def test_constrain_makes_each_device_compute_its_share(eight):
    def flops(constrain):
        def step(key, kernel):
            noise = constrain(jax.random.normal(key, (64, 128)))
            return jnp.tanh(noise @ kernel).sum()

        with jax.set_mesh(eight):
            compiled = jax.jit(step).lower(jax.random.key(0), jnp.ones((128, 256))).compile()
        return compiled.cost_analysis()["flops"]

    assert flops(devices.constrain) < 0.2 * flops(lambda x: x)


def test_constrain_leaves_other_arrays_alone(eight):
    noise = jnp.ones((16, 3))
    assert devices.constrain(noise) is noise  # no mesh is set
    with jax.set_mesh(eight):
        odd = jnp.ones((5, 3))
        assert devices.constrain(odd) is odd
        split = jax.jit(devices.constrain)(noise)
        assert split.sharding.shard_shape(split.shape) == (2, 3)
        keys = jax.jit(lambda key: devices.constrain(jax.random.split(key, 16)))(jax.random.key(0))
        assert keys.shape == (16,)


class FakeDataset:
    """Just what Feed uses of a Dataset: the batch of a step is every 5th example from 3 * step on."""

    def __init__(self, examples, batch_size):
        self.examples, self.batch_size = examples, batch_size

    def indices(self, step):
        return (3 * step + 5 * np.arange(self.batch_size, dtype=np.int64)) % len(self.examples.images)

    def batch(self, step, *, rows=slice(None)):
        picked = self.indices(step)[rows]
        return {"image": self.examples.images[picked], "label": self.examples.labels[picked]}

    def captions(self, step):
        return None


@pytest.fixture(scope="module")
def examples():
    rng = np.random.default_rng(0)
    return Examples(rng.integers(0, 256, (37, 4, 4, 3), np.uint8), rng.integers(0, 10, 37, np.int32))


@pytest.mark.parametrize("count", [1, 8])
def test_feed_gives_the_same_batches_from_the_device_and_from_the_host(examples, count):
    dataset = FakeDataset(examples, 16)
    here = devices.mesh(-1, 1, devices=jax.devices()[:count])
    resident = DeviceLoader(dataset, here)
    streamed = DeviceLoader(dataset, here, device_bytes=0)
    for step in (0, 1, 2, 7, 3):  # in order, and after a jump forward and back
        wanted = dataset.batch(step)
        for feed in (resident, streamed):
            batch = feed(step)
            assert batch["image"].sharding.is_equivalent_to(devices.batch_sharding(here), 4)
            assert (batch["image"].dtype, batch["label"].dtype) == (np.uint8, np.int32)
            np.testing.assert_array_equal(batch["image"], wanted["image"])
            np.testing.assert_array_equal(batch["label"], wanted["label"])


def test_feed_reads_from_a_memory_map(examples, eight, tmp_path):
    np.save(tmp_path / "images.npy", examples.images)
    mapped = examples._replace(images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    wanted = FakeDataset(examples, 8).batch(4)
    for device_bytes in (0, 2**30):
        batch = DeviceLoader(FakeDataset(mapped, 8), eight, device_bytes=device_bytes)(4)
        np.testing.assert_array_equal(batch["image"], wanted["image"])


def test_gathering_moves_no_images_between_devices(eight):
    where = jax.sharding.NamedSharding(eight, P())
    images = jax.ShapeDtypeStruct((64, 8, 8, 3), jnp.uint8, sharding=where)
    labels = jax.ShapeDtypeStruct((64,), jnp.int32, sharding=where)
    indices = jax.ShapeDtypeStruct((16,), jnp.int32, sharding=devices.batch_sharding(eight))
    gather = jax.jit(loader._gather, out_shardings=devices.batch_sharding(eight))
    program = gather.lower(images, labels, indices).compile().as_text()
    assert "all-" not in program
    assert "u8[2,8,8,3]" in program


def test_feed_raises_what_reading_raises(examples, eight):
    class Broken(FakeDataset):
        def batch(self, step, *, rows=slice(None)):
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        DeviceLoader(Broken(examples, 8), eight, device_bytes=0)(0)
    with pytest.raises(InputError, match="batch_size=9"):
        DeviceLoader(FakeDataset(examples, 9), eight)
