"""START HERE: the whole method, top to bottom.

A photo goes in. The perturbation lives on the photo's own pixels; the editor sees it through its
own resize, and in most steps after what sites do to photos. What is lowered is the attention that
the picture being generated pays to the photo, for random instructions, noises and high noise
levels. The default looks for the least visible change that lowers it by the wanted part; the
paper's way is sign-gradient descent within an L-infinity budget. The result is rounded, saved under
a temporary name, read again, and measured with instructions and noises that were not optimised on.
Where attention did not fall far enough, more steps follow; only a file that measures as protected
gets its name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Unpack

import torch
from torch import Tensor

from decontext.editors import Editor
from decontext.editors.several import Crew, count_editors, describe_editors, gather
from decontext.keywords import SettingsKeywords, choose_settings
from decontext.least_visible import least_visible_steps
from decontext.machine import explained_memory, give_back_memory
from decontext.notation import LEVELS
from decontext.objectives import (
    CHECK_SEED,
    Objective,
    build_each,
    control_steps,
    together,
    working_sizes,
    worst_of,
)
from decontext.outcome import measure, missed, not_protected
from decontext.pgd import Step, descend, read_kept
from decontext.photo.images import Photo, describe_losses, psnr, quantise
from decontext.photo.sources import PhotoSource, to_photo
from decontext.preparing import prepare, settle_each
from decontext.progress import Cancel, Counter, Meter, OnMeasure, OnProgress, OnStep, drain
from decontext.publishing.chains import draw_chain, fixed_chains
from decontext.publishing.transforms import Transform
from decontext.report import build_report
from decontext.saving import AS_IT_IS, Result, check_target, drafting, saved_as
from decontext.settings import CONTROLS, MAXIMUM_SEED, ProtectSettings
from decontext.verdict import Level, Verification
from decontext.verify import count_passes
from decontext.visibility.scores import measure_visibility
from decontext.visibility.texture import texture_budget

FURTHER = 0.85
"""Of the proportion that may be left, where the least visible change is gone on with."""


def protect_steps(
    photo: Photo,
    editor: Editor | Crew,
    settings: ProtectSettings,
    *,
    saving: Transform = AS_IT_IS,
    start: Tensor | None = None,
) -> Generator[Step, None, Tensor]:
    """Optimise the perturbation; yields each step and returns the protected picture.

    The picture is `(1, 3, height, width)`, whole 8-bit levels, within the budget. Close the
    generator to cancel. `saving` is what the file format will do to it, see `saved_as`; `start` is
    a picture that was returned before, to go on from. A control takes one step, whose values are
    context proportions. Of a crew of editors, all are lowered at once.

    Source: arXiv 2512.16625, section 3, with the differences that `pgd` and `settings` name.
    """
    crew, original = gather(editor), photo.pixels
    own = settle_each(photo, crew, settings)
    if settings.objective in CONTROLS:
        first = crew.turn(crew.editors[0])
        return (yield from control_steps(first, original, own[0], grey=photo.is_grey))
    objective = together(build_each(crew, original, own), original)
    # A check judges a picture with the text that belongs to it, where the text is refreshed at all.
    judging = [replace(one, refresh_text=min(1, one.refresh_text)) for one in own]
    judged = build_each(crew, original, judging, samples=1)
    generator = torch.Generator().manual_seed(settings.seed)
    if settings.least_visible:
        search = least_visible_steps(
            photo,
            settings,
            proportion=objective,
            judged_proportions=judged,
            saving=saving,
            sizes=[
                size
                for one in crew
                for size in working_sizes(one, original, settings.working_sides)
            ],
            generator=generator,
            start=start,
        )
        return (yield from search)

    def expect(image: Tensor) -> Tensor:
        chain = draw_chain(settings.robust, photo.size, generator)
        return objective(saving.then(chain)(image, generator), generator)

    def check(single: Objective, image: Tensor) -> Tensor:
        draws = torch.Generator().manual_seed(CHECK_SEED)
        chains = [saving.then(chain) for chain in fixed_chains(settings.robust, photo.size)]
        return torch.stack([single(chain(image, draws), draws) for chain in chains]).mean()

    for step in descend(
        expect,
        original,
        epsilon=settings.budget,
        steps=settings.steps,
        step_size=settings.first_step_size,
        momentum=settings.momentum,
        schedule=settings.schedule,
        random_start=settings.random_start if start is None else 0.0,
        generator=generator,
        shared_channels=photo.is_grey,
        check=worst_of([partial(check, single) for single in judged]),
        start=start,
        room=texture_budget(original) if settings.method == "texture" else None,
    ):
        yield step
    kept = step.kept
    del step  # Of a large photo the iterate goes with it, and what is kept is rounded already.
    if kept.dtype == torch.uint8:
        return read_kept(kept)
    return quantise(kept, original, settings.budget)


def protect(
    photo: PhotoSource,
    editor: Editor | str | Crew | Sequence[Editor | str],
    *,
    output: str | Path | None = None,
    settings: ProtectSettings | None = None,
    preset: str | None = None,
    force: bool = False,
    quality: int | None = None,
    accept_weak: bool = False,
    on_step: OnStep | None = None,
    on_measure: OnMeasure | None = None,
    on_progress: OnProgress | None = None,
    cancel: Cancel | None = None,
    **keywords: Unpack[SettingsKeywords],
) -> Result:
    """Protect a photo against an editor, or several at once, and measure what came out.

    Nothing is written without `output`; `Result.save` does it later. Where the verdict is not
    strong after `settings.steps` steps, more follow, as many again each time, up to
    `settings.last_step`. To cancel, let `cancel` say so or raise any exception of your own in a
    callback: it comes out of here, and nothing is left on disk.

    Args:
        photo: a path, bytes, a binary file, a PIL image, an array, a tensor, see `to_photo`.
        editor: an editor, or the name of one; a list of them for several. The verdict is then that
            of the editor that the photo does worst against.
        output: where to save the photo, and its report beside it.
        settings: how; single ones can be given as keywords instead (`epsilon="8/255"`).
        preset: settings by name, as in `ProtectSettings.from_preset`.
        force: overwrite existing files.
        quality: of JPEG, see `images.save_photo`.
        accept_weak: a weak verdict is enough.
        on_step: called after each step.
        on_measure: called after each measured pass.
        on_progress: called from loading to saving, with one count for all of it.
        cancel: a `threading.Event`, or a function that says whether to stop.

    Raises:
        InputError: the photo, a setting or the output cannot be used; nothing was written.
        EditorError: the editor's weights are missing or damaged.
        AttentionError: the editor's attention was not seen, or gave no gradient.
        MemoryShortError: there is not enough memory.
        CancelledError: `cancel` said so.
        NotProtectedError: it did not measure as protected; nothing was written.
    """
    began = time.monotonic()
    photo, settings = to_photo(photo), choose_settings(settings, preset, **keywords)
    target = None
    if output is not None:
        target = check_target(photo, output, quality=quality, force=force)
    meter = Meter(
        steps=settings.planned_steps,
        passes=count_passes(settings.verify_prompts, settings.verify_noises)
        * count_editors(editor),
        on_progress=on_progress,
        cancel=cancel,
        on_step=on_step,
        on_measure=on_measure,
    )
    with explained_memory(), drafting(photo, target, quality=quality, force=force) as draft:
        meter.enter("loading", "loading the editor")
        loaded = gather(editor)
        meter.enter("preparing", "encoding instructions")
        settings = prepare(loaded, photo, settings)
        least: Level = "weak" if accept_weak else "strong"
        saved, verification, steps = reach(
            least,
            photo,
            loaded,
            settings,
            saving=saved_as(target, quality),
            save=draft.save,
            meter=meter,
        )
        if not verification.reaches(least):
            raise not_protected(verification, steps)
        meter.enter("saving", str(target or "nothing is written"))
        report = build_report(
            original=photo.path,
            original_sha256="" if photo.from_file else photo.sha256,
            protected=draft.temporary,
            name=target.name if target else None,
            editor=loaded.info,
            editors=describe_editors(loaded),
            device=str(loaded.device),
            precision=loaded.precision,
            settings=settings,
            steps=steps,
            verification=verification,
            psnr=psnr(photo.pixels, saved),
            visibility=measure_visibility(photo.pixels, saved),
            seconds=time.monotonic() - began,
            notes=(
                *photo.notes,
                *describe_losses(photo, target),
                *missed(settings, verification),
            ),
        )
        draft.keep(report)
    again = partial(measure, photo=photo, editor=loaded, settings=settings)
    return Result(saved, target, report, verification, settings, photo, again, least)


def reach(
    least: Level,
    photo: Photo,
    editor: Crew,
    settings: ProtectSettings,
    *,
    saving: Transform,
    save: Callable[[Tensor], Tensor],
    meter: Meter,
) -> tuple[Tensor, Verification, int]:
    """Optimise, save and measure until the verdict is at least this, or the last step was taken.

    Returns the pixels as `save` gave them back, what they measured as, and the steps it took.
    """
    for picture, steps in improve(photo, editor, settings, saving, on_step=meter.stepped):
        saved = save(picture)
        del picture
        give_back_memory()
        verification = measure(saved, photo, editor, settings, on_measure=meter.measured)
        if verification.reaches(least) or steps >= settings.last_step:
            return saved, verification, steps
        del saved  # Further steps need a large photo's memory.
    raise AssertionError("the last step ends the loop")


def improve(
    photo: Photo,
    editor: Editor | Crew,
    settings: ProtectSettings,
    saving: Transform = AS_IT_IS,
    *,
    on_step: OnStep | None = None,
) -> Iterator[tuple[Tensor, int]]:
    """Protected pictures and the steps they took: after `settings.steps`, then after twice as many.

    Each goes on from the one before, with draws of its own, up to `settings.last_step`.
    """
    levels, done, fall = None, 0, settings.fall
    while done < settings.last_step:
        more = min(max(settings.steps, done), settings.last_step - done)
        seed = (settings.seed + done) % MAXIMUM_SEED
        again = replace(settings, steps=more, seed=seed, step_limit=None, fall=fall)
        steps = protect_steps(photo, editor, again, saving=saving, start=levels)
        counter = Counter(on_step, done)
        pictures = [drain(steps, counter)]
        done = counter.done  # The least visible change may be found before the last step.
        levels = pictures[0].mul(LEVELS).round_().to(torch.uint8)  # a quarter of the memory
        yield pictures.pop(), done
        # What was measured fell short of what the search judged by: it aims further.
        fall = 1 - FURTHER * (1 - again.wanted_fall)
