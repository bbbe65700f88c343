"""The page's server by HTTP: what it gives out, to whom, what it refuses, and how it stops."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from decontext.photo.portraits import ASTRONAUT
from tests.app.tiny_server import Running, tiny_server

pytest.importorskip("gradio", reason="PAGE NOT TESTED: the extra app is not installed")
import httpx

EXAMPLE = Path(__file__).parents[2] / "examples" / "app_client.py"
CHOICE = ["flux-kontext", "standard", "keep", True]


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.address, timeout=120) as client:
        yield client


def picture(seed: int = 0, size: tuple[int, int] = (72, 56), kind: str = "PNG") -> bytes:
    """A small photo, another one for each seed."""
    content = io.BytesIO()
    with Image.open(ASTRONAUT) as image:
        small = image.convert("RGB").resize(size)
    small.putpixel((0, 0), (seed, 0, 0))
    small.save(content, kind)
    return content.getvalue()


def upload(client: httpx.Client, name: str, content: bytes) -> dict[str, Any]:
    answer = client.post("/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    return given(answer.json()[0], name)


def given(path: str, name: str) -> dict[str, Any]:
    """An uploaded file as Gradio's functions take it."""
    return {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}


def call(client: httpx.Client, function: str, data: list[Any], session: str) -> list[Any]:
    """Call a function and return all that it answered; the last is the result or the error."""
    body = {"data": data, "session_hash": session}
    started = client.post(f"/gradio_api/call/{function}", json=body)
    assert started.status_code == 200, started.text
    event = started.json()["event_id"]
    found, kind = [], ""
    with client.stream("GET", f"/gradio_api/call/{function}/{event}") as lines:
        for line in lines.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: ") and kind != "heartbeat":
                content = json.loads(line.removeprefix("data: "))
                found.append(content if kind == "error" else content[0])
            if kind == "complete" and line.startswith("data: "):
                break
    return found


def protect(client: httpx.Client, files: list[dict[str, Any]], session: str) -> Any:
    return call(client, "protect", [files, *CHOICE], session)[-1]


def end(client: httpx.Client, session: str) -> None:
    """Close a page: its heartbeat stops."""
    with client.stream("GET", f"/gradio_api/heartbeat/{session}") as alive:
        next(alive.iter_lines())


def test_photo_comes_back_with_its_report_and_is_gone_afterwards(
    server: Running, client: httpx.Client
) -> None:
    content = picture(kind="JPEG")
    found = protect(client, [upload(client, "Zoë (1).jpg", content)], "s1")
    assert found["state"] == "done", found
    (result,) = found["results"]
    assert (result["name"], result["level"]) == ("Zoë (1).protected.jpg", "weak")
    photo, report = client.get(result["photo"]), client.get(result["report"]).json()
    assert hashlib.sha256(photo.content).hexdigest() == result["sha256"]
    assert report["files"]["protected"]["sha256"] == result["sha256"]
    assert report["files"]["original"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert Image.open(io.BytesIO(photo.content)).format == "JPEG"
    assert photo.headers["cache-control"] == "no-store"
    edits = call(client, "edit", ["make them smile", 0], "s1")[-1]
    for side in ("original", "protected"):
        assert Image.open(io.BytesIO(client.get(edits[side]["edit"]).content)).format == "PNG"
        assert edits[side]["shows"] in ("same", "other", "nobody", "no-face-before", "unknown")
    end(client, "s1")
    until = time.monotonic() + 10
    while True:
        # In the moment in which it is deleted an answer may be cut off.
        with suppress(httpx.RemoteProtocolError):
            if client.get(result["photo"]).status_code == 404:
                break
        assert time.monotonic() < until
        time.sleep(0.05)


def test_verify_measures_after_what_sites_do(client: httpx.Client) -> None:
    original = upload(client, "me.png", picture())
    (result,) = protect(client, [original], "s2")["results"]
    protected = upload(client, "me.protected.png", client.get(result["photo"]).content)
    found = call(client, "verify", [protected, original, "flux-kontext"], "s2")[-1]
    assert found["level"] in ("weak", "none") and found["sentence"]
    assert list(found["after"])[:2] == ["jpeg-85", "jpeg-75"] and len(found["after"]) == 6


def test_folder_comes_as_zip_and_goes_as_zip_and_a_bad_photo_costs_only_itself(
    client: httpx.Client,
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/me.png", picture(1))
        archive.writestr("b/me.png", picture(2))
        archive.writestr("bad.jpg", b"no picture")
        archive.writestr("../../elsewhere.png", picture(3))
        archive.writestr("notes.txt", b"left out")
    found = protect(client, [upload(client, "photos.zip", packed.getvalue())], "s3")
    names = [result["name"] for result in found["results"]]
    assert names == ["a/me.protected.png", "b/me.protected.png", "bad.jpg"]
    assert "not a picture" in found["results"][2]["error"]
    with zipfile.ZipFile(io.BytesIO(client.get(found["archive"]).content)) as archive:
        saved = [name for name in archive.namelist() if not name.endswith(".json")]
        assert saved == names[:2] and len(archive.namelist()) == 4
        for result in found["results"][:2]:
            content = archive.read(result["name"])
            assert hashlib.sha256(content).hexdigest() == result["sha256"]


def test_the_example_protects_a_photo_by_http(server: Running, tmp_path: Path) -> None:
    given, saved = tmp_path / "me.png", tmp_path / "me.protected.png"
    given.write_bytes(picture(5))
    command = [sys.executable, "-W", "ignore", str(EXAMPLE), str(given), "-o", str(saved)]
    command += ["--address", server.address, "--editor", "flux-kontext", "--accept-weak"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("Weak: edits by flux-kontext may still show this person")
    with Image.open(saved) as after, Image.open(given) as before:
        assert after.size == before.size and after.tobytes() != before.tobytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("me.jpg", b"no picture", "not a picture that can be read here"),
        ("me.png", picture(size=(1100, 1000)), "up to 1 million are read"),
        ("me.zip", b"no archive", "cannot be unpacked"),
        ("me.png", picture(size=(9, 9)), "must be at least 16"),
    ],
)
def test_what_cannot_be_protected_is_refused_in_a_sentence(
    client: httpx.Client, name: str, content: bytes, said: str
) -> None:
    assert said in json.dumps(protect(client, [upload(client, name, content)], "s4"))


def test_nobody_gets_the_files_of_somebody_else(server: Running, client: httpx.Client) -> None:
    headers = {"sec-fetch-mode": "navigate"}
    assert "decontext_visitor" in client.get("/?lang=en", headers=headers).cookies
    (result,) = protect(client, [upload(client, "me.png", picture(3))], "s5")["results"]
    assert client.get(result["photo"]).status_code == 200
    with httpx.Client(base_url=server.address) as other:
        other.get("/?lang=en", headers=headers)
        assert other.get(result["photo"]).status_code == 404
        token = result["photo"].split("/")[2]
        for place in ("../lock", "%2e%2e/%2e%2e/lock", "1/nothing.png", ""):
            assert client.get(f"/files/{token}/{place}").status_code == 404
        assert "belongs to somebody else" in json.dumps(
            protect(other, [upload(other, "me.png", picture(3))], "s5")
        )


def test_uploads_of_others_and_files_of_the_machine_are_out_of_reach(
    server: Running, client: httpx.Client
) -> None:
    mine = upload(client, "me.png", picture(4))
    for path in (mine["path"], "/etc/passwd"):
        for address in (f"/gradio_api/file={path}", f"/file={path}", f"/gradio_api/file/{path}"):
            assert client.get(address).status_code == 404
    for path in ("/etc/passwd", mine["path"] + "/../../../lock", "https://example.org/a.png"):
        found = json.dumps(protect(client, [given(path, "me.png")], "s6"))
        assert "no uploaded file" in found, path
    text = call(client, "edit", [given("/etc/passwd", "a.png"), 0], "s6")[-1]
    assert "no uploaded file" in json.dumps(text)
    assert not [path for path in server.kept if path.name in ("passwd", "lock", "a.png")]
    for address in ("/gradio_api/runs", "/monitoring", "/gradio_api/proxy=http://localhost/"):
        assert client.get(address).status_code == 404


def test_other_sites_and_other_names_are_refused(client: httpx.Client) -> None:
    cross = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}
    assert client.post("/gradio_api/upload", headers=cross).status_code == 403
    assert client.get("/health", headers={"host": "attacker.example"}).status_code == 421
    assert client.get("/health").json()["editors"] == ["flux-kontext", "kontext-mini"]


def test_the_page_may_load_nothing_from_elsewhere_and_speaks_the_browsers_language(
    client: httpx.Client,
) -> None:
    page = client.get("/?lang=en")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert 'lang="en"' in page.text and "githubusercontent" not in page.text.split("<script")[0]
    headers = {"accept-language": "de-AT,de;q=0.9,en;q=0.5", "sec-fetch-mode": "navigate"}
    sent = client.get("/", headers=headers)
    assert (sent.status_code, sent.headers["location"]) == (307, "/de/")
    assert 'lang="de"' in client.get("/de/").text
    assert client.get("/", headers=headers | {"accept-language": "fr"}).status_code == 200


def test_too_much_is_refused_before_it_is_read(client: httpx.Client) -> None:
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port, timeout=60)
    connection.putrequest("POST", "/gradio_api/upload")
    connection.putheader("Content-Length", "2200000")
    connection.endheaders()  # not one byte of the file itself is sent
    assert connection.getresponse().status == 413
    connection.close()


def test_password_is_asked_for_everything_but_health(tmp_path: Path) -> None:
    with (
        tiny_server(tmp_path, password="long enough") as running,
        httpx.Client(base_url=running.address, timeout=60) as client,
    ):
        assert client.get("/health").status_code == 200
        for address in ("/", "/de/", "/files/a/b", "/config", "/gradio_api/info"):
            assert client.get(address).status_code == 401
        wrong = {"authorization": "Basic " + base64.b64encode(b"any:wrong").decode()}
        assert client.get("/config", headers=wrong).status_code == 401
        assert client.get("/config", auth=("any", "long enough")).status_code == 200
        _stops_in_the_middle(running)


def _stops_in_the_middle(running: Running) -> None:
    """Told to stop while a job runs, the server ends soon and leaves nothing."""
    auth = httpx.BasicAuth("any", "long enough")
    with httpx.Client(base_url=running.address, timeout=60, auth=auth) as client:
        big = upload(client, "me.png", picture(size=(900, 900), kind="JPEG"))
        data = [[big], "kontext-mini", "standard", "keep", True]

        def ask() -> None:
            try:
                call(client, "protect", data, "s7")
            except httpx.HTTPError:
                pass  # The connection is closed in the middle.

        asking = threading.Thread(target=ask)
        asking.start()
        until = time.monotonic() + 30
        while client.get("/health").json()["running"] == 0:
            assert time.monotonic() < until
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(60) == 0
        asking.join(60)
        assert list(running.folder.glob("decontext-app-*")) == []
