"""Who may ask the studio, and how much: what stands before every request.

The loopback address is no border: a page of any site can send requests to it, also under a name of its own that it lets
point here (DNS rebinding). So requests need a Host that is ours, the token, which other sites do not know, as a header,
which they cannot send, and where they change anything an Origin that is ours and a body of JSON.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN = b"x-gen-token"
MOST_BODY = 48 * 2**20  # bytes: images of 32 MiB as base64, and more
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = (
    "sandbox allow-scripts; default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Guard:
    """Refuses with one line of JSON what may not be asked, else hands it on."""

    def __init__(self, app: ASGIApp, *, port: int, token: str) -> None:
        self._app, self._token = app, token.encode()
        self._hosts = {f"127.0.0.1:{port}".encode(), f"localhost:{port}".encode()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        refused = self._refused(scope, headers)
        if refused:
            return await _refuse(send, *refused)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = _PAGE if scope["path"].startswith("/pages/") else _POLICY
                message["headers"] = [
                    *message.get("headers", ()),
                    *_HEADERS,
                    (b"content-security-policy", policy.encode()),
                ]
            await send(message)

        await self._app(scope, _Bounded(receive), guarded)

    def _refused(self, scope: Scope, headers: dict[bytes, list[bytes]]) -> tuple[int, str] | None:
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return 403, "this page is served on 127.0.0.1 alone"
        if scope["method"] not in ("GET", "POST"):
            return 405, "only GET and POST are known"
        length = headers.get(b"content-length", [b"0"])[0]
        if not length.isdigit() or int(length) > MOST_BODY:
            return 413, f"more than {MOST_BODY // 2**20} MiB were sent"
        if scope["method"] == "POST":
            if headers.get(b"origin") not in [[b"http://" + host] for host in self._hosts]:
                return 403, "the request comes from another site"
            if headers.get(b"content-type", [b""])[0].split(b";")[0].strip() != b"application/json":
                return 415, "the body must be JSON"
            given = headers.get(TOKEN, [])
            if len(given) != 1 or not hmac.compare_digest(given[0], self._token):
                return 403, "the secret of this page is missing: open the address that gen.studio printed"
        return None


class TooLarge(Exception):
    """A body is larger than allowed; whoever reads it answers with 413."""


class _Bounded:
    """Receives a body, up to MOST_BODY."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._left = receive, MOST_BODY

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise TooLarge
        return message


async def _refuse(send: Send, status: int, text: str) -> None:
    body = json.dumps({"error": text}).encode()
    headers: Any = [(b"content-type", b"application/json"), *_HEADERS, (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
