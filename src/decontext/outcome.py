"""What came out of a run: measured as its settings say, and in words where it is too little.

Between `verify` and `protect` on the way of the data.
"""

from __future__ import annotations

from torch import Tensor

from decontext.editors import Editor, LoadsForMeasuring
from decontext.editors.several import Crew, gather
from decontext.errors import NotProtectedError
from decontext.photo.images import Photo
from decontext.preparing import settle_each
from decontext.progress import OnMeasure, share
from decontext.prompts import HELD_OUT
from decontext.settings import ProtectSettings
from decontext.verdict import Verification, weakest
from decontext.verify import verify

MISSED_BY = 0.03
"""By how much a fall may miss what was wanted, on other draws, before a note says so."""


def measure(
    saved: Tensor,
    photo: Photo,
    editor: Editor | Crew,
    settings: ProtectSettings,
    *,
    on_measure: OnMeasure | None = None,
) -> Verification:
    """`verify` a picture as the settings say, in the editor's best precision.

    Of several editors: the verification that the picture does worst in, with the others.
    """
    crew = gather(editor)
    own, counts = settle_each(photo, crew, settings), share(on_measure, len(crew))
    return weakest(
        [
            _measure(saved, photo, crew.turn(one), settled, on_measure=count)
            for one, settled, count in zip(crew, own, counts, strict=True)
        ]
    )


def _measure(
    saved: Tensor,
    photo: Photo,
    editor: Editor,
    settings: ProtectSettings,
    *,
    on_measure: OnMeasure | None,
) -> Verification:
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


def missed(settings: ProtectSettings, verification: Verification) -> tuple[str, ...]:
    """What there is to say where the least visible change did not reach the wanted fall."""
    wanted = settings.wanted_fall
    if not settings.least_visible:
        return ()
    return tuple(
        f"attention{_whose(verification, one)} was to fall by {wanted:.0%}, and fell by "
        f"{one.drop:.0%}."
        for one in verification.each
        if one.drop < wanted - MISSED_BY
    )


def _whose(verification: Verification, one: Verification) -> str:
    return f" of {one.editor}" if verification.others else ""


def not_protected(verification: Verification, steps: int) -> NotProtectedError:
    """What was reached, and what to do."""
    hint = "Try more --steps or a larger --epsilon."
    if verification.level == "weak":
        hint = "Try a higher --step-limit or a larger --epsilon, or take it with --accept-weak."
    error = NotProtectedError(
        f"after {steps} steps the photo did not measure as protected, and nothing was written. "
        f"{' '.join(one.sentence for one in verification.each)}",
        hint,
    )
    error.verification = verification
    return error
