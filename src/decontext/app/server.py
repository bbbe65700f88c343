"""Serves the page: a small web server around `page`, its files, and `/health`.

Nothing is sent anywhere: Gradio's reports about its use are off before it is imported, its page is
served with a policy that lets browsers load nothing from elsewhere, and there is no public link.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from decontext.app.beside import read_beside
from decontext.app.calibration import FOLDER as PORTRAITS
from decontext.app.guard import LOCAL, Guard, read_cookie
from decontext.app.service import Service
from decontext.app.texts import LANGUAGES, Texts, choose_language, read_texts
from decontext.app.work import Limits
from decontext.errors import InputError

if TYPE_CHECKING:
    from starlette.applications import Starlette

DROP_WORDS = {
    "photos": "photos.drop",
    "protected": "verify.drop_protected",
    "original": "verify.drop_original",
}
"""Which texts stand where files are dropped, by the ids of these places."""

SECONDS_TO_STOP = 5
SECONDS_BETWEEN_TIDYING = 10.0


def build_app(
    service: Service, *, hosts: Sequence[str] = LOCAL, password: str | None = None
) -> Guard:
    """The whole web application.

    Raises:
        InputError: the extra `app` is not installed.
    """
    _prepare_gradio(service)
    import gradio as gr
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

    from decontext.app.page import Page, take_uploads_only
    from decontext.app.theme import Calm

    @asynccontextmanager
    async def living(app: Starlette) -> AsyncIterator[None]:
        tidying = asyncio.create_task(_tidy(service))
        yield
        tidying.cancel()

    take_uploads_only(service.storage.uploads)
    app = FastAPI(lifespan=living, docs_url=None, redoc_url=None, openapi_url=None)

    def health(request: Request) -> Response:
        return JSONResponse(service.health())

    def file(request: Request) -> Response:
        owner, asked = read_cookie(request.headers.get("cookie", "")), request.path_params
        path = service.storage.find(asked["token"], asked["place"], owner)
        if path is None:
            return PlainTextResponse("there is no such file.\n", 404)
        named = {"content-disposition": _disposition(path.name), "cache-control": "no-store"}
        return FileResponse(path, headers=named)

    def portrait(request: Request) -> Response:
        path = PORTRAITS / request.path_params["name"]
        known = re.fullmatch(r"[\w-]+\.(png|webp)", path.name) and path.is_file()
        return FileResponse(path) if known else PlainTextResponse("there is none.\n", 404)

    app.add_route("/health", health)
    app.add_route("/files/{token}/{place:path}", file)
    app.add_route("/portraits/{name}", portrait)
    shared: dict[str, Any] = {
        "theme": Calm(),
        "css": read_beside("style.css"),
        "footer_links": [],
        "run_history": False,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "enable_monitoring": False,
        "max_file_size": service.limits.bytes,
        "allowed_paths": [],
    }
    for code in (*LANGUAGES[1:], LANGUAGES[0]):  # What lies at the root comes last.
        blocks = Page(service, read_texts(code)).build()
        path = "/" if code == LANGUAGES[0] else f"/{code}"
        app = gr.mount_gradio_app(
            app, blocks, path, head=_head(read_texts(code), service.limits), **shared
        )
    return Guard(
        _Languages(app),
        hosts=tuple(hosts),
        password=password,
        largest=service.limits.bytes,
        on_leave=service.leave,
    )


def serve(
    app: Guard, service: Service, *, host: str, port: int, on_ready: Callable[[str], None]
) -> None:
    """Serve until Ctrl-C or SIGTERM: then running jobs are cancelled and nothing new is taken.

    Args:
        port: 0 takes a free one.
        on_ready: called with the address once the page can be opened.

    Raises:
        InputError: the address is taken or cannot be used.
    """
    import uvicorn

    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{listening.getsockname()[1]}/"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            on_ready(address)

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # uvicorn would raise the signal again at the end, and what is to be tidied would stay.
            alone = threading.current_thread() is threading.main_thread()
            handled = (signal.SIGINT, signal.SIGTERM) if alone else ()
            before = {number: signal.signal(number, self.handle_exit) for number in handled}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # Pages that are open wait for their jobs: these end first.
            threading.Thread(target=service.queue.close).start()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_STOP,
        lifespan="on",
        ws="none",
    )
    with listening:
        Server(config).run([listening])


class _Languages:
    """Sends who opens the root to the page in the browser's language; `?lang=en` stays."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/" and scope["method"] == "GET":
            headers = dict(scope["headers"])
            language = choose_language(headers.get(b"accept-language", b"").decode("latin-1"))
            opened = headers.get(b"sec-fetch-mode") == b"navigate"
            if opened and b"lang=" not in scope["query_string"] and language != LANGUAGES[0]:
                where = [(b"location", f"/{language}/".encode()), (b"vary", b"accept-language")]
                await send({"type": "http.response.start", "status": 307, "headers": where})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)


def require_gradio() -> None:
    """Raises: InputError: the extra `app` is not installed."""
    for package in ("gradio", "fastapi", "uvicorn"):
        if find_spec(package) is None:
            raise InputError(
                f"the page needs {package}, which is not installed.",
                "Run: pip install 'decontext[app]'",
            )


def _prepare_gradio(service: Service) -> None:
    """What must be set before Gradio is imported or asked for its folders."""
    require_gradio()
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["GRADIO_RUN_HISTORY"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(service.storage.uploads)


async def _tidy(service: Service) -> None:
    """Every few seconds: visits that nobody uses any more end, old uploads go."""
    while True:
        await asyncio.sleep(SECONDS_BETWEEN_TIDYING)
        with suppress(OSError):
            await asyncio.to_thread(service.tidy)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"the page cannot be served at {host}:{port} ({reason}).", "Try another --port."
        ) from None
    return listening


def _head(texts: Texts, limits: Limits) -> str:
    """What stands in the page's head: our script, and words that it puts into Gradio's parts."""
    words = {part: texts(said) for part, said in DROP_WORDS.items()}
    large = texts("photos.large", megabytes=limits.megabytes)
    given = {"words": words, "title": texts("error.title"), "large": large, "bytes": limits.bytes}
    said = json.dumps(given).replace("<", "\\u003c")  # "<" could end the script.
    scheme = '<meta name="color-scheme" content="light dark">'
    return f"{scheme}<script>window.decontext = {said};\n{read_beside('script.js')}</script>"


def _disposition(name: str) -> str:
    from urllib.parse import quote

    return f"inline; filename*=utf-8''{quote(name)}"
