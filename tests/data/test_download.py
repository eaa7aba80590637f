"""Files from a small web server of the test's own: resumed, verified, and one line for whatever goes wrong."""

import contextlib
import hashlib
import http.server
import threading
from typing import ClassVar

import numpy as np
import pytest

from gen.data.download import Expected, Unavailable, fetch

CONTENT = np.random.default_rng(0).bytes(600_000)
WHOLE = Expected("faces.zip", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
FORM = '<title>Virus scan</title><form action="/large?x"><input name="confirm" value="t"><input name="id" value="7">'


class _Site(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list] = []

    def log_message(self, *args):
        pass

    def do_GET(self):
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.asked.append((self.path, start))
        breaks = self.path == "/breaks" and len(self.asked) == 1
        if self.path == "/missing":
            return self.send_error(404)
        page = {"/drive": FORM, "/quota": "<title>Quota exceeded</title>"}.get(self.path)
        body = page.encode() if page else CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "text/html" if page else "application/zip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body[:300_000] if breaks else body)


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setattr("gen.data.download.time.sleep", lambda seconds: None)
    monkeypatch.setattr(_Site, "asked", [])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_file_comes_whole_and_is_announced_first(site, tmp_path):
    said = []
    fetch(f"{site}/file", tmp_path / "f", WHOLE, began=lambda: said.append(list(tmp_path.iterdir())))
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert said == [[]]
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("path", ["/breaks", "/file"])
def test_it_goes_on_where_it_stopped(site, tmp_path, path):
    if path == "/file":  # stopped by hand, in another process
        (tmp_path / "f.partial").write_bytes(CONTENT[:1000])
    fetch(f"{site}{path}", tmp_path / "f", WHOLE)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert _Site.asked[-1] == (path, 1000 if path == "/file" else 300_000)


def test_the_page_before_large_files_is_passed(site, tmp_path):
    fetch(f"{site}/drive", tmp_path / "f", WHOLE)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert _Site.asked[-1][0] == "/large?x?confirm=t&id=7".replace("?x?", "?x&")


@pytest.mark.parametrize(
    ("path", "expected", "match"),
    [
        ("/missing", WHOLE, "answers 404 Not Found"),
        ("/quota", WHOLE, r"gives a page instead of faces.zip \(Quota exceeded\)"),
        ("/file", WHOLE._replace(size=7), "gives 600,000 bytes of faces.zip; registered are 7"),
        ("/file", WHOLE._replace(sha256="0" * 64), "another faces.zip than the registered one"),
    ],
)
def test_what_is_not_the_file_is_refused(site, tmp_path, path, expected, match):
    with pytest.raises(Unavailable, match=match):
        fetch(f"{site}{path}", tmp_path / "f", expected)
    assert list(tmp_path.iterdir()) == []


def test_without_a_site_it_fails_at_once(tmp_path):
    with pytest.raises(Unavailable, match=r"127.0.0.1 cannot be reached \(Connection refused\)"):
        fetch("http://127.0.0.1:9/f", tmp_path / "f", WHOLE)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_not_blamed_on_the_site(site, tmp_path):
    (tmp_path / "f.partial").symlink_to("/dev/full")
    with pytest.raises(Unavailable, match=r"cannot write \S+f.partial: No space left on device"):
        fetch(f"{site}/file", tmp_path / "f", WHOLE)
