"""How many edits show the person, by how far attention fell under the least visible change.

    python -m study.falls --editor kontext-mini --photos 90002,90003 --ratio 1 --falls 0.35,0.45,0.6
    python -m study.falls --write        # only the table of docs/measuring.md

`verdicts` reads the same off sign steps, which use up a budget and leave few falls between a fifth
and a half. Here photos are protected for several wanted falls, and each is measured and edited as
it was saved and in published copies: every pair of a version and a copy is a case, with the fall of
that copy and what its edits show. Both embedded editors; rows go into docs/falls.jsonl, and what is
there is not measured again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from torch import Tensor

from benchmarks.sections import put
from benchmarks.visibility import SOURCES, copies_of, judge_edits, load_photos
from benchmarks.visibility_page import is_rendered
from decontext.evaluation.recognisers import (
    SYNTHETIC_THRESHOLDS,
    DlibRecogniser,
    FaceRecogniser,
)
from decontext.evaluation.tables import Table, percent
from decontext.photo.images import Photo
from decontext.prompts import HELD_OUT
from decontext.settings import ProtectSettings
from study.verdicts import DOCS, Case, ranges
from study.write import to_markdown

ROWS = DOCS / "falls.jsonl"
INSTRUCTIONS = (HELD_OUT[4], HELD_OUT[0], HELD_OUT[1])
"""Leave it the same, a smile, a red hat: of unprotected photos nearly all show the person."""

AFTER = ("none", "jpeg-75", "resize-0.5", "jpeg-75+resize-0.5", "crop-5", "blur-1")
EDIT_STEPS = 8
BOUNDS = (0.10, 0.20, 0.30, 0.35, 0.40, 0.45, 0.50, 0.60)


def main() -> None:
    """Measure what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--editor", default="kontext-mini")
    parser.add_argument("--photos", default="90002,90003,90004,90005", help="names, with commas")
    parser.add_argument("--ratio", type=int, default=1, help="photo size by working size")
    parser.add_argument("--falls", default="0.35,0.45,0.6", help="wanted, with commas")
    parser.add_argument("--write", action="store_true", help="measure nothing")
    args = parser.parse_args()
    if not args.write:
        falls = [float(text) for text in args.falls.split(",")]
        measure(args.editor, args.ratio, falls, args.photos.split(","))
    table = "\n".join(to_markdown(tabulate(kept_rows())))
    put(DOCS / "measuring.md", "falls", table, measured=False)


def measure(editor_name: str, ratio: int, falls: Sequence[float], names: Sequence[str]) -> None:
    """Protect, measure and edit every photo for every wanted fall; rows are added one by one."""
    import torch

    import decontext

    torch.set_num_threads(1)
    known = {key_of(row) for row in kept_rows()}
    editor = decontext.load_editor(editor_name)
    unknown = [name for name in names if name not in SOURCES]
    if unknown:
        raise SystemExit(f"no such photo: {', '.join(unknown)}; there are {', '.join(SOURCES)}")
    for name, photo in load_photos(ratio, names):
        for wanted in (None, *falls):
            said = {"editor": editor_name, "photo": name, "ratio": ratio, "wanted": wanted}
            if key_of(said) not in known:
                row = said | _measure(photo, editor, wanted, rendered=is_rendered(said))
                with ROWS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(*said.values(), row.get("falls"), flush=True)


def kept_rows() -> list[dict[str, Any]]:
    """What was measured so far."""
    lines = ROWS.read_text("utf-8").splitlines() if ROWS.exists() else ()
    return [json.loads(line) for line in lines]


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a row is of."""
    return tuple(row[name] for name in ("editor", "photo", "ratio", "wanted"))


def _measure(photo: Photo, editor: Any, wanted: float | None, *, rendered: bool) -> dict[str, Any]:
    from decontext.progress import drain
    from decontext.protect import protect_steps
    from decontext.verify import verify_after
    from decontext.visibility.scores import ssimulacra2

    def edits(image: Tensor) -> dict[str, Any]:
        pictures = copies_of(image, AFTER)
        return judge_edits(
            photo, pictures, editor, INSTRUCTIONS, rendered=rendered, steps=EDIT_STEPS
        )

    if wanted is None:
        return {"edits": edits(photo.pixels)}
    image = drain(protect_steps(photo, editor, ProtectSettings(fall=wanted, robust="web")))
    found = verify_after(AFTER, image, photo, editor, prompts=HELD_OUT[:4], noises=1)
    return {
        "ssimulacra2": round(ssimulacra2(photo.pixels, image) or 0.0, 1),
        "falls": {one.transform: round(one.drop, 3) for one in found},
        "edits": edits(image),
    }


def read_cases(rows: Iterable[dict[str, Any]], editor: str) -> Iterator[Case]:
    """Every version of an editor in every copy; of originals there is no fall."""
    for row in rows:
        if row["editor"] != editor or row["wanted"] is None:
            continue
        for transform, edits in row["edits"].items():
            yield Case(
                drop=row["falls"][transform],
                edits=len(edits),
                shown=shown_of(row, edits),
                worst=max((edit["sface"] for edit in edits if edit["sface"] is not None),
                          default=float("nan")),
            )  # fmt: skip


def shown_of(row: dict[str, Any], edits: Iterable[dict[str, float | None]]) -> int:
    """How many of a row's edits show the person by any recogniser."""
    theirs = {kind.name: kind.threshold for kind in (FaceRecogniser, DlibRecogniser)}
    bounds = SYNTHETIC_THRESHOLDS if is_rendered(row) else theirs
    return sum(
        any((edit.get(name) or 0.0) >= bound for name, bound in bounds.items()) for edit in edits
    )


def tabulate(rows: Sequence[dict[str, Any]]) -> Table:
    """One row for each range of falls, with columns for each editor."""
    editors = sorted({row["editor"] for row in rows}, reverse=True)
    heads = [f"{name}: {what}" for name in editors for what in ("edits", "show the person")]
    table: Table = [("attention fell by", *heads)]
    clean = [
        [
            (len(edits), shown_of(row, edits))
            for row in rows
            if row["editor"] == name and row["wanted"] is None
            for edits in row["edits"].values()
        ]
        for name in editors
    ]
    table.append(("nothing: the original", *chain(*map(_cells, clean))))
    cases = [list(read_cases(rows, name)) for name in editors]
    for said, low, high in ranges(BOUNDS):
        inside = [
            [(case.edits, case.shown) for case in found if low <= case.drop < high]
            for found in cases
        ]
        table.append((said, *chain(*map(_cells, inside))))
    return table


def _cells(counts: Sequence[tuple[int, int]]) -> tuple[str, str]:
    """How many edits there are, and which part of them shows the person."""
    edits, shown = (sum(values) for values in zip(*counts, strict=True)) if counts else (0, 0)
    return (str(edits), percent(shown / edits)) if edits else ("", "")


if __name__ == "__main__":
    main()
