"""The gallery of the site: `python -m website.gallery` protects, edits, measures and writes it.

Two photographs that may be shipped and two rendered people, the method's own defaults, the embedded
editor. Figures go into docs/gallery.json, pictures into docs/images/gallery, and docs/gallery.md is
written from both: what the page says is what came out. `--only NAME` makes one photo again, --write
only the page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

import decontext
from decontext.editors import Editor
from decontext.evaluation.recognisers import PersonJudge
from decontext.photo.images import load_photo, to_array
from decontext.photo.portraits import PORTRAITS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PICTURES = DOCS / "images" / "gallery"
RESULTS, PAGE = DOCS / "gallery.json", DOCS / "gallery.md"
EDITOR = "kontext-mini"
PEOPLE = ROOT / "study" / "people"
PHOTOS = (*PORTRAITS, PEOPLE / "90004.webp", PEOPLE / "90012.webp")
RECOGNISER = "sface"
INSTRUCTIONS = (
    "keep the picture as it is",
    "put a red hat on the person",
    "make it black and white",
)
SHOWN = 512
"""Pixels of the longer side, on the page; what is protected and measured is the whole photo."""


def main() -> None:
    """Make all of it, or one photo, again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[path.stem for path in PHOTOS])
    parser.add_argument("--write", action="store_true", help="compute nothing")
    given = parser.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else []
    found = {one["name"]: one for one in known}
    if not given.write:
        editor = decontext.load_editor(EDITOR)
        for path in PHOTOS:
            if given.only in (None, path.stem):
                found[path.stem] = show(path, editor)
    shown = [found[path.stem] for path in PHOTOS if path.stem in found]
    RESULTS.write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(write(shown), encoding="utf-8")
    print(PAGE)


def show(path: Path, editor: Editor) -> dict[str, Any]:
    """One photo: protected and edited; its figures, and its pictures in files."""
    photo, result = load_photo(path), decontext.protect(path, editor, accept_weak=True)
    judge = PersonJudge(centred=path.parent == PEOPLE)
    person = judge.describe(to_array(photo.pixels))
    _save(photo.pixels, f"{path.stem}-photo")
    _save(result.image, f"{path.stem}-protected")
    edits = []
    for number, instruction in enumerate(INSTRUCTIONS):
        alike = []
        for source, name in ((photo.pixels, "photo"), (result.image, "protected")):
            picture = decontext.edit(source, instruction, editor).image
            _save(picture, f"{path.stem}-{name}-{number}")
            alike.append(judge.compare(person, judge.describe(to_array(picture)))[RECOGNISER])
        edits.append({"instruction": instruction, "identity": alike})
    seen = result.visibility
    return {
        "name": path.stem,
        "rendered": path.parent == PEOPLE,
        "threshold": judge.thresholds[RECOGNISER],
        "size": photo.size,
        "editor": EDITOR,
        "settings": result.settings.to_dict(),
        "verdict": result.verification.sentence,
        "visibility": seen.to_dict(),
        "words": seen.words,
        "edits": edits,
    }


def write(shown: list[dict[str, Any]]) -> str:
    """The page in Markdown, from the figures."""
    lines = [
        "# Gallery",
        "",
        "Photo and protected photo under one handle, and what the editor makes of both: the same",
        "instructions, the same seeds, the settings that a command has if nothing is said.",
        "Made by `python -m website.gallery`; all figures as JSON: [gallery.json](gallery.json).",
        "",
        f"`{EDITOR}` is the embedded demonstration editor. **These photos are protected against it",
        "and against nothing else.** It works at about 128 x 128 pixels. Faces are compared by",
        "SFace; whom an edit shows is said with the similarity.",
        "",
    ]
    for one in shown:
        lines += _photo(one)
    return "\n".join(lines)


def _photo(one: dict[str, Any]) -> list[str]:
    name = one["name"]
    title = f"Rendered person {name}" if one["rendered"] else name.replace("_", " ").title()
    score = one["visibility"]["ssimulacra2"]
    said = f"SSIMULACRA2 {score:.0f} of 100" if score is not None else "not scored"
    width, height = one["size"]
    return [
        f"## {title}",
        "",
        f"{width} x {height} pixels. {one['verdict']} The change {one['words']} ({said}).",
        "",
        '<div class="slider">',
        *(_figure(f"{name}-{kind}", words) for kind, words in _BOTH),
        "</div>",
        "",
        *(line for number, edit in enumerate(one["edits"]) for line in _edit(one, number, edit)),
    ]


_BOTH = (("photo", "The photo"), ("protected", "Protected"))


def _edit(one: dict[str, Any], number: int, edit: dict[str, Any]) -> list[str]:
    name, least = one["name"], one["threshold"]
    words = [
        f"of the {'photo' if kind == 'photo' else 'protected photo'}: {_alike(value, least)}"
        for (kind, _), value in zip(_BOTH, edit["identity"], strict=True)
    ]
    return [
        f"“{edit['instruction']}”",
        "",
        '<div class="pair">',
        *(
            _figure(f"{name}-{kind}-{number}", text)
            for (kind, _), text in zip(_BOTH, words, strict=True)
        ),
        "</div>",
        "",
    ]


def _alike(value: float | None, threshold: float) -> str:
    if value is None:
        return "no face found"
    return f"{'the same person' if value >= threshold else 'somebody else'} ({value:.2f})"


def _figure(file: str, words: str) -> str:
    return (
        f'<figure><img src="images/gallery/{file}.webp" alt="{words}" loading="lazy">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _save(picture: Tensor, name: str) -> None:
    image = Image.fromarray(to_array(picture))
    scale = SHOWN / max(image.size)
    if scale < 1:
        image = image.resize(
            (round(image.width * scale), round(image.height * scale)), Image.LANCZOS
        )
    image.save(PICTURES / f"{name}.webp", quality=92, method=6)


if __name__ == "__main__":
    main()
