"""`decontext protect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from decontext.cli._options import (
    BlocksOption,
    DebugOption,
    DeviceOption,
    EditorOption,
    EpsilonOption,
    ForceOption,
    JsonOption,
    ObjectiveOption,
    PartsOption,
    PrecisionOption,
    QuietOption,
    RobustOption,
    SeedOption,
    StepsOption,
    StreamOption,
    WeightsOption,
    WorkingSizeOption,
    open_editor,
    read_settings,
    require_editor,
)
from decontext.cli.terminal import Terminal

if TYPE_CHECKING:
    from decontext.pgd import Step
    from decontext.settings import ProtectSettings


def protect(
    photo: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Default: NAME.protected.EXT beside the photo."),
    ] = None,
    editor: EditorOption = None,
    epsilon: EpsilonOption = None,
    steps: StepsOption = None,
    step_size: Annotated[
        str | None, typer.Option("--step-size", help="Change per step, written like --epsilon.")
    ] = None,
    blocks: BlocksOption = None,
    robust: RobustOption = None,
    objective: ObjectiveOption = None,
    seed: SeedOption = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="REPORT", help="Take the settings of an earlier report."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="Settings by name: paper, balanced, fast."),
    ] = None,
    samples_per_step: Annotated[
        int | None,
        typer.Option("--samples-per-step", help="Instructions and noises that a step averages."),
    ] = None,
    working_size: WorkingSizeOption = None,
    refresh_text: Annotated[
        int | None,
        typer.Option(
            "--refresh-text",
            metavar="N",
            help="Show the text encoder the changed photo every N steps (step1x-edit).",
        ),
    ] = None,
    count_vlm_tokens: Annotated[
        bool,
        typer.Option(
            "--count-vlm-tokens",
            help="Also lower attention to the photo's text tokens (step1x-edit).",
        ),
    ] = False,
    weights: WeightsOption = None,
    parts: PartsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    stream_weights: StreamOption = False,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Protect a photo against an editor, and measure the saved file.

    Exit code 0: protected. 1: it failed, nothing was written. 2: your input.
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    require_editor(editor)
    settings = read_settings(
        config,
        preset,
        epsilon=epsilon,
        step_size=step_size,
        steps=steps,
        blocks=blocks,
        robust=robust,
        objective=objective,
        seed=seed,
        samples_per_step=samples_per_step,
        working_size=working_size,
        refresh_text=refresh_text,
        count_vlm_tokens=count_vlm_tokens or None,
    )
    from decontext.estimate import estimate_run
    from decontext.photo.images import load_photo
    from decontext.protect import check_targets, default_output
    from decontext.protect import protect as protect_photo

    # Before the weights are loaded, which may take minutes.
    source, target = load_photo(photo), output or default_output(photo)
    check_targets(source, target, force=force)
    chosen = open_editor(
        terminal, editor, weights, device, precision, parts=parts, stream_weights=stream_weights
    )
    expected = estimate_run(source, chosen, settings)
    if expected is not None:
        terminal.note(expected.describe(str(chosen.device)))
    with terminal.progress("protecting") as draw:
        result = protect_photo(
            source,
            chosen,
            output=target,
            settings=settings,
            force=force,
            on_step=lambda step: draw(step.index, step.steps, _describe_step(step, settings)),
            on_measure=lambda done, total: draw(done, total, "measuring the saved file"),
        )
    terminal.show_protection(result)


def _describe_step(step: Step, settings: ProtectSettings) -> str:
    name = settings.objective.replace("-", " ")
    return f"{name} {step.start_value:.3f}, now {step.value:.3f}"
