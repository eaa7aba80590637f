"""Eight simulated CPU devices and one compilation cache, shared with the programs that tests start."""

import contextlib
import gc
import itertools
import os
import pathlib
import tempfile

# Before jax is imported: jax reads its own once, and subprocesses inherit all.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["SOURCE_DATE_EPOCH"] = "1796000000"  # the date in all records, so that files can be compared by their bytes
os.environ["XDG_CONFIG_HOME"] = str(pathlib.Path(tempfile.gettempdir()) / f"gen-test-config-{os.getuid()}")
os.environ["GEN_PROVENANCE"] = "record"  # no marks, which are compiled for every size, but where a test is about them
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
CACHE = pathlib.Path(tempfile.gettempdir()) / f"gen-test-cache-{os.getuid()}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")  # less is not worth a file

# XLA reads the first flag and then its flags anew for every program. Its newer emitter of machine code makes steps of
# training in four times the time of the older one.
_FLAGS = "--xla_flags_reset=true --xla_cpu_use_fusion_emitters={}"
os.environ["XLA_FLAGS"] = _FLAGS.format("true")

from collections.abc import Iterator  # noqa: E402

import jax  # noqa: E402
import pytest  # noqa: E402

gc.set_threshold(100_000, 50, 100)  # tracing makes many objects, which live: to search them for garbage takes time
_HERE = pathlib.Path(__file__).parent
_tests = itertools.count(1)
_MOST_MAPS = 30_000  # of 65,530 that Linux allows a process: every compiled program holds some memory maps


@pytest.fixture(autouse=True)
def _few_programs() -> None:
    """Drops what was compiled before there is too much of it; not after every test, as all is traced again then."""
    maps = pathlib.Path("/proc/self/maps")
    if next(_tests) % 50 == 0 and maps.exists() and maps.read_bytes().count(b"\n") > _MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(autouse=True, scope="module")
def _compiled_as_the_folder_wants(request: pytest.FixtureRequest) -> Iterator[None]:
    """Many small programs that run a few times: to compile them fast matters more than to run them fast.

    In tests/imaging values are compared with those of other libraries: there, programs are compiled as users do it.
    """
    with _optimizations(request.path.is_relative_to(_HERE / "imaging")):
        yield


@pytest.fixture
def compiled_quickly() -> Iterator[None]:
    """In tests/imaging: for a test whose answer does not depend on how good the machine code is."""
    with _optimizations(False):
        yield


@contextlib.contextmanager
def _optimizations(wanted: bool) -> Iterator[None]:
    before = jax.config.values["jax_disable_most_optimizations"]
    with pytest.MonkeyPatch.context() as patch:  # programs that tests start: the same bits on both sides
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", str(int(not wanted)))
        patch.setenv("XLA_FLAGS", _FLAGS.format("true" if wanted else "false"))
        jax.config.update("jax_disable_most_optimizations", not wanted)
        yield
    jax.config.update("jax_disable_most_optimizations", before)
