"""How verdicts are shown: the sentence first, what it rests on with --details."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from decontext.cli.options import OUTPUT, flag
from decontext.cli.terminal import Terminal, one_line
from decontext.errors import DecontextError

if TYPE_CHECKING:
    from decontext.folders.verbs import Pair
    from decontext.preview import Preview
    from decontext.saving import Result
    from decontext.verdict import Level, Verification

DetailsOption = Annotated[
    bool, flag("--details", "Also show what the verdict rests on.", panel=OUTPUT)
]
STYLES = {"strong": "bold green", "weak": "bold yellow", "none": "bold red"}


def show_protection(terminal: Terminal, result: Result, *, details: bool) -> None:
    """The verdict on the saved file, where it lies, and how strongly it differs."""
    report, verification = result.report, result.verification
    _show_verdict(terminal, verification)
    terminal.say(f"saved {result.path}, and a report beside it")
    terminal.say(
        f"epsilon is {report['epsilon']}; the file differs by up to {verification.levels} levels, "
        f"PSNR {report['psnr_db']:.1f} dB"
    )
    terminal.say(result.visibility.sentence)
    for note in report["notes"]:
        terminal.say(f"note: {note}")
    if details:
        _show_details(terminal, verification)
    terminal.show_json({"protected": verification.protected, "output": str(result.path), **report})


def show_preview(terminal: Terminal, preview: Preview, *, details: bool) -> None:
    """What the photo would be like; nothing but the picture was saved."""
    _show_verdict(terminal, preview.verification)
    terminal.say(f"saved {preview.path}; no protected photo was saved")
    terminal.say(preview.visibility.sentence)
    if details:
        _show_details(terminal, preview.verification)
    terminal.show_json(preview.to_dict())


def show_verifications(
    terminal: Terminal,
    verification: Verification,
    published: Sequence[Verification],
    *,
    details: bool,
) -> None:
    """The verdict on a photo as it lies there, and one after each transform."""
    from decontext.publishing.transforms import parse_transform

    _show_verdict(terminal, verification)
    for each in published:
        for found in each.each:
            what = parse_transform(found.transform).describe()
            whose = f" ({found.editor})" if each.others else ""
            terminal.say(f"{what}{whose}: {found.level}; {found.reason}", style=STYLES[found.level])
    if details:
        for found in (verification, *published):
            if published:
                terminal.say(f"\n{parse_transform(found.transform).describe()}")
            _show_details(terminal, found)
    values = verification.to_dict()
    if published:
        values["after"] = {found.transform: found.to_dict() for found in published}
    terminal.show_json(values)


def show_many_verifications(
    terminal: Terminal,
    found: Sequence[tuple[Pair, tuple[Verification, ...] | DecontextError]],
    needed: Level,
    *,
    details: bool,
) -> int:
    """A line for each photo, the worst first, and how many there are of each verdict; exit code."""
    counts: Counter[str] = Counter()
    lines: list[tuple[float, str, str]] = []
    values: list[dict[str, Any]] = []
    for pair, outcome in found:
        if isinstance(outcome, DecontextError):
            counts["failed"] += 1
            lines.append((-2.0, "none", f"{pair.name}: failed; {outcome}"))
            values.append({"name": pair.name, "error": outcome.message, "hint": outcome.hint})
            continue
        first, *others = outcome
        counts[first.level] += 1
        lines.append((first.drop, first.level, f"{pair.name}: {first.level}; {first.reason}"))
        after = {one.transform: one.to_dict() for one in others}
        values.append({"name": pair.name, **first.to_dict()} | ({"after": after} if after else {}))
        for one in others:
            said = f"{pair.name}, {one.transform}: {one.level}; {one.reason}"
            lines.append((first.drop, one.level, said))
    for _, level, line in sorted(lines, key=lambda line: line[0]):
        terminal.say(one_line(line), style=STYLES[level])
    if details:
        for pair, outcome in found:
            for one in () if isinstance(outcome, DecontextError) else outcome:
                terminal.say(f"\n{pair.name}, {one.transform}")
                _show_details(terminal, one)
    order = ("failed", "none", "weak", "strong")
    said = ", ".join(f"{counts[name]} {name}" for name in order if counts[name])
    terminal.say(f"{len(found)} photos: {said}", style="bold")
    terminal.show_json({"counts": dict(counts), "photos": values})
    enough = ("strong", "weak") if needed == "weak" else ("strong",)
    return 0 if set(counts) <= set(enough) else 1


def _show_verdict(terminal: Terminal, verification: Verification) -> None:
    """One sentence, which says the level without colours too, and what to do next.

    Of several editors a sentence for each, the worst first.
    """
    for found in verification.each:
        terminal.say(found.sentence, style=STYLES[found.level])
    terminal.say(verification.advice)


def _show_details(terminal: Terminal, verification: Verification) -> None:
    for found in verification.each:
        if verification.others:
            terminal.say(f"\n{found.editor}")
        _show_figures(terminal, found)


def _show_figures(terminal: Terminal, verification: Verification) -> None:
    values = verification.to_dict()
    falls = {"protected": values["drop"], "random_noise": values["random_drop"]}
    rows = [
        (
            name.replace("_", " "),
            f"{value['mean']:.3f}",
            f"{value['standard_deviation']:.3f}",
            # Adding zero turns a rounded -0.0 into 0.0.
            f"{round(falls[name], 3) + 0.0:.1%}" if name in falls else "",
        )
        for name, value in values["context_proportion"].items()
    ]
    terminal.show_table(("context proportion", "mean", "spread", "fell by"), rows)
    blocks = f"{len(verification.blocks)} of {verification.block_count} attention blocks"
    terminal.say(
        f"n = {len(verification.measurements)}, with instructions and noises that were not "
        f"optimised on; it fell in {verification.share_fallen:.0%} of them; {blocks}"
    )
