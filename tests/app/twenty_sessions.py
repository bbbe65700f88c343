"""Many visitors at once: `python -m tests.app.twenty_sessions [--rounds 3]`.

A quarter of them cancels, a quarter sends what is no photo; every other one must get the file that
its own photo gives when it is protected alone, by its hash. Afterwards the server's memory must be
what it was before, and its folder empty. A small version is in `test_sessions.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
from PIL import Image

from benchmarks.app_results import keep_measured
from benchmarks.sections import table
from decontext.photo.portraits import ASTRONAUT
from tests.app.tiny_server import Running, tiny_server

CHOICE = ["flux-kontext", "standard", "keep", True]
SECONDS = 600.0
KINDS = ("good", "cancelled", "good", "bad")
MEMORY = ("before", "most", "after")


@dataclass
class Session:
    """One visitor: what is sent, and what came back."""

    number: int
    kind: str
    content: bytes
    found: str = ""
    sha256: str = ""
    original: str = ""
    seconds: float = 0.0


@dataclass
class Outcome:
    """What a run came to."""

    sessions: list[Session]
    memory_before: int
    memory_most: int
    memory_after: int
    left: list[str] = field(default_factory=list)
    seconds: float = 0.0


def photo(number: int, size: tuple[int, int]) -> bytes:
    """A photo, another one for each number."""
    content = io.BytesIO()
    with Image.open(ASTRONAUT) as image:
        small = image.convert("RGB").resize(size)
    small.putpixel((0, 0), (number, 255 - number, 0))
    small.save(content, "PNG")
    return content.getvalue()


def make_sessions(count: int, size: tuple[int, int]) -> list[Session]:
    """Of each four one is cancelled, one sends no photo, and two are protected."""
    sessions = []
    for number in range(count):
        kind = KINDS[number % 4]
        content = b"no photo" if kind == "bad" else photo(number, size)
        sessions.append(Session(number, kind, content))
    return sessions


def visit(address: str, session: Session) -> None:
    """What one visitor does, from opening the page to closing it."""
    began, key = time.monotonic(), f"session{session.number}"
    with (
        httpx.Client(base_url=address, timeout=SECONDS) as client,
        client.stream("GET", f"/gradio_api/heartbeat/{key}"),
    ):
        sent = client.post("/gradio_api/upload", files={"files": ("me.png", session.content)})
        given = {"path": sent.json()[0], "orig_name": "me.png"}
        given["meta"] = {"_type": "gradio.FileData"}
        called = ask(client, "protect", [[given], *CHOICE], key)
        stop = session.kind == "cancelled"
        begun = partial(ask, client, "cancel", [], key) if stop else None
        last = answer(client, "protect", called, begun)
        session.found = str(last.get("error") or last.get("state"))
        if "results" in last:
            (result,) = last["results"]
            session.sha256 = hashlib.sha256(client.get(result["photo"]).content).hexdigest()
            report = client.get(result["report"]).json()
            session.original = report["files"]["original"]["sha256"]
    session.seconds = time.monotonic() - began


def ask(client: httpx.Client, function: str, data: list[Any], key: str) -> str:
    """Call a function; its event."""
    body = {"data": data, "session_hash": key}
    return str(client.post(f"/gradio_api/call/{function}", json=body).json()["event_id"])


def answer(
    client: httpx.Client, function: str, event: str, begun: Callable[[], Any] | None = None
) -> dict[str, Any]:
    """The last that a function says, its result or its error; `begun` is called after the first."""
    kind, last = "", {}
    with client.stream("GET", f"/gradio_api/call/{function}/{event}") as lines:
        for line in lines.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind != "heartbeat":
                content = json.loads(line.removeprefix("data: "))
                last = content if kind == "error" else (content or [{}])[0]
                if kind in ("complete", "error"):
                    break
                if begun is not None:
                    begun()
                    begun = None
    return dict(last or {})


def run(running: Running, sessions: list[Session], *, patience: float = 120.0) -> Outcome:
    """All sessions at once, and what is left of them."""
    process = psutil.Process(running.process.pid)
    others = set(running.kept)  # of earlier calls by HTTP, which are kept for an hour
    warm = Session(999, "good", photo(99, (72, 56)))
    visit(running.address, warm)  # the editor is loaded
    _wait_until_gone(running, others, patience)
    before = most = process.memory_info().rss
    began = time.monotonic()
    threads = [threading.Thread(target=visit, args=(running.address, one)) for one in sessions]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        most = max(most, process.memory_info().rss)
        time.sleep(0.2)
    seconds = time.monotonic() - began
    left = _wait_until_gone(running, others, patience)
    after = process.memory_info().rss
    return Outcome(sessions, before, most, after, left, seconds)


def expected(sessions: list[Session], running: Running) -> dict[int, str]:
    """What each photo gives when it is protected alone: hashes of the same visits, one by one."""
    alone = [Session(100 + one.number, "good", one.content) for one in sessions]
    for one in alone:
        visit(running.address, one)
    return {one.number - 100: one.sha256 for one in alone}


def wrong(outcome: Outcome, alone: dict[int, str]) -> list[str]:
    """What is not as it must be, in sentences."""
    said = []
    for one in outcome.sessions:
        if one.kind == "good":
            own = hashlib.sha256(one.content).hexdigest()
            if not one.sha256 or one.sha256 != alone[one.number] or one.original != own:
                said.append(f"session {one.number} got another file: {one.found}")
        elif one.sha256 or ("not a picture" if one.kind == "bad" else "cancelled") not in one.found:
            said.append(f"session {one.number} ({one.kind}): {one.found}")
    hashes = [one.sha256 for one in outcome.sessions if one.sha256]
    if len(set(hashes)) != len(hashes):
        said.append("two sessions got the same file")
    if outcome.left:
        said.append(f"left on disk: {outcome.left}")
    return said


def _wait_until_gone(running: Running, others: set[Path], patience: float) -> list[str]:
    until = time.monotonic() + patience
    while set(running.kept) - others and time.monotonic() < until:
        time.sleep(0.5)
    return [str(path.relative_to(running.folder)) for path in set(running.kept) - others]


def describe(found: dict[str, Any]) -> str:
    """The part of docs/app.md, of what was measured."""
    kinds = found["kinds"]
    rows = [
        [str(number), f"{one['seconds']:.0f} s", *(f"{one[name]:.0f} MB" for name in MEMORY)]
        for number, one in enumerate(found["rounds"], start=1)
    ]
    said = "Every one got its own file, by its hash, and nothing stayed on disk."
    if found["problems"]:
        said = f"Wrong: {'; '.join(found['problems'])}."
    return (
        f"{sum(kinds.values())} visitors at once with photos of {found['side']} pixels a side: "
        f"{kinds['good']} protected, {kinds['cancelled']} cancelled, {kinds['bad']} with no photo. "
        f"{said}\n\n" + table(["round", "took", "memory before", "at most", "afterwards"], rows)
    )


def main() -> int:
    """Run it, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--side", type=int, default=256, help="pixels of the photos")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--page", action="store_true", help="write docs/app.md and docs/app.json")
    args = parser.parse_args()
    sessions = make_sessions(args.sessions, (args.side, args.side))
    good = [one for one in sessions if one.kind == "good"]
    kinds = {name: sum(one.kind == name for one in sessions) for name in KINDS}
    found: dict[str, Any] = {"side": args.side, "kinds": kinds, "rounds": [], "problems": []}
    with (
        tempfile.TemporaryDirectory() as folder,
        tiny_server(Path(folder), "--steps", "20") as running,
    ):
        alone = expected(good, running)
        for number in range(args.rounds):
            outcome = run(running, make_sessions(args.sessions, (args.side, args.side)))
            found["problems"] += [f"round {number + 1}: {said}" for said in wrong(outcome, alone)]
            memory = {name: getattr(outcome, f"memory_{name}") / 1e6 for name in MEMORY}
            found["rounds"].append({"seconds": outcome.seconds} | memory)
            print(found["rounds"][-1], flush=True)
    print(describe(found))
    if args.page:
        keep_measured("sessions", found, describe(found))
    return 1 if found["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
