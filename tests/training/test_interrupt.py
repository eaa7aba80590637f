"""gen/training/interrupt.py: when a signal asks, when it ends the process, and how soon."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gen.training.interrupt import interrupts

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_asks_where_there_is_something_to_save(number, capfd):
    before = signal.getsignal(number)
    with interrupts() as stop:
        stop.saves = True
        assert stop.exit_code(True) == 0
        signal.raise_signal(number)
        assert stop.exit_code(True) == 128 + number
    assert signal.getsignal(number) is before
    name = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[number]
    assert capfd.readouterr().err == f"gen: {name}: stopping after this step, which will be saved; again: at once\n"


# The main thread is in compiled code, where Python runs no handler: the signal comes while a C function sorts.
BUSY = """
import signal, sys, threading, time
from gen.training.interrupt import interrupts
with interrupts() as stop:
    stop.saves = sys.argv[1] == "saves"
    stop.before_exit = lambda: print("cleaned", flush=True)
    print("busy", flush=True)
    time.sleep(0.1)
    import ctypes
    ctypes.CDLL(None).sleep(30)
    ctypes.CDLL(None).sleep(30)
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_with_nothing_to_save_or_asked_twice_it_ends_at_once_even_in_compiled_code(number):
    for saves in ("nothing", "saves"):
        with subprocess.Popen(
            [sys.executable, "-c", BUSY, saves], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as program:
            assert program.stdout.readline() == "busy\n"
            time.sleep(0.3)
            began = time.monotonic()
            program.send_signal(number)
            if saves == "saves":
                assert "stopping after this step" in program.stderr.readline()
                program.send_signal(number)
            out, err = program.communicate(timeout=10)
        assert time.monotonic() - began < 5
        assert (program.returncode, out) == (128 + number, "cleaned\n")
        assert err.startswith("gen: stopped by ")
        assert err.count("\n") == 1


def test_signals_stay_as_they_are_outside_the_main_thread():
    before = signal.getsignal(signal.SIGTERM)

    def handler_inside():
        with interrupts() as stop:
            return signal.getsignal(signal.SIGTERM), stop.exit_code(True)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(handler_inside).result() == (before, 0)


# A shell lets programs in the background ignore it, and so the tests that it started there.
LISTEN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "


def test_ctrl_c_while_a_program_imports_is_one_line():
    # A module that gen.main imports stands for all: it says that it is being imported, and waits.
    script = "import os, sys, time\nos.write(1, b'importing\\n')\ntime.sleep(30)\n"
    code = f"{LISTEN}import sys; sys.argv = ['-m']; sys.orig_argv = ['python', '-m', 'gen.main']; import gen\n{script}"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as program:
        assert program.stdout.readline() == b"importing\n"
        program.send_signal(signal.SIGINT)
        _, err = program.communicate(timeout=10)
    assert (program.returncode, err) == (130, b"gen: stopped by Ctrl-C\n")


def test_importing_gen_elsewhere_leaves_the_signals_alone():
    code = f"{LISTEN}import gen; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "True\n"
