"""How soon the page of gen.studio has an answer: medians of the time from the request to its result, on this machine.
The first 16 images are those of a page that is opened as soon as the server answers, of a run that was seen before
(run it twice: programs are compiled once).

python benchmarks/studio.py RUN...      # of each run: 16 images, the plane, a chain at 512 pixels, a completed half
python benchmarks/studio.py --smoke
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen import api
from gen.studio import StudioOptions, studio
from gen.training import compile_cache

COLUMNS = (
    "run",
    "kind",
    "first 16 images, s",
    "16 images, s",
    "plane, images/s",
    "chain at 512 pixels, s",
    "center made anew, s",
)


def ask(server: Any, action: str, given: dict[str, Any]) -> Any:
    """Asks as the page does; returns the result, None for what the model cannot do."""
    headers = {"origin": f"http://127.0.0.1:{server.port}", "content-type": "application/json"}
    headers["x-gen-token"] = server.token

    def post(path: str, body: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", path, json.dumps(body), headers)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    job = post("/api/start", {"action": action, "given": given})["job"]
    while (told := post("/api/job", {"job": job}))["state"] not in ("done", "failed", "stopped"):
        pass
    return told["result"] if told["state"] == "done" else None


def seconds(server: Any, action: str, times: int, requests: Any) -> float | None:
    """The median of some requests, after one that compiles."""
    if ask(server, action, requests(0)) is None:
        return None
    taken = []
    for i in range(1, times + 1):
        began = time.perf_counter()
        ask(server, action, requests(i))
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def photograph(side: int) -> str:
    """Waves in color as a PNG, base64."""
    y, x = np.mgrid[:side, :side]
    image = np.stack([127 + 120 * np.sin(x / 17 + y / 23 + i) for i in range(3)], -1).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def words(about: dict[str, Any]) -> dict[str, Any]:
    """What a model is asked for beside a seed: its first class, or a prompt."""
    if about["captions"]:
        return {"prompt": "a red heart"}
    return {"label": 0} if about["classes"] else {}


def measure(server: Any, run: int, times: int) -> list[str]:
    """A row of the table."""
    began = time.monotonic()
    about = ask(server, "describe", {"run": run})
    ask(server, "grid", {"run": run, "seeds": [*range(16)]} | (words(about) if about["captions"] else {}))
    first = time.monotonic() - began
    grid = seconds(server, "grid", times, lambda i: {"run": run, "seeds": [*range(16 * i, 16 * i + 16)]} | words(about))
    plane = seconds(
        server, "plane", times, lambda i: {"run": run, "seeds": [0, 1, 2], "points": [{"u": i / (times + 1), "v": 0.3}]}
    )
    kept = ask(server, "upload", {"content": photograph(512)})["id"]
    texts = [f"unsharp_mask(1, {0.1 + i / 100})|vibrance(0.3)" for i in range(times + 1)]
    chain = seconds(server, "refine", times, lambda i: {"id": kept, "chain": texts[i]})
    half = seconds(
        server,
        "inpaint",
        min(times, 3),
        lambda i: {"run": run, "id": kept, "seeds": [i], "region": "center"} | words(about),
    )
    shown = [first, grid, None if plane is None else 1 / plane, chain, half]
    return [about["name"], about["kind"], *("" if value is None else f"{value:.2g}" for value in shown)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    compile_cache.enable(None)  # as the program does
    with tempfile.TemporaryDirectory() as folder:
        runs = arguments.runs
        if arguments.smoke:
            api.train(api.experiment("experiments/shapes_gan.py:smoke"), f"{folder}/run")
            runs, arguments.times = [f"{folder}/run"], 2
        server = studio(StudioOptions(runs=runs, out=Path(folder) / "out", browser=False))
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        while not server.ready:
            time.sleep(0.01)
        server.warm_up()  # as the program does, before the browser has a window
        print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
        for run in range(len(runs)):
            print(f"| {' | '.join(measure(server, run, arguments.times))} |", flush=True)
        server.stop()
        thread.join()


if __name__ == "__main__":
    main()
