"""A small web service around one editor: a photo comes in by POST, and goes out protected.

    python examples/http_service.py --port 8000
    curl --data-binary @me.jpg http://127.0.0.1:8000/protect -o me.protected.png -D -

The answer is a PNG without metadata; the headers Decontext-Level, Decontext-Sentence and
Decontext-Report (JSON) say what was measured. One editor serves all requests, each in a thread of
its own; what would take too much memory or time is refused. Ctrl-C or SIGTERM ends it: no new
request is taken, and running ones are cancelled. It has neither TLS nor accounts: put it behind a
server that does.
"""

import argparse
import io
import json
import signal
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import decontext

LARGEST_BODY = 20_000_000  # bytes
LARGEST_PHOTO = 12_000_000  # pixels
AT_ONCE = 2  # photos in work; each takes memory of its own
TIME_LIMIT = 600.0  # seconds a photo may take
QUIET = 10.0  # seconds after which a client that sends nothing is dropped


class Service(ThreadingHTTPServer):
    """Holds what all requests share: the editor, the settings, and who may work."""

    daemon_threads = False  # closing waits for them

    def __init__(self, address: tuple[str, int], editor: Any, **settings: Any) -> None:
        super().__init__(address, Handler)
        self.editor, self.settings = editor, settings
        self.places = threading.BoundedSemaphore(AT_ONCE)
        self.stopping = threading.Event()

    def stop(self) -> None:
        """Cancel what is running and take nothing more. Not from the thread that serves."""
        self.stopping.set()
        self.shutdown()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Service
    timeout = QUIET

    def do_GET(self) -> None:
        info = self.server.editor.info
        self.answer({"editor": info.name, "demonstration": info.demonstration})

    def do_POST(self) -> None:
        if self.path != "/protect":
            self.refuse(HTTPStatus.NOT_FOUND, "there is nothing here.", "POST to /protect.")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "the length of the photo is missing.")
            return
        if int(length) > LARGEST_BODY:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the photo is above 20 MB.")
            return
        content = self.rfile.read(int(length))
        if not self.server.places.acquire(blocking=False):
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy.", "Try again in a minute.")
            return
        try:
            self.protect(content)
        finally:
            self.server.places.release()

    def protect(self, content: bytes) -> None:
        deadline = time.monotonic() + TIME_LIMIT
        try:
            result = decontext.protect(
                decontext.to_photo(content, max_pixels=LARGEST_PHOTO),
                self.server.editor,
                cancel=lambda: self.server.stopping.is_set() or time.monotonic() > deadline,
                **self.server.settings,
            )
        except decontext.InputError as error:
            self.refuse(HTTPStatus.BAD_REQUEST, error.message, error.hint)
        except decontext.NotProtectedError as error:
            level = error.verification.level
            self.refuse(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, error.hint, level)
        except decontext.DecontextError as error:  # cancelled, out of memory, ...
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, error.message, error.hint)
        else:
            self.send_photo(result)

    def send_photo(self, result: decontext.Result) -> None:
        picture = io.BytesIO()
        result.to_pil().save(picture, "PNG")
        report = json.loads(json.dumps(result.report))
        del report["verification"]["measurements"]  # headers must be short
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "image/png")
        self.send_header("Content-Length", str(picture.tell()))
        self.send_header("Decontext-Level", result.verification.level)
        self.send_header("Decontext-Sentence", str(result.verification))
        self.send_header("Decontext-Report", json.dumps(report))
        self.end_headers()
        self.wfile.write(picture.getvalue())

    def answer(self, values: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        content = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def refuse(self, status: HTTPStatus, error: str, hint: str = "", level: str = "none") -> None:
        self.close_connection = True
        self.answer({"error": error, "hint": hint, "level": level}, status)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--editor", default="kontext-mini")
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    editor = decontext.load_editor(args.editor)
    service = Service(("127.0.0.1", args.port), editor, steps=args.steps)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: threading.Thread(target=service.stop).start())
    print(f"http://127.0.0.1:{service.server_port}/protect", flush=True)
    with service:  # waits for the running requests
        service.serve_forever()


if __name__ == "__main__":
    main()
