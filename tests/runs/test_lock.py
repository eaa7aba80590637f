"""gen/runs/lock.py: who trains in a folder, who does so no more, and what is left of a process that was killed."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gen.errors import InputError
from gen.runs import lock
from gen.runs.lock import RunLock, remove_leftovers

HOLD = """
import pathlib, sys, time
from gen.runs.lock import RunLock
with RunLock(pathlib.Path(sys.argv[1])):
    print(1, flush=True)
    time.sleep(60)
"""


def holder(workdir: Path, **changes) -> None:
    """Writes the lock of a process that was killed."""
    facts = {
        "host": socket.gethostname(),
        "pid": 2**22 + 1,
        "process_start": "17",
        "since": "2026-01-02T03:04:05+00:00",
    }
    (workdir / ".lock").write_text(json.dumps(facts | changes))


def test_a_second_training_in_the_folder_is_told_who_holds_it_and_a_killed_one_holds_nothing(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"1\n"
        with pytest.raises(InputError) as error, RunLock(tmp_path):
            pass
        told = str(error.value)
        assert told.startswith(
            f"{tmp_path} is in use: process {other.pid} on {socket.gethostname()} trains there since 2"
        )
        assert "\n" not in told
        other.kill()
    assert (tmp_path / ".lock").exists()
    with RunLock(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_one_process_holds_a_folder_once_and_gives_it_back_after_an_error(tmp_path):
    def fail():
        with RunLock(tmp_path) as first:
            with pytest.raises(InputError, match="is in use"), RunLock(tmp_path):
                pass
            assert (tmp_path / ".lock").exists()
            first.release()  # the second time, at the end, does nothing
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    with RunLock(tmp_path), RunLock(tmp_path, holds=False):  # as the other processes of one run do
        pass


@pytest.mark.parametrize("content", [b"", b"null", b"\xff", b"[" * 4096, b'{"host": 1}', b'{"pid": 1e999}'])
def test_a_lock_that_nobody_can_read_is_taken_over(tmp_path, content):
    (tmp_path / ".lock").write_bytes(content)
    with RunLock(tmp_path):
        pass


def test_where_no_file_is_locked_a_process_counts_that_runs_and_began_when_the_lock_says(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "_flock", lambda file: None)
    mine = lock._start(os.getpid())
    holder(tmp_path)
    with RunLock(tmp_path):
        pass
    holder(tmp_path, pid=os.getpid(), process_start="17")  # another process had the number before
    with RunLock(tmp_path):
        pass
    holder(tmp_path, pid=os.getpid(), process_start=mine)
    with (
        pytest.raises(InputError, match=f"process {os.getpid()} on .* trains there since 2026-01-02"),
        RunLock(tmp_path),
    ):
        pass


def test_another_host_is_watched_for_a_sign_of_life(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.01)
    monkeypatch.setattr(lock, "WATCH_SECONDS", 0.2)
    holder(tmp_path, host="far\x1baway")
    with RunLock(tmp_path):
        told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"{tmp_path} is locked by another host: process {2**22 + 1} on far\\x1baway" in told
    assert f"rm {tmp_path}/.lock" in told
    monkeypatch.setattr(lock, "WATCH_SECONDS", 60.0)
    holder(tmp_path, host="far")
    threading.Timer(0.05, os.utime, [tmp_path / ".lock"]).start()
    with pytest.raises(InputError, match=r"on far trains there .* and is alive"), RunLock(tmp_path):
        pass


def test_a_disk_that_is_full_is_named_and_no_lock_is_left(tmp_path, monkeypatch):
    def full(file, content, offset):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/\.lock'"), RunLock(tmp_path / "run"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_holder_shows_that_it_lives(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.01)
    with RunLock(tmp_path):
        os.utime(tmp_path / ".lock", (0, 0))
        for _ in range(500):
            if (tmp_path / ".lock").stat().st_mtime > 0:
                return
            threading.Event().wait(0.01)
    pytest.fail("not renewed")


def test_folders_that_it_made_go_when_nothing_was_written(tmp_path):
    with RunLock(tmp_path / "a" / "b"):
        pass
    assert list(tmp_path.iterdir()) == []
    with RunLock(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "config.json").touch()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["config.json"]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_lock_that_is_no_regular_file_is_refused_and_nothing_is_written_through_it(tmp_path, kind):
    (tmp_path / "precious").write_text("mine")
    path = tmp_path / ".lock"
    {"link": lambda: path.symlink_to("precious"), "fifo": lambda: os.mkfifo(path), "folder": path.mkdir}[kind]()
    with pytest.raises((InputError, IsADirectoryError)), RunLock(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_what_a_killed_run_left_goes_and_nothing_else(tmp_path):
    for name in (
        ".report.html.0123456789ab.partial",
        ".metrics.jsonl.partial",
        "previews/.000000100.png.0123456789ab.partial",
        "checkpoints/saving-5.orbax-checkpoint-tmp/d/x",
        "checkpoints/deleting-4/x",
        ".mine.partial",
        "report.html",
        "previews/000000100.png",
        "checkpoints/5/x",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / ".config.json.partial").symlink_to("report.html")
    (tmp_path / "checkpoints" / "saving-6").symlink_to("5")
    remove_leftovers(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir() or path.is_symlink()}
    assert left == {
        ".mine.partial",
        ".config.json.partial",
        "report.html",
        "previews/000000100.png",
        "checkpoints/5/x",
        "checkpoints/saving-6",
    }
