"""What docs/app.md says of HTTP is run as it stands there, against a page with small editors."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from decontext.photo.portraits import GRACE_HOPPER
from tests.app.tiny_server import Running, tiny_server

pytest.importorskip("gradio", reason="PAGE NOT TESTED: the extra app is not installed")
import httpx

PAGE = (Path(__file__).parents[2] / "docs" / "app.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:7860"
MISSING = [name for name in ("bash", "curl", "jq") if shutil.which(name) is None]
needs_curl = pytest.mark.skipif(
    bool(MISSING), reason=f"LINES OF docs/app.md NOT RUN: no {', '.join(MISSING)}"
)


def blocks(language: str, server: Running) -> list[str]:
    """The blocks of this language, for the address of this page in the place of the usual one."""
    found = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return [block.replace(ADDRESS, server.address.rstrip("/")) for block in found]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_photo(tmp_path, 160)
    return tmp_path


def save_photo(folder: Path, side: int) -> None:
    with Image.open(GRACE_HOPPER) as image:
        image.convert("RGB").resize((side, side)).save(folder / "me.jpg", quality=95)


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_saved(folder: Path) -> dict[str, object]:
    saved = folder / "me.protected.jpg"
    with Image.open(saved) as after, Image.open(folder / "me.jpg") as before:
        assert after.format == "JPEG" and after.size == before.size
        assert after.tobytes() != before.tobytes()
    return {"sha256": hashlib.sha256(saved.read_bytes()).hexdigest()}


@needs_curl
def test_lines_with_curl_protect_and_download_a_photo(server: Running, folder: Path) -> None:
    health, upload, download, _ = blocks("sh", server)
    script = "set -euo pipefail\n" + health + "echo\n" + upload + download
    said = run(["bash", "-c", script], folder)
    shown = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert (
        shown is not None and json.loads(shown[1]).keys() == json.loads(said.split("\n")[0]).keys()
    )
    assert '"state": "running"' in said and "event: complete" in said
    saved = check_saved(folder)
    result = json.loads((folder / "result.json").read_text())
    report = json.loads((folder / "me.protected.jpg.json").read_text())
    assert result["sha256"] == saved["sha256"] == report["files"]["protected"]["sha256"]
    for key in re.findall(r'"(\w+)":', re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[1]):
        assert f'"{key}"' in said, key


@needs_curl
def test_line_with_curl_cancels_what_runs(tmp_path: Path) -> None:
    save_photo(tmp_path, 160)
    with tiny_server(tmp_path, "--steps", "20000") as slow:
        health, upload, _, cancel = blocks("sh", slow)
        script = "set -euo pipefail\n" + health + upload
        asking = subprocess.Popen(
            ["bash", "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 120
        while httpx.get(f"{slow.address}health").json()["running"] == 0:
            assert time.monotonic() < until
            time.sleep(0.2)
        assert "event_id" in run(["bash", "-c", "set -euo pipefail\n" + cancel], tmp_path)
        said = asking.communicate(timeout=120)[0]
        assert "event: error" in said and "cancelled" in said, said[-500:]
        assert httpx.get(f"{slow.address}health").json()["running"] == 0


def test_lines_in_python_protect_and_download_a_photo(server: Running, folder: Path) -> None:
    (lines,) = blocks("python", server)
    said = run([sys.executable, "-W", "ignore", "-c", lines], folder)
    assert "running" in said and "kontext-mini" in said
    check_saved(folder)
