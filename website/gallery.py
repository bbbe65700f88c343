"""The gallery of the site: `python -m website.gallery` protects, edits, measures and writes it.

Photos that may be shipped, the method's own defaults, the embedded editor. Figures go into
docs/gallery.json, pictures into docs/images/gallery, and docs/gallery.md is written from both: what
the page says is what came out.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

import decontext
from decontext.editors import Editor
from decontext.evaluation.identity import THRESHOLD, FaceRecogniser, compare_faces
from decontext.photo.images import load_photo, to_array
from decontext.photo.portraits import PORTRAITS

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PICTURES = DOCS / "images" / "gallery"
RESULTS, PAGE = DOCS / "gallery.json", DOCS / "gallery.md"
EDITOR = "kontext-mini"
INSTRUCTIONS = (
    "keep the picture as it is",
    "put a red hat on the person",
    "make it black and white",
)
SHOWN = 512
"""Pixels of the longer side, on the page; what is protected and measured is the whole photo."""


def main() -> None:
    """Make all of it again."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    editor, recogniser = decontext.load_editor(EDITOR), FaceRecogniser()
    shown = [show(path, editor, recogniser) for path in PORTRAITS]
    RESULTS.write_text(json.dumps(shown, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(write(shown), encoding="utf-8")
    print(PAGE)


def show(path: Path, editor: Editor, recogniser: FaceRecogniser) -> dict[str, Any]:
    """One photo: protected and edited; its figures, and its pictures in files."""
    photo, result = load_photo(path), decontext.protect(path, editor)
    _save(photo.pixels, f"{path.stem}-photo")
    _save(result.image, f"{path.stem}-protected")
    edits = []
    for number, instruction in enumerate(INSTRUCTIONS):
        pictures = [
            decontext.edit(source, instruction, editor).image
            for source in (photo.pixels, result.image)
        ]
        for picture, name in zip(pictures, ("photo", "protected"), strict=True):
            _save(picture, f"{path.stem}-{name}-{number}")
        alike = compare_faces([to_array(p) for p in (photo.pixels, *pictures)], recogniser)
        edits.append({"instruction": instruction, "identity": alike})
    seen = result.visibility
    return {
        "name": path.stem,
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
        "and against nothing else.** Faces are compared by SFace; the same person from "
        f"{THRESHOLD}.",
        "",
    ]
    for one in shown:
        lines += _photo(one)
    return "\n".join(lines)


def _photo(one: dict[str, Any]) -> list[str]:
    name = one["name"]
    title = name.replace("_", " ").title()
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
        *(line for number, edit in enumerate(one["edits"]) for line in _edit(name, number, edit)),
    ]


_BOTH = (("photo", "The photo"), ("protected", "Protected"))


def _edit(name: str, number: int, edit: dict[str, Any]) -> list[str]:
    words = [
        f"of the {'photo' if kind == 'photo' else 'protected photo'}: {_alike(value)}"
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


def _alike(value: float | None) -> str:
    if value is None:
        return "no face found"
    return f"{'the same person' if value >= THRESHOLD else 'somebody else'} ({value:.2f})"


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
