"""The secret of the watermark: where it is found, made once and for its user alone, and never shown."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gen import watermark
from gen.errors import InputError
from gen.provenance.key import VARIABLE, key_of, known_key, own_path

SECRET = "correct horse battery staple"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    """The folder of the settings of a user who has none yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path / "config"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "secret.key"
    path.write_text(f"{SECRET}\n")
    path.chmod(0o600)
    return path


def test_one_is_made_at_first_use_for_its_user_alone_and_its_path_is_told_once(home, capsys):
    assert known_key() is None
    assert not home.exists()
    first = key_of()
    told = capsys.readouterr().err
    path = home / "gen" / "watermark.key"
    assert own_path() == path
    assert str(path) in told
    assert path.read_text().strip() not in told
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert key_of() == known_key() == first == watermark.key(path.read_text().strip().encode())
    assert capsys.readouterr().err == ""


def test_processes_that_come_at_once_get_one_key(home):
    code = "from gen.provenance.key import key_of; print(key_of().name)"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}

    def run(_: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(run, range(2)))
    assert {one.stdout.strip() for one in done} == {key_of().name}
    assert sum("made the key" in one.stderr for one in done) == 1


def test_a_file_is_read_and_goes_before_the_environment(file, monkeypatch):
    expected = watermark.key(SECRET.encode())
    monkeypatch.setenv(VARIABLE, "another secret of its own")
    assert key_of(file) == known_key(str(file)) == expected
    monkeypatch.setenv(VARIABLE, str(file))
    assert key_of() == known_key() == expected


def test_the_variable_may_be_the_secret(monkeypatch, home, capsys):
    monkeypatch.setenv(VARIABLE, f" {SECRET} ")
    assert key_of() == known_key() == watermark.key(SECRET.encode())
    assert not home.exists()
    assert capsys.readouterr() == ("", "")


def test_a_file_of_that_name_goes_before_the_secret(monkeypatch, tmp_path):
    (tmp_path / SECRET).write_text("what the file of this name says")
    (tmp_path / SECRET).chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, SECRET)
    assert key_of() == watermark.key(b"what the file of this name says")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("/no/such/file/anywhere", "it names no file that is there"),
        ("my_watermark_secret.key", "it names no file that is there"),
        ("with+a/slash+of+base64==", "put a secret that has them into a file"),
        ("short", "neither a key file that is there nor a key; a key is one line of at least 16"),
        ("x" * 1001, "neither a key file"),
        ("two lines of\ntext in one", "neither a key file"),
    ],
)
def test_what_the_variable_cannot_be_is_refused_and_not_repeated(monkeypatch, value, message):
    monkeypatch.setenv(VARIABLE, value)
    for find in (key_of, known_key):
        with pytest.raises(InputError, match=message) as error:
            find()
        assert value not in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"short", b"x" * 1001, b"two lines of\ntext, no key", b"\xff\xfe" * 20, b""])
def test_a_file_that_holds_no_key_is_named_and_not_quoted(tmp_path, content):
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"--key: .*bad.*a key is one line") as error:
        key_of(path)
    assert not content or repr(content.decode("latin-1"))[1:-1] not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_secret_given_as_a_file_is_not_repeated(tmp_path):
    for given in (SECRET, tmp_path / "missing"):
        with pytest.raises(InputError, match="--key: there is no such file") as error:
            key_of(given)
        assert str(given) not in str(error.value)
    with pytest.raises(InputError, match="--key"):
        key_of(tmp_path)


def test_a_file_that_others_can_read_is_told_without_the_secret(file, capsys):
    key_of(file)
    assert capsys.readouterr().err == ""
    file.chmod(0o644)
    key_of(file)
    told = capsys.readouterr().err
    assert f"chmod 600 {file}" in told
    assert SECRET not in told


def test_a_home_that_cannot_be_written_is_told_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "config").write_text("a file")
    with pytest.raises(InputError, match=r"no key of your watermark: .*name a key file by --key") as error:
        key_of()
    assert "\n" not in str(error.value)


def test_a_secret_that_begins_like_a_home_is_not_repeated(monkeypatch):
    secret = "~correct_horse_battery"
    with pytest.raises(InputError) as error:
        key_of(secret)
    assert str(error.value).startswith("--key: there is no such file")
    monkeypatch.setenv(VARIABLE, secret)
    assert key_of() == watermark.key(secret.encode())
