"""gen/cli/program.py: flags in, one line for bad input, exit codes."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys

import pytest
from absl import flags

from gen.cli import Warnings, define_path, guard, parse, run
from gen.errors import InputError

FLAGS = flags.FlagValues()
WORKDIR = flags.DEFINE_string("workdir", None, "Folder.", flag_values=FLAGS)
COUNT = flags.DEFINE_integer("count", 3, "Number.", upper_bound=9, flag_values=FLAGS)
flags.DEFINE_float("share", 0.5, "Share.", 0.0, 1.0, flag_values=FLAGS)
flags.DEFINE_float("strength", 0.5, "Strength.", flag_values=FLAGS)
flags.DEFINE_enum("format", "png", ["png", "jpeg"], "Format.", flag_values=FLAGS)
flags.DEFINE_bool("grid", False, "Grid.", flag_values=FLAGS)
define_path("out", None, "Folder.", flag_values=FLAGS)
define_path("mask", [], "NAME=FILE.", flag_values=FLAGS, many=True)


def program() -> int | None:
    print(WORKDIR.value, COUNT.value)
    return None if COUNT.value == 3 else COUNT.value


def outcome(monkeypatch, capsys, *argv: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["program", *argv])
    with pytest.raises(SystemExit) as caught:
        run(program, FLAGS)
    return caught.value.code, *capsys.readouterr()


def test_flags_reach_the_program_and_do_not_outlive_it(monkeypatch, capsys):
    assert outcome(monkeypatch, capsys, "--workdir", "a", "--count=4") == (4, "a 4\n", "")
    assert outcome(monkeypatch, capsys) == (0, "None 3\n", "")
    assert flags.FLAGS.is_parsed()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--workdr=a", "unknown flag --workdr; did you mean '--workdir'?"),
        ("--zzz", "unknown flag --zzz; --help lists the flags"),
        ("--workdir", "--workdir needs a value, --workdir=VALUE: Folder."),
        ("--workdir=", "--workdir is empty; leave it out, or give it a value"),
        ("--workdir=--count", "--workdir has no value: the flag --count follows it"),
        ("--count=x", "--count=x; it must be a whole number of at most 9"),
        ("--count=10", "--count=10; it must be a whole number of at most 9"),
        ("--share=a: b", "--share=a: b; it must be a number from 0.0 to 1.0"),
        ("--share=nan", "--share=nan; it must be a finite number"),
        ("--strength=-inf", "--strength=-inf; it must be a finite number"),
        ("--format=jpg", "--format=jpg; it must be one of png, jpeg; did you mean 'jpeg'?"),
        ("--grid=maybe", "--grid=maybe; it must be true or false"),
        ("--out=~nobody-here/x", "--out: ~nobody-here/x: there is no home folder for ~nobody-here; write it out"),
        ("\x1b[31m", "unexpected argument '\\x1b[31m'; every argument is a flag, --name=value"),
        (
            "--flagfile=/nothing/here",
            "--flagfile cannot be read ([Errno 2] No such file or directory: '/nothing/here')",
        ),
        ("folder", "unexpected argument 'folder'; every argument is a flag, --name=value"),
    ],
)
def test_bad_flags_are_one_line_and_exit_code_2(monkeypatch, capsys, argument, message):
    assert outcome(monkeypatch, capsys, argument) == (2, "", f"gen: {message}\n")


def test_a_path_has_the_home_in_the_place_of_the_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    given = ["program", "--out=~/runs", "--mask=m=~/a.png", "--mask=b=c~/d", "~/in", "a~"]
    assert parse(given, sys.modules[__name__], FLAGS) == ["/home/me/in", "a~"]
    assert (FLAGS.out, FLAGS.mask) == ("/home/me/runs", ["m=/home/me/a.png", "b=c~/d"])


def test_help_is_the_docstring_and_the_flags(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["program", "--help"], sys.modules[__name__], FLAGS)
    out = capsys.readouterr().out
    assert caught.value.code == 0
    assert out.startswith(__doc__)
    assert "--workdir: Folder." in out
    assert parse(["program", "--", "--help"], sys.modules[__name__], FLAGS) == ["--help"]


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
