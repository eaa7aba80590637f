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
