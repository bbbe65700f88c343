"""START HERE: the whole method, top to bottom.

A photo goes in. The perturbation lives at the photo's own size; the editor sees it through its own
resize, and in most steps after what sites do to photos. Sign-gradient descent lowers the part of
attention that the picture being generated pays to the photo, for random instructions, noises and
high noise levels, within an L-infinity budget. The result is rounded inside the budget, saved under
a temporary name, read again, and measured with instructions and noises that were not optimised on.
Where attention did not fall far enough, more steps follow; only a file that measures as protected
gets its name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.attention import resolve_blocks
from decontext.editors import Editor, LoadsForMeasuring, Prepares, load_editor
from decontext.errors import NotProtectedError
from decontext.objectives import CHECK_SEED, build_objective, control_steps, working_sizes
from decontext.objectives.sensitivity import choose_blocks
from decontext.pgd import Step, descend
from decontext.photo.images import Photo, load_photo, psnr, quantise
from decontext.prompts import HELD_OUT, OPTIMISE
from decontext.publishing.chains import draw_chain, fixed_chains
from decontext.publishing.transforms import Transform
from decontext.report import build_report
from decontext.saving import (
    AS_IT_IS,
    Result,
    check_target,
    default_output,
    drafting,
    saved_as,
)
from decontext.settings import CONTROLS, LEVELS, MAXIMUM_SEED, ProtectSettings
from decontext.verdict import Verification
from decontext.verify import OnMeasure, verify

OnStep = Callable[[Step], None]


def protect_steps(
    photo: Photo,
    editor: Editor,
    settings: ProtectSettings,
    *,
    saving: Transform = AS_IT_IS,
    start: Tensor | None = None,
) -> Generator[Step, None, Tensor]:
    """Optimise the perturbation; yields each step and returns the protected picture.

    The picture is `(1, 3, height, width)`, whole 8-bit levels, within the budget. Close the
    generator to cancel. `saving` is what the file format will do to it, see `saved_as`; `start` is
    a picture that was returned before, to go on from. A control takes one step, whose values are
    context proportions.

    Source: arXiv 2512.16625, section 3, with the differences that `pgd` and `settings` name.
    """
    settings = settle(photo, editor, settings)
    if settings.objective in CONTROLS:
        return (yield from control_steps(editor, photo.pixels, settings, grey=photo.is_grey))
    original = photo.pixels
    objective = build_objective(editor, original, settings)
    # A check judges a picture with the text that belongs to it, where the text is refreshed at all.
    judging = replace(settings, refresh_text=min(1, settings.refresh_text))
    single = build_objective(editor, original, judging, samples=1)
    generator = torch.Generator().manual_seed(settings.seed)

    def expect(image: Tensor) -> Tensor:
        chain = draw_chain(settings.robust, photo.size, generator)
        return objective(saving.then(chain)(image, generator), generator)

    def check(image: Tensor) -> Tensor:
        draws = torch.Generator().manual_seed(CHECK_SEED)
        chains = [saving.then(chain) for chain in fixed_chains(settings.robust, photo.size)]
        return torch.stack([single(chain(image, draws), draws) for chain in chains]).mean()

    for step in descend(
        expect,
        original,
        epsilon=settings.epsilon,
        steps=settings.steps,
        step_size=settings.first_step_size,
        momentum=settings.momentum,
        schedule=settings.schedule,
        random_start=settings.random_start if start is None else 0.0,
        generator=generator,
        shared_channels=photo.is_grey,
        check=check,
        start=start,
    ):
        yield step
    return quantise(step.best, original, settings.epsilon)


def protect(
    photo: Photo | str | Path,
    editor: Editor | str,
    *,
    output: str | Path | None = None,
    settings: ProtectSettings | None = None,
    force: bool = False,
    quality: int | None = None,
    accept_weak: bool = False,
    on_step: OnStep | None = None,
    on_measure: OnMeasure | None = None,
    **overrides: Any,
) -> Result:
    """Protect a photo against an editor, save it, measure the saved file, and report.

    Where the verdict is not strong after `settings.steps` steps, more follow, as many again each
    time, up to `settings.last_step`.

    Args:
        photo: a file, or what `load_photo` returned.
        editor: an editor, or the name of one.
        output: where to; by default `NAME.protected.EXT` beside the photo.
        settings: how; single ones can be given as keywords instead (`epsilon=8 / 255`).
        force: overwrite existing files.
        quality: of JPEG, see `images.save_photo`.
        accept_weak: a weak verdict is enough.
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
    check_target(photo, target, force=force)
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    _prepare(loaded, photo, settings)
    settings = settle(photo, loaded, settings)
    saving = saved_as(target, quality)
    with drafting(photo, target, quality=quality, force=force) as draft:
        for picture, steps in improve(photo, loaded, settings, saving=saving, on_step=on_step):
            saved = draft.save(picture)
            verification = measure(saved, photo, loaded, settings, on_measure=on_measure)
            if verification.reaches("weak" if accept_weak else "strong"):
                break
            failed = _not_protected(verification, steps)
            del picture  # the next steps need a large photo's memory
        else:
            raise failed
        report = build_report(
            original=photo.path,
            protected=draft.temporary,
            name=target.name,
            editor=loaded.info,
            device=str(loaded.device),
            precision=getattr(loaded, "precision", ""),
            settings=settings,
            steps=steps,
            verification=verification,
            psnr=psnr(photo.pixels, saved),
            seconds=time.monotonic() - began,
            notes=photo.notes,
        )
        draft.keep(report)
    return Result(saved, target, report, verification, settings)


def improve(
    photo: Photo,
    editor: Editor,
    settings: ProtectSettings,
    *,
    saving: Transform = AS_IT_IS,
    on_step: OnStep | None = None,
) -> Iterator[tuple[Tensor, int]]:
    """Protected pictures and the steps they took: after `settings.steps`, then after twice as many.

    Each goes on from the one before, with draws of its own, up to `settings.last_step`.
    """
    picture, done = None, 0
    last = 1 if settings.objective in CONTROLS else settings.last_step
    while done < last:
        more = min(max(settings.steps, done), last - done)
        seed = (settings.seed + done) % MAXIMUM_SEED
        again = replace(settings, steps=more, seed=seed, step_limit=None)
        steps = protect_steps(photo, editor, again, saving=saving, start=picture)
        picture = drain(steps, on_step and _count_on(on_step, done))
        done += more
        yield picture, done
        picture = picture.mul(LEVELS).round_().to(torch.uint8)  # a quarter of the memory


def measure(
    saved: Tensor,
    photo: Photo,
    editor: Editor,
    settings: ProtectSettings,
    *,
    on_measure: OnMeasure | None = None,
) -> Verification:
    """`verify` a picture as the settings say, in the editor's best precision."""
    return verify(
        saved,
        photo,
        editor.for_measuring() if isinstance(editor, LoadsForMeasuring) else editor,
        blocks=settings.blocks,
        prompts=HELD_OUT[: settings.verify_prompts],
        noises=settings.verify_noises,
        seed=settings.seed,
        working_size=settings.working_size,
        on_measure=on_measure,
    )


def settle(photo: Photo, editor: Editor, settings: ProtectSettings) -> ProtectSettings:
    """The settings with blocks that this editor has in place of "auto"."""
    if settings.blocks != "auto":
        return settings
    return replace(settings, blocks=choose_blocks(editor, photo.pixels, seed=settings.seed))


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


def _count_on(on_step: OnStep, done: int) -> OnStep:
    """Steps counted from the first of the run."""
    return lambda step: on_step(replace(step, index=step.index + done, steps=step.steps + done))


def _not_protected(verification: Verification, steps: int) -> NotProtectedError:
    """What was reached, and what to do."""
    hint = "Try more --steps or a larger --epsilon."
    if verification.level == "weak":
        hint = "Try a higher --step-limit or a larger --epsilon, or take it with --accept-weak."
    error = NotProtectedError(
        f"after {steps} steps the photo did not measure as protected, and nothing was written. "
        f"{verification.sentence}",
        hint,
    )
    error.verification = verification
    return error
