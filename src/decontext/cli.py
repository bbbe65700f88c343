"""The command line: it draws what the library yields and turns its errors into exit codes.

Last on the way of the data, and thin: every command loads, calls one function and shows what came
back. 0 is success, 1 "it failed" (or "not protected"), 2 "your input", 130 is Ctrl-C. torch is
imported only by commands that compute.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from decontext import __version__
from decontext.editors import list_editors
from decontext.errors import DecontextError, InputError
from decontext.terminal import Terminal

if TYPE_CHECKING:
    from decontext.editors import Editor
    from decontext.pgd import Step
    from decontext.settings import ProtectSettings

INTERRUPTED = 130

app = typer.Typer(
    name="decontext",
    add_completion=False,
    pretty_exceptions_enable=False,
)

EditorOption = Annotated[
    str | None, typer.Option("--editor", metavar="NAME", help="Which editor; see 'editors'.")
]
WeightsOption = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="FOLDER", help="Folder or hub id of the weights, if not the usual."
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", help="'cpu' or 'cuda'; default: a GPU if there is one.")
]
PrecisionOption = Annotated[
    str | None, typer.Option("--precision", help="Of the weights: 'float32' or 'bfloat16'.")
]
EpsilonOption = Annotated[
    str | None,
    typer.Option("--epsilon", help="Largest change of a colour: 8/255, or 8 (levels), or 0.03."),
]
StepsOption = Annotated[int | None, typer.Option("--steps", help="Optimisation steps.")]
BlocksOption = Annotated[
    str | None,
    typer.Option("--blocks", help="Attention blocks: all, paper, double:0-18, single:3, ..."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", help="Same seed, same result.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Overwrite existing files.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print errors and warnings only.")]
DebugOption = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def main() -> None:
    """Entry point of the command `decontext`."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # Meant for programmers; PYTHONWARNINGS brings them back.
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors are shown, not raised."""
    terminal = Terminal(as_json="--json" in arguments)
    try:
        code = app(args=list(arguments), prog_name="decontext", standalone_mode=False)
    except DecontextError as error:
        _trace(arguments)
        terminal.show_error(error.message, error.hint, code=error.exit_code)
        return error.exit_code
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f"Try '{context.command_path} --help'." if context else ""
        terminal.show_error(error.format_message(), hint, code=error.exit_code)
        return error.exit_code
    except Exception as error:  # The last place where anything can be said to the user.
        _trace(arguments)
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        terminal.show_error(f"unexpected error: {reason}", "--debug shows where.", code=1)
        return 1
    if code == INTERRUPTED:
        terminal.show_error("stopped; no unfinished file was left.", code=INTERRUPTED)
    return int(code or 0)


@app.callback(invoke_without_command=True)
def greet(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Protect photos of people against in-context image editors."""
    if version:
        typer.echo(f"decontext {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
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
    seed: SeedOption = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", metavar="REPORT", help="Take the settings of an earlier report."),
    ] = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Protect a photo against an editor, and measure the saved file.

    Exit code 0: protected. 1: it failed, nothing was written. 2: your input.
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    _require_editor(editor)
    settings = _read_settings(
        config, epsilon=epsilon, step_size=step_size, steps=steps, blocks=blocks, seed=seed
    )
    from decontext.images import load_photo
    from decontext.protect import check_targets, default_output
    from decontext.protect import protect as protect_photo

    # Before the weights are loaded, which may take minutes.
    source, target = load_photo(photo), output or default_output(photo)
    check_targets(source, target, force=force)
    chosen = _load_editor(terminal, editor, weights, device, precision)
    with terminal.progress("protecting") as draw:
        result = protect_photo(
            source,
            chosen,
            output=target,
            settings=settings,
            force=force,
            on_step=lambda step: draw(step.index, step.steps, _describe_step(step)),
            on_measure=lambda done, total: draw(done, total, "measuring the saved file"),
        )
    terminal.show_protection(result)


@app.command()
def verify(
    protected: Annotated[Path, typer.Argument(help="The protected photo.", show_default=False)],
    original: Annotated[
        Path, typer.Option("--original", help="The photo before.", show_default=False)
    ],
    editor: EditorOption = None,
    blocks: BlocksOption = None,
    seed: SeedOption = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> int:
    """Measure whether a photo is protected against an editor.

    Exit code 0: it is. 1: it is not. 2: your input.
    """
    terminal = Terminal(as_json=as_json, quiet=quiet)
    _require_editor(editor)
    from decontext.images import load_photo
    from decontext.verify import verify as verify_photo

    after, before = load_photo(protected), load_photo(original)
    chosen = _load_editor(terminal, editor, weights, device, precision)
    with terminal.progress("measuring") as draw:
        verification = verify_photo(
            after,
            before,
            chosen,
            blocks=blocks or "all",
            seed=seed or 0,
            on_measure=lambda done, total: draw(done, total, ""),
        )
    terminal.show_verification(verification)
    return 0 if verification.protected else 1


@app.command()
def edit(
    photo: Annotated[Path, typer.Argument(help="The photo.", show_default=False)],
    instruction: Annotated[str, typer.Argument(help="What to edit.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The edited picture.", show_default=False)
    ],
    editor: EditorOption = None,
    seed: SeedOption = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps.", min=1)] = None,
    weights: WeightsOption = None,
    device: DeviceOption = None,
    precision: PrecisionOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Edit a photo as anyone would, to see what an editor makes of it."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    _require_editor(editor)
    if not instruction.strip():
        raise InputError("the instruction is empty; it must say what to edit.", "Try 'smile'.")
    from decontext.images import Photo, check_output, load_photo, save_photo

    source = load_photo(photo)
    check_output(replace(source, alpha=None), output)
    if output.exists() and not force:
        raise InputError(f"{output} exists already.", "Overwrite it with --force.")
    chosen = _load_editor(terminal, editor, weights, device, precision)
    with terminal.progress("editing") as draw:
        picture = chosen.edit(
            source.pixels,
            instruction,
            seed=seed or 0,
            steps=steps,
            on_step=lambda done, total: draw(done, total, ""),
        )
    edited = Photo(pixels=picture, path=output, format="PNG", mode="RGB")
    save_photo(picture, edited, output)
    terminal.say(f"{output}: {edited.size[0]} x {edited.size[1]} pixels, by {chosen.info.name}")
    terminal.show_json(
        {
            "output": str(output),
            "size": list(edited.size),
            "instruction": instruction,
            "editor": chosen.info.name,
            "seed": seed or 0,
        }
    )


@app.command()
def editors(as_json: JsonOption = False) -> None:
    """List the editors that there are."""
    Terminal(as_json=as_json).show_editors(list_editors())


@app.command()
def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the page and the pictures.")
    ],
    epsilon: EpsilonOption = None,
    steps: StepsOption = None,
    seed: SeedOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    debug: DebugOption = False,
) -> None:
    """Protect two portraits against the embedded editor, edit both versions, and compare."""
    terminal = Terminal(as_json=as_json, quiet=quiet)
    overrides = _parse_overrides(epsilon=epsilon, steps=steps, seed=seed)
    from decontext.demo import SETTINGS, run_demo

    settings = replace(SETTINGS, **overrides)
    chosen = _load_editor(terminal, "kontext-mini", None, None, None)
    with terminal.progress("demonstration") as draw:
        demonstration = run_demo(output, chosen, settings=settings, force=force, on_progress=draw)
    terminal.show_demonstration(demonstration)


def _require_editor(name: str | None) -> None:
    """No photo is ever protected against an editor that nobody chose."""
    if name is None:
        choices = "".join(f"\n  {info.name}: {info.title}" for info in list_editors())
        raise InputError(f"no editor was chosen; there are:{choices}", "Add --editor NAME.")


def _load_editor(
    terminal: Terminal,
    name: str | None,
    weights: str | None,
    device: str | None,
    precision: str | None,
) -> Editor:
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    from decontext.editors import load_editor

    # Their remarks are meant for programmers, and --quiet means quiet.
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
    with terminal.progress(f"loading {name}"):
        editor = load_editor(str(name), source=weights, device=device, dtype=precision)
    if editor.info.demonstration:
        from decontext.report import DEMONSTRATION

        terminal.warn(DEMONSTRATION)
    return editor


def _read_settings(config: Path | None, **given: Any) -> ProtectSettings:
    """Settings of an earlier report, or the defaults, changed by what was given."""
    from decontext.settings import ProtectSettings

    overrides = _parse_overrides(**given)
    if config is None:
        return ProtectSettings(**overrides)
    from decontext.report import settings_from_report

    return replace(settings_from_report(config), **overrides)


def _parse_overrides(**given: Any) -> dict[str, Any]:
    """What was given on the command line, as values of `ProtectSettings`."""
    from decontext.settings import parse_epsilon

    overrides = {name: value for name, value in given.items() if value is not None}
    for name in ("epsilon", "step_size"):
        if name in overrides:
            overrides[name], _ = parse_epsilon(overrides[name], name=name)
    return overrides


def _describe_step(step: Step) -> str:
    return f"context proportion {step.start_value:.3f}, now {step.value:.3f}"


def _trace(arguments: Sequence[str]) -> None:
    """With --debug: the traceback of the error being handled, on stderr."""
    if "--debug" in arguments:
        traceback.print_exc()
