"""Both published protocols on the embedded editors, over the study's people: docs/protocols.json.

    python -m study.protocols --editor kontext-mini --protocol decontext --shard 1/6
    python -m study.protocols --write       # the documents alone, from the rows that are there

Every piece is a share of the people and goes on where it was stopped, killed or not; what it took
is kept beside its rows. `study/several` holds the people, two pictures each; the pairs of
VetoBench's form are their first pictures with an instruction each.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.sections import ROOT, put
from decontext.editors import Editor, load_editor
from decontext.evaluation.figures import Figures
from decontext.evaluation.plan import ORIGINAL
from decontext.evaluation.protocols.page import lead, part_table
from decontext.evaluation.protocols.pairs import NAME as PAIRS
from decontext.evaluation.protocols.plans import Part
from decontext.evaluation.protocols.run import Task, choose_parts, read_all, run_protocol
from decontext.evaluation.results import Row
from decontext.photo.files import write_whole
from decontext.prompts import HELD_OUT
from study.write import describe_machine, to_markdown

PEOPLE = Path(__file__).with_name("several")
OUT = ROOT / "build" / "protocols"
RESULTS, PAGE = ROOT / "docs" / "protocols.json", ROOT / "docs" / "results.md"
STEPS, EDIT_STEPS = 42, 8
"""As many as the search for the least visible change usually takes; denoising steps of an edit."""

ASKED = tuple(HELD_OUT[index] for index in (4, 0, 5))
"""Instructions of the pairs, in turn."""

ONE_PHOTO = ("baseline", "budgets", "blocks", "timesteps")
"""Parts of the paper that are asked of one picture of each person; `main` of two."""

TITLES = {"decontext": "The paper's protocol", "veto": "VetoBench's form"}


def main() -> None:
    """Run a piece, or write the documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--editor", default="kontext-mini")
    parser.add_argument("--protocol", choices=TITLES, default="decontext")
    parser.add_argument("--parts", default="", help="of the protocol, with commas")
    parser.add_argument("--shard", default="1/1", help="of the people")
    parser.add_argument("--write", action="store_true", help="compute nothing")
    given = parser.parse_args()
    if given.write:
        write_documents(OUT)
        return
    number, count = map(int, given.shard.split("/"))
    folder = OUT / given.editor / given.protocol
    parts = tuple(given.parts.split(",")) if given.parts else ()
    editor = load_editor(given.editor, device="cpu")
    run_piece(given.protocol, editor, folder, parts, shard=(number, count))


def run_piece(
    protocol: str,
    editor: Editor,
    folder: Path,
    parts: Sequence[str] = (),
    *,
    shard: tuple[int, int] = (1, 1),
) -> None:
    """Do what is missing of a share, and write down after each picture how long it took."""
    task = build_task(protocol, folder, shard=shard)
    wanted = [part.name for part in choose_parts(task, editor)]
    began = time.monotonic()

    def note(*_: object) -> None:
        spent = {"computing": time.process_time(), "passed": time.monotonic() - began}
        write_whole(json.dumps(spent).encode(), folder / f"time-{os.getpid()}.json")

    folder.mkdir(parents=True, exist_ok=True)
    for name in parts or wanted:
        each = 1 if name in ONE_PHOTO else None
        run_protocol(
            replace(task, parts=(name,), photos_each=each), folder, editor, on_progress=note
        )
    note()


def build_task(protocol: str, folder: Path, *, shard: tuple[int, int] = (1, 1)) -> Task:
    """What is asked of whom; for pairs a folder is made."""
    people = PEOPLE
    if protocol == "veto":
        people = folder.parent / "pairs"
        people.mkdir(parents=True, exist_ok=True)
        lines = [
            json.dumps({"image": str(person / "1.webp"), "prompt": ASKED[number % len(ASKED)]})
            for number, person in enumerate(sorted(PEOPLE.iterdir()))
        ]
        (people / PAIRS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Task(
        protocol=protocol,
        folder=people,
        shard=shard,
        rendered=True,
        edit_steps=EDIT_STEPS,
        settings={"steps": STEPS, "working_size": "ordinary"},
    )


def write_documents(out: Path) -> None:
    """What the rows in `out` say, into docs/protocols.json and docs/results.md."""
    found = []
    for place in sorted(path for path in out.glob("*/*") if path.name in TITLES):
        found.append(collect(place.name, load_editor(place.parent.name, device="cpu"), place))
    RESULTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    put(PAGE, "protocols", build_section(found), measured=False)
    print(RESULTS, PAGE)


def collect(protocol: str, editor: Editor, folder: Path) -> dict[str, Any]:
    """Tables of a protocol on an editor, what they hold for, and what they took."""
    task = build_task(protocol, folder)
    figures = Figures(read_all(folder))
    tables = {}
    for part in choose_parts(task, editor):
        whole = Figures(_whole_photos(part, figures.rows))
        if whole.edits(ORIGINAL):
            tables[part.name] = (part.title, part_table(part, whole))
    spent = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("time-*.json"))]
    return {
        "protocol": protocol,
        "editor": editor.info.name,
        "weights": figures.heading["weights"],
        "machine": describe_machine(),
        "steps": STEPS,
        "edit_steps": EDIT_STEPS,
        "computing": sum(one["computing"] for one in spent),
        "passed": sum(one["passed"] for one in spent),
        "pieces": len(spent),
        "photos": len({row["sha256"] for row in figures.rows if row["kind"] == "edit"}),
        "edits": sum(row["kind"] == "edit" for row in figures.rows),
        "failed": list(figures.failed()),
        "lead": lead(figures, clip=None),
        "parts": [
            {"name": name, "title": title, "table": table}
            for name, (title, table) in tables.items()
        ],
    }


def _whole_photos(part: Part, rows: Sequence[Row]) -> list[Row]:
    """The rows of the photos that were edited in every version of a part, by all it asks.

    Parts share versions, and a run may not be at its end: only such photos can be compared.
    """
    keys = {ORIGINAL, *(version.key for version in part.versions)}
    done: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        if row["kind"] == "edit" and row["protection"] in keys:
            done.setdefault(row["sha256"], set()).add((row["protection"], row["prompt"]))
    asked = {
        photo: part.instructions or {prompt for _, prompt in pairs} for photo, pairs in done.items()
    }
    whole = {
        photo
        for photo, pairs in done.items()
        if {(key, prompt) for key in keys for prompt in asked[photo]} <= pairs
    }
    return [row for row in rows if row["kind"] == "heading" or row.get("sha256") in whole]


def build_section(found: Sequence[dict[str, Any]]) -> str:
    """The section of docs/results.md."""
    lines = [
        "## Published protocols, end to end",
        "",
        "`decontext evaluate --protocol`, see [reproducing.md](reproducing.md), over the rendered "
        "people of `study/several`, two pictures each for the first part of the paper's, one for "
        "all others. Written by `python -m study.protocols`; all cells as JSON: "
        "[protocols.json](protocols.json).",
    ]
    for one in found:
        lines += ["", f"### {TITLES[one['protocol']]}, on {one['editor']}", ""]
        lines.append(
            f"{one['photos']} photos, {one['edits']} edits of {one['edit_steps']} denoising steps, "
            f"{one['steps']} optimisation steps at most in every version and the editor's ordinary "
            f"size, in place of the published numbers; {one['machine']}, one thread, "
            f"{one['computing'] / 60:.0f} minutes of computing ({one['passed'] / 60:.0f} passed, "
            f"beside other programs) in {one['pieces']} pieces. " + " ".join(one["lead"])
        )
        if not one["parts"]:
            lines += ["", "**No photo was done in all versions yet.** The same command goes on."]
        if one["failed"]:
            lines += ["", "**Failed**: " + "; ".join(one["failed"])]
        for part in one["parts"]:
            lines += ["", f"**{part['title']}**", ""]
            lines += to_markdown([tuple(row) for row in part["table"]])
    return "\n".join(lines)


if __name__ == "__main__":
    main()
