"""Does protection against one editor hold against another? Writes docs/transfer.md.

    python -m benchmarks.transfer --out build/transfer --people 8 \
        --editor kontext-mini --editor "second round=kontext-mini:FOLDER"
    python -m benchmarks.transfer --out build/transfer --write        # only the document

Every editor is protected against, and edits all versions of all photos, also after they were
cleaned: by non-local means, by the editor itself, and by the other editors. An editor is a name, or
`LABEL=NAME:FOLDER` with other weights; `--against "A+B"` adds protection against several at once,
which must be different editors. `--unseen` names an editor that edits only: nothing is protected
against it, and it does not clean.
Stopped and started again it goes on, one person at a time, so that the document can be written from
those who are done.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.transfer_page import write_document
from decontext.editors import Editor, load_editor
from decontext.evaluation.photo_run import protected_path
from decontext.evaluation.plan import NONE, REDRAW, Plan, build_protections
from decontext.evaluation.results import NAME, read_rows
from decontext.evaluation.run import Instruments, evaluate, load_instruments
from decontext.notation import parse_epsilon
from decontext.report import sha256
from decontext.settings import Method, ProtectSettings
from study.parts import INSTRUCTIONS, PEOPLE

BUDGETS = {"sign": "16/255", "least-visible": None}
"""By method; the least visible change has no budget but a wanted fall, that of "standard"."""
DENOISED = "denoise"
LENT = "lent.jsonl"
RUN = "run.json"


@dataclass(frozen=True)
class Named:
    """An editor under the label that it has in the document."""

    label: str
    editor: Editor


def read_editor(said: str) -> Named:
    """From `NAME`, or `LABEL=NAME:FOLDER`."""
    label, _, rest = said.rpartition("=")
    name, _, folder = rest.partition(":")
    return Named(label or name, load_editor(name, source=folder or None, device="cpu"))


def plan_for(
    editor: str, labels: Sequence[str], against: Sequence[str], method: Method, steps: int
) -> Plan:
    """What one editor is asked; the others of `labels` clean, unless it is none of them."""
    others = [f"{REDRAW}-{label}" for label in labels if label != editor]
    cleaners = (DENOISED, REDRAW, *others) if editor in labels else ()
    budget = BUDGETS[method]
    return Plan(
        protections=build_protections(
            (method,),
            (None if budget is None else parse_epsilon(budget)[0],),
            settings=ProtectSettings(method=method, steps=steps),
            against=against,
        ),
        transforms=(NONE, *cleaners),
        prompts=INSTRUCTIONS[:2],
        edit_steps=8,
        measure_prompts=1,
        cut=False,
        rendered=True,
    )


def lend(photo: Path, folders: Sequence[Path], folder: Path) -> list[Path]:
    """Protected pictures of this photo that another editor's folder has, brought into `folder`.

    Returns: files of their rows, for `evaluate(known=...)`.
    """
    content = sha256(photo) or ""
    rows = []
    for other in folders:
        if other == folder or not (other / NAME).exists():
            continue
        for row in read_rows([other / NAME]):
            if row["kind"] != "protection" or row["sha256"] != content:
                continue
            source, target = (
                protected_path(f, content, row["protection"]) for f in (other, folder)
            )
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
            rows.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    lent = folder / LENT
    lent.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [lent] if rows else []


def run(args: argparse.Namespace) -> None:
    """Everything, a person at a time."""
    editors = [read_editor(said) for said in (*args.editor, *args.unseen)]
    labels = [one.label for one in editors]
    seen = labels[: len(args.editor)]
    against = [*seen, *args.against]
    others = {one.label: one.editor for one in editors}
    plans = {label: plan_for(label, seen, against, args.method, args.steps) for label in labels}
    tools: Instruments = load_instruments(plans[labels[0]])
    folders = {label: args.out / label.replace(" ", "-") for label in labels}
    args.out.mkdir(parents=True, exist_ok=True)
    said = {
        "labels": labels,
        "against": against,
        "method": args.method,
        "budget": BUDGETS[args.method],
        "steps": args.steps,
        "command": args.editor,
        "unseen_command": args.unseen,
        "also_against": args.against,
    }
    (args.out / RUN).write_text(json.dumps(said) + "\n", encoding="utf-8")
    for photo in sorted(PEOPLE.glob("*.webp"))[args.first : args.first + args.people]:
        for one in editors:
            began, folder = time.monotonic(), folders[one.label]
            evaluate(
                [photo],
                folder,
                one.editor,
                plans[one.label],
                others=others,
                instruments=tools,
                known=lend(photo, list(folders.values()), folder),
            )
            print(photo.name, one.label, f"{time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/transfer"))
    parser.add_argument("--editor", action="append", default=[], metavar="EDITOR")
    parser.add_argument("--unseen", action="append", default=[], metavar="EDITOR")
    parser.add_argument("--against", action="append", default=[], metavar="A+B")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="person to begin with")
    parser.add_argument("--method", choices=tuple(BUDGETS), default="sign")
    parser.add_argument("--steps", type=int, default=60, help="of sign steps, or at most")
    parser.add_argument("--page", type=Path, default=Path("docs/transfer.md"))
    parser.add_argument("--note", action="append", default=[], help="what the editors are")
    parser.add_argument("--write", action="store_true", help="compute nothing")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if not args.write:
        run(args)
    print("wrote", write_document(args.out, args.page, args.note))


if __name__ == "__main__":
    main()
