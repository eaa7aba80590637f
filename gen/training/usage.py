"""What a step costs: where its time goes, its floating-point operations, the memory of its device."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

# Dense operations a second in bfloat16 of one device as jax counts them, by a part of its kind, as their makers state:
# cloud.google.com/tpu/docs/system-architecture-tpu-vm, and NVIDIA's data sheets. Of TPU v2 and v3 a device is a core.
PEAKS: dict[str, float] = {
    "TPU v2": 22.5e12,
    "TPU v3": 61.5e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5p": 459e12,
    "TPU v5": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "V100": 125e12,
    "A100": 312e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H200": 989e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
}


def peak(kind: str) -> float | None:
    """Returns the operations a second that a device of this kind can do; None where they are not in PEAKS."""
    return next((value for name, value in PEAKS.items() if re.search(rf"\b{name}\b", kind, re.IGNORECASE)), None)


def flops(compiled: Any) -> float | None:
    """Returns the floating-point operations of a compiled step on one device, as XLA counts them; None: it does not.

    A loop counts once, whatever its length.
    """
    try:
        analysis = compiled.cost_analysis()
    except Exception:  # not every backend has it
        return None
    counted = (analysis[0] if isinstance(analysis, list) else analysis or {}).get("flops", 0.0)
    return float(counted) if counted > 0 else None


def device_memory() -> dict[str, float]:
    """Returns the memory that the first device of this process has taken at most, in bytes; nothing where unknown."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    found = statistics.get("peak_bytes_in_use")
    return {} if found is None else {"device_memory": float(found)}


class Usage:
    """Splits the time of a training, and counts its operations, between two lines of the log."""

    def __init__(self, step_flops: float | None, kind: str) -> None:
        self._flops, self._peak = step_flops, peak(kind)
        self._spent = {"data": 0.0, "write": 0.0}
        self._began: float | None = None
        self._paused: float | None = None
        self._steps = 0

    def step(self) -> None:
        """Counts a step."""
        if self._began is None:
            self._began = time.monotonic()
        self._steps += 1

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Counts the time within as waiting for a batch."""
        began = time.monotonic()
        yield
        self._spent["data"] += time.monotonic() - began

    def pause(self) -> None:
        """Counts the time to `resume` as writing: to log, show, measure and save."""
        self._paused = time.monotonic()

    def resume(self) -> None:
        """Ends a pause, if there is one."""
        if self._paused is not None:
            self._spent["write"] += time.monotonic() - self._paused
            self._paused = None

    def measure(self) -> dict[str, float]:
        """Returns what is known since the last call: shares of the time in 0..1, operations, memory in bytes.

        time_data, time_write: the rest is the step. flops_per_second: of a device, while it steps and does not wait for
        writing. mfu: that as a share of what the device can do in bfloat16 (Chowdhery et al. 2022, appendix B).
        """
        now = time.monotonic()
        if self._paused is not None:
            self.resume()
            self._paused = now
        seconds = now - self._began if self._began is not None else 0.0
        found = {f"time_{what}": spent / seconds for what, spent in self._spent.items()} if seconds > 0 else {}
        if self._flops and seconds > self._spent["write"]:
            found["flops_per_second"] = self._flops * self._steps / (seconds - self._spent["write"])
            if self._peak:
                found["mfu"] = found["flops_per_second"] / self._peak
        self._spent, self._began, self._steps = dict.fromkeys(self._spent, 0.0), now, 0
        return found | device_memory()


class Profile:
    """Traces steps `first` to `last` of a training into a folder, for TensorBoard's or XProf's trace viewer."""

    def __init__(self, folder: Path, first: int, last: int) -> None:
        self.folder, self._first, self._last = folder, first, last
        self._runs = self._began = False

    def before(self, step: int) -> None:
        """Begins before the first of the steps, whichever that is in this process."""
        if not self._runs and self._first <= step <= self._last:
            jax.profiler.start_trace(str(self.folder))
            self._runs = self._began = True

    def after(self, step: int, made: Any) -> bool:
        """Ends after the last of the steps, once `made` is there; returns whether it did."""
        if not self._runs or step < self._last:
            return False
        jax.block_until_ready(made)
        jax.profiler.stop_trace()
        self._runs = False
        return True

    def close(self) -> bool:
        """Ends where training ends before; returns whether any step was traced."""
        if self._runs:
            jax.profiler.stop_trace()
            self._runs, self._began = False, True
        return self._began
