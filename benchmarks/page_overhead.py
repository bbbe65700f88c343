"""What the page of `decontext app` costs beside the command line, for a photo of 12 megapixels.

    python -m benchmarks.page_overhead --rounds 3

A portrait of the package is enlarged to 4000 x 3000 and saved as a phone does, with EXIF. In each
round it is protected against kontext-mini once by `decontext protect` and once in a real browser,
from dropping it on the page until its download is saved; both take the same settings and begin
without an editor, and the two files must be the same. Every other round begins with the page.
Rounds are kept in docs/app.json, and the table of docs/app.md is made of them: stopped and started
again it goes on. Needs Linux and Chromium.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
from PIL import Image, ImageFilter

from benchmarks.app_results import keep_measured, read_measured
from benchmarks.sections import table
from benchmarks.step import _status
from decontext.photo.portraits import GRACE_HOPPER

PART = "overhead"
SIZE = (4000, 3000)
BROWSER_SECONDS = 3_600_000
PROTECT = [sys.executable, "-m", "decontext", "protect", "--editor", "kontext-mini"]
SERVE = [sys.executable, "-m", "decontext", "app", "--port", "0"]


def make_photo(path: Path) -> None:
    """A portrait before a blurred background, with the noise of a sensor and a phone's EXIF."""
    with Image.open(GRACE_HOPPER) as opened:
        portrait = opened.convert("RGB")
    width, height = SIZE
    behind = portrait.resize(SIZE, Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(80))
    wide = round(portrait.width * height / portrait.height)
    behind.paste(
        portrait.resize((wide, height), Image.Resampling.LANCZOS), ((width - wide) // 2, 0)
    )
    noise = np.random.default_rng(0).normal(0, 2, (height, width, 3))
    levels = np.clip(np.round(np.asarray(behind) + noise), 0, 255).astype(np.uint8)
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Phone", "12 MP", "2026:11:29 00:00:00"
    exif.get_ifd(0x8769)[0x829A] = (1, 120)  # exposure time
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    Image.fromarray(levels).save(path, quality=92, exif=exif)


def by_command(photo: Path, options: list[str]) -> dict[str, Any]:
    """Protect it with `decontext protect`: the whole command."""
    saved = photo.with_name("command.jpg")
    began = time.perf_counter()
    process = subprocess.Popen([*PROTECT, *options, "-o", str(saved), str(photo)])
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"decontext protect failed: {process.returncode}")
    return _row(saved, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def measure_start(times: int = 3) -> float:
    """Seconds of computing in which the command gets Python, torch and our modules."""
    spent = []
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", "import decontext.cli, decontext.protect"]
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        spent.append(used.ru_utime + used.ru_stime)
    return median(spent)


def by_page(photo: Path, options: list[str]) -> dict[str, Any]:
    """Protect it in a browser, from dropping it until the download is saved."""
    from playwright.sync_api import sync_playwright

    from tests.app.test_page import CHROMIUM, OPTIONS

    saved = photo.with_name("page.jpg")
    steps = [*SERVE, *(o for o in options if o not in ("--accept-weak",))]
    with (
        subprocess.Popen(steps, stdout=subprocess.PIPE, text=True) as process,
        sync_playwright() as playwright,
    ):
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            server = psutil.Process(process.pid)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(OPTIONS))
            page = browser.new_page(locale="en-GB")
            page.set_default_timeout(BROWSER_SECONDS)
            page.goto(f"{address}?lang=en")
            page.wait_for_selector("#start")
            if "--accept-weak" in options:
                page.get_by_text("More choices").click()
                page.get_by_label("Also give me photos").check()
            before, began = sum(server.cpu_times()[:2]), time.perf_counter()
            page.set_input_files("#photos input[type=file]", str(photo))
            page.wait_for_selector(".dc-names li")
            page.click("#start")
            page.wait_for_selector(".dc-result, #status .dc-notice")
            with page.expect_download() as started:
                page.get_by_role("link", name="Download the photo").click()
            started.value.save_as(str(saved))
            seconds = time.perf_counter() - began
            computing = sum(server.cpu_times()[:2]) - before
            with page.expect_download() as started:
                page.get_by_role("link", name="Download the report").click()
            started.value.save_as(f"{saved}.json")
            peak = _status("VmHWM", process.pid)
            browser.close()
        finally:
            process.terminate()
    return _row(saved, seconds, computing, peak)


def _row(saved: Path, seconds: float, computing: float, peak: int) -> dict[str, Any]:
    report = json.loads(Path(f"{saved}.json").read_text(encoding="utf-8"))
    return {
        "seconds": seconds,
        "computing": computing,
        "peak": peak,
        "protecting": report["seconds"],
        "level": report["verification"]["level"],
        "sha256": hashlib.sha256(saved.read_bytes()).hexdigest(),
    }


def describe(found: dict[str, Any]) -> str:
    """The part of docs/app.md, of what was measured."""
    rounds = found["rounds"]
    names = {"command": "`decontext protect`", "page": "the page"}
    units = {"seconds": 1, "protecting": 1, "computing": 1, "peak": 1e6}
    of = {
        way: {name: median(one[way][name] / unit for one in rounds) for name, unit in units.items()}
        for way in names
    }
    rows = [
        [
            shown,
            f"{of[way]['seconds']:.1f} s",
            f"{of[way]['protecting']:.1f} s",
            f"{of[way]['computing']:.1f} s",
            f"{of[way]['peak']:.0f} MB",
        ]
        for way, shown in names.items()
    ]
    more = {
        name: 100 * (median(one["page"][name] / one["command"][name] for one in rounds) - 1)
        for name in units
    }
    rows.append(["more", *(f"{more[name]:+.1f} %" for name in units)])
    bare = of["command"]["computing"] - found["starting"]
    share = 100 * (of["page"]["computing"] / bare - 1)
    same = sum(one["page"]["sha256"] == one["command"]["sha256"] for one in rounds)
    heading = ["", "drop to download", "of it protecting", "computing", "memory at most"]
    photo, steps = found["photo"], " ".join(found["options"]) or "the usual settings"
    return (
        f"{photo['width']} x {photo['height']} pixels, {photo['bytes'] / 1e6:.1f} MB as JPEG, "
        f"kontext-mini, {steps}, {found['threads']} thread; rounds: {len(rounds)}, medians. "
        f"In {same} of {len(rounds)} rounds both saved the very same file.\n\n"
        + table(heading, rows)
        + f"\n\nThe command computes {found['starting']:.1f} s until Python, torch and our modules "
        "are loaded, which the page did before; against the rest of it the page computes "
        f"{share:+.1f} %. What else the machine did is in the times by the clock."
    )


def _case(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in ("rounds", "starting")}


def main() -> None:
    """Measure the rounds that are missing, print, and write the table into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", help="of both; the usual number where it is not given")
    parser.add_argument("--accept-weak", action="store_true")
    parser.add_argument("--again", action="store_true", help="forget the rounds of before")
    given = parser.parse_args()
    options = ["--steps", given.steps] if given.steps else []
    options += ["--accept-weak"] if given.accept_weak else []
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "photo.jpg"
        make_photo(photo)
        size = {"width": SIZE[0], "height": SIZE[1], "bytes": photo.stat().st_size}
        found = {"photo": size, "options": options, "rounds": []}
        found["threads"] = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
        found["starting"] = measure_start()
        before = read_measured().get(PART)
        if before and not given.again and _case(before) == _case(found):
            found = before | {"starting": found["starting"]}
        while len(found["rounds"]) < given.rounds:
            ways = [("command", by_command), ("page", by_page)]
            turned = ways[:: -1 if len(found["rounds"]) % 2 else 1]
            one = {name: measure(photo, options) for name, measure in turned}
            print({way: one[way] for way in ("command", "page")}, flush=True)
            found["rounds"].append(one)
            keep_measured(PART, found, describe(found))
    keep_measured(PART, found, describe(found))
    print(describe(found))


if __name__ == "__main__":
    main()
