"""gen/cli/flags.py: a dataclass becomes flags, checks and --help."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from absl import flags

from gen.cli.flags import Options, help_text, option, parse, run_main
from gen.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Drawing(Options):
    inputs: Sequence[str | Path] = option((), "Image files.", positional="IN...")
    workdir: str | Path | None = option(None, "Folder.", group="Files")
    mask: Sequence[str | Path] = option((), "NAME=FILE.")
    data: str | None = option(None, "Of a run.", flag="config.data")
    count: int = option(3, "Number.", group="Images", at_most=9)
    step: int | None = option(None, "Checkpoint.", at_least=0)
    share: float = option(0.5, "Share.", at_least=0.0, at_most=1.0)
    strength: float | None = option(None, "Strength.")
    format: Literal["png", "jpeg"] = option("png", "Format.")
    grid: bool = option(False, "Grid.")
    note: object = None  # no flag


@dataclass(frozen=True, kw_only=True)
class Needing(Options):
    command: Literal["encode", "decode"] = option(..., "What to do.", positional="COMMAND")
    out: str | Path = option(..., "Folder for the results.")
    file: str | None = option(None, "A file.", positional="FILE")


@dataclass(frozen=True, kw_only=True)
class Plain(Options):
    count: int = option(3, "Number.")


def outcome(monkeypatch, capsys, *argv: str, kind: type[Options] = Drawing) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["program", *argv])

    def program(options) -> int | None:
        print(getattr(options, "workdir", None), options.count)
        return None if options.count == 3 else options.count

    with pytest.raises(SystemExit) as caught:
        run_main(program, kind)
    return caught.value.code, *capsys.readouterr()


def test_flags_reach_the_program_and_do_not_outlive_it(monkeypatch, capsys):
    assert outcome(monkeypatch, capsys, "--workdir", "a", "--count=4") == (4, "a 4\n", "")
    assert outcome(monkeypatch, capsys) == (0, "None 3\n", "")
    assert flags.FLAGS.is_parsed()


def test_a_command_line_gives_what_python_gives():
    line = "program a.png --workdir=x --mask=a=b --mask c=d --config.data=e --step=0 --share=1 --grid b --format=jpeg"
    assert parse(line.split(), Drawing) == Drawing(
        inputs=["a.png", "b"],
        workdir=Path("x"),
        mask=("a=b", "c=d"),
        data="e",
        step=0,
        share=1,
        grid=True,
        format="jpeg",
    )
    assert parse(["program", "--nogrid"], Drawing) == Drawing()


BAD = [
    ("--workdr=a", "unknown flag --workdr; did you mean '--workdir'?"),
    ("--zzz", "unknown flag --zzz; --help lists the flags"),
    ("--workdir", "--workdir needs a value, --workdir=VALUE: Folder."),
    ("--workdir=", "--workdir is empty; leave it out, or give it a value"),
    ("--workdir=--count", "--workdir has no value: the flag --count follows it"),
    ("--mask=--config.data=3", "--mask has no value: the flag --config.data=3 follows it"),
    ("--count=x", "--count=x; it must be a whole number of at most 9"),
    ("--count=", "--count=; it must be a whole number of at most 9"),
    ("--count=10", "--count=10; it must be a whole number of at most 9"),
    (f"--step={2**63}", f"--step={2**63}; it must be less than 2**63"),
    ("--step=-1", "--step=-1; it must be a whole number of at least 0"),
    ("--share=a: b", "--share=a: b; it must be a number from 0.0 to 1.0"),
    ("--share=nan", "--share=nan; it must be a finite number"),
    ("--strength=-inf", "--strength=-inf; it must be a finite number"),
    ("--format=jpg", "--format=jpg; it must be one of png, jpeg; did you mean 'jpeg'?"),
    ("--grid=maybe", "--grid=maybe; it must be true or false"),
    ("--workdir=~nobody-here/x", "--workdir: ~nobody-here/x: there is no home folder for ~nobody-here; write it out"),
    ("--flagfile=/nothing/here", "--flagfile cannot be read ([Errno 2] No such file or directory: '/nothing/here')"),
]


@pytest.mark.parametrize(("argument", "message"), BAD)
def test_bad_flags_are_one_line_and_exit_code_2(monkeypatch, capsys, argument, message):
    assert outcome(monkeypatch, capsys, argument) == (2, "", f"gen: {message}\n")


@pytest.mark.parametrize("argument", ["\x1b[31m", "folder"])
def test_a_program_of_flags_alone_takes_nothing_else(monkeypatch, capsys, argument):
    code, out, told = outcome(monkeypatch, capsys, argument, kind=Plain)
    shown = argument.replace("\x1b", "\\x1b")
    assert (code, out, told) == (2, "", f"gen: unexpected argument '{shown}'; every argument is a flag, --name=value\n")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 10}, "--count=10; it must be a whole number of at most 9"),
        ({"count": True}, "--count=True; it must be a whole number of at most 9"),
        ({"count": None}, "--count=None; it must be a whole number of at most 9"),
        ({"share": float("nan")}, "--share=nan; it must be a finite number"),
        ({"format": "gif"}, "--format=gif; it must be one of png, jpeg"),
        ({"grid": 1}, "--grid=1; it must be true or false"),
        ({"workdir": " "}, "--workdir is empty; leave it out, or give it a value"),
        ({"mask": ["a", "\0"]}, "--mask=\0: a value cannot hold a NUL character"),
    ],
)
def test_options_made_in_python_are_checked_alike(given, message):
    with pytest.raises(InputError) as caught:
        Drawing(**given)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--out=x", "COMMAND is missing: one of encode, decode"),
        ("encod --out=x", "COMMAND=encod; it must be one of encode, decode; did you mean 'encode'?"),
        ("encode", "--out is missing: Folder for the results."),
        ("encode a b --out=x", "unexpected argument 'b'; every argument is a flag, --name=value"),
    ],
)
def test_what_must_be_given_is_named(line, message):
    with pytest.raises(InputError) as caught:
        parse(["program", *line.split()], Needing)
    assert str(caught.value) == message
    assert parse(["program", "encode", "--out=x"], Needing) == Needing(command="encode", out="x")


def test_a_path_has_the_home_in_the_place_of_the_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    options = parse(["program", "--workdir=~/runs", "--mask=m=~/a.png", "--mask=b=c~/d", "~/in", "a~"], Drawing)
    assert options == Drawing(
        workdir="/home/me/runs", mask=["m=/home/me/a.png", "b=c~/d"], inputs=["/home/me/in", "a~"]
    )


def test_help_is_the_docstring_and_every_option_in_its_group(capsys):
    with pytest.raises(SystemExit) as caught:
        parse(["program", "--help"], Drawing)
    assert caught.value.code == 0
    assert capsys.readouterr().out == help_text(Drawing) + "\n"
    assert help_text(Drawing).splitlines() == [
        *str(__doc__).splitlines(),
        "",
        "Arguments:",
        "  IN...               Image files",
        "",
        "Files:",
        "  --workdir=PATH      Folder",
        "  --mask=PATH         NAME=FILE (may be repeated)",
        "  --config.data=TEXT  Of a run",
        "",
        "Images:",
        "  --count=N           Number (at most 9; default 3)",
        "  --step=N            Checkpoint (at least 0)",
        "  --share=X           Share (from 0.0 to 1.0; default 0.5)",
        "  --strength=X        Strength",
        "  --format=png|jpeg   Format (default png)",
        "  --[no]grid          Grid",
    ]
    assert parse(["program", "--", "--help"], Drawing).inputs == ("--help",)
