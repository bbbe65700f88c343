"""docs/transfer.md from the rows of `benchmarks.transfer`; its headline is computed too.

The rows are kept in docs/transfer.jsonl, of which the page says nothing else.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from benchmarks.sections import table
from decontext.evaluation.figures import Figures
from decontext.evaluation.plan import NONE, ORIGINAL, TOGETHER
from decontext.evaluation.results import NAME, Row, read_rows
from decontext.evaluation.sentences import warn_of_few
from decontext.evaluation.tables import number, percent, with_interval

TITLES = {
    "sign": "# Does protection carry over to another editor?",
    "least-visible": "# Does the least visible change carry over to another editor?",
}
HOLDS, PARTLY = 0.8, 0.4
"""From which part of its own fall on a protection is said to carry over, or to do so in part."""


def write_document(out: Path, page: Path, notes: Sequence[str] = ()) -> Path:
    """Write what the rows in `out` say of the people who are done with every editor.

    The rows go into a file beside the page, from which it can be made again. `notes` say what the
    editors are to each other.
    """
    said = json.loads((out / "run.json").read_text(encoding="utf-8"))
    run = {
        "kind": "run",
        **said,
        "command": [_without_folder(one) for one in said["command"]],
        "unseen_command": [_without_folder(one) for one in said["unseen_command"]],
        "machine": platform.machine(),
        "notes": list(notes),
    }
    found = [
        {"edited_with": label, **row}
        for label in said["labels"]
        for row in read_rows([out / label.replace(" ", "-") / NAME])
    ]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in (run, *found))
    page.with_suffix(".jsonl").write_text(lines, encoding="utf-8")
    page.write_text(build_page(run, found), encoding="utf-8")
    return page


def build_page(run: Row, rows: Sequence[Row]) -> str:
    """The document: from what was run, and the rows with the label of the editor that edited."""
    figures = read_figures(rows, run["labels"])
    lines = [
        TITLES[run["method"]],
        "",
        *(f"{note}\n" for note in run["notes"]),
        *headline(figures),
        "",
        *_about(run, figures),
        "",
        "## Who edits show",
        "",
        transfer_table(figures),
        "",
        *(line for line in [warn_of_few(next(iter(figures.values())))] if line),
        "",
        "## What it took",
        "",
        "A step against several editors takes as many passes as there are editors.",
        "",
        cost_table(figures),
        "",
        "## Cleaning before the edit",
        "",
        "The photo is cleaned first: by non-local means (`denoise`, OpenCV's), by the editor that "
        "edits (`redraw`, asked to remove the noise), or by another one (`redraw-NAME`). Kept is "
        "the part of the fall of identity that is left, against the original after the same "
        "cleaning; a dash: no pair of edits shows a face in both. " + worst_after_cleaning(figures),
        "",
        cleaning_table(figures),
    ]
    return "\n".join(lines).rstrip() + "\n"


def read_figures(found: Sequence[Row], labels: Sequence[str]) -> dict[str, Figures]:
    """By the editor that edits: the rows of the people with whom every editor is done.

    Protected pictures are made once, and their rows lie with the editor that edited them first.
    """
    rows = {label: [row for row in found if row["edited_with"] == label] for label in labels}
    done = set.intersection(*(finished(found) for found in rows.values()))
    made = [row for found in rows.values() for row in found if row["kind"] == "protection"]
    figures = {}
    for label, found in rows.items():
        heading = [row for row in found if row["kind"] == "heading"]
        own = [row for row in found if row["kind"] not in ("heading", "protection")]
        figures[label] = Figures([*heading, *(r for r in [*made, *own] if r["sha256"] in done)])
    return figures


def finished(rows: Sequence[dict]) -> set[str]:
    """Photos with as many edits as the one that has most."""
    counts = Counter(row["sha256"] for row in rows if row["kind"] == "edit")
    return {photo for photo, count in counts.items() if count == max(counts.values())}


def versions(figures: Figures) -> dict[str, str]:
    """Keys of the protections by what they are against."""
    rows = [row for row in figures.rows if row["kind"] == "protection"]
    return {row["against"]: row["protection"] for row in rows}


def falls(figures: dict[str, Figures]) -> dict[tuple[str, str], float | None]:
    """By (protected against, edited with): how far identity fell."""
    return {
        (against, label): found.identity_drop(key, NONE)
        for label, found in figures.items()
        for against, key in versions(found).items()
    }


def headline(figures: dict[str, Figures]) -> Iterator[str]:
    """A sentence for each pair of different editors, of what was measured and nothing else."""
    found = falls(figures)
    for (against, label), fall in found.items():
        own = found.get((label, label))
        if against == label or fall is None:
            continue
        if own is None:
            seen = (label, label) in found
            shown = figures[label].identity(ORIGINAL).mean or 0.0
            yield _without_its_own(against, label, fall, shown, seen=seen)
            continue
        if own < 0.05:
            yield f"- **{against} → {label}**: nothing to compare, {label} shows nobody anyway."
            continue
        part = fall / own
        yield (
            f"- **{against} → {label}: protection {_in_words(part)}.** Identity falls by "
            f"{fall:.2f}, by {own:.2f} where the photo is protected against {label} itself: "
            f"{percent(part)}."
        )


def _without_its_own(against: str, label: str, fall: float, shown: float, *, seen: bool) -> str:
    """The sentence for an editor that nothing is protected against, or with no face left to see."""
    if shown < 0.05:
        return f"- **{against} → {label}**: nothing to compare, {label} shows nobody anyway."
    part = fall / shown
    why = (
        f"where the photo is protected against {label} itself, no face is found"
        if seen
        else f"nothing was protected against {label}"
    )
    return (
        f"- **{against} → {label}: protection {_in_words(part)}.** Identity falls by {fall:.2f} of "
        f"{shown:.2f}: {percent(part)}; {why}."
    )


def _in_words(part: float) -> str:
    if part >= HOLDS:
        return "carries over"
    return "carries over in part" if part >= PARTLY else "does not carry over"


def transfer_table(figures: dict[str, Figures]) -> str:
    """A row for each protection, and each editor that edits."""
    rows = []
    for label, found in figures.items():
        for against, key in {"nothing (the original)": ORIGINAL, **versions(found)}.items():
            identity = found.identity(key)
            fall = None if key == ORIGINAL else found.attention_drop(key).mean
            rows.append(
                [
                    against,
                    label,
                    with_interval(identity),
                    percent(identity.share),
                    percent(found.face_found(key)),
                    number(None if key == ORIGINAL else found.identity_drop(key, NONE)),
                    percent(fall),
                ]
            )
    heading = ["protected against", "edited with", "identity [95 %]", "same person", "face found"]
    return table([*heading, "identity fell by", "attention fell by"], rows)


def cost_table(figures: dict[str, Figures]) -> str:
    """What each protection took: how visible it is, and how long it was looked for."""
    found = next(iter(figures.values()))
    rows = []
    for against, key in versions(found).items():
        made = [r for r in found.rows if r["kind"] == "protection" and r["protection"] == key]
        scores = [r["ssimulacra2"] for r in made if r.get("ssimulacra2") is not None]
        rows.append(
            [
                against,
                f"{fmean(scores):.1f}" if scores else "–",
                f"{fmean(r['seconds'] for r in made):.0f} s",
            ]
        )
    return table(["protected against", "SSIMULACRA2", "time, beside other work"], rows)


def worst_after_cleaning(figures: dict[str, Figures]) -> str:
    """The largest part of edits that show the person of a protected and cleaned photo."""
    shares = [
        (found.identity(key, transform).share or 0.0, transform, against, label)
        for label, found in figures.items()
        for against, key in versions(found).items()
        if label in against.split(TOGETHER)
        for transform in found.transforms
        if transform != NONE
    ]
    if not shares:
        return ""
    share, transform, against, label = max(shares)
    if share == 0:
        return "**After none of them did an edit of a protected photo show the person.**"
    return (
        f"**The person comes back most after `{transform}`: in {percent(share)} of the edits by "
        f"{label} of photos protected against {against}.**"
    )


def cleaning_table(figures: dict[str, Figures]) -> str:
    """A row for each cleaner, of every protection and every editor that edits."""
    rows = []
    for label, found in figures.items():
        for against, key in versions(found).items():
            for transform in found.transforms:
                identity = found.identity(key, transform)
                rows.append(
                    [
                        against,
                        label,
                        "nothing" if transform == NONE else f"`{transform}`",
                        with_interval(found.identity(ORIGINAL, transform)),
                        with_interval(identity),
                        percent(identity.share),
                        percent(found.kept(key, transform)),
                    ]
                )
    heading = ["protected against", "edited with", "cleaned by", "original: identity"]
    return table([*heading, "protected: identity", "same person", "kept"], rows)


def _options(said: dict) -> Iterator[str]:
    """The command's options."""
    given = {
        "editor": said["command"],
        "unseen": said["unseen_command"],
        "against": said["also_against"],
    }
    for name, values in given.items():
        yield from (f'--{name} "{value}"' for value in values)
    if said["method"] != "sign":
        yield f"--method {said['method']}"


def how(said: dict) -> str:
    """The protection, in words."""
    if said["method"] == "sign":
        return f"{said['budget']}, {said['steps']} steps of `--method sign`"
    return f"`--method {said['method']} --strength standard`, at most {said['steps']} steps"


def _without_folder(said: str) -> str:
    """Where somebody's weights lie is nobody's business."""
    name, colon, _ = said.partition(":")
    return f"{name}:FOLDER" if colon else name


def _about(said: dict, figures: dict[str, Figures]) -> Iterator[str]:
    """How it was measured."""
    first = next(iter(figures.values()))
    people = len({row["sha256"] for row in first.rows if row["kind"] == "edit"})
    prompts = dict.fromkeys(row["prompt"] for row in first.rows if row["kind"] == "edit")
    yield (
        "**These are small demonstration editors. None of it says whether protection carries over "
        "between editors that people use.** Written by `python -m benchmarks.transfer "
        + " ".join(_options(said))
        + f"` on {said['machine']}, from {people} rendered people of `study/people`; "
        f"{how(said)}, `--robust web`; "
        "instructions, none optimised on: "
        + "; ".join(f"“{prompt}”" for prompt in prompts)
        + "; 8 denoising steps, seed 0. Identity: mean-centred SFace cosine of an edit to the "
        f"original, the same person from {first.heading['thresholds'][first.recognisers[0]]}; "
        "intervals over people. How: [measuring.md](measuring.md)."
    )
