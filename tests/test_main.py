"""gen/main.py: the command line as a person meets it. gen.training.loop is replaced, so nothing is trained here."""

from __future__ import annotations

import os
import pathlib
import re
import shlex
import subprocess
import sys
import types

import jax
import pytest

import gen.training
from gen import cli
from gen.config import Config, from_json, to_json
from gen.errors import InputError
from gen.main import main, parse_command
from gen.training import preflight

EXPERIMENT = '''"""A lab note."""
from gen.config import Config, spec, variant
import stub_components as stub


def get_config(arg=""):
    steps = 1 if variant(arg, ["smoke"]) else 100
    return Config(data=spec(stub.files, resolution=64), task=spec(stub.Task, net=spec(stub.Net)), total_images=steps)


def sweep():
    for size in (16, 32):
        yield {"batch_size": size, "task.gamma": 0.1}
'''


class Trainer(types.ModuleType):
    """Stands for gen.training.loop: keeps what it was given."""

    config: Config
    workdir: pathlib.Path
    command: str
    others: dict[str, object]
    code = 0

    def train(self, config: Config, workdir: pathlib.Path, *, command: str, **others: object) -> int:
        self.config, self.workdir, self.command, self.others = config, workdir, command, others
        return self.code


@pytest.fixture
def trainer(monkeypatch, tmp_path) -> Trainer:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "trial.py").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEN_PACKAGES", "stub_components")
    fake = Trainer("gen.training.loop")
    monkeypatch.setitem(sys.modules, "gen.training.loop", fake)
    monkeypatch.setattr(gen.training, "loop", fake, raising=False)  # where another test has imported it
    return fake


@pytest.fixture
def call(trainer, capsys):
    def call(*argv: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            cli.guard(lambda: main(parse_command(["gen.main", *argv])))
        return caught.value.code, *capsys.readouterr()

    return call


TRIAL = "--config=experiments/trial.py"
PATH = "--config.data.path=here"


def test_trains_with_the_overrides_in_the_folder(call, trainer):
    argv = [PATH, "--config.task.gamma", "3", TRIAL, "--config.mirror", "--workdir=out", "--config.task.net.widths=3,4"]
    assert call(*argv) == (0, "", "")
    assert trainer.workdir == pathlib.Path("out")
    assert not trainer.workdir.exists()  # training makes it, with its lock
    assert trainer.config.data == {"call": "stub_components:files", "resolution": 64, "path": "here"}
    assert (trainer.config.task.gamma, trainer.config.mirror, trainer.config.task.net.widths) == (3.0, True, (3, 4))


def test_the_command_for_others_names_no_folders_of_this_machine(call, trainer):
    argv = [f"{TRIAL}:smoke", "--config.data.path=/home/me/my pictures", "--config.mirror", "--workdir=/tmp/x"]
    assert call(*argv)[0] == 0
    config = "--config=experiments/trial.py:smoke '--config.data.path=.../my pictures' --config.mirror"
    assert trainer.command == f"python -m gen.main {config}"


def test_the_default_folder_is_named_by_experiment_and_variant(call, trainer):
    assert call(TRIAL, PATH)[0] == 0
    assert trainer.workdir == pathlib.Path("runs/trial")
    assert call(f"{TRIAL}:smoke", PATH)[0] == 0
    assert trainer.workdir == pathlib.Path("runs/trial-smoke")
    assert trainer.config.total_images == 1


def test_flags_of_processes_trackers_and_traces_reach_the_loop(trainer):
    flags = ["--coordinator=host:12", "--num_processes=3", "--process_id=1", "--log_to=mine:begin", "--profile=5:7"]
    trial = ["gen.main", "--config=experiments/trial.py", "--config.data.path=x"]
    assert main(parse_command([*trial, *flags])) == 0
    assert trainer.others["member"][:3] == ("host:12", 3, 1)
    assert (trainer.others["log_to"], trainer.others["profile"]) == ("mine:begin", (5, 7))
    assert main(parse_command(trial)) == 0
    assert (trainer.others["member"], trainer.others["log_to"], trainer.others["profile"]) == (None, "", None)


@pytest.mark.parametrize("code", [0, 130, 143])
def test_the_exit_code_is_that_of_training(call, trainer, code):
    trainer.code = code
    assert call(TRIAL, PATH)[0] == code


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--config is missing; name an experiment, --config=FILE.py; there are: experiments/trial.py"),
        (["--config="], "--config is empty; leave it out, or give it a value"),
        (
            ["--config=experiments/trail.py"],
            "no experiment 'experiments/trail.py'; did you mean 'experiments/trial.py'?; there are",
        ),
        ([f"{TRIAL}:smok"], "experiments/trial.py:7: no variant 'smok'; did you mean 'smoke'?; variants: smoke"),
        (
            [TRIAL],
            "data.path is missing: stub_components:files needs it (a path); add --config.data.path",
        ),
        (
            [TRIAL, "--config.task.gama=3"],
            "unknown field 'task.gama'; did you mean 'task.gamma'?; task has: net, gamma",
        ),
        ([TRIAL, "--config.task.gamma=abc"], "task.gamma is 'abc'; it must be a number"),
        ([TRIAL, PATH, "--config.batch_size=0"], "batch_size is 0; it must be from 1 to 1048576"),
        ([TRIAL, PATH, "--workdr=x"], "unknown flag --workdr; did you mean '--workdir'?"),
        ([TRIAL, PATH, "x"], "unexpected argument 'x'; every argument is a flag, --name=value"),
        ([TRIAL, PATH, "--workdir=gs://bucket/run"], "--workdir gs://bucket/run is a URL; it must be a folder"),
        (
            [TRIAL, PATH, "--workdir=experiments/trial.py/run"],
            "cannot write to --workdir experiments/trial.py/run: Not a directory",
        ),
        ([TRIAL, PATH, "--workdir=/proc/run"], "cannot write to --workdir /proc/run: "),
        (
            [TRIAL, PATH, "--sweep=2"],
            "--sweep=2: experiments/trial.py has 2 runs; give 'print' or a number from 0 to 1",
        ),
        ([TRIAL, PATH, "--sweep=-1"], "--sweep=-1: experiments/trial.py has 2 runs"),
        (
            [TRIAL, PATH, "--sweep=0", "--config.task.gamma=1"],
            "--config.task.gamma is also set by sweep() of experiments/trial.py",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(call, argv, message):
    code, out, err = call(*argv)
    assert (code, out) == (2, "")
    assert err.startswith(f"gen: {message}")
    assert err.count("\n") == 1


def test_input_errors_of_training_are_one_line_and_bugs_are_not(call, trainer, monkeypatch):
    def refuse(config, workdir, **options):
        raise InputError("no images in here")

    monkeypatch.setattr(trainer, "train", refuse, raising=False)
    assert call(TRIAL, PATH) == (2, "", "gen: no images in here\n")
    monkeypatch.setattr(trainer, "train", lambda config, workdir, **options: 1 // 0, raising=False)
    with pytest.raises(ZeroDivisionError):
        cli.guard(lambda: main(parse_command(["gen.main", TRIAL, PATH])))


def test_too_little_memory_is_one_line_and_names_a_smaller_batch(call, trainer, monkeypatch):
    def fail(*_, **options):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")

    monkeypatch.setattr(trainer, "train", fail, raising=False)
    code, _, error = call(TRIAL, PATH)
    assert code == 2
    assert error.count("\n") == 1
    assert "Out of memory allocating 9 bytes" in error
    assert "--config.batch_size=32" in error


def test_a_folder_of_another_experiment_is_refused(call, trainer):
    assert call(TRIAL, PATH, "--workdir=out")[0] == 0
    trainer.workdir.mkdir()
    stored = trainer.workdir / "config.json"
    stored.write_text(to_json(trainer.config))
    assert call(TRIAL, PATH, "--workdir=out", "--config.total_images=7", "--config.log_every=3")[0] == 0
    assert from_json(stored.read_text()).total_images == 100
    other = (TRIAL, PATH, "--workdir=out", "--config.task.gamma=7", "--config.total_images=7")
    assert call(*other)[0] == 0  # nothing was saved: there is nothing to protect
    (trainer.workdir / "checkpoints" / "5").mkdir(parents=True)
    code, _, err = call(*other)
    assert code == 2
    assert err == (
        "gen: the run folder holds another experiment: task.gamma is not set there, 7.0 here; use another --workdir\n"
    )


def test_sweep_prints_commands_that_do_what_sweep_k_does(call, trainer):
    flags = [f"{TRIAL}:smoke", "--config.data.path=a b", "--config.mirror", "--workdir=out", "--compilation_cache=none"]
    code, out, _ = call(*flags, "--sweep=print")
    assert code == 0
    assert not pathlib.Path("out").exists()
    lines = out.splitlines()
    assert lines[1] == (
        "python -m gen.main --config=experiments/trial.py:smoke --workdir=out/batch_size=32,task.gamma=0.1 "
        "--compilation_cache=none '--config.data.path=a b' --config.mirror=true "
        "--config.batch_size=32 --config.task.gamma=0.1"
    )
    for number, line in enumerate(lines):
        assert call(*flags, f"--sweep={number}")[0] == 0
        swept, workdir = trainer.config, trainer.workdir
        assert call(*shlex.split(line)[3:])[0] == 0
        assert (trainer.config, trainer.workdir) == (swept, workdir)
        assert swept.batch_size == (16, 32)[number]
        assert swept.data.path == "a b"


def test_a_sweep_is_checked_before_it_is_printed(call):
    path = pathlib.Path("experiments/trial.py")
    path.write_text(EXPERIMENT.replace("task.gamma", "task.gama"))
    assert call(TRIAL, "--sweep=print")[2].startswith("gen: unknown field 'task.gama'; did you mean 'task.gamma'?")
    path.write_text(EXPERIMENT.partition("def sweep")[0])
    assert call(TRIAL, "--sweep=0")[2].startswith("gen: experiments/trial.py has no sweep()")


@pytest.mark.parametrize(
    ("flag", "variables", "folder"),
    [
        ([], {"GEN_CACHE": "c"}, "c/xla"),
        ([], {"XDG_CACHE_HOME": "x"}, "x/gen/xla"),
        ([], {}, "home/.cache/gen/xla"),
        (["--compilation_cache=mine"], {"GEN_CACHE": "c"}, "mine"),
        (["--compilation_cache=none"], {"GEN_CACHE": "c"}, None),
        (["--compilation_cache=mine"], {"JAX_COMPILATION_CACHE_DIR": "j"}, None),
        (["--compilation_cache=/proc/cache"], {}, None),
    ],
)
def test_the_compilation_cache(call, monkeypatch, flag, variables, folder):
    chosen: dict[str, str] = {}
    monkeypatch.setattr(jax.config, "update", chosen.__setitem__)
    for name in ("GEN_CACHE", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "home"} | variables).items():  # the first two must be absolute
        monkeypatch.setenv(name, os.path.abspath(value) if name in ("HOME", "XDG_CACHE_HOME") else value)
    code, _, err = call(TRIAL, PATH, *flag)
    assert code == 0
    found = {name: os.path.abspath(value) for name, value in chosen.items()}
    assert found == ({"jax_compilation_cache_dir": os.path.abspath(folder)} if folder else {})
    assert not folder or os.stat(folder).st_mode & 0o777 == 0o700
    assert err.startswith("gen: no compilation cache: /proc/cache: ") == (flag == ["--compilation_cache=/proc/cache"])


@pytest.mark.parametrize("variable", ["GEN_CACHE", "JAX_COMPILATION_CACHE_DIR"])
def test_compiled_programs_come_from_no_folder_that_others_can_write(call, monkeypatch, tmp_path, variable):
    chosen: dict[str, str | None] = {}
    monkeypatch.setattr(jax.config, "update", chosen.__setitem__)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o770)
    monkeypatch.setenv(variable, str(tmp_path / "shared"))
    code, _, err = call(TRIAL, PATH)
    assert code == 0
    assert chosen == ({} if variable == "GEN_CACHE" else {"jax_compilation_cache_dir": None})
    assert re.fullmatch(r"gen: no compilation cache: \S+shared: others may write in it; chmod go-w \S+shared\n", err)


def test_help_starts_with_examples_and_imports_nothing_heavy():
    command = [sys.executable, "-X", "importtime", "-m", "gen.main", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Train a model of images")
    assert "python -m gen.main --config=experiments/shapes.py --workdir=runs/shapes" in done.stdout
    assert "--sweep=TEXT" in done.stdout
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "absl" in imported
    assert imported.isdisjoint({"jax", "flax", "optax", "orbax", "tensorflow_datasets", "numpy"})


def test_the_real_program_says_one_line():
    command = [sys.executable, "-m", "gen.main", "--config=experiments/no_such_file.py"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("gen: no experiment 'experiments/no_such_file.py'")
    assert done.stderr.count("\n") == 1


def test_check_trains_nothing_and_makes_nothing(call, trainer, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(
        preflight, "check", lambda config, workdir, place, **options: made.append((workdir, place)) or ["sound"]
    )
    assert call(TRIAL, PATH, "--check=here", "--workdir=out") == (0, "", "gen: sound\n")
    assert call(TRIAL, PATH, "--check=mounted", "--workdir=/proc/out") == (0, "", "gen: sound\n")
    assert made == [(pathlib.Path("out"), "here"), (pathlib.Path("/proc/out"), "mounted")]
    assert not hasattr(trainer, "config")
    assert not (tmp_path / "out").exists()
    assert call(TRIAL, PATH, "--check=there")[2].startswith("gen: --check=there; it must be one of here, copied")
