"""`decontext.evaluate`: an evaluation from a program, in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from decontext.editors import Editor, load_editor
from decontext.errors import InputError
from decontext.evaluation.figures import Figures
from decontext.evaluation.page import PAGE, write_page
from decontext.evaluation.photo_run import OnProgress
from decontext.evaluation.plan import TRANSFORMS, Plan, build_protections, find_photos
from decontext.evaluation.run import evaluate as run_plan
from decontext.evaluation.sentences import tell_findings
from decontext.evaluation.spreadsheet import write_spreadsheets
from decontext.evaluation.tables import short_table
from decontext.keywords import SettingsKeywords, choose_settings
from decontext.notation import parse_epsilon
from decontext.photo.files import check_targets, make_folder
from decontext.photo.images import save_photo
from decontext.photo.sources import PhotoSource, to_photo
from decontext.prompts import HELD_OUT
from decontext.settings import ProtectSettings

GIVEN = "photos"
"""Folder of photos that were no files."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        page: the report, to look at.
        figures: identity, attention and fidelity by version and transform.
    """

    page: Path
    figures: Figures

    def __str__(self) -> str:
        found = [*tell_findings(self.figures), self.figures.statement]
        lines = ["  ".join(row) for row in short_table(self.figures)]
        return "\n".join([*found, *lines, f"page: {self.page}"])

    __repr__ = __str__


def evaluate(
    photos: str | Path | Iterable[PhotoSource],
    folder: str | Path,
    editor: Editor | str,
    *,
    protect_with: Sequence[str] = (),
    methods: Sequence[str] = (),
    budgets: Sequence[float | str] = (),
    transforms: Sequence[str] = TRANSFORMS,
    prompts: int | Sequence[str] = 4,
    seeds: int = 1,
    edit_steps: int | None = None,
    rendered: bool = False,
    force: bool = False,
    on_progress: OnProgress | None = None,
    settings: ProtectSettings | None = None,
    preset: str | None = None,
    **keywords: Unpack[SettingsKeywords],
) -> Evaluation:
    """Protect photos in several ways, edit all versions, and measure who the edits show.

    It writes into `folder` and goes on there where it was stopped; an exception in `on_progress`
    stops it.

    Args:
        photos: a folder of photos, or photos as `to_photo` takes them; those that are no files are
            written to `folder/photos` first.
        folder: for rows, tables, pictures and the page; made where it is missing.
        editor: edited with, and protected against where `protect_with` is empty.
        protect_with: names of the editors to protect against, each in turn; `A+B` is both at once.
        methods: objectives, `NAME:LEVEL` with the level of robustness too; by default the
            settings' own.
        budgets: values of epsilon; by default the settings' own.
        transforms: what happens to a photo before it is edited, see `plan.Plan`.
        prompts: instructions, or how many of the twelve that nothing was optimised for.
        seeds: edits for each instruction.
        edit_steps: denoising steps of an edit; None: the editor's own.
        rendered: the photos show rendered people.
        force: begin again.
        on_progress: called before each picture with (done, in all, what it is).
        settings: how to protect, as for `protect`.
        preset: settings by name.
        **keywords: single settings.

    Raises:
        InputError: no photo, no such method or transform, a folder that cannot be written to, or
            the extra `eval` is not installed.
        EditorError: the editor's weights are missing or damaged.
    """
    chosen, target = choose_settings(settings, preset, **keywords), Path(folder)
    values = [parse_epsilon(b)[0] if isinstance(b, str) else b for b in budgets]
    plan = Plan(
        protections=build_protections(
            list(methods) or [chosen.objective],
            values or [chosen.epsilon],
            settings=chosen,
            against=protect_with or ("",),
        ),
        transforms=tuple(transforms),
        prompts=HELD_OUT[:prompts] if isinstance(prompts, int) else tuple(prompts),
        seeds=seeds,
        edit_steps=edit_steps,
        rendered=rendered,
    )
    files = _find_files(photos, target)
    make_folder(target)
    check_targets([target / PAGE], inputs=files, force=True)
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    rows = run_plan(files, target, loaded, plan, force=force, on_progress=on_progress)
    page = write_page(rows, target, files)
    write_spreadsheets(rows, target)
    return Evaluation(page, Figures(rows))


def _find_files(photos: str | Path | Iterable[PhotoSource], folder: Path) -> tuple[Path, ...]:
    """Photos as files. Raises: InputError: there is none, or one that cannot be read."""
    if isinstance(photos, str | Path):
        if folder.is_dir() and folder.samefile(photos):
            raise InputError("the report must lie in another folder than the photos.")
        return find_photos(photos)
    files = []
    for number, source in enumerate(photos):
        if isinstance(source, str | Path):
            files.append(Path(source))
            continue
        photo, path = to_photo(source), folder / GIVEN / f"photo-{number}.png"
        make_folder(path.parent)
        save_photo(photo.pixels, photo, path)
        files.append(path)
    if not files:
        raise InputError("there is no photo to evaluate.")
    return tuple(files)
