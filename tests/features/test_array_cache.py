"""Arrays in the cache come back as they were, or not at all: damaged, enlarged, or where others could have written."""

import numpy as np
import pytest
from safetensors.numpy import save_file

from gen.features import array_cache

ARRAYS = {"features": np.arange(6, dtype=np.float32).reshape(2, 3)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    array_cache.write(ARRAYS, "x")
    return tmp_path / "cache"


def test_they_come_back(cache):
    np.testing.assert_array_equal(array_cache.read("x")["features"], ARRAYS["features"])
    assert cache.stat().st_mode & 0o777 == 0o700
    array_cache.write({"scale": np.float64(0.5), "turned": ARRAYS["features"].T}, "z")
    found = array_cache.read("z")
    assert (found["scale"].shape, found["scale"].dtype) == ((), np.float64)
    np.testing.assert_array_equal(found["turned"], ARRAYS["features"].T)
    assert array_cache.read("y") is None


@pytest.mark.parametrize("change", ["cut", "other", "unnamed"])
def test_other_arrays_are_not_taken(cache, change):
    file = cache / "x.safetensors"
    if change == "cut":
        file.write_bytes(file.read_bytes()[:-30])
    else:
        metadata = {"digest": array_cache.digest(ARRAYS)} if change == "other" else None
        save_file({"features": ARRAYS["features"] + (change == "other")}, file, metadata)
    assert array_cache.read("x") is None


def test_nothing_is_taken_from_where_others_can_write_nor_kept_there(cache, caplog):
    cache.chmod(0o777)
    assert array_cache.read("x") is None
    array_cache.write(ARRAYS, "y")
    assert len(caplog.records) == 1
    assert "others may write in it" in caplog.text
    assert not (cache / "y.safetensors").exists()
