"""The screenshots of docs/app.md: `python -m tests.app.screenshots`.

The real page with `kontext-mini`, at the widths of a desk and of a phone, light and dark, at each
stage, with a portrait of the package. Writes docs/images/app-*.webp. `--all FOLDER` writes every
stage in both widths and colours as PNG instead, to look at.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from decontext.photo.portraits import GRACE_HOPPER
from tests.app.test_page import CHROMIUM, OPTIONS

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
LARGEST = 200_000
SECONDS = 1_200_000
DOCUMENTED = {
    ("start", 1280, "light"): "app-start",
    ("progress", 390, "dark"): "app-progress",
    ("result", 1280, "light"): "app-result",
    ("proof", 390, "dark"): "app-proof",
}


def main() -> None:
    """Start the page, walk through it, and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    parser.add_argument("--steps", default="100")
    args = parser.parse_args()
    command = [sys.executable, "-m", "decontext", "app", "--port", "0", "--steps", args.steps]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"TMPDIR": folder}
        ) as process,
    ):
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
                wanted = [(1280, "light"), (390, "dark")]
                if args.all:
                    wanted += [(1280, "dark"), (390, "light")]
                for width, scheme in wanted:
                    _walk(browser, address, width, scheme, args.all, Path(folder))
                browser.close()
        finally:
            process.terminate()


def _walk(
    browser: Any, address: str, width: int, scheme: str, everything: Path | None, folder: Path
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844 if width < 700 else 1000},
        color_scheme=scheme,
        locale="en-GB",
    )
    page = context.new_page()
    page.set_default_timeout(SECONDS)
    page.goto(f"{address}?lang=en")
    page.wait_for_selector("#start")

    def take(stage: str, selector: str = "body") -> None:
        page.wait_for_timeout(500)
        page.evaluate("document.activeElement.blur()")
        if everything:
            everything.mkdir(exist_ok=True)
            target = everything / f"{stage}-{width}-{scheme}.png"
            page.screenshot(path=str(target), full_page=True)
        elif (stage, width, scheme) in DOCUMENTED:
            shot = folder / f"{stage}.png"
            page.locator(selector).first.scroll_into_view_if_needed()
            page.evaluate(f"document.querySelector({selector!r}).scrollIntoView(true)")
            page.wait_for_timeout(200)
            page.screenshot(path=str(shot))
            _save(shot, IMAGES / f"{DOCUMENTED[stage, width, scheme]}.webp")

    take("start")
    photo = folder / "portrait.jpg"
    shutil.copy(GRACE_HOPPER, photo)
    page.set_input_files("#photos input[type=file]", str(photo))
    page.wait_for_selector(".dc-names li")
    page.click("#start")
    page.wait_for_function("document.querySelectorAll('.dc-curve').length")
    page.wait_for_function("+(document.querySelector('.dc-progress progress')?.value || 100) >= 40")
    take("progress", "#start")
    page.wait_for_selector(".dc-result")
    page.wait_for_timeout(1500)
    take("result", ".dc-result")
    page.click("#prove")
    page.wait_for_selector(".dc-proof")
    page.wait_for_timeout(1500)  # it scrolls
    take("proof", ".dc-proof")
    page.get_by_role("tab", name="Am I safe?").click()
    take("safe")
    page.get_by_role("tab", name="Verify").click()
    take("verify")
    context.close()


def _save(shot: Path, target: Path) -> None:
    """As WebP, no larger than what a page should load."""
    with Image.open(shot) as picture:
        for quality in (90, 80, 70, 60):
            picture.convert("RGB").save(target, "WEBP", quality=quality, method=6)
            if target.stat().st_size <= LARGEST:
                return
    raise SystemExit(f"{target} is larger than {LARGEST} bytes")


if __name__ == "__main__":
    main()
