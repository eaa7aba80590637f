"""A studio that serves in a thread, and a client of it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen import api
from gen.studio import StudioOptions, studio


class Client:
    """Asks a server as its page does; headers that are given replace those of the page, None leaves them out."""

    def __init__(self, server: Any) -> None:
        self.server, self.origin = server, f"http://127.0.0.1:{server.port}"

    def send(
        self, method: str, path: str, body: Any = None, **headers: str | None
    ) -> tuple[int, bytes, dict[str, str]]:
        usual = {"host": f"127.0.0.1:{self.server.port}"}
        if method == "POST":
            usual |= {"origin": self.origin, "content-type": "application/json", "x-gen-token": self.server.token}
        replaced = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in ({"content-length": str(len(content or b""))} | usual | replaced).items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(content)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def ask(self, action: str, **given: Any) -> Any:
        """Returns the result of an action; of one that fails {"error": ...}."""
        status, content, _ = self.send("POST", "/api/start", {"action": action, "given": given})
        told = json.loads(content)
        if status != 200:
            return told
        while True:
            _, content, _ = self.send("POST", "/api/job", {"job": told["job"]})
            job = json.loads(content)
            if job["state"] in ("done", "failed", "stopped"):
                return job["result"] if job["state"] == "done" else {"error": job["error"] or job["state"]}

    def hand(self, image: np.ndarray | bytes, name: str = "photo.png") -> Any:
        """Hands an image over."""
        if not isinstance(image, bytes):
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, format="PNG")
            image = buffer.getvalue()
        return self.ask("upload", name=name, content=base64.b64encode(image).decode())


def pixels(uri: str) -> np.ndarray:
    """Returns the image of a data URI."""
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as opened:
        return np.asarray(opened)


@contextlib.contextmanager
def serving(runs: list[Path], out: Path) -> Iterator[Client]:
    """Serves runs in a thread."""
    server = studio(StudioOptions(runs=runs, out=out, browser=False))
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    while not server.ready:
        time.sleep(0.01)
    try:
        yield Client(server)
    finally:
        server.stop()
        thread.join(timeout=30)
        assert not thread.is_alive()


def trained_gan(path: Path) -> Path:
    """A GAN of a few steps."""
    api.train(api.experiment("experiments/shapes_gan.py:smoke"), path)
    return path
