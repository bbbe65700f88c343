"""What the commands can be told: one record of options each for what several commands share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

from decontext.cli.declare import BASICS, MACHINE, METHOD, OUTPUT, PANELS, expand, flag, option
from decontext.editors import editor_names
from decontext.errors import InputError
from decontext.notation import LEVELS
from decontext.settings import (
    CAP,
    FLAT_BUDGET,
    MAXIMUM_SEED,
    PRESETS,
    Method,
    ObjectiveName,
    ProtectSettings,
    RobustLevel,
    Strength,
)

if TYPE_CHECKING:
    from decontext.photo.images import Metadata

__all__ = [
    "BASICS",
    "DEFAULTS",
    "MACHINE",
    "METHOD",
    "OUTPUT",
    "PANELS",
    "BudgetOptions",
    "EditorOptions",
    "EpsilonOption",
    "MeasureOptions",
    "MethodOptions",
    "OneEditorOptions",
    "ProtectOptions",
    "RunOptions",
    "SaveOptions",
    "SeedOption",
    "ShowOptions",
    "StepsOption",
    "edit_steps_option",
    "expand",
    "flag",
    "option",
    "output_option",
]

DEFAULTS = ProtectSettings()


def output_option(help: str, *, metavar: str, default: object = None) -> Any:
    """`--output`, which means something else in every command."""
    short = ("-o",)
    return option("--output", help, panel=BASICS, short=short, metavar=metavar, default=default)


def edit_steps_option(name: str, *, panel: str) -> Any:
    """How many denoising steps an edit has."""
    return option(
        name,
        "Denoising steps of an edit.",
        panel=panel,
        metavar="N",
        default="the editor's own",
        between=(1, 1000),
    )


EpsilonOption = Annotated[
    str | None,
    option(
        "--epsilon",
        "Largest change of a colour: 8/255, or 8 (levels), or 0.03; a cap for least-visible.",
        panel=BASICS,
        metavar="E",
        default=f"{CAP}/{LEVELS} for least-visible, {FLAT_BUDGET}/{LEVELS} for sign",
    ),
]
AddressOption = Annotated[
    str | None,
    option(
        "--address",
        "Of a running Ray cluster, with --engine ray; auto for this machine's.",
        panel=MACHINE,
        metavar="ADDRESS",
        default="one is started here",
    ),
]
StepsOption = Annotated[
    int | None,
    option(
        "--steps", "Optimisation steps, at most.", panel=BASICS, metavar="N", default=DEFAULTS.steps
    ),
]
SeedOption = Annotated[
    int | None,
    option(
        "--seed",
        "Same seed, same result.",
        panel=METHOD,
        metavar="N",
        default=DEFAULTS.seed,
        between=(0, MAXIMUM_SEED),
    ),
]


@dataclass(frozen=True, kw_only=True)
class HeldOptions:
    """How an editor's weights are found and held."""

    weights: Annotated[
        str | None,
        option(
            "--weights",
            "Folder or hub id of the weights.",
            panel=MACHINE,
            metavar="FOLDER",
            default="the editor's own",
        ),
    ] = None
    parts: Annotated[
        str | None,
        option(
            "--parts",
            "Where the rest comes from when --weights is a single file.",
            panel=MACHINE,
            metavar="FOLDER",
            default="the file's folder, or the hub",
        ),
    ] = None
    device: Annotated[
        str | None,
        option(
            "--device",
            "cpu or cuda.",
            panel=MACHINE,
            metavar="NAME",
            default="a GPU if there is one",
            choices=("cpu", "cuda"),
        ),
    ] = None
    precision: Annotated[
        str | None,
        option(
            "--precision",
            "Of the weights: auto, fp32, bf16; for flux-kontext also int8, fp8, nf4.",
            panel=MACHINE,
            metavar="NAME",
            default="what suits the device",
            choices=("auto", "fp32", "bf16", "int8", "fp8", "nf4"),
        ),
    ] = None
    stream_weights: Annotated[
        bool,
        flag(
            "--stream-weights",
            "Hold one block at a time on the device; exact, slower.",
            panel=MACHINE,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class EditorOptions(HeldOptions):
    """Which editor, and how its weights are found and held: one of what was given."""

    editor: str | None = None


@dataclass(frozen=True, kw_only=True)
class EditorsOptions(HeldOptions):
    """Which editor, or several, and how their weights are found and held."""

    editor: Annotated[
        list[str] | None,
        option(
            "--editor",
            "Which editor, needed; again for another one, also as NAME=WEIGHTS.",
            panel=BASICS,
            metavar="NAME",
            choices=editor_names(),
        ),
    ] = None

    def each(self) -> list[EditorOptions]:
        """The options of every editor.

        Raises:
            InputError: --weights or --parts cannot say whose they are.
        """
        held = {field.name: getattr(self, field.name) for field in fields(HeldOptions)}
        given = self.editor or []
        if len(given) > 1 and (self.weights or self.parts):
            raise InputError(
                "--weights and --parts are of one editor; several were chosen.",
                "Write --editor NAME=WEIGHTS for each.",
            )
        chosen = []
        for text in given:
            name, _, weights = text.partition("=")
            own = held | ({"weights": weights} if weights else {})
            chosen.append(EditorOptions(editor=name, **own))
        return chosen or [EditorOptions(**held)]


@dataclass(frozen=True, kw_only=True)
class OneEditorOptions(EditorsOptions):
    """Which editor, for a command that takes one. More than one is refused, not overlooked."""

    editor: Annotated[
        list[str] | None,
        option(
            "--editor",
            "Which editor, needed; see 'decontext editors'.",
            panel=BASICS,
            metavar="NAME",
            choices=editor_names(),
        ),
    ] = None

    def one(self, command: str, hint: str = "") -> EditorOptions:
        """The only one. Raises: InputError, there are several."""
        given = self.editor or []
        if len(given) > 1:
            raise InputError(
                f"decontext {command} takes one editor; {' and '.join(given)} were given.",
                hint or "Give one --editor; protect, verify and app take several.",
            )
        return self.each()[0]


@dataclass(frozen=True, kw_only=True)
class AmongOptions:
    """Other pictures that an editor of several is given with the photo."""

    among: Annotated[
        list[Path] | None,
        option(
            "--among",
            "Another picture that the editor is given too; again for more.",
            panel=METHOD,
            metavar="PICTURE",
            default="none",
        ),
    ] = None
    place: Annotated[
        int | None,
        option(
            "--place",
            "Which of these pictures the photo is.",
            panel=METHOD,
            metavar="N",
            default="1",
            between=(1, 1000),
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class BudgetOptions:
    """How strongly and how long; the same seed gives the same result."""

    epsilon: EpsilonOption = None
    steps: StepsOption = None
    seed: SeedOption = None


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What of the editor is measured."""

    blocks: Annotated[
        str | None,
        option(
            "--blocks",
            "Attention blocks: all, paper, double:0-18, single:3, ...; protecting also auto.",
            panel=METHOD,
            metavar="NAMES",
            default=DEFAULTS.blocks,
            choices=("all", "paper", "auto", "double", "single"),
        ),
    ] = None
    working_size: Annotated[
        str | None,
        option(
            "--working-size",
            "How the editor sees the photo: ordinary, 512, or several with commas.",
            panel=METHOD,
            metavar="SIZES",
            default=DEFAULTS.working_size,
            choices=("ordinary", "512", "ordinary,512"),
        ),
    ] = None
    seed: SeedOption = None


@dataclass(frozen=True, kw_only=True)
class MethodOptions(MeasureOptions, BudgetOptions):
    """Everything that a photo is protected with: the fields are those of `ProtectSettings`."""

    preset: Annotated[
        str | None,
        option(
            "--preset",
            f"Settings by name: {', '.join(PRESETS)}; other options count more.",
            panel=BASICS,
            metavar="NAME",
            default="none",
            choices=tuple(PRESETS),
        ),
    ] = None
    method: Annotated[
        str | None,
        option(
            "--method",
            "least-visible: as little as can be seen; sign: all of a flat budget; "
            "texture: less of it on smooth places.",
            panel=BASICS,
            metavar="NAME",
            default=DEFAULTS.method,
            choices=get_args(Method),
        ),
    ] = None
    strength: Annotated[
        str | None,
        option(
            "--strength",
            "How far attention is to fall: gentle, standard or strong.",
            panel=BASICS,
            metavar="NAME",
            default=DEFAULTS.strength,
            choices=get_args(Strength),
        ),
    ] = None
    fall: Annotated[
        float | None,
        option(
            "--fall",
            "By what part attention is to fall, such as 0.6, in place of --strength.",
            panel=METHOD,
            metavar="PART",
            default="that of --strength",
        ),
    ] = None
    robust: Annotated[
        str | None,
        option(
            "--robust",
            "What it is to outlast: off; jpeg; web, which is JPEG, reducing, cropping; strong.",
            panel=BASICS,
            metavar="LEVEL",
            default=DEFAULTS.robust,
            choices=get_args(RobustLevel),
        ),
    ] = None
    config: Annotated[
        Path | None,
        option(
            "--config",
            "Take the settings of an earlier report; other options count more.",
            panel=METHOD,
            metavar="REPORT",
            default="none",
        ),
    ] = None
    objective: Annotated[
        str | None,
        option(
            "--objective",
            "What is optimised; all but the default are there to compare with.",
            panel=METHOD,
            metavar="NAME",
            default=DEFAULTS.objective,
            choices=get_args(ObjectiveName),
        ),
    ] = None
    step_size: Annotated[
        str | None,
        option(
            "--step-size",
            "Change in the first step, written like --epsilon.",
            panel=METHOD,
            metavar="E",
            default="as epsilon and the steps need",
        ),
    ] = None
    samples_per_step: Annotated[
        int | None,
        option(
            "--samples-per-step",
            "Instructions and noises that a step averages.",
            panel=METHOD,
            metavar="N",
            default=DEFAULTS.samples_per_step,
        ),
    ] = None
    refresh_text: Annotated[
        int | None,
        option(
            "--refresh-text",
            "Show the text encoder the changed photo every N steps, 0 is never (step1x-edit).",
            panel=METHOD,
            metavar="N",
            default=DEFAULTS.refresh_text,
        ),
    ] = None
    count_vlm_tokens: Annotated[
        bool,
        flag(
            "--count-vlm-tokens",
            "Also lower attention to the photo's text tokens (step1x-edit).",
            panel=METHOD,
        ),
    ] = False


@dataclass(frozen=True, kw_only=True)
class ProtectOptions(MethodOptions):
    """The same, which verdict is enough, and what is saved with the picture."""

    step_limit: Annotated[
        int | None,
        option(
            "--step-limit",
            "Up to how many steps it goes on while the verdict is not strong.",
            panel=METHOD,
            metavar="N",
            default="4 times --steps",
        ),
    ] = None
    accept_weak: Annotated[
        bool, flag("--accept-weak", "Save a photo whose verdict is weak, too.", panel=BASICS)
    ] = False
    strip_location: Annotated[
        bool,
        flag("--strip-location", "Save without the place where it was taken.", panel=OUTPUT),
    ] = False
    strip_metadata: Annotated[
        bool, flag("--strip-metadata", "Save without EXIF, XMP, IPTC data and texts.", panel=OUTPUT)
    ] = False

    @property
    def metadata(self) -> Metadata:
        """What of the photo's metadata is saved."""
        return "none" if self.strip_metadata else "no-location" if self.strip_location else "keep"


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """What is shown."""

    as_json: Annotated[
        bool, flag("--json", "Print one JSON object, nothing else.", panel=OUTPUT)
    ] = False
    debug: Annotated[bool, flag("--debug", "Show the traceback of an error.", panel=OUTPUT)] = False


@dataclass(frozen=True, kw_only=True)
class RunOptions(ShowOptions):
    """What is shown of a command that takes its time."""

    quiet: Annotated[bool, flag("--quiet", "Print errors and warnings only.", panel=OUTPUT)] = False


@dataclass(frozen=True, kw_only=True)
class SaveOptions(RunOptions):
    """The same for one that writes files."""

    force: Annotated[bool, flag("--force", "Overwrite existing files.", panel=OUTPUT)] = False
