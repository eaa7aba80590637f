"""gen/training/compile_cache.py: jax's warnings about entries that it cannot use, and what follows from them."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
import zlib

import jax
import jax.numpy as jnp
import pytest
from jax.experimental.compilation_cache import compilation_cache

from gen.training.compile_cache import mend, remove_damaged


@pytest.fixture
def cache(tmp_path):
    before = jax.config.values["jax_compilation_cache_dir"]
    minimum = jax.config.values["jax_persistent_cache_min_compile_time_secs"]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    compilation_cache.reset_cache()
    yield tmp_path
    jax.config.update("jax_compilation_cache_dir", before)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", minimum)
    compilation_cache.reset_cache()


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:100], lambda content: b"x" * 900])
def test_a_damaged_program_is_made_anew_and_read_the_next_time(cache, damage, caplog):
    def triple_and_one(x):
        return 3 * x + 1

    def run() -> float:
        return float(jax.jit(lambda x: triple_and_one(x), compiler_options={})(jnp.float32(2)))

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        mend(cache)
        assert run() == 7
        [entry] = cache.glob("jit__lambda*-cache")
        whole = entry.read_bytes()
        entry.write_bytes(damage(whole))
        jax.clear_caches()
        assert run() == 7
        assert zlib.decompress(entry.read_bytes())
        assert caplog.messages == [f"{cache}: the compiled program jit__lambda is damaged and is made anew"]
        jax.clear_caches()
        assert run() == 7
        assert len(caplog.messages) == 1


def test_only_damaged_entries_of_the_program_go(tmp_path):
    for name, content in (
        ("jit_step-1-cache", b""),
        ("jit_step-2-cache", zlib.compress(b"x")),
        ("jit_step-3-atime", b""),
        ("jit_stepper-1-cache", b""),
    ):
        (tmp_path / name).write_bytes(content)
    assert remove_damaged(tmp_path, "jit_step") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "jit_step-2-cache",
        "jit_step-3-atime",
        "jit_stepper-1-cache",
    ]


def test_other_warnings_are_shown_and_what_cannot_be_written_is_said_once(tmp_path, caplog):
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        mend(tmp_path)
        warnings.warn("another", stacklevel=1)
        for name in "ab":
            reason = "OSError: [Errno 28] No space left on device"
            warnings.warn(f"Error writing persistent compilation cache entry for '{name}': {reason}", stacklevel=1)
    assert [str(warning.message) for warning in shown] == ["another"]
    assert caplog.messages == [
        f"compiled programs cannot be kept in {tmp_path}: OSError: [Errno 28] No space left on device"
    ]


@pytest.mark.parametrize("imported", [False, True])
def test_the_cache_is_found_by_jax_whether_it_is_imported_before_or_after(tmp_path, imported):
    names = "jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs"
    code = ["import jax"] * imported + ["from gen.training.compile_cache import enable", "enable(None)", "import sys"]
    code += [
        f"assert ('jax' in sys.modules) == {imported}",
        "import jax",
        f"print(*map(jax.config.values.get, {names}))",
    ]
    cleared = {name: value for name, value in os.environ.items() if name not in map(str.upper, names)}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        env=cleared | {"GEN_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == f"{tmp_path / 'xla'} 0.2\n"
