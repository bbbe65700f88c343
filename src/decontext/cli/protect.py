"""`decontext protect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from decontext.cli.options import EditorOptions, MethodOptions, SaveOptions, output_option
from decontext.cli.prepare import open_editor, read_settings, require_editor
from decontext.cli.terminal import Terminal

if TYPE_CHECKING:
    from decontext.pgd import Step
    from decontext.settings import ProtectSettings


def protect(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="The photo.")],
    *,
    output: Annotated[
        Path | None,
        output_option("Where to save.", metavar="FILE", default="NAME.protected.EXT beside PHOTO"),
    ] = None,
    model: EditorOptions,
    method: MethodOptions,
    show: SaveOptions,
) -> None:
    """Protect a photo against an editor, and measure the saved file.

    Exit code 0: protected. 1: it failed, nothing was written. 2: your input.
    """
    terminal = Terminal(as_json=show.as_json, quiet=show.quiet)
    require_editor(model)
    settings = read_settings(method)
    from decontext.estimate import estimate_run
    from decontext.photo.images import load_photo
    from decontext.protect import check_targets, default_output
    from decontext.protect import protect as protect_photo

    # Before the weights are loaded, which may take minutes.
    source, target = load_photo(photo), output or default_output(photo)
    check_targets(source, target, force=show.force)
    chosen = open_editor(terminal, model)
    expected = estimate_run(source, chosen, settings)
    if expected is not None:
        terminal.note(expected.describe(str(chosen.device)))
    with terminal.progress("protecting") as draw:
        result = protect_photo(
            source,
            chosen,
            output=target,
            settings=settings,
            force=show.force,
            on_step=lambda step: draw(step.index, step.steps, _describe_step(step, settings)),
            on_measure=lambda done, total: draw(done, total, "measuring the saved file"),
        )
    terminal.show_protection(result)


def _describe_step(step: Step, settings: ProtectSettings) -> str:
    name = settings.objective.replace("-", " ")
    return f"{name} {step.start_value:.3f}, now {step.value:.3f}"
