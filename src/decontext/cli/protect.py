"""`decontext protect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from decontext.cli.many import (
    ManyOptions,
    check_engine,
    is_one_photo,
    protect_many,
    refuse_for_one,
)
from decontext.cli.options import (
    BASICS,
    AmongOptions,
    EditorsOptions,
    ProtectOptions,
    SaveOptions,
    flag,
    output_option,
)
from decontext.cli.prepare import (
    open_editors,
    read_company,
    read_settings,
    refuse_company,
    require_editor,
)
from decontext.cli.terminal import Terminal
from decontext.cli.verdicts import DetailsOption, show_preview, show_protection
from decontext.errors import InputError

if TYPE_CHECKING:
    from decontext.cli.progress import Progress
    from decontext.progress import OnProgress
    from decontext.progress import Progress as RunProgress


def protect(
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="PHOTO..", help="The photo; or a folder, several photos, - for a list on stdin."
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        output_option(
            "Where to save; a folder for several.",
            metavar="FILE",
            default="NAME.protected.EXT beside PHOTO",
        ),
    ] = None,
    preview: Annotated[
        bool,
        flag("--preview", "Save no photo, but a picture of how much is seen.", panel=BASICS),
    ] = False,
    details: DetailsOption = False,
    model: EditorsOptions,
    method: ProtectOptions,
    company: AmongOptions,
    many: ManyOptions,
    show: SaveOptions,
) -> int:
    """Protect a photo against an editor, or several, and measure the saved file.

    Of several photos the results go into a folder, with their names and sub-folders; stopped and
    started again, it goes on. Exit code 0: the verdict is strong, or weak with --accept-weak. 1: it
    failed, and of what failed nothing was written. 2: your input.
    """
    terminal = Terminal(show)
    require_editor(model)
    check_engine(photos, many)
    if many.engine is not None or not is_one_photo(photos):
        if preview:
            raise InputError("--preview shows one photo; several were given.", "Give one of them.")
        refuse_company(company)
        return protect_many(terminal, photos, output, model, method, show, many)
    refuse_for_one(many)
    run = preview_one if preview else protect_one
    run(terminal, Path(photos[0]), output, model, method, company, show, details=details)
    return 0


def protect_one(
    terminal: Terminal,
    photo: Path,
    output: Path | None,
    model: EditorsOptions,
    method: ProtectOptions,
    company: AmongOptions,
    show: SaveOptions,
    *,
    details: bool,
) -> None:
    """Protect a single photo and show what was measured on the saved file."""
    settings = read_settings(method)
    from decontext.estimate import estimate_run
    from decontext.photo.images import choose_metadata, load_photo
    from decontext.protect import protect as protect_photo
    from decontext.saving import check_target, default_output

    # Before the weights are loaded, which may take minutes.
    source = choose_metadata(load_photo(photo), method.metadata)
    target = output or default_output(photo)
    given = other_inputs(method, company)
    others = read_company(company)
    check_target(source, target, inputs=given, force=show.force)
    with terminal.progress("protecting") as progress:
        chosen = open_editors(terminal, model, progress, others)
        progress.prepare("estimating")
        expected = estimate_run(source, chosen, settings)
        if expected is not None:
            terminal.note(expected.describe(str(chosen.device)))
        result = protect_photo(
            source,
            chosen,
            output=target,
            settings=settings,
            force=show.force,
            accept_weak=method.accept_weak,
            on_progress=_teller(progress),
        )
    show_protection(terminal, result, details=details)


def other_inputs(method: ProtectOptions, company: AmongOptions) -> list[Path]:
    """Files that are read beside the photo, and may not be written over."""
    return [*([method.config] if method.config else []), *(company.among or [])]


def preview_one(
    terminal: Terminal,
    photo: Path,
    output: Path | None,
    model: EditorsOptions,
    method: ProtectOptions,
    company: AmongOptions,
    show: SaveOptions,
    *,
    details: bool,
) -> None:
    """Write a picture of what protecting a photo would come to."""
    settings = read_settings(method)
    from decontext.photo.files import check_targets
    from decontext.photo.images import load_photo
    from decontext.preview import preview, preview_output

    source, target = load_photo(photo), output or preview_output(photo)
    given = other_inputs(method, company)
    others = read_company(company)
    check_targets([target], inputs=[photo, *given], force=show.force)
    with terminal.progress("previewing") as progress:
        chosen = open_editors(terminal, model, progress, others)
        shown = preview(
            source,
            chosen,
            output=target,
            settings=settings,
            force=show.force,
            on_progress=_teller(progress),
        )
    show_preview(terminal, shown, details=details)


def _teller(progress: Progress) -> OnProgress:
    """What shows how far a run is; its count of passes is the total of the bar."""

    def tell(run: RunProgress) -> None:
        note = run.message if run.stage == "optimising" else f"{run.stage}, {run.message}"
        progress.show(run.done, run.total, note)

    return tell
