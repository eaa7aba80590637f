"""gen/cli.py: flags in, one line for bad input, exit codes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from absl import flags

from gen.cli import guard, parse, run
from gen.errors import InputError

FLAGS = flags.FlagValues()
WORKDIR = flags.DEFINE_string("workdir", None, "Folder.", flag_values=FLAGS)
COUNT = flags.DEFINE_integer("count", 3, "Number.", flag_values=FLAGS)


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
        ("--workdir", "Missing value for flag --workdir"),
        ("--count=x", "flag --count=x: invalid literal for int() with base 10: 'x'"),
        ("folder", "unexpected argument 'folder'; every argument is a flag, --name=value"),
    ],
)
def test_bad_flags_are_one_line_and_exit_code_2(monkeypatch, capsys, argument, message):
    assert outcome(monkeypatch, capsys, argument) == (2, "", f"gen: {message}\n")


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
