"""START HERE: the whole method, top to bottom.

A photo goes in. The perturbation lives at the photo's own size; the editor sees it through its own
resize, and in most steps after what sites do to photos. Sign-gradient descent lowers the part of
attention that the picture being generated pays to the photo, for random instructions, noises and
high noise levels, within an L-infinity budget. The result is rounded inside the budget, saved under
a temporary name, read again, measured with instructions and noises that were not optimised on, and
only then given its name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.attention import resolve_blocks
from decontext.editors import Editor, LoadsForMeasuring, Prepares, load_editor
from decontext.errors import InputError, NotProtectedError
from decontext.objectives import build_objective, control_noise, working_sizes
from decontext.objectives.sensitivity import choose_blocks
from decontext.pgd import Step, descend
from decontext.photo.files import check_absent, check_writable
from decontext.photo.images import (
    JPEG_QUALITY,
    Photo,
    check_output,
    load_photo,
    psnr,
    quantise,
    save_photo,
)
from decontext.prompts import HELD_OUT, OPTIMISE
from decontext.publishing.chains import draw_chain, fixed_chains
from decontext.publishing.transforms import Transform, parse_transform
from decontext.report import build_report, report_path, write_report
from decontext.settings import CONTROLS, ProtectSettings
from decontext.verify import OnMeasure, Verification, verify

OnStep = Callable[[Step], None]
CHECK_SEED = 20_251_216  # of the fixed draws by which steps are compared
AS_IT_IS = parse_transform("none")


@dataclass(frozen=True, eq=False)
class Result:
    """A protected photo as it was saved and read again.

    Attributes:
        image: `(1, 3, height, width)` float32 in [0, 1], the file's pixels.
        path: the saved file.
        report: what was written beside it.
        verification: what was measured on the saved file.
        settings: repeat the run.
    """

    image: Tensor = field(repr=False)
    path: Path
    report: dict[str, Any] = field(repr=False)
    verification: Verification = field(repr=False)
    settings: ProtectSettings


def protect_steps(
    photo: Photo,
    editor: Editor,
    settings: ProtectSettings,
    *,
    saving: Callable[[Tensor], Tensor] = AS_IT_IS,
) -> Generator[Step, None, Tensor]:
    """Optimise the perturbation; yields each step and returns the protected picture.

    The picture is `(1, 3, height, width)`, whole 8-bit levels, within the budget. Close the
    generator to cancel. `saving` is what the file format will do to it, see `saved_as`. A control
    takes one step, whose values are context proportions.

    Source: arXiv 2512.16625, section 3, with the differences that `pgd` and `settings` name.
    """
    settings = settle(photo, editor, settings)
    if settings.objective in CONTROLS:
        return (yield from _control_steps(photo, editor, settings))
    original = photo.pixels
    objective = build_objective(editor, original, settings)
    # A check judges a picture with the text that belongs to it, where the text is refreshed at all.
    judging = replace(settings, refresh_text=min(1, settings.refresh_text))
    single = build_objective(editor, original, judging, samples=1)
    generator = torch.Generator().manual_seed(settings.seed)

    def expect(image: Tensor) -> Tensor:
        chain = draw_chain(settings.robust, photo.size, generator)
        return objective(chain(saving(image), generator), generator)

    def check(image: Tensor) -> Tensor:
        draws, saved = torch.Generator().manual_seed(CHECK_SEED), saving(image)
        chains = fixed_chains(settings.robust, photo.size)
        return torch.stack([single(chain(saved, draws), draws) for chain in chains]).mean()

    best = original
    for step in descend(
        expect,
        original,
        epsilon=settings.epsilon,
        steps=settings.steps,
        step_size=settings.first_step_size,
        momentum=settings.momentum,
        schedule=settings.schedule,
        random_start=settings.random_start,
        generator=generator,
        shared_channels=photo.is_grey,
        check=check,
    ):
        best = step.best
        yield step
    return quantise(best, original, settings.epsilon)


def protect(
    photo: Photo | str | Path,
    editor: Editor | str,
    *,
    output: str | Path | None = None,
    settings: ProtectSettings | None = None,
    force: bool = False,
    quality: int | None = None,
    on_step: OnStep | None = None,
    on_measure: OnMeasure | None = None,
    **overrides: Any,
) -> Result:
    """Protect a photo against an editor, save it, measure the saved file, and report.

    Args:
        photo: a file, or what `load_photo` returned.
        editor: an editor, or the name of one.
        output: where to; by default `NAME.protected.EXT` beside the photo.
        settings: how; single ones can be given as keywords instead (`epsilon=8 / 255`).
        force: overwrite existing files.
        quality: of JPEG, see `images.save_photo`.
        on_step: called after each step.
        on_measure: called after each measurement of the saved file.

    Raises:
        InputError: the photo, a setting or the output cannot be used; nothing was written.
        EditorError: the editor's weights are missing or damaged.
        AttentionError: the editor's attention was not seen, or gave no gradient.
        NotProtectedError: the saved file did not measure as protected; it was removed again.
    """
    began = time.monotonic()
    photo = photo if isinstance(photo, Photo) else load_photo(photo)
    settings = replace(settings or ProtectSettings(), **overrides)
    target = Path(output) if output is not None else default_output(photo.path)
    check_targets(photo, target, force=force)
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    _prepare(loaded, photo, settings)
    settings = settle(photo, loaded, settings)
    saving = saved_as(target, quality)
    image = drain(protect_steps(photo, loaded, settings, saving=saving), on_step)
    temporary = target.with_name(f".{target.stem}.{time.time_ns():x}{target.suffix}")
    try:
        save_photo(image, photo, temporary, quality=quality)
        saved = load_photo(temporary).pixels
        verification = verify(
            saved,
            photo,
            _for_measuring(loaded),
            blocks=settings.blocks,
            prompts=HELD_OUT[: settings.verify_prompts],
            noises=settings.verify_noises,
            seed=settings.seed,
            working_size=settings.working_size,
            on_measure=on_measure,
        )
        if not verification.protected:
            raise _not_protected(verification)
        report = build_report(
            original=photo.path,
            protected=temporary,
            name=target.name,
            editor=loaded.info,
            device=str(loaded.device),
            precision=getattr(loaded, "precision", ""),
            settings=settings,
            verification=verification,
            psnr=psnr(photo.pixels, saved),
            seconds=time.monotonic() - began,
            notes=photo.notes,
        )
        # The photo last: where it lies, its report lies too.
        write_report(report, report_path(target))
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return Result(saved, target, report, verification, settings)


def default_output(photo: Path) -> Path:
    """`NAME.protected.EXT` beside the photo."""
    return photo.with_name(f"{photo.stem}.protected{photo.suffix}")


def settle(photo: Photo, editor: Editor, settings: ProtectSettings) -> ProtectSettings:
    """The settings with blocks that this editor has in place of "auto"."""
    if settings.blocks != "auto":
        return settings
    return replace(settings, blocks=choose_blocks(editor, photo.pixels, seed=settings.seed))


def saved_as(path: Path, quality: int | None = None) -> Transform:
    """What saving to this file does to a picture: JPEG, in full colour, or nothing."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return parse_transform(f"jpeg444-{JPEG_QUALITY if quality is None else quality}")
    return AS_IT_IS


def check_targets(photo: Photo, target: Path, *, force: bool) -> None:
    """Find out before the work whether photo and report could be written. Raises: InputError."""
    check_output(photo, target)
    check_writable(report_path(target))
    if target.exists() and photo.path.exists() and target.samefile(photo.path):
        raise InputError("the output is the photo itself; it must be another file.")
    for path in (target, report_path(target)):
        check_absent(path, force=force)


def _control_steps(
    photo: Photo, editor: Editor, settings: ProtectSettings
) -> Generator[Step, None, Tensor]:
    """One step for noise that nothing was optimised for."""
    began, original = time.perf_counter(), photo.pixels
    generator = torch.Generator().manual_seed(settings.seed)
    noisy = quantise(
        control_noise(
            settings.objective,
            original,
            epsilon=settings.epsilon,
            generator=generator,
            grey=photo.is_grey,
        ),
        original,
        settings.epsilon,
    )
    proportion = build_objective(
        editor, original, replace(settings, objective="context-proportion"), samples=4
    )
    with torch.no_grad():
        start, value = (
            float(proportion(image, torch.Generator().manual_seed(CHECK_SEED)))
            for image in (original, noisy)
        )
    yield Step(
        index=1,
        steps=1,
        value=value,
        start_value=start,
        best_value=value,
        step_size=settings.epsilon,
        seconds=time.perf_counter() - began,
        image=noisy,
        best=noisy,
        original=original,
    )
    return noisy


def _prepare(editor: Editor, photo: Photo, settings: ProtectSettings) -> None:
    """All instructions of the run at once, so that the text encoders are needed once only."""
    if isinstance(editor, Prepares):
        info = editor.info
        blocks = "all" if settings.blocks == "auto" else settings.blocks
        editor.prepare(
            [*OPTIMISE, *HELD_OUT[: settings.verify_prompts]],
            resolve_blocks(blocks, info.double_blocks, info.single_blocks),
            sizes=working_sizes(editor, photo.pixels, settings.working_sides),
        )


def _for_measuring(editor: Editor) -> Editor:
    return editor.for_measuring() if isinstance(editor, LoadsForMeasuring) else editor


def drain(steps: Generator[Step, None, Tensor], on_step: OnStep | None = None) -> Tensor:
    """Run `protect_steps` to its end and return the protected picture."""
    while True:
        try:
            step = next(steps)
        except StopIteration as stop:
            image: Tensor = stop.value
            return image
        if on_step is not None:
            on_step(step)


def _not_protected(verification: Verification) -> NotProtectedError:
    return NotProtectedError(
        f"the saved photo did not measure as protected: the context proportion went from "
        f"{verification.original:.3f} to {verification.protected_mean:.3f}; nothing was written.",
        "Try more --steps or a larger --epsilon.",
    )
