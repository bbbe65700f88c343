"""The page in a browser, the whole way, on a phone and on a desk; nobody else's server is asked.

Skipped where there is no Chromium (Debian: apt-get install chromium). axe-core, which checks what
screen readers and keyboards need, lies in tests/axe.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from decontext.photo.portraits import ASTRONAUT
from tests.app.tiny_server import Running, tiny_server

pytest.importorskip("gradio", reason="PAGE NOT TESTED: the extra app is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="PAGE NOT TESTED: there is no Chromium (apt-get install chromium)"
)
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
OWN = re.compile(r"(http://127\.0\.0\.1:\d+/|data:|blob:)")
BY_ITSELF = "not an origin"
CHROMIUMS = re.compile(
    r"https://(accounts\.google|android\.clients\.google|content-autofill\.googleapis)\.com/"
)
"""What Chromium asks for by itself: at its start, without any page, and by its autofill wherever a
page has a text field, by a number that stands for the field. It gets no answer here."""

AXE = Path(__file__).parents[1] / "axe" / "axe.min.js"
SECONDS = 60_000
IGNORED = ("Method not implemented",)  # what Gradio's own parts say in the console


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests here; its own record of the network names nobody else."""
    record = tmp_path_factory.mktemp("network") / "record.json"
    options = [*OPTIONS, f"--log-net-log={record}", OFFLINE]
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield launched
        launched.close()
    asked = list(read_requests(record))
    pages = [url for url, by in asked if by != BY_ITSELF]
    assert len(pages) > 50 and [url for url in pages if not OWN.match(url)] == []
    assert [url for url, _ in asked if not OWN.match(url) and not CHROMIUMS.match(url)] == []


def read_requests(record: Path) -> Iterator[tuple[str, str]]:
    """Each address that the browser asked for, of whatever kind, and who wanted it."""
    for line in record.read_text(encoding="utf-8", errors="replace").splitlines():
        if '"initiator":' in line and '"url":' in line:
            told = json.loads(line.strip().rstrip(",").removesuffix("]").rstrip(","))["params"]
            yield told["url"], told["initiator"]


@pytest.fixture
def visit(browser: Any, server: Running) -> Iterator[Callable[..., Any]]:
    """Opens the page; at the end nothing was asked of another server, and nothing went wrong."""
    contexts, asked, wrong = [], [], []

    def opened(
        path: str = "?lang=en", width: int = 1280, scheme: str = "light", address: str = ""
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 844},
            color_scheme=scheme,
            locale="en-GB",
            reduced_motion="reduce",  # Colours are checked, not the way from one to another.
        )
        contexts.append(context)
        context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.goto((address or server.address) + path)
        page.wait_for_selector("#start")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert len(asked) > 10 and [url for url in asked if not OWN.match(url)] == []
    assert [text for text in wrong if not any(known in text for known in IGNORED)] == []


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "Zoë.jpg"
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").resize((72, 56)).save(path, quality=95)
    return path


def drop(page: Any, path: Path, where: str = "#photos") -> None:
    page.set_input_files(f"{where} input[type=file]", str(path))
    if where == "#photos":
        page.wait_for_selector(f".dc-names li:has-text('{path.name}'), #status .dc-notice")
    else:
        page.wait_for_selector(f"{where} :text('{path.stem}')", state="attached")


def allow_weak(page: Any) -> None:
    """The tiny editor's verdicts are weak."""
    page.get_by_text("More choices").click()
    page.get_by_label("Also give me photos").check()


def find_problems(page: Any) -> list[str]:
    """What axe-core finds that is serious, by the rules of WCAG 2.2 A and AA."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        "axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
    )
    return [
        f"{one['id']}: {one['help']}: {node['html'][:200]}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def check_looks(page: Any, width: int) -> None:
    """Nothing is wider than the screen, and axe-core finds nothing serious."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert find_problems(page) == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_whole_way(
    visit: Callable[..., Any], photo: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    page = visit(width=width, scheme=scheme)
    check_looks(page, width)
    wrong = tmp_path / "notes.jpg"
    wrong.write_text("no photo")
    drop(page, wrong)
    page.click("#start")
    page.wait_for_selector("#status .dc-notice")
    assert "notes.jpg is not a picture" in page.locator("#status").inner_text()
    page.get_by_role("button", name="Remove all photos").click()
    drop(page, photo)
    allow_weak(page)
    page.click("#start")
    page.wait_for_selector(".dc-result, #status .dc-notice")
    assert "Weak: edits by flux-kontext may still show" in page.locator(".dc-verdict").inner_text()
    _check_slider(page)
    _check_downloads(page, photo)
    page.locator("#instruction").locator("textarea, input").first.fill("put a red hat")
    page.click("#prove")
    page.wait_for_selector(".dc-proof")
    pictures = page.evaluate(
        "[...document.querySelectorAll('.dc-proof img')].map(i => [i.alt, i.naturalWidth])"
    )
    assert len(pictures) == 2 and all(alt and wide for alt, wide in pictures)
    check_looks(page, width)


@pytest.mark.parametrize(
    ("path", "width", "remove", "removed", "none"),
    [
        ("?lang=en", 1280, "Remove {}", "{} was removed.", "No photo yet."),
        ("de/", 390, "{} entfernen", "{} wurde entfernt.", "Noch kein Foto."),
    ],
)
def test_one_photo_is_taken_off_the_list_by_keyboard(
    visit: Callable[..., Any],
    photo: Path,
    path: str,
    width: int,
    remove: str,
    removed: str,
    none: str,
) -> None:
    page = visit(path, width=width)
    names = [photo.name, "one & two.jpg", "c.jpg"]
    for name in names:
        drop(page, Path(shutil.copy(photo, photo.with_name(name))) if name != photo.name else photo)
    check_looks(page, width)
    focused = "document.activeElement.getAttribute('aria-label')"
    for gone, next_one in ((names[1], names[2]), (names[2], names[0])):
        button = page.get_by_role("button", name=remove.format(gone), exact=True)
        box = button.bounding_box()
        assert min(box["width"], box["height"]) >= 44
        button.focus()
        page.keyboard.press("Enter")
        page.wait_for_function(f"said => {focused} === said", arg=remove.format(next_one))
        assert page.locator("#dc-announce").text_content().strip() == removed.format(gone)
        assert gone not in page.locator("#names").inner_text()
    page.locator(".dc-remove").click()
    page.wait_for_selector(f"#names :text('{none}')")
    page.wait_for_function("document.activeElement.closest('#photos')")
    check_looks(page, width)
    page.click("#start")
    page.wait_for_selector("#status .dc-notice")


def _check_slider(page: Any) -> None:
    """By keyboard, by mouse, zoomed in; screen readers are told where it stands."""
    figure = page.locator(".dc-result .dc-compare")
    handle, zoom = figure.locator(".dc-handle"), figure.locator(".dc-zoom")
    handle.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert handle.get_attribute("aria-valuetext") == "53 % of the photo"
    stage = figure.locator(".dc-stage")
    box = stage.bounding_box()
    quarter = {"x": 0.25 * box["width"], "y": box["height"] / 2}
    stage.click(position=quarter)  # waits until the page below has stopped moving
    assert abs(int(handle.input_value()) - 25) <= 1
    zoom.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert zoom.get_attribute("aria-valuetext") == "2 x"
    page.wait_for_function(
        "[...document.querySelectorAll('.dc-result .dc-canvas img')]"
        ".every(i => i.complete && i.naturalWidth && !i.dataset.full)"
    )
    assert stage.evaluate("e => e.scrollWidth > 1.9 * e.clientWidth")


def _check_downloads(page: Any, photo: Path) -> None:
    """The photo has its own name and format, and its report names it."""
    found = {}
    for name in ("Download the photo", "Download the report"):
        with page.expect_download() as started:
            page.get_by_role("link", name=name).first.click()
        found[started.value.suggested_filename] = Path(started.value.path()).read_bytes()
    saved = found[f"{photo.stem}.protected.jpg"]
    assert Image.open(io.BytesIO(saved)).format == "JPEG"
    report = found[f"{photo.stem}.protected.jpg.json"].decode()
    assert hashlib.sha256(saved).hexdigest() in report


def test_cancel_a_second_visitor_and_a_restart(
    visit: Callable[..., Any], photo: Path, tmp_path: Path
) -> None:
    with tiny_server(tmp_path, "--steps", "20000") as slow:
        first, second = (visit(address=slow.address) for _ in range(2))
        for page in (first, second):
            drop(page, photo)
            page.click("#start")
        second.wait_for_selector("#status :text('Waiting')")
        first.wait_for_selector(".dc-curve")
        first.click("#cancel")
        first.wait_for_selector("#status :text('Cancelled')")
        second.wait_for_selector(".dc-curve")
        first.context.close()
        second.context.close()
        until = time.monotonic() + 60
        while [path for path in slow.kept if "visits" in path.parts]:
            assert time.monotonic() < until
            time.sleep(0.1)
        port = slow.address.rsplit(":", 1)[1].strip("/")
        slow.process.terminate()
        assert slow.process.wait(60) == 0
    with tiny_server(tmp_path, "--port", port) as again:
        page = visit(address=again.address)
        assert page.locator("#names").inner_text() == "No photo yet."


def test_verify_and_am_i_safe_in_german(visit: Callable[..., Any], photo: Path) -> None:
    page = visit("de/", width=390)
    page.get_by_role("tab", name="Prüfen").click()
    for where in ("#protected", "#original"):
        drop(page, photo, where)
    page.click("#check")
    page.wait_for_selector(".dc-checked")
    said = page.locator(".dc-checked").inner_text()
    assert "Es ist eine unveränderte Kopie des Originals." in said and "JPEG 75" in said
    page.get_by_role("tab", name="Bin ich sicher?").click()
    assert "Das kann kein Programm bejahen" in page.locator(".block.dc-safe").inner_text()
    check_looks(page, 390)
    page.get_by_role("link", name="English").click()
    page.wait_for_selector("text=Protect a photo")


def test_everything_is_reached_by_keyboard_alone(visit: Callable[..., Any]) -> None:
    page = visit()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "(e => (e.getAttribute('aria-label') || e.innerText || e.labels?.[0]?.innerText"
                " || e.type || '').trim())(document.activeElement)"
            )
        )
    for name in ("Deutsch", "Protect", "Standard", "More choices"):
        assert any(name in text for text in seen), (name, seen)
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#status .dc-notice")
    assert "There is no photo yet." in page.locator("#status").inner_text()
