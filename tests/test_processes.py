"""Several processes that train as one, on this machine: the same numbers, and an end that is told when one is lost."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny

from gen import processes
from gen.processes import LOST

# Measured every other step: samples come from all devices of all processes.
MEASURED = ("--config.evaluation.every=2", "--config.evaluation.extractor=pixels", "--config.evaluation.num_samples=32")


class Group:
    """Two processes with four devices each, which train the tiny run, or run another program."""

    def __init__(self, folder: Path, *flags: str, program: tuple[str, ...] = ()) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self.files = [folder / f"process{i}.txt" for i in range(2)]
        together = [f"--coordinator=localhost:{port}", "--num_processes=2"]
        self.processes = [
            start(folder, *flags, *together, f"--process_id={i}", devices=4, output=file, program=program)
            for i, file in enumerate(self.files)
        ]

    def wait_for(self, text: str, seconds: float = 240) -> None:
        ends = time.monotonic() + seconds
        while text not in self.files[0].read_text():
            assert time.monotonic() < ends, self.files[0].read_text()
            assert self.processes[0].poll() is None, self.files[0].read_text()
            time.sleep(0.05)

    def codes(self) -> list[int]:
        return [process.wait(240) for process in self.processes]

    def told(self, process: int) -> list[str]:
        return [line for line in self.files[process].read_text().splitlines() if line.startswith("gen: ")]


def start(
    folder: Path, *flags: str, devices: int, output: Path, program: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join(map(str, (folder, Path(__file__).parent, Path.cwd())))
    training = ("gen.main", "--config", str(tiny.experiment(folder)))
    command = [sys.executable, "-m", *(program or training), f"--workdir={folder / 'run'}"]
    with output.open("wb") as file:
        return subprocess.Popen(
            [*command, *flags],
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": paths, "JAX_NUM_CPU_DEVICES": str(devices)},
        )


@contextlib.contextmanager
def group(folder: Path, *flags: str, program: tuple[str, ...] = ()) -> Iterator[Group]:
    made = Group(folder, *flags, program=program)
    try:
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait()


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]


def losses(folder: Path) -> np.ndarray:
    return np.array([[line["d_loss"], line["g_loss"]] for line in lines(folder)])


def test_two_processes_train_as_one_and_stop_together(tmp_path):
    endless = tmp_path / "two"
    endless.mkdir()
    with group(endless, "--config.total_images=40000", *MEASURED) as two:
        two.wait_for("step 4/")
        two.processes[1].send_signal(signal.SIGTERM)  # one of them is told, both save the same step
        assert two.codes() == [143, 143]
        assert "interrupted" in two.told(0)[-1]
    steps = sorted(int(path.name) for path in (endless / "run" / "checkpoints").iterdir() if path.name.isdigit())
    together = losses(endless)
    assert len(together) == steps[-1] >= 4

    one = tmp_path / "one"
    one.mkdir()
    images = 8 * 4
    assert start(one, f"--config.total_images={images}", *MEASURED, devices=1, output=one / "told").wait(240) == 0
    np.testing.assert_allclose(together[:4], losses(one), rtol=1e-5)
    distances = [[line["FD-pixels"] for line in lines(folder) if "FD-pixels" in line][:2] for folder in (endless, one)]
    assert len(distances[0]) == 2
    np.testing.assert_allclose(*distances, rtol=1e-3)

    images = 8 * (steps[-1] + 2)  # goes on with one process of eight devices
    told = endless / "resumed.txt"
    assert start(endless, f"--config.total_images={images}", devices=8, output=told).wait(240) == 0, told.read_text()
    after = losses(endless)
    assert len(after) == steps[-1] + 2
    np.testing.assert_array_equal(after[: steps[-1]], together)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    told = folder / "told.txt"
    assert start(folder, "--config.total_images=16", devices=1, output=told).wait(240) == 0, told.read_text()
    return folder


def as_one_and_as_two(folder, out, program, *flags):
    """Runs a program with 4 devices of one process, then with 4 of each of two; returns what each wrote."""
    one, two, told = out / "one", out / "two", out / "one.txt"
    alone = start(folder, *flags, f"--out={one}", devices=4, output=told, program=(program,))
    assert alone.wait(240) == 0, told.read_text()
    with group(folder, *flags, f"--out={two}", program=(program,)) as both:
        assert both.codes() == [0, 0], [file.read_text() for file in both.files]
        assert not both.told(1)
    return one, two


def test_two_processes_sample_the_images_of_one_to_the_bit(trained, tmp_path):
    flags = ("--seeds=0-9", "--refine=median(3)", "--grid", "--provenance=record")
    one, two = as_one_and_as_two(trained, tmp_path, "gen.sample", *flags)
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    assert len(names) == 12  # with the grid and the page
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_two_processes_measure_what_one_does(trained, tmp_path):
    flags = ("--num_samples=40", "--metrics=frechet,path", "--extractor=pixels", "--seed=3")
    one, two = as_one_and_as_two(trained, tmp_path, "gen.evaluate", *flags)
    assert sorted(path.name for path in one.iterdir()) == sorted(path.name for path in two.iterdir())
    found = [json.loads((folder / "evaluation.json").read_text()) for folder in (one, two)]
    values = [[(r["metric"], r["value"], r["low"], r["high"]) for r in results] for results in found]
    assert values[0] == values[1]


def test_bad_input_of_process_0_ends_the_other_with_the_same_line(trained, tmp_path):
    (tmp_path / "seed0000.png").write_bytes(b"of somebody")
    flags = ("--seeds=0-3", f"--out={tmp_path}")
    with group(trained, *flags, program=("gen.sample",)) as two:  # which process 0 alone looks at
        assert two.codes() == [2, 2]
        assert "seed0000.png" in two.told(0)[-1]
        assert "process 0 of 2 stopped: " in two.told(1)[-1]
        assert "seed0000.png" in two.told(1)[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["seed0000.png"]


SHARED = """
import sys, time
import numpy as np
from gen import processes
from gen.cli import parse, MemberOptions
from gen.features import array_cache
from gen.processes import together
with together(parse([a for a in sys.argv if 'workdir' not in a], MemberOptions)):
    import jax
    mine = jax.process_index()
    found = array_cache.of_first(lambda: {"a": np.arange(300.0) + mine, "b": np.int32([[mine]])})
    assert found["a"].tolist() == list(range(300)) and found["a"].dtype == np.float64 and found["b"].tolist() == [[0]]
    assert array_cache.of_first(lambda: None) is None
    for count in (1, 2, 5):
        rows = processes.share(count)
        assert processes.gathered(np.float32(rows)[:, None], count).tolist() == [[i] for i in range(count)]
    print("shared", flush=True)
    time.sleep(60)
"""


def test_two_processes_share_and_end_at_a_signal(tmp_path):
    (tmp_path / "shared.py").write_text(SHARED)
    with group(tmp_path, program=("shared",)) as two:
        two.wait_for("shared")
        two.processes[1].send_signal(signal.SIGTERM)
        assert two.processes[1].wait(30) == -signal.SIGTERM
        assert two.processes[0].wait(30) == LOST
        assert two.told(0)[-1].startswith("gen: process 1 of 2 is lost")


@pytest.mark.parametrize("lost", [0, 1])
def test_a_process_that_is_killed_ends_the_other_with_a_line(tmp_path, lost):
    with group(tmp_path, "--config.total_images=40000") as two:
        two.wait_for("step 2/")
        killed = time.monotonic()
        two.processes[lost].kill()
        other = 1 - lost
        assert two.processes[other].wait(30) == LOST
        assert time.monotonic() - killed < 15
        assert two.told(other)[-1].startswith(f"gen: process {lost} of 2 is lost")
        assert "Traceback" not in two.files[other].read_text()


HANGS = """
import time
from gen.processes import Watch
with Watch(hung=1.0) as watch:
    watch.before_exit = lambda: print("released", flush=True)
    watch.alive()
    time.sleep(0.2)
    watch.pause()
    time.sleep(1.5)  # writing may take its time
    print("written", flush=True)
    watch.alive()
    time.sleep(60)
"""


def test_a_step_that_hangs_ends_the_process_with_a_line():
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=100)
    assert done.returncode == LOST
    assert done.stdout.splitlines() == ["written", "released"]
    assert done.stderr.splitlines()[-1].startswith(
        "gen: no step ended in 1 s: a device or another process hangs; stopped"
    )
    assert time.monotonic() - began < 50


def test_an_end_of_one_process_ends_the_other_with_the_same_code_and_reason(tmp_path):
    """Process 0 alone reads --log_to: the other must not wait for it, nor crash."""
    with group(tmp_path, "--config.total_images=40000", "--log_to=nowhere:begin") as two:
        assert two.codes() == [2, 2]
        assert "--log_to names 'nowhere:begin'" in two.told(0)[-1]
        assert "process 0 of 2 stopped: --log_to names 'nowhere:begin'" in two.told(1)[-1]
        assert "Traceback" not in two.files[1].read_text()


WATCHED = """
import socket, threading, time
from gen import processes
sent = [0, 0]
def watch(number, mine, ends):
    made = processes.Watch(silence=3.0)
    made._peers, made._heard, made._unread = {mine: 1 - number}, {mine: time.monotonic()}, {mine: b""}
    check = made._check
    def counted(peer):
        sent[number] += 1
        check(peer)
    made._check = counted
    thread = threading.Thread(target=made._run, daemon=True)
    thread.start()
    ends.wait()
    made._closing.set()
    thread.join()
a, b = socket.socketpair()
ends = threading.Event()
threads = [threading.Thread(target=watch, args=(i, s, ends)) for i, s in enumerate((a, b))]
[t.start() for t in threads]
time.sleep(4.5)
ends.set()
[t.join() for t in threads]
print(*sent)
"""


def test_signs_of_life_are_sent_once_a_second():
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert all(3 <= int(count) <= 6 for count in done.stdout.split())


def test_last_words_arrive_although_something_was_not_read():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(50):
            here = socket.create_connection(listener.getsockname())
            there, _ = listener.accept()
            with there:
                there.sendall(b"\n" * 100)  # signs of life that come too late
                speaker = threading.Thread(target=processes._say_last, args=([here], b"bye\n"))
                speaker.start()
                time.sleep(0.01)
                heard = b""
                while part := there.recv(16):
                    heard += part
            speaker.join()
            assert heard == b"bye\n"
