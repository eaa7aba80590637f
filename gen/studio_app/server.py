"""The server of the page: what it answers to which request. Paths and files are named here, never by a request."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gen.errors import InputError
from gen.files import parse_json, read_regular
from gen.studio_app import changing, checking, exploring
from gen.studio_app.fields import Fields
from gen.studio_app.guard import Guard, TooLarge
from gen.studio_app.jobs import Busy, Job, Jobs
from gen.studio_app.workspace import Workspace

Action = Callable[[Workspace, Fields, Job], dict[str, Any]]
ACTIONS: dict[str, Action] = {
    "describe": exploring.describe,
    "grid": exploring.grid,
    "axes": exploring.axes,
    "plane": exploring.plane,
    "interpolate": exploring.interpolate,
    "edit": exploring.edit,
    "nearest": exploring.nearest,
    "upload": changing.upload,
    "take": changing.take,
    "inpaint": changing.inpaint,
    "upscale": changing.upscale,
    "project": changing.project,
    "operators": changing.operators,
    "refine": changing.refine,
    "find_region": changing.find_region,
    "verify": checking.verify,
    "save": checking.save,
    "save_interpolation": checking.save_interpolation,
    "save_refined": checking.save_refined,
}
_FILES = {
    "/": ("index.html", "text/html"),
    "/studio.css": ("studio.css", "text/css"),
    "/studio.js": ("studio.js", "text/javascript"),
    "/texts.js": ("texts.js", "text/javascript"),
}
_MOST_PAGE = 64 * 2**20  # bytes of a page of a run
_LONGEST_WAIT = 0.5  # seconds that a request waits for a job


class Server:
    """Serves a workspace at a socket that is bound already."""

    def __init__(self, workspace: Workspace, bound: socket.socket) -> None:
        self.workspace, self.jobs, self.token = workspace, Jobs(), secrets.token_urlsafe(24)
        self._bound, self.port = bound, int(bound.getsockname()[1])
        routes = [Route(path, self._file, methods=["GET"]) for path in _FILES]
        routes += [Route("/pages/{number}", self._page, methods=["GET"])]
        routes += [Route("/api/start", self._start, methods=["POST"]), Route("/api/job", self._job, methods=["POST"])]
        app = Guard(Starlette(routes=routes), port=self.port, token=self.token)
        config = uvicorn.Config(app, log_level="error", access_log=False, server_header=False, lifespan="off")
        self._server = uvicorn.Server(config)

    @property
    def address(self) -> str:
        """Where the page is, with the secret that opens it."""
        return f"http://127.0.0.1:{self.port}/#token={self.token}"

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self._server.started

    def warm_up(self) -> None:
        """Makes an image before the page asks for some: until its window is there, the model is read and compiled."""
        self.jobs.add(lambda job: ACTIONS["grid"](self.workspace, Fields({"seeds": [0]}), job))

    def serve(self) -> None:
        """Serves until it is stopped, then closes all."""
        try:
            self._server.run(sockets=[self._bound])
        finally:
            self.jobs.close()
            self.workspace.close()
            self._bound.close()

    def stop(self) -> None:
        """Ends `serve`."""
        self._server.should_exit = True

    async def _file(self, request: Request) -> Response:
        name, kind = _FILES[request.url.path]
        content = (Path(__file__).parent / "page" / name).read_bytes()
        return Response(content, media_type=f"{kind}; charset=utf-8")

    async def _page(self, request: Request) -> Response:
        path = self.workspace.pages.get(request.path_params["number"])
        if path is None:
            return _refused(404, "there is no such page")
        try:
            return Response(read_regular(path, most=_MOST_PAGE), media_type="text/html; charset=utf-8")
        except (OSError, InputError):
            return _refused(404, "this page cannot be read")

    async def _start(self, request: Request) -> Response:
        try:
            fields = Fields(_json(await request.body()))
            action = ACTIONS[fields.choice("action", [*ACTIONS])]
            given = fields.part("given")
            fields.end()
            job = self.jobs.add(lambda job: action(self.workspace, given, job))
        except InputError as error:
            return _refused(400, str(error))
        except TooLarge:
            return _refused(413, "too much was sent")
        except Busy:
            return _refused(429, "too much is asked for at once; try again in a moment")
        return JSONResponse({"job": job.number})

    async def _job(self, request: Request) -> Response:
        try:
            fields = Fields(_json(await request.body()))
            number, stop = fields.whole("job", 1, 2**53), fields.whole("stop", 0, 1, 0)
            fields.end()
        except InputError as error:
            return _refused(400, str(error))
        except TooLarge:
            return _refused(413, "too much was sent")
        job = self.jobs.find(number)
        if job is None:
            return _refused(404, "there is no such job any more")
        job.is_asked_for()
        if stop:
            job.stop()
        loop, waited = asyncio.get_running_loop(), 0.0
        began = loop.time()
        while not job.ended and waited < _LONGEST_WAIT:
            await asyncio.sleep(0.01)
            waited = loop.time() - began
        told = {"state": job.state, "share": job.share, "error": job.error, "result": job.result}
        try:
            answer = Response(json.dumps(told, allow_nan=False), media_type="application/json")
        except ValueError:
            answer = JSONResponse(
                {"state": "failed", "share": 1.0, "error": "the result has no numbers", "result": None}
            )
        if job.ended:
            self.jobs.forget(job)
        return answer


def _json(body: bytes) -> Any:
    try:
        return parse_json(body)
    except (ValueError, RecursionError):
        raise InputError("the request is no JSON") from None


def _refused(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status_code=status)
