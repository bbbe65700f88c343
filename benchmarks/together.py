"""What protecting against two editors at once costs, beside protecting against each alone.

    python -m benchmarks.together --editor kontext-mini --editor klein-mini \
        --people 8 --out build/together [--page docs/performance.md]

Every person of the study is protected three times with the same settings: against the first editor,
against the second, and against both. Every result is edited with both editors, and SFace says how
much less of the person the edits show than those of the unprotected photo. An editor is a name, or
`NAME=FOLDER` with other weights. Wanted: that both together keep at least 80 % of each single fall,
at equal visibility, in at most twice the passes. Stopped and started again it goes on.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.sections import put, table
from decontext.editors import Editor, load_editor
from decontext.editors.several import Crew
from decontext.evaluation.identity import FaceRecogniser, compare_faces
from decontext.photo.images import load_photo, to_array
from decontext.progress import Counter, drain
from decontext.protect import protect_steps
from decontext.settings import ProtectSettings
from decontext.verify import verify
from decontext.visibility.scores import measure_visibility
from study.parts import INSTRUCTIONS, PEOPLE

BOTH = "both"
BUDGET = 16 / 255
Row = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure who is not measured yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--editor", action="append", required=True)
    parser.add_argument("--out", type=Path, default=Path("build/together"))
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--method", default="sign", help="sign: equal visibility")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--edit-steps", type=int, default=8)
    parser.add_argument("--robust", default="web")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args(arguments)
    crew = Crew([_load(said) for said in options.editor])
    if len(crew) != 2:
        parser.error("give --editor twice")
    given: dict[str, Any] = {} if options.steps is None else {"steps": options.steps}
    if options.method == "sign":
        given["epsilon"] = BUDGET
    settings = ProtectSettings(method=options.method, robust=options.robust, **given)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for path in sorted(PEOPLE.glob("*.webp"))[: options.people]:
        kept = options.out / f"{path.stem}.json"
        if not kept.exists():
            found = measure_person(path, crew, settings, options.edit_steps)
            kept.write_text(json.dumps(found) + "\n", encoding="utf-8")
        rows += json.loads(kept.read_text("utf-8"))
        print(path.name, flush=True)
    text = summarise(rows, [one.info.name for one in crew])
    print(text)
    if options.page is not None:
        put(options.page, f"together-{options.method}", text)


def measure_person(path: Path, crew: Crew, settings: ProtectSettings, edit_steps: int) -> list[Row]:
    """A row for each protection and editor."""
    photo = load_photo(path)
    faces = FaceRecogniser()
    plain = {
        one.info.name: show(faces, photo.pixels, photo.pixels, one, edit_steps) for one in crew
    }
    rows: list[Row] = []
    ways = {one.info.name: Crew([one]) for one in crew} | {BOTH: crew}
    for name, chosen in ways.items():
        began, counter = time.monotonic(), Counter(None, 0)
        picture = drain(protect_steps(photo, chosen, settings), counter)
        seconds = time.monotonic() - began
        seen = measure_visibility(photo.pixels, picture)
        for one in crew:
            editor = one.info.name
            shown = show(faces, photo.pixels, picture, one, edit_steps)
            found = verify(picture, photo.pixels, one, noises=1, blocks=settings.blocks)
            rows.append(
                {
                    "person": path.stem,
                    "against": name,
                    "edited_with": editor,
                    "passes": counter.done * len(chosen),
                    "seconds": seconds,
                    "ssimulacra2": seen.ssimulacra2,
                    "attention_fall": found.drop,
                    "identity_fall": plain[editor] - shown,
                }
            )
    return rows


def show(
    faces: FaceRecogniser, original: Tensor, picture: Tensor, editor: Editor, steps: int
) -> float:
    """How much of the person edits show: SFace's mean cosine; no face at all shows nothing."""
    edits = [
        editor.edit(picture, text, seed=number, steps=steps)
        for number, text in enumerate(INSTRUCTIONS[:2])
    ]
    found = compare_faces([to_array(image) for image in (original, *edits)], faces)
    return statistics.fmean(value or 0.0 for value in found)


def summarise(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The table: means over people, and what both together keep of the single falls."""
    lines = []
    for against in (*names, BOTH):
        for editor in names:
            chosen = [
                row for row in rows if (row["against"], row["edited_with"]) == (against, editor)
            ]
            alone = [row for row in rows if row["against"] == row["edited_with"] == editor]
            fall, single = _mean(chosen, "identity_fall"), _mean(alone, "identity_fall")
            kept = f"{fall / single:.0%}" if against == BOTH and single > 0 else ""
            lines.append(
                (
                    against,
                    editor,
                    f"{_mean(chosen, 'attention_fall'):.0%}",
                    f"{fall:.3f}",
                    kept,
                    f"{_mean(chosen, 'ssimulacra2'):.1f}",
                    f"{_mean(chosen, 'passes'):.0f}",
                )
            )
    people = len({row["person"] for row in rows})
    heading = (
        "protected against",
        "edited with",
        "attention fell by",
        "identity fell by",
        "of its single run",
        "SSIMULACRA2",
        "steps of editors",
    )
    return f"{table(heading, lines)}\n\nMeans over {people} people of the study; SFace's cosine."


def _mean(rows: Sequence[Row], name: str) -> float:
    return statistics.fmean(row[name] for row in rows)


def _load(said: str) -> Editor:
    name, _, weights = said.partition("=")
    return load_editor(name, source=weights or None, device="cpu")


if __name__ == "__main__":
    main()
