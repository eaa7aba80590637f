"""gen/cli/program.py: exit codes, one line for what went wrong."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys

import pytest

from gen.cli import Warnings, guard
from gen.errors import InputError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [(InputError("two\nlines"), 2, "gen: two lines\n"), (KeyboardInterrupt(), 130, "gen: stopped by Ctrl-C\n")],
)
def test_guard(capsys, error, code, line):
    def fail() -> int:
        raise error

    with pytest.raises(SystemExit) as caught:
        guard(fail)
    assert caught.value.code == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (MemoryError(), "out of memory; give less at once, by a smaller --batch_size for one"),
        (RuntimeError("RESOURCE_EXHAUSTED: 9 GB\nx"), "out of memory (RESOURCE_EXHAUSTED: 9 GB); try a smaller"),
    ],
)
def test_what_the_system_refuses_is_one_line(capsys, error, line):
    def fail() -> int:
        raise error

    with pytest.raises(SystemExit) as caught:
        guard(fail)
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith(f"gen: {line}")
    assert told.count("\n") == 1


def test_streams_of_any_kind_take_any_name():
    script = "from gen import cli; cli.guard(lambda: print('caf\\xe9 \\udce9 \\u202e'))"
    for encoding, shown in (("ascii", b"caf\\xe9 \\udce9 \\u202e\n"), ("utf-8", "caf\xe9 \\udce9 \u202e\n".encode())):
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, shown, b"")
    closed = ["bash", "-c", f'exec "{sys.executable}" -c "{script}" <&- >&- 2>&-']
    assert subprocess.run(closed).returncode == 0
    full = ["bash", "-c", f'exec "{sys.executable}" -c "{script}" > /dev/full']
    done = subprocess.run(full, capture_output=True)
    assert (done.returncode, done.stderr) == (2, b"gen: standard output or a file: No space left on device\n")


def test_a_warning_is_one_printable_line(capsys):
    record = logging.LogRecord("gen", logging.WARNING, "", 0, "%s\nleft out", ("\x1b[2J\udce9",), None)
    Warnings().emit(record)
    assert capsys.readouterr().err == "gen: \\x1b[2J\\xe9 left out\n"


def test_other_exceptions_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        guard(lambda: 1 // 0)


def test_a_reader_that_stops_early_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([sys.executable, "-m", "gen.sample", "--help"], stdout=writing, stderr=subprocess.PIPE)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
