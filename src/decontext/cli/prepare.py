"""From the options' values to editor and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decontext.cli.options import AmongOptions, BudgetOptions, EditorOptions, EditorsOptions
from decontext.cli.progress import Progress
from decontext.cli.terminal import Terminal
from decontext.editors import list_editors
from decontext.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from decontext.editors import Editor
    from decontext.editors.several import Crew
    from decontext.settings import ProtectSettings


def require_editor(options: EditorOptions | EditorsOptions) -> None:
    """No photo is ever protected against an editor that nobody chose."""
    if not options.editor:
        choices = "".join(f"\n  {info.name}: {info.title}" for info in list_editors())
        raise InputError(f"no editor was chosen; there are:{choices}", "Add --editor NAME.")


def open_editor(terminal: Terminal, options: EditorOptions, progress: Progress) -> Editor:
    """Load the editor; options of single editors are left out where they were not given."""
    progress.prepare(f"loading {options.editor}")
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    from decontext.editors import load_editor

    # Their remarks are meant for programmers, and --quiet means quiet.
    for logging in (diffusers_logging, transformers_logging):
        logging.set_verbosity_error()
    show_log(terminal)
    own: dict[str, Any] = {"parts": options.parts, "stream_weights": options.stream_weights}
    editor = load_editor(
        str(options.editor),
        source=options.weights,
        device=options.device,
        dtype=options.precision,
        **{name: value for name, value in own.items() if value},
    )
    if editor.info.demonstration:
        from decontext.report import DEMONSTRATION

        terminal.warn(DEMONSTRATION)
    return editor


def open_editors(
    terminal: Terminal,
    options: EditorsOptions,
    progress: Progress,
    company: Company | None = None,
) -> Crew:
    """Load all of them; see `open_editor`."""
    from decontext.editors.several import Crew

    editors = [open_editor(terminal, one, progress) for one in options.each()]
    return Crew([join(editor, company) for editor in editors])


@dataclass(frozen=True)
class Company:
    """Other pictures that the editor is given, and how many of them come before the photo."""

    others: tuple[Tensor, ...]
    place: int


def read_company(options: AmongOptions) -> Company | None:
    """The other pictures. Raises: InputError, one cannot be read or there are too few of them."""
    names = options.among or []
    place = options.place or 1
    if not names and options.place is not None:
        raise InputError("--place says which of several pictures the photo is.", "Add --among.")
    if place > len(names) + 1:
        raise InputError(
            f"--place is {place}; with the photo there are {len(names) + 1} pictures.",
            "Give a smaller number, or more pictures with --among.",
        )
    from decontext.photo.images import load_photo

    others = tuple(load_photo(name).pixels for name in names)
    return Company(others, place - 1) if others else None


def join(editor: Editor, company: Company | None) -> Editor:
    """The editor, given the other pictures too. Raises: InputError, it takes one."""
    if company is None:
        return editor
    from decontext.editors import TakesSeveral

    if not isinstance(editor, TakesSeveral):
        raise InputError(
            f"{editor.info.name} takes one picture; --among is for editors that take several."
        )
    return editor.among(company.others, company.place)


def refuse_company(options: AmongOptions) -> None:
    """Raises: InputError, other pictures were given with more than one photo."""
    if options.among or options.place is not None:
        raise InputError("--among and --place are for one photo; several were given.")


def refuse_same(inputs: Sequence[str], output: Path) -> None:
    """Raises: InputError: the report would lie in a folder of photos itself."""
    if output.is_dir() and any(Path(name).is_dir() and output.samefile(name) for name in inputs):
        raise InputError("the report must lie in another folder than the photos.")


def show_log(terminal: Terminal) -> None:
    """What the library says while it works: downloads always, the rest unless --quiet."""
    import logging

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            show = terminal.warn if record.levelno >= logging.WARNING else terminal.note
            show(record.getMessage())

    logger = logging.getLogger("decontext")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.handlers = [Shown()]


def hide_log() -> None:
    """Leave the library's log as it was, for whoever runs commands inside a program of theirs."""
    import logging

    logger = logging.getLogger("decontext")
    logger.setLevel(logging.NOTSET)
    logger.propagate = True
    logger.handlers = []


def read_settings(
    options: BudgetOptions, default: ProtectSettings | None = None
) -> ProtectSettings:
    """Settings of an earlier report, of a preset or the default ones, changed by what was given."""
    from decontext.settings import ProtectSettings

    given = parse_overrides(options)
    config, preset = getattr(options, "config", None), getattr(options, "preset", None)
    if config is not None and preset is not None:
        raise InputError("--config and --preset both name settings; give one of them.")
    if preset is not None:
        return ProtectSettings.from_preset(preset, **given)
    if config is not None:
        from decontext.report import settings_from_report

        default = settings_from_report(config)
    return replace(default or ProtectSettings(), **given)


def parse_overrides(options: BudgetOptions) -> dict[str, Any]:
    """What was given on the command line, as values of `ProtectSettings`."""
    from decontext.notation import parse_epsilon
    from decontext.settings import ProtectSettings

    known = {field.name for field in fields(ProtectSettings)}
    given = {
        name: value
        for name, value in asdict(options).items()
        # A flag that was not given leaves to a report what it says.
        if name in known and value is not None and value is not False
    }
    for name in ("epsilon", "step_size"):
        if name in given:
            given[name], _ = parse_epsilon(given[name], name=name)
    if "strength" in given or "fall" in given:
        given.setdefault("method", "least-visible")
    return given
