"""The program gen.studio: what it refuses before there is a page."""

import socket
import sys

import pytest
from prior_runs import make_flow

from gen.errors import InputError
from gen.studio import StudioOptions, studio


def test_it_wants_a_run_that_is_one(tmp_path):
    with pytest.raises(InputError, match="no run: name folders"):
        studio(StudioOptions(out=tmp_path))
    with pytest.raises(InputError, match="nowhere"):
        studio(StudioOptions(runs=[tmp_path / "nowhere"], out=tmp_path / "out"))


def test_a_port_that_is_taken_is_refused_in_a_line(tmp_path):
    run = make_flow(tmp_path / "run", (8, 8, 3))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(InputError, match=r"in use.*leave it out"):
            studio(StudioOptions(runs=[run], out=tmp_path / "out", port=other.getsockname()[1]))


def test_without_its_packages_it_says_how_they_are_installed(tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("gen.studio_app")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    run = make_flow(tmp_path / "run", (8, 8, 3))
    with pytest.raises(InputError, match=r"needs starlette, which is not there: pip install"):
        studio(StudioOptions(runs=[run], out=tmp_path / "out"))
