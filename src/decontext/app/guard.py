"""What stands before the page: who may come in, what may be asked for, and what browsers may do.

Requests of other sites that a browser has open are refused, as are names of machines that are not
ours. Of Gradio's own addresses only those that the page and docs/app.md use are open: it gives out
no files at all. Answers say that nothing may be loaded from elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

COOKIE = "decontext_visitor"
LOCAL = ("127.0.0.1", "localhost", "[::1]")

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

OPEN = re.compile(
    r"/(health|files/.+|portraits/[\w.-]+|robots\.txt|favicon\.ico"
    r"|([a-z]{2}/)?(config/?|theme\.css|assets/.+|static/.+|svelte/.+|manifest\.json"
    r"|gradio_api/(info/?|startup-events|theme\.css|upload|upload_progress"
    r"|heartbeat/\w+|reset/?|cancel|queue/(join|data)|call/\w+(/\w+)?)?)?)"
)
"""What may be asked for: the page, its parts, and the functions that docs/app.md names."""

UPLOADS = re.compile(r"/([a-z]{2}/)?gradio_api/upload")
HEARTBEAT = re.compile(r"/([a-z]{2}/)?gradio_api/heartbeat/(\w+)")
SECONDS_AFTER_WRONG_PASSWORD = 1.0
_ROOM_FOR_FORMS = 100_000


class Guard:
    """The outermost part of the server.

    Args:
        app: what comes behind it.
        hosts: names under which this machine may be asked; empty for all.
        password: needed for everything but `/health`; None: none.
        largest: bytes of an upload.
        on_leave: called in a thread with the key of a visit whose page was closed.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: tuple[str, ...],
        password: str | None,
        largest: int,
        on_leave: Callable[[str], None],
    ) -> None:
        self._app, self._hosts, self._password = app, hosts, password
        self._largest, self._on_leave = largest, on_leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = self._refuse(scope, headers)
        if refusal is not None:
            if refusal[0] == 401 and "authorization" in headers:
                await asyncio.sleep(SECONDS_AFTER_WRONG_PASSWORD)
            await _answer(send, *refusal)
            return
        visitor = read_cookie(headers.get("cookie", ""))
        fresh = "" if visitor or headers.get("sec-fetch-mode") != "navigate" else _new_visitor()
        language = scope["path"].strip("/") or "en"
        await self._pass_on(scope, receive, _with_headers(send, fresh, language))

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """To the app; a heartbeat that ends means that a page was closed."""
        alive = HEARTBEAT.fullmatch(scope["path"])
        try:
            await self._app(scope, receive, send)
        finally:
            if alive:
                # The visit is ended beside the server's loop: its jobs may take a moment.
                asyncio.get_running_loop().run_in_executor(None, self._on_leave, alive[2])

    def _refuse(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        """What is answered to a request that goes no further."""
        path = scope["path"]
        host = re.sub(r":\d+$", "", headers.get("host", ""))
        if self._hosts and host not in self._hosts:
            return 421, "this page is not known under that name."
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and (
            headers.get("sec-fetch-mode") != "navigate"
        ):
            return 403, "other sites may not use this page."
        if not OPEN.fullmatch(path):
            return 404, "there is nothing here."
        if self._password is not None and path != "/health" and not self._knows(headers):
            return 401, "a password is needed."
        length = headers.get("content-length", "0")
        room = self._largest + _ROOM_FOR_FORMS if UPLOADS.fullmatch(path) else _ROOM_FOR_FORMS * 20
        if not length.isdecimal() or int(length) > room:
            return 413, "this is larger than what is taken here."
        return None

    def _knows(self, headers: dict[str, str]) -> bool:
        kind, _, value = headers.get("authorization", "").partition(" ")
        try:
            _, _, given = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:
            return False
        wanted = (self._password or "").encode()
        return kind.lower() == "basic" and hmac.compare_digest(given.encode(), wanted)


def read_cookie(header: str) -> str:
    """The visitor's cookie; empty where there is none."""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def plain_page(page: bytes, language: str) -> bytes:
    """Gradio's page without what names other servers, and in its language."""
    page = re.sub(rb'<meta\s+(property|name)="(og|twitter):[^>]*/>', b"", page)
    return page.replace(b'lang="en"', f'lang="{language}"'.encode(), 1)


def _new_visitor() -> str:
    return secrets.token_urlsafe(24)


def _with_headers(send: Send, fresh: str, language: str) -> Send:
    """Adds our headers, and a cookie for a new visitor; pages are made plain."""
    start: MutableMapping[str, Any] = {}
    body = bytearray()

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [(k, v) for k, v in message["headers"] if k.lower() not in _REPLACED]
            kept += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            if fresh:
                cookie = f"{COOKIE}={fresh}; Path=/; HttpOnly; SameSite=Strict"
                kept.append((b"set-cookie", cookie.encode()))
            message["headers"] = kept
            if dict(kept).get(b"content-type", b"").startswith(b"text/html"):
                start.update(message)
                return
        elif start:
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            content = plain_page(bytes(body), language)
            length = (b"content-length", str(len(content)).encode())
            start["headers"] = [h for h in start["headers"] if h[0] != b"content-length"] + [length]
            await send(start)
            message = {"type": "http.response.body", "body": content}
        await send(message)

    return sending


_REPLACED = {name.encode() for name in HEADERS} | {b"server", b"access-control-allow-origin"}


async def _answer(send: Send, status: int, text: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    if status == 401:
        headers.append((b"www-authenticate", b'Basic realm="decontext", charset="UTF-8"'))
    headers += [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
