"""launch.sh against stand-ins for gcloud, sbatch, srun and scontrol: bash scripts with their state in text files."""

from __future__ import annotations

import configparser
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest

from gen.config import experiment
from gen.main import parse_command
from gen.processes import LOST

ROOT = pathlib.Path(__file__).parents[1]
TPU = ["tpu", "--name", "slice", "--zone=east", "--type", "v6e-8", "--runtime=v2", "--spot", "--setup=true"]
JOB = ["--", "--config", "experiments/shapes.py", "--workdir", "/mnt/two words", "--config.note=it's $HOME"]

# Each command appends what it was asked to `calls`. The slice becomes ACTIVE the second time that its state is asked
# for. Each run of the job takes its fate from the next line of `fates`: an exit code and what it prints, or the state
# that ends it.
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
  "tpu-vm scp")
    if [[ $* != *--recurse* ]]; then echo scp >>calls && exit; fi
    echo fetch >>calls && printf '%s\n' "$@" >fetched
    if [[ -e no_copy ]]; then exit 1; fi
    ;;
  "tpu-vm ssh")
    for argument; do case $argument in --command=*) command=${argument#--command=} ;; esac done
    if [[ $command == *"pip install"* ]]; then echo install >>calls && exit; fi
    echo job >>calls && echo "$command" >command
    fate=$(head -n 1 fates) && sed -i 1d fates
    case $fate in [0-9]*) echo "${fate#* }" >&2 && exit "${fate%% *}" ;; *) echo "$fate" >state && exit 1 ;; esac ;;
esac
"""
PYTHON = r"""#!/usr/bin/env bash
cd "$(dirname "${BASH_SOURCE[0]}")" && printf '%s\n' "$@" >checked
cat runs 2>/dev/null
exit "$(cat check 2>/dev/null || echo 0)"
"""
SBATCH = r"""#!/usr/bin/env bash
cd "$(dirname "${BASH_SOURCE[0]}")" && printf '%s\n' "$@" >options && cat >script
"""
SRUN = r"""#!/usr/bin/env bash
cd "$(dirname "${BASH_SOURCE[0]}")" && printf '%s\n' "$@" >arguments
trap 'echo saved >>calls; exit 0' TERM
if [[ -e wait ]]; then touch started; for ((i = 0; i < 500; i++)); do sleep 0.02; done; fi
exit "$(cat code 2>/dev/null || echo 7)"
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


def extras() -> list[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return list(setup["options.extras_require"])


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
        # A lost process, or a step that hangs, is no failure of the program.
        (["9", "9", "75", "9", "9", "0"], ["create", *DEPLOY * 6], 0),
        # A state that nobody has heard of, or that cannot be asked for, is waited out: nothing is deleted.
        (["BROKEN", "0"], ["create", *DEPLOY, *DEPLOY], 0),
    ],
    ids=["preempted", "failing", "in_a_row", "wrong_input", "lost_process", "unknown_state"],
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


def test_tpu_gives_up_when_processes_are_lost_again_and_again(fakes, monkeypatch):
    monkeypatch.setenv("LAUNCH_REQUEUES", "3")
    (fakes / "fates").write_text("75\n75\n9\n75\n75\n")
    result = launch(*TPU, *JOB)
    assert (result.returncode, calls(fakes)) == (75, ["create", *DEPLOY * 5])
    assert "lost a process of the job 4 times on a sound slice: giving up; the slice stays" in result.stderr


BUSY = "1 open(/dev/vfio/0): Device or resource busy"
RENEW = ["delete", "create"]


@pytest.mark.parametrize(
    ("fates", "expected", "code"),
    [
        # Once may be a process that is still ending; twice in a row is the kernel, and only a new slice helps.
        ([BUSY, BUSY, "0"], ["create", *DEPLOY * 2, *RENEW, *DEPLOY], 0),
        (["1 The TPU is already in use", "75 vfio", "0"], ["create", *DEPLOY * 2, *RENEW, *DEPLOY], 0),
        # Not in a row.
        ([BUSY, "9", BUSY, "75", BUSY, "255", BUSY, "0"], ["create", *DEPLOY * 8], 0),
        # Counted apart from failures of the program, whose count goes on.
        (["9", BUSY, BUSY, "9", BUSY, "9"], ["create", *DEPLOY * 3, *RENEW, *DEPLOY * 3], 9),
        # What new slices do not mend has another reason.
        ([BUSY] * 8, ["create", *[*DEPLOY * 2, *RENEW] * 3, *DEPLOY * 2], 1),
        # Wrong input that only mentions it is wrong input.
        (["2 already in use"], ["create", *DEPLOY], 2),
    ],
    ids=["twice", "other_words", "not_in_a_row", "apart", "bounded", "wrong_input"],
)
def test_tpu_makes_a_slice_anew_whose_devices_stay_busy(fakes, fates, expected, code):
    (fakes / "fates").write_text("\n".join(fates) + "\n")
    result = launch(*TPU, *JOB)
    assert (result.returncode, calls(fakes)) == (code, expected), result.stderr
    said = "launch.sh: a device of the slice slice stays busy: the slice is deleted and created again"
    assert result.stderr.splitlines().count(said) == expected.count("delete")


def test_tpu_keeps_a_busy_slice_whose_disks_hold_the_run(fakes):
    (fakes / "fates").write_text(f"{BUSY}\n{BUSY}\n")
    result = launch(*TPU[:-2], *JOB)
    assert (result.returncode, calls(fakes)) == (1, ["create", *DEPLOY * 2])
    assert "it is not deleted, as --workdir is on its disks" in result.stderr


def test_tpu_shows_what_the_workers_print_while_they_run(fakes):
    (fakes / "fates").write_text("0\n")
    text = GCLOUD.replace(
        "    fate=", "    echo step 1; while [[ ! -e seen ]]; do sleep 0.02; done; echo step 2 >&2; exit 6\n    fate="
    )
    (fakes / "gcloud").write_text(text)
    command = [ROOT / "launch.sh", *TPU, *JOB]
    environment = {**os.environ, "LAUNCH_TRIES": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"step 1\n"  # the job still runs
        (fakes / "seen").touch()
        assert process.stdout.read() == b"step 2\n"
        assert process.wait(10) == 6


@pytest.mark.parametrize(
    ("workdir", "source"),
    [("/mnt/two words/", "slice:/mnt/two words"), ("runs/two words", "slice:gen/runs/two words")],
    ids=["absolute", "relative"],
)
def test_tpu_copies_the_run_before_the_slice_is_deleted(fakes, tmp_path, workdir, source):
    (fakes / "fates").write_text("1\n0\n")
    target = tmp_path / "copy of it"
    result = launch(*TPU, "--fetch", str(target), "--delete", "--", "--config=x.py", f"--workdir={workdir}")
    assert (result.returncode, calls(fakes)) == (0, ["create", *DEPLOY * 2, "fetch", "delete"]), result.stderr
    words = (fakes / "fetched").read_text().splitlines()
    assert words[3:] == ["scp", "--recurse", source, str(target), "--worker=0", "--zone=east", "--quiet"]
    assert target.is_dir()


def test_tpu_keeps_the_slice_when_the_run_cannot_be_copied(fakes, tmp_path):
    (fakes / "fates").write_text("0\n0\n")
    (fakes / "no_copy").touch()
    arguments = [*TPU, "--fetch", str(tmp_path / "copy"), "--delete", *JOB]
    result = launch(*arguments)
    assert (result.returncode, calls(fakes)) == (1, ["create", *DEPLOY, "fetch"])
    assert "could not be copied" in result.stderr
    assert (fakes / "state").read_text() == "ACTIVE\n"
    (fakes / "no_copy").unlink()
    assert launch(*arguments).returncode == 0  # the same command again
    assert calls(fakes)[-5:] == [*DEPLOY, "fetch", "delete"]


def test_tpu_begins_nothing_when_there_is_no_place_for_the_copy(fakes):
    result = launch(*TPU, "--fetch", str(fakes / "gcloud" / "folder"), *JOB)
    assert (result.returncode, calls(fakes)) == (2, [])
    assert "this folder cannot be made" in result.stderr


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
    assert "--nodes=1" in options
    assert not [option for option in options if option.startswith("--array")]
    assert (tmp_path / "two words").is_dir()

    failed = subprocess.run(["bash", fakes / "script"], timeout=10, check=False)
    assert failed.returncode == 7
    assert calls(fakes) == []  # not queued again
    assert (fakes / "arguments").read_text().splitlines()[1:] == ["-m", "gen.main", *job]


def test_slurm_starts_one_process_on_each_of_several_nodes(fakes, tmp_path):
    result = launch("slurm", "--nodes", "2", "--gpus=8", "--", "--config", "x.py", "--workdir", str(tmp_path / "run"))
    assert result.returncode == 0, result.stderr
    options = (fakes / "options").read_text().splitlines()
    assert {"--nodes=2", "--ntasks-per-node=1", "--gpus-per-node=8"} <= set(options)
    script = (fakes / "script").read_text()
    assert "export" not in script  # srun takes nodes and tasks from the job


def run_job(fakes: pathlib.Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the script that was submitted, as Slurm would."""
    return subprocess.run(
        ["bash", fakes / "script"],
        env={**os.environ, "SLURM_JOB_ID": "17", **environment},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )


@pytest.mark.parametrize(
    ("code", "nodes", "restarts", "again"),
    [
        ("75", "2", "", True),
        ("75", "1", "2", True),  # a step that hangs
        ("75", "2", "3", False),
        ("137", "2", "2", True),
        ("137", "2", "3", False),
        ("137", "1", "", False),
        ("1", "2", "", False),
        ("2", "2", "", False),
    ],
)
def test_slurm_job_that_lost_a_process_is_queued_again_a_limited_number_of_times(
    fakes, tmp_path, monkeypatch, code, nodes, restarts, again
):
    monkeypatch.setenv("LAUNCH_REQUEUES", "3")
    assert launch("slurm", "--nodes=2", "--", "--config", "x.py", "--workdir", str(tmp_path / "run")).returncode == 0
    monkeypatch.delenv("LAUNCH_REQUEUES")  # the job need not get the environment
    (fakes / "code").write_text(code)
    counted = {"SLURM_RESTART_COUNT": restarts} if restarts else {}
    result = run_job(fakes, SLURM_JOB_NUM_NODES=nodes, **counted)
    assert calls(fakes) == (["requeue 17"] if again else [])
    assert result.returncode == (0 if again else int(code))
    assert ("has begun again 3 times: giving up" in result.stderr) == (restarts == "3")


def test_slurm_queues_a_lost_process_twenty_times(fakes, tmp_path):
    assert launch("slurm", "--", "--config", "x.py", "--workdir", str(tmp_path / "run")).returncode == 0
    (fakes / "code").write_text("75")
    assert [run_job(fakes, SLURM_RESTART_COUNT=restarts).returncode for restarts in ("19", "20")] == [0, 75]
    assert calls(fakes) == ["requeue 17"]


def test_slurm_sweep_is_an_array_with_a_task_for_each_run(fakes, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHON", sys.executable)  # the real gen.main counts the runs
    job = ["--config", "experiments/shapes.py:smoke", "--workdir", str(tmp_path / "two words")]
    result = launch("slurm", "--sweep", "--nodes=2", "--", *job, "--config.total_images=64")
    assert result.returncode == 0, result.stderr
    options = (fakes / "options").read_text().splitlines()
    count = len(list(experiment.sweep("experiments/shapes.py:smoke")))
    assert count > 1
    assert [option for option in options if option.startswith("--array")] == [f"--array=0-{count - 1}"]
    assert f"--output={tmp_path}/two words/slurm-%A_%a.log" in options

    task = {"SLURM_ARRAY_JOB_ID": "40", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "43"}
    (fakes / "code").write_text("75")
    assert run_job(fakes, **task).returncode == 0
    arguments = (fakes / "arguments").read_text().splitlines()
    assert arguments[1:] == ["-m", "gen.main", *job, "--config.total_images=64", "--sweep=3"]
    assert calls(fakes) == ["requeue 40_3"]  # of the array, this task alone


def test_slurm_queues_nothing_when_the_sweep_is_wrong(fakes, tmp_path, monkeypatch):
    sweep = ["slurm", "--sweep", "--", "--config", "experiments/cifar10.py", "--workdir", str(tmp_path / "run")]
    (fakes / "runs").write_text("\n")
    result = launch(*sweep)
    assert (result.returncode, result.stderr) == (2, "launch.sh: sweep() of the experiment has no runs\n")
    monkeypatch.setenv("PYTHON", sys.executable)
    result = launch(*sweep)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "experiments/cifar10.py has no sweep()" in result.stderr
    assert not (fakes / "options").exists()
    assert not (tmp_path / "run").exists()


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


GCLOUDS = ["gcloud", "tar", "gcloud", "gcloud", "gcloud"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (TPU, GCLOUDS),
        ([*TPU, "--fetch=a copy", "--delete"], ["mkdir", *GCLOUDS, "gcloud", "gcloud"]),
        (["slurm"], ["mkdir", "sbatch"]),
        (["slurm", "--nodes=2", "--sweep"], ["python", "mkdir", "sbatch"]),
        (["local"], ["exec"]),
    ],
    ids=["tpu", "tpu_fetch", "slurm", "slurm_sweep", "local"],
)
def test_dry_run_prints_the_commands_and_runs_none(fakes, tmp_path, arguments, expected):
    job = ["--config", "x.py", "--workdir", str(tmp_path / "two words")]
    result = launch(*arguments, "--dry-run", "--", *job)
    assert result.returncode == 0, result.stderr
    commands = [shlex.split(line[2:]) for line in result.stdout.splitlines() if line.startswith("$ ")]
    assert [pathlib.Path(words[0]).name for words in commands] == expected
    assert "gen.main" in result.stdout
    if "--sweep" in arguments:
        assert commands[0][1:] == ["-m", "gen.main", *job, "--sweep=print"]
        assert {"--nodes=2", "--array=0-LAST"} <= set(commands[-1])
        assert '--sweep="$SLURM_ARRAY_TASK_ID"' in result.stdout
    if "--delete" in arguments:
        assert commands[0] == ["mkdir", "-p", "a copy"]
        assert commands[-2][5:8] == ["--recurse", f"slice:{tmp_path}/two words", "a copy"]
        assert commands[-1][3:5] == ["queued-resources", "delete"]
    assert {path.name for path in fakes.iterdir()} == set(FAKES)
    assert not (ROOT / "a copy").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to run"),
        (["moon"], "no such place: 'moon'; allowed: local, slurm, tpu"),
        (["local"], "the flags of gen.main are missing"),
        (["local", "--gpus", "1", *JOB], "unknown option for local: '--gpus'"),
        (["slurm", "--gpus"], "missing value"),
        (["slurm", "--gpus", "many", *JOB], "--gpus 'many': allowed: a whole number"),
        (["slurm", "--nodes", "0", *JOB], "--nodes '0': allowed: a whole number, 1 or more"),
        (["slurm", "--sweep", *JOB, "--sweep", "3"], "--sweep before -- runs the whole sweep"),
        (["slurm", "--sweep", *JOB, "--sweep=print"], "--sweep before -- runs the whole sweep"),
        (["local", "--sweep", *JOB], "unknown option for local: '--sweep'"),
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


@pytest.mark.parametrize(
    ("device", "nodes", "expected"),
    [("tpu", "2", ["1", "", "", ""]), ("cuda", "1", ["", "", "", ""]), ("cuda", "2", ["", "10.0.0.1:12355", "2", "1"])],
)
def test_sky_yaml_is_a_spot_job_whose_commands_are_those_of_gen(tmp_path, device, nodes, expected):
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((ROOT / "docs" / "sky.yaml").read_text())
    assert job["resources"]["use_spot"] is True
    assert job["resources"]["job_recovery"] == {"recover_on_exit_codes": [LOST]}
    ((mount, bucket),) = job["file_mounts"].items()
    assert bucket == {"name": "${BUCKET}", "mode": "MOUNT"}
    install = ".venv/bin/python -m pip install -c constraints/py311.txt -e"
    assert f"{install} ." in (ROOT / "README.md").read_text()
    assert f'{install} ".[$DEVICE]"' in job["setup"]
    assert {"tpu", "cuda"} <= set(extras())
    subprocess.run(["bash", "-n", "-c", job["setup"]], check=True)

    names = ("GEN_DISTRIBUTED", "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    shown = " ".join(f'"${{{name}-}}"' for name in names)
    python.write_text(f'#!/usr/bin/env bash\nprintf "%s\\n" {shown} "$@"\n')
    python.chmod(0o755)
    result = subprocess.run(
        ["bash", "-c", job["run"]],
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "DEVICE": device,
            "SKYPILOT_NUM_NODES": nodes,
            "SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2",
            "SKYPILOT_NODE_RANK": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    lines = result.stdout.splitlines()
    assert (lines[:4], lines[4:6]) == (expected, ["-m", "gen.main"])
    options = parse_command(["gen.main", *lines[6:]])
    assert (ROOT / str(options.config)).exists()
    assert pathlib.Path(str(options.workdir)).is_relative_to(mount)


def test_help():
    result = launch("--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("usage: ./launch.sh")
