"""Processes that share a work: each is begun as asked, and they end with the one that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gen import workers


def _place(value):
    global _placed
    _placed = value


def _found(_):
    return _placed, os.getpid(), os.environ["OMP_NUM_THREADS"]


def test_each_is_begun_as_asked_and_computes_by_itself():
    assert workers.cores() >= 1
    before = os.environ.get("OMP_NUM_THREADS")
    with workers.started(2, initializer=_place, given=("here",)) as pool:
        found = list(pool.map(_found, range(4)))
    assert {(value, threads) for value, _, threads in found} == {("here", "1")}
    assert os.getpid() not in {pid for _, pid, _ in found}
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_they_end_when_the_one_who_started_them_is_killed():
    code = "import os, time\nfrom gen import workers\npool = workers.started(1)\n"
    code += "print(pool.submit(os.getpid).result(), flush=True)\ntime.sleep(60)"
    running = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )
    with running:
        assert running.stdout is not None
        stat = Path("/proc") / running.stdout.readline().strip() / "stat"
        assert stat.exists()
        running.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while stat.exists() and stat.read_text().rpartition(") ")[2][0] != "Z" and time.monotonic() < until:
        time.sleep(0.05)
    assert not stat.exists() or stat.read_text().rpartition(") ")[2][0] == "Z"
