"""How visible each strength is on a few portraits: `python -m benchmarks.strengths`.

The page of `decontext app` says this before a run, see `decontext.app.calibration`. Both portraits
of the package, at their own size and reduced to half of it, are protected with the embedded editor
at each strength. One of them, the face of Grace Hopper, is shown before and after. Writes
`src/decontext/app/strengths/`; minutes on one core. Stopped and started again it goes on; `--again`
measures anew.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from PIL import Image

import decontext
from decontext.app.calibration import FOLDER, RESULTS
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.settings import FALLS, ProtectSettings

EDITOR = "kontext-mini"
LARGEST = 640
"""Pixels: portraits are reduced to this longest side, and to half of it."""

SHOWN = (0.14, 0.06, 0.86, 0.74)
"""The part of the portrait that is shown: left, top, right, bottom, as parts of it."""


def main() -> None:
    """Measure, and write the table and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=ProtectSettings().steps)
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    given = parser.parse_args()
    steps = given.steps
    editor = decontext.load_editor(EDITOR)
    portraits = [
        _reduced(path, side)
        for path in (GRACE_HOPPER, ASTRONAUT)
        for side in (LARGEST, LARGEST // 2)
    ]
    FOLDER.mkdir(exist_ok=True)
    found: dict[str, Any] = {}
    if RESULTS.is_file() and not given.again:
        found = json.loads(RESULTS.read_text(encoding="utf-8")).get(EDITOR, {})
    for strength in FALLS:
        if strength in found:
            continue
        settings = ProtectSettings(method="least-visible", strength=strength, steps=steps)
        results = [
            decontext.protect(portrait, editor, settings=settings, accept_weak=True)
            for portrait in portraits
        ]
        found[strength] = _summarise(results) | _show(portraits[0], results[0], strength)
        print(strength, found[strength], flush=True)
        content = json.dumps({EDITOR: found}, indent=1) + "\n"
        RESULTS.write_text(content, encoding="utf-8")


def _reduced(path: Path, side: int) -> Image.Image:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _summarise(results: list[decontext.Result]) -> dict[str, Any]:
    """The middle portrait by SSIMULACRA2, and the extremes."""
    ordered = sorted(results, key=lambda result: result.visibility.ssimulacra2 or 0.0)
    scores = [result.visibility.ssimulacra2 or 0.0 for result in ordered]
    return {
        "count": len(results),
        "pixels": LARGEST,
        "words": ordered[(len(ordered) - 1) // 2].visibility.words,
        "low": scores[0],
        "middle": statistics.median(scores),
        "high": scores[-1],
        "fall": statistics.median(result.verification.drop for result in results),
    }


def _show(portrait: Image.Image, result: decontext.Result, strength: str) -> dict[str, Any]:
    """Write the part that is shown, before and after, without loss."""
    width, height = portrait.size
    box = tuple(round(part * side) for part, side in zip(SHOWN, (width, height) * 2, strict=True))
    pictures = {"before": portrait, f"after-{strength}": result.to_pil()}
    for name, picture in pictures.items():
        cut = picture.crop(box).convert("RGB")
        cut.save(FOLDER / f"{name}.webp", lossless=True, quality=100, method=6)
    size = {"width": box[2] - box[0], "height": box[3] - box[1]}
    return {"before": "before.webp", "after": f"after-{strength}.webp"} | size


if __name__ == "__main__":
    main()
