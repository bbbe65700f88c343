"""From the rows of the study to docs/results.md, docs/results.json, plots, and docs/limits.md.

Every figure in these documents comes from here, with the command that gave it; what missed its goal
is said first.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.sections import RECORD, ROOT, keep, mark
from decontext.evaluation import charts
from decontext.evaluation.plan import CUT, NONE, ORIGINAL
from decontext.evaluation.results import Row, merge_rows, read_rows
from decontext.evaluation.sentences import warn_of_few
from decontext.evaluation.summary import Summary
from decontext.evaluation.tables import (
    ABSENT,
    Figures,
    Table,
    drop_empty,
    fidelity_table,
    identity_table,
    number,
    percent,
    prompt_table,
    signed,
    to_dict,
    transform_table,
)
from study.parts import INSTRUCTIONS, LEVELS, Part

GOALS = {"jpeg-75": 0.8, "resize-0.5": 0.8, "jpeg-75+resize-0.5": 0.7}
"""Least part of the drop of identity that is to be left, with `--robust web`."""

OURS = "context-proportion"
RIVALS = ("flow", "encoder", "attention-entropy", "encoder-grey", "random-sign", "uniform")
DOCS = ROOT / "docs"
MARKERS = ("<!-- study -->", "<!-- /study -->")


def write_documents(
    out: Path,
    parts: Sequence[Part],
    docs: Path,
    *,
    level: str,
    workers: int,
    seconds: float | None,
) -> list[Path]:
    """Write what the rows in `out` say; parts that were not done are left out."""
    found = [(part, figures_of(part, out, level)) for part in parts]
    found = [(part, figures) for part, figures in found if _is_whole(part, figures)]
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "images").mkdir(exist_ok=True)
    run = _read_run(out, level=level, workers=workers, seconds=seconds)
    values = {"run": run, "parts": {part.name: to_dict(figures) for part, figures in found}}
    written = [docs / "results.json", docs / "results.md"]
    written[0].write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    done = {part.name for part, _ in found}
    absent = [part.title for part in parts if part.name not in done]
    results = _results(run, found, absent, docs)
    written[1].write_text(results + _protocols(written[1]), encoding="utf-8")
    limits = docs / "limits.md"
    if limits.exists():
        limits.write_text(fill(limits.read_text("utf-8"), _limits(found)), encoding="utf-8")
        written.append(limits)
    if docs.resolve() == DOCS:
        keep("results.md", results)
        keep("limits.md: study", _limits(found))
        written.append(ROOT / RECORD)
    return written


def _protocols(page: Path) -> str:
    """The part of the page that `study.protocols` writes, as it is, or an empty one."""
    first, last = mark("protocols"), mark("/protocols")
    text = page.read_text("utf-8") if page.exists() else ""
    inside = text.partition(first)[2].partition(last)[0] or "\n"
    return f"\n{first}{inside}{last}\n"


def figures_of(part: Part, out: Path, level: str) -> Figures:
    """The rows of one part: its photos, instructions, transforms and versions, with its labels."""
    kind = "rendered" if part.rendered else "photographs"
    photos = {path.name for path in part.photos}
    prompts = INSTRUCTIONS[: LEVELS[level].instructions]
    labels = {one.key: one.label for one in part.versions}
    rows: list[Row] = []
    found = read_rows(sorted(out.glob(f"rows-{kind}-*.jsonl")))
    # After a run with another number of processes a row may be in two files.
    for row in merge_rows(found):
        heading = row["kind"] == "heading"
        version, transform = row.get("protection"), row.get("transform", NONE)
        wanted = (
            row.get("photo") in photos
            and (version in (None, ORIGINAL, CUT) or version in labels)
            and transform in part.transforms
            and row.get("prompt", prompts[0]) in prompts
        )
        if heading or wanted:
            rows.append({**row, "label": labels[version]} if version in labels else row)
    # In the order of the part, whatever was computed first.
    order = [None, ORIGINAL, CUT, *labels]
    transforms = list(part.transforms)
    rows.sort(
        key=lambda r: (order.index(r.get("protection")), transforms.index(r.get("transform", NONE)))
    )
    return Figures(rows)


def _is_whole(part: Part, figures: Figures) -> bool:
    """Whether all photos were edited in every version after every transform, or failed."""
    done = {
        (row["photo"], row["protection"], row["transform"])
        for row in figures.rows
        if row["kind"] == "edit"
    }
    failed = {(row["photo"], row["protection"]) for row in figures.rows if row["kind"] == "failure"}
    return all(
        (photo.name, key) in failed or (photo.name, key, transform) in done
        for photo in part.photos
        for key in (ORIGINAL, *(one.key for one in part.versions))
        for transform in part.transforms
    )


def _results(
    run: dict[str, Any],
    found: Sequence[tuple[Part, Figures]],
    absent: Sequence[str],
    docs: Path,
) -> str:
    lines = [
        "# Results",
        "",
        "What was measured on `kontext-mini`, the embedded demonstration editor. **None of it says "
        "what happens with FLUX.1 Kontext or any other editor.** How every figure is made: "
        "[measuring.md](measuring.md). All values as JSON: [results.json](results.json).",
        "",
        "Every method takes sign steps within a budget here (`--method sign`), so that all change "
        "the photo alike. The least visible change, which is the default, is in "
        "[visibility.md](visibility.md) and, on the people of the protocols, at the end of this "
        "page.",
        "",
        f"Made by `{run['command']}` on {run['machine']}, {run['workers']} processes of one "
        f"thread; {run['time']}. Editor's weights: `{run['weights']}`. "
        "Seeds: 0 for every protection and every edit. Instructions, none of them optimised on: "
        + "; ".join(f"“{text}”" for text in run["instructions"])
        + ". People: the rendered, held-out ones of `study/people`, named by their seeds.",
        "",
        "## Goals, and whether they were met",
        "",
        *_goals({part.name: figures for part, figures in found}),
    ]
    if absent:
        names = "; ".join(absent)
        lines += ["", f"**Not run to an end yet**, so not here: {names}. The same command goes on."]
    for part, figures in found:
        lines += ["", f"## {part.title}", "", part.question, "", *_answer(part, figures, docs)]
    return "\n".join(lines) + "\n"


def _answer(part: Part, figures: Figures, docs: Path) -> Iterable[str]:
    """Table and plot of one part."""
    count = len({row["photo"] for row in figures.edits(ORIGINAL)})
    yield warn_of_few(figures) or f"{count} photos."
    yield ""
    yield from to_markdown(identity_table(figures))
    yield from _plot(part, figures, docs)
    if len(part.transforms) > 1:
        for one in part.versions:
            yield from ("", f"### {one.label}", "")
            yield from to_markdown(transform_table(figures, one.key))
    else:
        yield from ("", "Distance from the original and quality of the edits:", "")
        yield from to_markdown(fidelity_table(figures))
    if part.name == "objectives":
        yield from ("", "By instruction:", "")
        yield from to_markdown(prompt_table(figures))


def _plot(part: Part, figures: Figures, docs: Path) -> Iterable[str]:
    name, threshold = figures.recognisers[0], figures.heading["thresholds"][figures.recognisers[0]]
    label = f"identity ({name}); dashed: same person from here"
    if len(part.transforms) > 1:
        after = [t for t in part.transforms if t != NONE and t in figures.transforms]
        series = {one.label: [figures.kept(one.key, t) for t in after] for one in part.versions}
        plot = charts.draw_groups(
            after,
            series,
            title=part.title,
            label="part of the drop of identity that is left; dashed: all of it",
            line=1.0,
        )
    elif part.places:
        points = [
            (x, figures.identity(one.key))
            for x, one in zip(part.places, part.versions, strict=True)
        ]
        cut = figures.identity(CUT)
        series_of = {"protected": points, "attention cut": [(x, cut) for x in part.places]}
        plot = charts.draw_lines(
            series_of,
            title=part.title,
            labels=(part.axis, label),
            line=threshold,
            logarithmic=part.axis == "steps",
        )
    else:
        bars = {figures.labels[key]: figures.identity(key) for key in figures.labels}
        plot = charts.draw_bars(bars, title=part.title, label=label, line=threshold)
    path = docs / "images" / f"study-{part.name}.png"
    plot.savefig(path, dpi=charts.DPI)
    yield from ("", f"![{part.title}](images/{path.name})")


def _goals(parts: dict[str, Figures]) -> Iterable[str]:
    """What was to be shown, with the figures, the misses as visible as the hits."""
    if "objectives" in parts:
        yield from _rival_goals(parts["objectives"])
    for name, figures in parts.items():
        if name.startswith("size-"):
            yield from _survival_goals(f"photos of {name[5:]} pixels", figures)
    if "transforms" in parts:
        yield from _survival_goals("photos of 128 pixels", parts["transforms"])


def _rival_goals(figures: Figures) -> Iterable[str]:
    keys = {label: key for key, label in figures.labels.items()}
    for rival in RIVALS:
        if rival in keys and OURS in keys:
            said = [
                _said(figures.identity_difference(keys[OURS], keys[rival], recogniser=name))
                + f" ({name})"
                for name in figures.recognisers
            ]
            yield f"- Identity with `{OURS}` minus that with `{rival}`: {'; '.join(said)}."


def _said(difference: Summary) -> str:
    """A paired difference in words; lower identity protects better."""
    if difference.mean is None:
        return "not measured"
    value = signed(difference.mean)
    if difference.low is None or difference.high is None:
        return f"{value} (one photo, no interval)"
    verdict = "no difference that this many photos could show"
    if difference.high < 0:
        verdict = "**better**"
    elif difference.low > 0:
        verdict = "**worse: missed**"
    interval = f"[{signed(difference.low)}, {signed(difference.high)}] n={difference.groups}"
    return f"{value} {interval}, {verdict}"


def _survival_goals(where: str, figures: Figures) -> Iterable[str]:
    keys = {label: key for key, label in figures.labels.items()}
    if "robust web" not in keys or "robust off" not in keys:
        return
    for transform, goal in GOALS.items():
        kept, plain = (figures.kept(keys[f"robust {x}"], transform) for x in ("web", "off"))
        verdict = "not measured: there was no drop to keep"
        if kept is not None:
            verdict = "met" if kept >= goal else "**missed**"
        yield (
            f"- {where}, after {transform}, `--robust web`: {percent(kept)} of the drop of "
            f"identity is left (goal {goal:.0%}): {verdict}. With `--robust off`: {percent(plain)}."
        )


def _limits(found: Sequence[tuple[Part, Figures]]) -> str:
    """For docs/limits.md: what comes through, by instruction and by treatment."""
    parts = {part.name: (part, figures) for part, figures in found}
    lines: list[str] = []
    if "objectives" in parts:
        part, figures = parts["objectives"]
        key = part.versions[0].key
        threshold = figures.heading["thresholds"][figures.recognisers[0]]
        lines += ["By instruction, on `kontext-mini`, 8/255; the same person from "
                  f"{number(threshold)}:", ""]  # fmt: skip
        table: Table = [("instruction", "original", "protected", "protected: same person")]
        for prompt in dict.fromkeys(row["prompt"] for row in figures.edits(ORIGINAL)):
            after = figures.identity(key, prompt=prompt)
            before = figures.identity(ORIGINAL, prompt=prompt)
            table.append((prompt, number(before.mean), number(after.mean), percent(after.share)))
        lines += [*to_markdown(table), ""]
    if "transforms" in parts:
        part, figures = parts["transforms"]
        lines += ["Part of the drop of identity that is left after a treatment; below 50 % the "
                  "treatment undoes most of it:", ""]  # fmt: skip
        table = [("after", *(one.label for one in part.versions))]
        for transform in part.transforms[1:]:
            kept = [figures.kept(one.key, transform) for one in part.versions]
            table.append((transform, *(percent(value) for value in kept)))
        lines += [*to_markdown(table), "", *_left_out(part, figures, table)]
    return "\n".join(lines).strip() or "The study was not run yet: `make study`."


def _left_out(part: Part, figures: Figures, table: Table) -> Iterable[str]:
    """Treatments after which no part of a drop can be told, and what was found of them."""
    for transform, *cells in table[1:]:
        if all(cell == ABSENT for cell in cells):
            shares = (percent(figures.identity(one.key, transform).share) for one in part.versions)
            yield (
                f"After {transform} there is no such part, as there was no pair of edits that both "
                f"show a face. The same person there: {', '.join(shares)} of the edits."
            )


def fill(text: str, content: str) -> str:
    """Replace what stands between the markers of a document."""
    begin, end = MARKERS
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"the document has no part between {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n{content}\n{end}", text)


def to_markdown(table: Table) -> list[str]:
    """Lines of a table for a document."""
    head, *rows = drop_empty(table)
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return lines + [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def _read_run(out: Path, *, level: str, workers: int, seconds: float | None) -> dict[str, Any]:
    """Command, machine and time; the time of earlier runs of the same folder is added up."""
    path = out / "run.json"
    before = json.loads(path.read_text("utf-8"))["seconds"] if path.exists() else 0.0
    total = before + (seconds or 0.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"seconds": total}) + "\n", encoding="utf-8")
    arguments = "" if level == "full" else f" LEVEL={level}"
    return {
        "command": f"make study{arguments}",
        "level": level,
        "machine": describe_machine(),
        "workers": workers,
        "time": f"{total / 60:.0f} minutes",
        "weights": out.name,
        "instructions": INSTRUCTIONS[: LEVELS[level].instructions],
    }


def describe_machine() -> str:
    """Processor by name where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else []
    return names[0].strip() if names else platform.processor() or platform.machine()
