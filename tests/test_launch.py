"""launch.sh against stand-ins for gcloud, sbatch, srun and scontrol: bash scripts with their state in text files."""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TPU = ["tpu", "--name", "slice", "--zone=east", "--type", "v6e-8", "--runtime=v2", "--spot", "--setup=true"]
JOB = ["--", "--config", "experiments/shapes.py", "--workdir", "/mnt/two words", "--config.note=it's $HOME"]

# Each command appends what it was asked to `calls`. The slice becomes ACTIVE the second time that its state is asked
# for. Each run of the job takes its fate from the next line of `fates`: an exit code, or the state that ends it.
GCLOUD = r"""#!/usr/bin/env bash
cd "$(dirname "${BASH_SOURCE[0]}")" || exit
state=$(cat state 2>/dev/null)
case "$3 $4" in
  "queued-resources list")
    case $state in
      DENIED) echo list >>calls && echo "ERROR: PERMISSION_DENIED: tpu.nodes.list" >&2 && exit 1 ;;
      MUTE) echo list >>calls && exit 1 ;;
      BROKEN) echo STILL_BROKEN >state && exit 1 ;;
      STILL_BROKEN) echo WAITING >state && exit 1 ;;
    esac
    if [[ $state == WAITING ]]; then echo ACTIVE >state; fi
    echo "$state" && exit ;;
  "queued-resources create")
    echo create >>calls
    if [[ -e refuse ]]; then cat refuse >&2 && exit 1; fi
    echo WAITING >state
    ;;
  "queued-resources delete") echo delete >>calls && rm state ;;
  "tpu-vm scp") echo scp >>calls ;;
  "tpu-vm ssh")
    for argument; do case $argument in --command=*) command=${argument#--command=} ;; esac done
    if [[ $command == *"pip install"* ]]; then echo install >>calls && exit; fi
    echo job >>calls && echo "$command" >command
    fate=$(head -n 1 fates) && sed -i 1d fates
    case $fate in [0-9]*) exit "$fate" ;; *) echo "$fate" >state && exit 1 ;; esac ;;
esac
"""
PYTHON = r"""#!/usr/bin/env bash
cd "$(dirname "${BASH_SOURCE[0]}")" && printf '%s\n' "$@" >checked && exit "$(cat check 2>/dev/null || echo 0)"
"""
SBATCH = r"""#!/usr/bin/env bash
cd "$(dirname "${BASH_SOURCE[0]}")" && printf '%s\n' "$@" >options && cat >script
"""
SRUN = r"""#!/usr/bin/env bash
cd "$(dirname "${BASH_SOURCE[0]}")" && printf '%s\n' "$@" >arguments
trap 'echo saved >>calls; exit 0' TERM
if [[ -e wait ]]; then touch started; for ((i = 0; i < 500; i++)); do sleep 0.02; done; fi
exit 7
"""
SCONTROL = r"""#!/usr/bin/env bash
cd "$(dirname "${BASH_SOURCE[0]}")" && echo "$@" >>calls
"""

FAKES = {"gcloud": GCLOUD, "python": PYTHON, "sbatch": SBATCH, "srun": SRUN, "scontrol": SCONTROL, "ssh": "", "scp": ""}


@pytest.fixture
def fakes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder, first on PATH, with the stand-ins and their state."""
    for name, text in FAKES.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PYTHON", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LAUNCH_POLL_SECONDS", "0.01")
    for name in ("gcloud", "sbatch", "srun", "scontrol"):  # never the real ones
        found = subprocess.run(["bash", "-c", f"command -v {name}"], capture_output=True, text=True, check=True)
        assert found.stdout.strip() == str(tmp_path / name)
    return tmp_path


def launch(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ROOT / "launch.sh", *arguments], capture_output=True, text=True, timeout=30, check=False)


def calls(fakes: pathlib.Path) -> list[str]:
    path = fakes / "calls"
    return path.read_text().split("\n")[:-1] if path.exists() else []


DEPLOY = ["scp", "install", "job"]


@pytest.mark.parametrize(
    ("fates", "expected", "code"),
    [
        # Taken away, then a crash that does not repeat, then a dropped connection, then the end.
        (
            ["SUSPENDED", "1", "255", "0"],
            ["create", *DEPLOY, "delete", "create", *DEPLOY, *DEPLOY, *DEPLOY],
            0,
        ),
        # A program that fails on a sound slice is given up after three times, and the slice stays.
        (["9", "9", "9"], ["create", *DEPLOY, *DEPLOY, *DEPLOY], 9),
        # What is not the program's fault ends the count: a dropped connection (255), a job told to stop (143).
        (["9", "9", "255", "9", "9", "143", "9", "0"], ["create", *DEPLOY * 8], 0),
        # Wrong input is not tried again.
        (["2"], ["create", *DEPLOY], 2),
        # A state that nobody has heard of, or that cannot be asked for, is waited out: nothing is deleted.
        (["BROKEN", "0"], ["create", *DEPLOY, *DEPLOY], 0),
    ],
    ids=["preempted", "failing", "in_a_row", "wrong_input", "unknown_state"],
)
def test_tpu_does_exactly_the_expected_calls(fakes, fates, expected, code):
    (fakes / "fates").write_text("\n".join(fates) + "\n")
    result = launch(*TPU, *JOB)
    assert (result.returncode, calls(fakes)) == (code, expected), result.stderr


def test_tpu_job_gets_its_arguments_word_for_word(fakes):
    (fakes / "fates").write_text("0\n")
    assert launch(*TPU, "--setup", "mount it", "--delete", *JOB).returncode == 0
    assert calls(fakes)[-1] == "delete"
    words = shlex.split((fakes / "command").read_text())
    assert words[:5] == ["{", "mount", "it;", "}", "&&"]
    assert words[words.index("gen.main") + 1 :] == JOB[1:]
    assert "GEN_DISTRIBUTED=1" in words  # the workers of a slice find each other


def test_tpu_gives_up_when_the_slice_is_refused(fakes):
    (fakes / "refuse").touch()
    result = launch(*TPU, *JOB)
    assert (result.returncode, calls(fakes)) == (1, ["create"] * 3)
    assert "refused" in result.stderr


@pytest.mark.parametrize(
    "told",
    [
        "ERROR: (gcloud.compute.tpus.queued-resources.create) PERMISSION_DENIED: Permission 'tpu.nodes.create' denied",
        "ERROR: (gcloud.compute.tpus) You do not currently have an active account selected.",
        "ERROR: INVALID_ARGUMENT: Location east was not found",
        "ERROR: (gcloud) Quota limit 'TPUV6EPerProjectPerZone' has been exceeded. Limit: 0 in zone east",
        "ERROR: (gcloud.compute.tpus) The required property [project] is not currently set.",
    ],
)
def test_tpu_ends_at_once_when_gcloud_says_what_no_other_try_can_help(fakes, told):
    (fakes / "refuse").write_text(f"{told}\n")
    result = launch(*TPU, *JOB)
    assert (result.returncode, calls(fakes)) == (2, ["create"])
    assert f"gcloud refuses what another try cannot mend: {told}" in result.stderr


@pytest.mark.parametrize("told", ["Quota exceeded: requests per minute", "There is no more capacity in the zone"])
def test_tpu_asks_again_when_that_may_help(fakes, told):
    (fakes / "refuse").write_text(f"{told}\n")
    assert launch(*TPU, *JOB).returncode == 1
    assert calls(fakes) == ["create"] * 3


def test_tpu_ends_at_once_when_it_may_not_even_ask(fakes):
    (fakes / "state").write_text("DENIED")
    result = launch(*TPU, *JOB)
    assert (result.returncode, calls(fakes)) == (2, ["list"])
    assert "gcloud refuses what another try cannot mend: ERROR: PERMISSION_DENIED" in result.stderr


def test_tpu_gives_up_when_gcloud_never_answers(fakes):
    (fakes / "state").write_text("MUTE")
    result = launch(*TPU, *JOB)
    assert (result.returncode, calls(fakes)) == (1, ["list"] * 3)
    assert "gcloud failed 3 times in a row: giving up" in result.stderr


@pytest.mark.parametrize("tool", ["gcloud", "scp"])
def test_tpu_begins_nothing_without_its_tools(fakes, monkeypatch, tool):
    for name in ("bash", "dirname", "env"):
        (fakes / name).symlink_to(shutil.which(name))
    (fakes / tool).unlink()
    monkeypatch.setenv("PATH", str(fakes))
    result = launch(*TPU, *JOB)
    assert result.returncode == 2
    assert result.stderr == f"launch.sh: tpu needs the command '{tool}', which is not in PATH\n"


def test_tpu_checks_the_experiment_before_a_slice_is_paid_for(fakes):
    (fakes / "fates").write_text("0\n")
    (fakes / "check").write_text("2")
    result = launch(*TPU, *JOB)
    assert (result.returncode, calls(fakes)) == (2, [])
    assert "nothing was begun; --no-check leaves this check out" in result.stderr
    assert (fakes / "checked").read_text().splitlines() == ["-m", "gen.main", *JOB[1:], "--check=mounted"]
    result = launch(*TPU[:-1], *JOB)
    assert (result.returncode, calls(fakes)) == (2, [])
    assert "--spot needs --setup" in result.stderr
    (fakes / "check").write_text("0")
    assert launch(*TPU[:-2], *JOB).returncode == 0
    assert (fakes / "checked").read_text().splitlines()[-1] == "--check=copied"
    (fakes / "fates").write_text("0\n")
    (fakes / "checked").unlink()
    assert launch(*TPU[:-1], "--no-check", *JOB).returncode == 0
    assert not (fakes / "checked").exists()


def test_slurm_job_gets_its_arguments_word_for_word_and_reports_its_failure(fakes, tmp_path):
    job = ["--config", "experiments/shapes.py", "--workdir", str(tmp_path / "two words"), "--config.note=it's $HOME"]
    result = launch("slurm", "--gpus=2", "--sbatch", "--partition=long", "--", *job)
    assert result.returncode == 0, result.stderr
    options = (fakes / "options").read_text().splitlines()
    assert {"--requeue", "--signal=B:TERM@300", "--gpus-per-node=2", "--partition=long"} <= set(options)
    assert f"--output={tmp_path}/two words/slurm-%j.log" in options
    assert (tmp_path / "two words").is_dir()

    failed = subprocess.run(["bash", fakes / "script"], timeout=10, check=False)
    assert failed.returncode == 7
    assert calls(fakes) == []  # not queued again
    assert (fakes / "arguments").read_text().splitlines()[1:] == ["-m", "gen.main", *job]


def test_slurm_job_saves_and_is_queued_again_on_sigterm(fakes, tmp_path):
    assert launch("slurm", "--", "--config", "x.py", "--workdir", str(tmp_path / "run")).returncode == 0
    (fakes / "wait").touch()
    with subprocess.Popen(["bash", fakes / "script"], env={**os.environ, "SLURM_JOB_ID": "17"}) as job:
        deadline = time.monotonic() + 10
        while not (fakes / "started").exists():
            assert time.monotonic() < deadline, "srun was not called"
            time.sleep(0.01)
        job.send_signal(signal.SIGTERM)
        assert job.wait() == 0  # the stand-in for srun ends by itself
    assert calls(fakes) == ["saved", "requeue 17"]


def test_local_runs_gen_main_with_the_arguments_and_its_exit_code(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@"\nexit 5\n')
    python.chmod(0o755)
    monkeypatch.setenv("PYTHON", str(python))
    for arguments in (["local", *JOB], JOB):
        result = launch(*arguments)
        assert (result.returncode, result.stdout.splitlines()) == (5, ["-m", "gen.main", *JOB[1:]])


@pytest.mark.parametrize("arguments", [TPU, ["slurm"], ["local"]], ids=lambda a: a[0])
def test_dry_run_prints_the_commands_and_runs_none(fakes, tmp_path, arguments):
    job = ["--config", "x.py", "--workdir", str(tmp_path / "two words")]
    result = launch(*arguments, "--dry-run", "--", *job)
    assert result.returncode == 0, result.stderr
    commands = [shlex.split(line[2:]) for line in result.stdout.splitlines() if line.startswith("$ ")]
    names = {"tpu": ["gcloud", "tar", "gcloud", "gcloud", "gcloud"], "slurm": ["mkdir", "sbatch"], "local": ["exec"]}
    assert [words[0] for words in commands] == names[arguments[0]]
    assert "gen.main" in result.stdout
    assert {path.name for path in fakes.iterdir()} == set(FAKES)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to run"),
        (["moon"], "no such place: 'moon'; allowed: local, slurm, tpu"),
        (["local"], "the flags of gen.main are missing"),
        (["local", "--gpus", "1", *JOB], "unknown option for local: '--gpus'"),
        (["slurm", "--gpus"], "missing value"),
        (["slurm", "--gpus", "many", *JOB], "--gpus 'many': allowed: a whole number"),
        (["slurm", "--", "--config", "x.py"], "needs --workdir"),
        (["tpu", "--zone", "east", *JOB], "tpu needs --type"),
        ([*TPU, "--name", "My Slice", *JOB], "--name 'My Slice': allowed: small letters"),
    ],
    ids=lambda value: "_".join(value)[:20] if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_and_exit_code_2(fakes, arguments, message):
    result = launch(*arguments)
    assert (result.returncode, result.stdout, calls(fakes)) == (2, "", [])
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_help():
    result = launch("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: ./launch.sh")
