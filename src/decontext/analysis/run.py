"""All analyses of some photos, and what is written of them: `index.html` and `analysis.json`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from decontext.analysis.measure import (
    Reference,
    edit_references,
    map_proportions,
    time_gradients,
)
from decontext.analysis.page import build_sections, lead
from decontext.analysis.results import SENSITIVITY_SIGMAS, Analysis, PhotoAnalysis
from decontext.attention import resolve_blocks
from decontext.editors import Editor
from decontext.evaluation.identity import can_recognise, compare_faces
from decontext.notation import describe_epsilon
from decontext.objectives.sensitivity import choose_blocks, prefix_sets, single_sets, weigh_blocks
from decontext.photo.files import check_absent, check_targets, make_folder, write_whole
from decontext.photo.images import Photo, to_array
from decontext.progress import drain
from decontext.protect import protect_steps
from decontext.report import DEMONSTRATION, build_page
from decontext.report.plot import check_matplotlib
from decontext.settings import ProtectSettings

STAGES = 5

OnProgress = Callable[[int, int, str], None]
"""Called with (stages done, stages in all, what is being done)."""


def analyse(
    photos: Sequence[Photo],
    editor: Editor,
    *,
    output: Path,
    settings: ProtectSettings,
    cut: str = "all",
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Analysis:
    """Protect each photo in memory, analyse it before and after, and write page and numbers.

    Args:
        photos: what to analyse.
        editor: on which.
        output: folder for `index.html` and `analysis.json`, made where it is missing.
        settings: how the protected version is made.
        cut: blocks in which the intervention hides the photo.
        force: overwrite an earlier analysis.
        on_progress: called as the work goes on.

    Raises:
        InputError: there is an analysis already, the folder cannot be made, there are no such
            blocks, or the extra `eval` is not installed.
    """
    check_matplotlib()
    info = editor.info
    resolve_blocks(cut, info.double_blocks, info.single_blocks)
    page, numbers = output / "index.html", output / "analysis.json"
    for file in (page, numbers):
        check_absent(file, force=force)
    make_folder(output)
    check_targets((page, numbers), inputs=[photo.path for photo in photos], force=force)
    found = []
    for index, photo in enumerate(photos):

        def report(stage: int, what: str, done: int = STAGES * index) -> None:
            if on_progress is not None:
                on_progress(done + stage, STAGES * len(photos), what)

        found.append(_analyse_photo(photo, editor, settings, cut=cut, report=report))
    analysis = Analysis(
        page=page,
        editor=info.name,
        block_names=single_sets(info.double_blocks, info.single_blocks),
        cut=cut,
        settings=settings,
        statement=_statement(editor, settings, len(photos)),
        photos=tuple(found),
    )
    text = json.dumps(analysis.to_dict(), indent=2, ensure_ascii=False) + "\n"
    write_whole(text.encode(), numbers)
    title = f"Where {info.title} looks at a photo"
    sections = build_sections(analysis)
    content = build_page(title, analysis.statement, sections, lead=tuple(lead(analysis)))
    write_whole(content.encode(), page)
    return analysis


def _analyse_photo(
    photo: Photo,
    editor: Editor,
    settings: ProtectSettings,
    *,
    cut: str,
    report: Callable[[int, str], None],
) -> PhotoAnalysis:
    name, pixels, seed = photo.path.stem, photo.pixels, settings.seed
    protected = drain(
        protect_steps(photo, editor, settings),
        lambda step: report(0, f"protecting {name}: step {step.index} of {step.steps}"),
    )
    report(1, f"attention by block and noise level: {name}")
    before = map_proportions(editor, pixels, pixels, seed=seed)
    after = map_proportions(editor, protected, pixels, seed=seed)
    report(2, f"gradients by noise level: {name}")
    gradients = time_gradients(editor, pixels, seed=seed)
    report(3, f"what blocks bring: {name}")
    kinds = editor.info.double_blocks, editor.info.single_blocks
    singles, prefixes = single_sets(*kinds), prefix_sets(*kinds)
    worths = weigh_blocks(
        editor, pixels, (*singles, *prefixes), sigmas=SENSITIVITY_SIGMAS, seed=seed
    )
    report(4, f"edits without the photo: {name}")
    references = edit_references(editor, pixels, protected, blocks=cut, seed=seed)
    return PhotoAnalysis(
        name=name,
        original=pixels,
        protected=protected,
        before=before,
        after=after,
        gradients=gradients,
        singles=worths[: len(singles)],
        prefixes=worths[len(singles) :],
        chosen=choose_blocks(editor, pixels, seed=seed),
        references=references,
        similarities=_compare(pixels, references),
    )


def _compare(
    original: Tensor, references: Sequence[Reference]
) -> tuple[tuple[float | None, ...], ...]:
    """Similarity to the photo of each reference's three edits."""
    if not can_recognise():
        return tuple((None, None, None) for _ in references)
    pictures = [
        picture for r in references for picture in (r.of_original, r.of_protected, r.without)
    ]
    known = compare_faces([to_array(image) for image in (original, *pictures)])
    return tuple(tuple(known[start : start + 3]) for start in range(0, len(known), 3))


def _statement(editor: Editor, settings: ProtectSettings, count: int) -> str:
    said = (
        f"Measured on {count} photo{'' if count == 1 else 's'} and this editor alone; protected "
        f"with epsilon {describe_epsilon(settings.budget)}, {settings.steps} steps, "
        f"robust {settings.robust}, seed {settings.seed}."
    )
    return f"{DEMONSTRATION} {said}" if editor.info.demonstration else said
