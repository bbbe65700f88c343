"""The web service of the examples, on 127.0.0.1, with a tiny editor of random weights."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from PIL import Image

import decontext
from decontext.photo.portraits import ASTRONAUT

EXAMPLE = Path(__file__).parents[2] / "examples" / "http_service.py"
SETTINGS: dict[str, Any] = {
    "method": "sign",
    "epsilon": 64 / 255,
    "steps": 4,
    "blocks": "double:0",
    "robust": "off",
    "verify_prompts": 1,
    "verify_noises": 1,
}


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("http_service", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["http_service"] = module
    spec.loader.exec_module(module)
    module.Handler.log_message = lambda *_: None
    return module


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture
def service(example: Any, editor: Any) -> Iterator[Any]:
    with example.Service(("127.0.0.1", 0), editor, accept_weak=True, **SETTINGS) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield service
        service.stop()
        thread.join(30)


@pytest.fixture(scope="module")
def photo() -> bytes:
    content = io.BytesIO()
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").resize((72, 56)).save(content, "PNG")
    return content.getvalue()


def _post(service: Any, body: bytes | None, path: str = "/protect", **headers: str) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", service.server_port, timeout=120)
    connection.request("POST", path, body, headers)
    return connection.getresponse()


def _error(response: HTTPResponse) -> str:
    found: str = json.loads(response.read())["error"]
    return found


def test_photo_comes_back_protected_with_its_verdict(service: Any, photo: bytes) -> None:
    response = _post(service, photo)
    assert response.status == 200
    assert response.headers["Decontext-Level"] == "weak"
    assert response.headers["Decontext-Sentence"].startswith("Weak: edits by flux-kontext may")
    report = json.loads(response.headers["Decontext-Report"])
    assert report["verification"]["level"] == "weak"
    with Image.open(io.BytesIO(response.read())) as image, Image.open(io.BytesIO(photo)) as before:
        difference = np.asarray(image, np.int16) - np.asarray(before, np.int16)
    assert 0 < np.abs(difference).max() <= 64


def test_what_cannot_be_protected_is_refused_in_a_sentence(service: Any, photo: bytes) -> None:
    response = _post(service, b"no picture")
    assert (response.status, "not a picture" in _error(response)) == (400, True)
    assert _post(service, photo, "/other").status == 404
    response = _post(service, None, **{"Content-Length": "20000001"})
    assert response.status == 413
    service.settings = {**SETTINGS, "steps": 1, "epsilon": 1 / 255}
    response = _post(service, photo)
    assert response.status == 422
    assert json.loads(response.read())["level"] == "none"


def test_only_so_many_photos_are_worked_on_at_once(
    service: Any, example: Any, photo: bytes
) -> None:
    for _ in range(example.AT_ONCE):
        service.places.acquire()
    response = _post(service, photo)
    assert (response.status, _error(response)) == (503, "busy.")
    for _ in range(example.AT_ONCE):
        service.places.release()
    connection = HTTPConnection("127.0.0.1", service.server_port, timeout=10)
    connection.request("GET", "/")
    assert json.loads(connection.getresponse().read())["editor"] == "flux-kontext"


def test_stopping_cancels_what_is_running(service: Any, photo: bytes) -> None:
    service.settings = {**SETTINGS, "steps": 100_000}
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        response = _post(service, photo)
        answers.append((response.status, _error(response)))

    asking = threading.Thread(target=ask)
    asking.start()
    while service.places._value == 2:
        time.sleep(0.01)
    service.stop()
    asking.join(60)
    assert answers == [(503, "stopped, as was asked; nothing was written.")]
