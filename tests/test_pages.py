"""The pages in a browser: as wide as the screen, nothing loaded, pictures one can enlarge.

Made from numbers and pictures of no photo by the code that makes the real ones. JavaScript is off:
the pages need none. Skipped where there is no Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from decontext.analysis.measure import MAP_SIGMAS, Gradients, Reference
from decontext.analysis.page import build_sections
from decontext.analysis.page import lead as lead_of_analysis
from decontext.analysis.results import Analysis, PhotoAnalysis
from decontext.demo import SETTINGS, Demonstration, Edit, Exhibit
from decontext.demo.page import build_demo_page
from decontext.evaluation.page import write_page
from decontext.evaluation.photo_run import photo_folder, protected_path
from decontext.evaluation.plan import CUT, NONE, ORIGINAL
from decontext.objectives.sensitivity import Worth
from decontext.photo.images import Photo, save_photo
from decontext.report import DEMONSTRATION, build_page
from decontext.verdict import Measurement, Verification

pytest.importorskip("matplotlib", reason="the extra eval is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="PAGES NOT TESTED: there is no Chromium (apt-get install chromium)"
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
PAGES = ("demo", "evaluation", "analysis")
LONG = "a-name-without-any-space-" * 4


def _picture(seed: int, height: int = 48, width: int = 40) -> Tensor:
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(seed))


def _demo_page(folder: Path) -> Path:
    found = Verification("kontext-mini", (0, 1), 12, (Measurement("smile", 1.0, 0.5, 0.1, 0.5),))
    photo = Photo(_picture(0, 300, 280), folder / "portrait.png", "PNG", "RGB")
    result: Any = SimpleNamespace(verification=found, image=_picture(1, 300, 280), report={})
    edits = tuple(
        Edit(text, _picture(2), _picture(3), _picture(4), 0.6, 0.3629, None)
        for text in ("put a red hat on the person", "make the background green and blue")
    )
    exhibits = (Exhibit(LONG, photo, result, _picture(5, 300, 280), edits),)
    page = folder / "demo.html"
    shown = Demonstration(page, exhibits, SETTINGS, measured=True)
    page.write_text(build_demo_page(shown), encoding="utf-8")
    return page


def _evaluation_page(folder: Path) -> Path:
    photos = [folder / "photos" / f"{LONG}{number}.png" for number in range(2)]
    photos[0].parent.mkdir()
    thresholds = {"sface": 0.363, "dlib": 0.4}
    rows: list[dict[str, Any]] = [
        {
            "kind": "heading",
            "editor": "kontext-mini",
            "thresholds": thresholds,
            "likeness": "efficientnet-lite0",
            "rendered": False,
        }
    ]
    for number, path in enumerate(photos):
        picture = _picture(number, 60, 60)
        save_photo(picture, Photo(picture, path, "PNG", "RGB"), path)
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        known = {"photo": path.name, "sha256": content}
        rows.append(
            {"kind": "photo", **known, "status": "evaluated", "notes": [], "size": [60, 60]}
        )
        photo_folder(folder, content).mkdir(parents=True)
        for version in (ORIGINAL, CUT, "0123456789"):
            for transform in (NONE, "jpeg-75+resize-0.5"):
                rows.append(_edit(folder, known, version, transform))
        saved = protected_path(folder, content, "0123456789")
        save_photo(picture, Photo(picture, saved, "PNG", "RGB"), saved)
        label = "context-proportion:strong 12.75/255"
        rows.append({"kind": "protection", **known, "protection": "0123456789", "label": label}
                    | dict.fromkeys(("levels", "psnr", "worst_patch", "ssim", "ms_ssim"), 9.0)
                    | {"lpips": None, "seconds": 1.0})  # fmt: skip
    rows.append({"kind": "failure", **known, "protection": "x", "message": f"/{LONG}: failed"})
    return write_page(json.loads(json.dumps(rows)), folder, tuple(photos))


def _edit(folder: Path, known: dict[str, str], version: str, transform: str) -> dict[str, Any]:
    path = photo_folder(folder, known["sha256"]) / f"{version}.{transform}.png"
    picture = _picture(7)
    save_photo(picture, Photo(picture, path, "PNG", "RGB"), path)
    value = 0.6 if version == ORIGINAL else 0.1
    return {
        "kind": "edit",
        **known,
        "protection": version,
        "transform": transform,
        "prompt": "please add a happy smile",
        "seed": 0,
        "identity": {"sface": value, "dlib": value},
        "faces": 1,
        "likeness": 0.5,
        "blur": 0.4,
        "noise": 1.0,
        "picture": path.relative_to(folder).as_posix(),
    }


def _analysis_page(folder: Path) -> Path:
    blocks = tuple(f"{kind}:{n}" for kind, count in (("double", 19), ("single", 38))
                   for n in range(count))  # fmt: skip
    worths = tuple(Worth(name, (0.01 * n,) * 3, (n + 1) / 57) for n, name in enumerate(blocks))
    photo = PhotoAnalysis(
        name=LONG,
        original=_picture(0),
        protected=_picture(1),
        before=torch.rand(len(MAP_SIGMAS), len(blocks)),
        after=torch.rand(len(MAP_SIGMAS), len(blocks)),
        gradients=Gradients((0.1, 0.5, 1.0), (1e-4, 5e-4, 2e-3), (2e-4, 5e-4, 1e-3)),
        singles=worths,
        prefixes=worths,
        chosen=blocks[30],
        references=(Reference("smile", _picture(2), _picture(3), _picture(4)),) * 2,
        similarities=((0.5, 0.1, None),) * 2,
    )
    page = folder / "analysis.html"
    shown = Analysis(page, "kontext-mini", blocks, "all", SETTINGS, DEMONSTRATION, (photo,) * 2)
    content = build_page(
        "Where it looks", DEMONSTRATION, build_sections(shown), lead=tuple(lead_of_analysis(shown))
    )
    page.write_text(content, encoding="utf-8")
    return page


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    makers = {"demo": _demo_page, "evaluation": _evaluation_page, "analysis": _analysis_page}
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in makers.items()}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
        yield launched
        launched.close()


@pytest.fixture(params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Any, files: dict[str, Path], name: str, width: int, scheme: str) -> Iterator[Any]:
    """A page with all of its parts open; `page.problems` collects what must not happen."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, java_script_enabled=False
    )
    shown = context.new_page()
    shown.problems = []
    shown.on("request", lambda request: shown.problems.append(request.url))
    shown.on("pageerror", lambda error: shown.problems.append(str(error)))
    shown.on("console", lambda message: shown.problems.append(message.text))
    shown.goto(files[name].as_uri())
    shown.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    yield shown
    context.close()


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_page_fits_the_screen_and_loads_nothing_but_itself(
    page: Any, files: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.problems == [files[name].as_uri()]
    images = page.evaluate(
        "[...document.images].map(i => [i.alt, i.complete && i.naturalWidth, i.naturalHeight])"
    )
    assert len(images) > 6
    assert all(alt.strip() and wide and high for alt, wide, high in images)
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert "demonstration editor" in page.locator(".note").inner_text()
    for selector in ("body", "p.lead", "p.soft", "figcaption", ".note", "summary h2", "thead th"):
        if page.locator(selector).count():
            assert _contrast(page, selector) >= 4.5, selector


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(390, "light")])
def test_letters_of_plots_have_eleven_pixels_on_a_phone(page: Any, name: str) -> None:
    scales = page.evaluate(
        "[...document.querySelectorAll('img[src^=\"data:image/svg\"]')]"
        ".map(i => i.getBoundingClientRect().width / i.getAttribute('width'))"
    )
    assert (len(scales) > 0) == (name != "demo")
    assert all(scale * 14 >= 11 for scale in scales)


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_pictures_are_enlarged_by_a_click_or_a_key_and_escape_closes_them(page: Any) -> None:
    picture, opened = page.locator("main img").first, page.locator(".zoom:popover-open img")
    picture.scroll_into_view_if_needed()
    small = picture.bounding_box()
    middle = small["x"] + small["width"] / 2, small["y"] + small["height"] / 2
    before = page.evaluate("document.documentElement.scrollHeight")
    for close in ("Escape", "click", "Escape"):
        page.mouse.click(*middle)
        assert opened.count() == 1
        large = opened.bounding_box()
        assert large["width"] * large["height"] > 2 * small["width"] * small["height"]
        assert page.evaluate("document.documentElement.scrollHeight") == before  # nothing moves
        if close == "click":
            page.mouse.click(*middle)
        else:
            page.keyboard.press(close)
        assert opened.count() == 0
    assert picture.bounding_box() == small
    page.locator("main .open").nth(1).focus()
    page.keyboard.press("Enter")
    assert opened.count() == 1


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark")])
def test_small_pictures_can_be_shown_pixel_by_pixel(page: Any) -> None:
    rendering = "getComputedStyle(document.querySelector('img.tiny')).imageRendering"
    assert page.evaluate(rendering) == "auto"
    page.locator("#pixels").check()
    assert page.evaluate(rendering) == "pixelated"


def _contrast(page: Any, selector: str) -> float:
    """Contrast of text and what is behind it by WCAG 2.2, success criterion 1.4.3."""
    found = page.evaluate(
        """selector => {
            const element = document.querySelector(selector);
            let behind = element;
            while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)")
                behind = behind.parentElement;
            return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
        }""",
        selector,
    )
    light, dark = sorted(map(_luminance, found), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
