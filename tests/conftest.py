"""Eight simulated CPU devices and one compilation cache, shared with the programs that tests start."""

import os
import pathlib
import tempfile

# Before jax is imported: jax reads these once, and subprocesses inherit them.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_NUM_CPU_DEVICES"] = "8"
CACHE = pathlib.Path(tempfile.gettempdir()) / f"gen-test-cache-{os.getuid()}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
# Programs of few steps: to compile them fast matters more than to run them fast. tests/imaging compiles as users do.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

from collections.abc import Iterator  # noqa: E402

import jax  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _few_programs_by_module() -> Iterator[None]:
    """Drops what a module compiled: every program holds memory maps, of which Linux allows a process 65,530."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _few_programs(request: pytest.FixtureRequest) -> None:
    """The same within a long module."""
    module = request.node.parent
    module.done = getattr(module, "done", 0) + 1
    if module.done % 100 == 0:
        jax.clear_caches()


@pytest.fixture
def compiled_quickly() -> Iterator[None]:
    """In tests/imaging: for tests whose answer does not depend on how good the machine code is."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
