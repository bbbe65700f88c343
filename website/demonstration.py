"""The demonstration's figures and picture in README: `python -m website.demonstration`.

Runs what `decontext demo` runs, with its defaults, and writes docs/demo.json, the picture, and the
two parts of README; with --write only the parts of README, from docs/demo.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from benchmarks.sections import ROOT, put, table
from decontext.demo.results import Demonstration, Exhibit, shows
from decontext.photo.images import to_array
from study.write import describe_machine

RESULTS, README = ROOT / "docs" / "demo.json", ROOT / "README.md"
PICTURE = ROOT / "docs" / "images" / "demo.webp"
HEIGHT, GAP = 160, 6
"""Pixels of a row of the picture, and between its parts."""

NUMBERS, SHOWN = "demo numbers", "demo picture"


def main() -> None:
    """Run it, and write file, picture and README."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="compute nothing")
    if not parser.parse_args().write:
        from decontext.demo.run import run_demo
        from decontext.editors import load_editor

        began, computed = time.monotonic(), time.process_time()
        found = run_demo(ROOT / "build" / "demo", load_editor("kontext-mini"), force=True)
        spent = {"passed": time.monotonic() - began, "computing": time.process_time() - computed}
        values = collect(found) | {key: round(value, 1) for key, value in spent.items()}
        RESULTS.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", "utf-8")
        draw(max(found.exhibits, key=_shown)).save(PICTURE, quality=90, method=6)
    write_readme(json.loads(RESULTS.read_text("utf-8")), README)


def collect(found: Demonstration) -> dict[str, Any]:
    """The figures of a demonstration."""
    return {
        "on": datetime.date.today().isoformat(),
        "machine": describe_machine(),
        "settings": found.settings.to_dict(),
        "portraits": [
            {
                "name": one.name,
                "photo": one.result.verification.original,
                "protected": one.result.verification.protected_mean,
                "noise": one.result.verification.random,
                "level": one.result.verification.level,
                "visibility": one.result.visibility.to_dict(),
                "words": one.result.visibility.words,
                "edits": [
                    {"instruction": edit.instruction, "identity": list(edit.similarities)}
                    for edit in one.edits
                ],
            }
            for one in found.exhibits
        ],
    }


def draw(exhibit: Exhibit) -> Image.Image:
    """Photo, noisy and protected copy, one a row, each before its edits."""
    rows = [
        [exhibit.photo.pixels, *(edit.of_original for edit in exhibit.edits)],
        [exhibit.noisy, *(edit.of_noisy for edit in exhibit.edits)],
        [exhibit.result.image, *(edit.of_protected for edit in exhibit.edits)],
    ]
    pictures = [[_reduce(picture) for picture in row] for row in rows]
    width = sum(one.width + GAP for one in pictures[0]) - GAP
    sheet = Image.new("RGB", (width, len(rows) * (HEIGHT + GAP) - GAP), "white")
    for number, row in enumerate(pictures):
        left = 0
        for picture in row:
            sheet.paste(picture, (left, number * (HEIGHT + GAP)))
            left += picture.width + GAP
    return sheet


def _shown(exhibit: Exhibit) -> int:
    """In how many edits of the photo the person is shown."""
    return sum(shows(edit.similarity_original) for edit in exhibit.edits)


def _reduce(picture: Tensor) -> Image.Image:
    image = Image.fromarray(to_array(picture))
    width = round(image.width * HEIGHT / image.height)
    return image.resize((width, HEIGHT), Image.Resampling.LANCZOS)


def write_readme(values: dict[str, Any], readme: Path) -> None:
    """Put both parts into README."""
    put(readme, SHOWN, caption(values), measured=False)
    put(readme, NUMBERS, numbers(values), measured=False)


def caption(values: dict[str, Any]) -> str:
    """The picture and what is to be seen in it."""
    first = max(values["portraits"], key=lambda one: _count(one["edits"], 0))
    asked = [edit["instruction"] for edit in first["edits"]]
    return (
        "![A portrait, a noisy and its protected copy, and what the embedded editor makes of each]"
        f"(docs/images/{PICTURE.name})\n\n"
        "*First row: a portrait that no training saw, and edits of it by the embedded editor "
        f"`kontext-mini`\n({'; '.join(asked)}).\nSecond: the same with random noise as strong. "
        f"Third: its protected copy, whose change {first['words']}; the same edits,\nthe same "
        "seeds. The embedded editor works at 128 pixels and is still young: it copies, changes "
        "backgrounds, colours and\nhats; on real photos it hardly follows smiles and puts glasses "
        "in the wrong place.*"
    )


def numbers(values: dict[str, Any]) -> str:
    """What was measured, as a table and a sentence."""
    portraits = values["portraits"]
    rows = []
    for one in portraits:
        counts = [_count(one["edits"], place) for place in range(3)]
        score = one["visibility"]["ssimulacra2"]
        rows.append(
            [
                one["name"].replace("_", " ").title(),
                f"{one['photo']:.3f}",
                f"{one['protected']:.3f}",
                f"{one['noise']:.3f}",
                *(f"{count} of {len(one['edits'])}" for count in counts),
                "–" if score is None else f"{score:.0f}",
            ]
        )
    head = (
        "portrait", "context proportion", "protected", "random noise as strong",
        "same person in edits of the photo", "of the noisy copy", "of the protected copy",
        "SSIMULACRA2",
    )  # fmt: skip
    return "\n".join(
        [
            f"What it found on {values['on']} ({values['machine']}, "
            f"{values['computing']:.0f} seconds of computing, all settings as they are if nothing "
            "is said;",
            "every figure: [docs/demo.json](docs/demo.json)). SSIMULACRA2 says how visible the "
            "change is: 100 is none, 70 good, 50 plain.",
            "",
            table(head, rows),
            "",
            _sentence(portraits),
        ]
    )


def _count(edits: Sequence[dict[str, Any]], place: int) -> int:
    return sum(shows(edit["identity"][place]) for edit in edits)


def _sentence(portraits: Sequence[dict[str, Any]]) -> str:
    """What edits of the protected copies show."""
    found = [edit["identity"][2] for one in portraits for edit in one["edits"]]
    nobody, same = sum(value is None for value in found), sum(map(shows, found))
    others = len(found) - nobody - same
    return (
        f"Of the {len(found)} edits of protected copies {same} show the person by SFace, {others} "
        f"somebody else, and in {nobody} it found no face."
    )


if __name__ == "__main__":
    main()
