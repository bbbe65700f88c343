"""The whole thing on two portraits: protect, edit every version, say who is shown, write a page.

It uses the engine as anyone would; what it does with the embedded editor, `flux-kontext` does too.
Telling who is shown needs the extra `decontext[eval]`; without it there are pictures only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from torch import Tensor

from decontext.demo.page import build_demo_page
from decontext.demo.results import Demonstration, Edit, Exhibit
from decontext.editors import Editor
from decontext.evaluation.identity import FaceRecogniser, can_recognise, compare_faces
from decontext.pgd import Step
from decontext.photo.files import check_absent, check_targets, make_folder, write_whole
from decontext.photo.images import load_photo, to_array
from decontext.photo.portraits import PORTRAITS
from decontext.protect import protect
from decontext.publishing.controls import with_noise
from decontext.settings import ProtectSettings

SETTINGS = ProtectSettings()

INSTRUCTIONS = (
    "keep the picture as it is",
    "make the person smile",
    "add glasses",
    "put a red hat on the person",
    "make it black and white",
    "make the background green",
)

OnProgress = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what is being done)."""


def run_demo(
    folder: Path,
    editor: Editor,
    *,
    settings: ProtectSettings = SETTINGS,
    portraits: Sequence[Path] = PORTRAITS,
    instructions: Sequence[str] = INSTRUCTIONS,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> Demonstration:
    """Protect the portraits, edit each version by each instruction, and write `index.html`.

    `folder` is made where it is missing; the protected portraits and their reports go there too.

    Raises:
        InputError: the folder holds a page already, or cannot be written to.
        DecontextError: what `protect` and the editor raise.
    """
    page = folder / "index.html"
    check_absent(page, force=force)
    make_folder(folder)
    check_targets([page], inputs=portraits, force=force)
    recogniser = _recogniser_if_installed()
    exhibits = tuple(
        _make_exhibit(
            portrait,
            editor,
            output=folder / f"{portrait.stem}.protected.png",
            settings=settings,
            instructions=instructions,
            recogniser=recogniser,
            on_progress=on_progress or (lambda done, total, what: None),
        )
        for portrait in portraits
    )
    demonstration = Demonstration(page, exhibits, settings, measured=recogniser is not None)
    write_whole(build_demo_page(demonstration).encode(), page)
    return demonstration


def _make_exhibit(
    portrait: Path,
    editor: Editor,
    *,
    output: Path,
    settings: ProtectSettings,
    instructions: Sequence[str],
    recogniser: FaceRecogniser | None,
    on_progress: OnProgress,
) -> Exhibit:
    photo = load_photo(portrait)
    done, edits_to_make = 0, 3 * len(instructions)

    def tell(what: str) -> None:
        # Where the verdict asks for more steps there are more than the settings say.
        on_progress(done, max(settings.planned_steps, done) + edits_to_make, what)

    def count_step(step: Step) -> None:
        nonlocal done
        done = step.index
        tell(f"protecting {portrait.stem}")

    result = protect(
        photo,
        editor,
        output=output,
        settings=settings,
        force=True,
        accept_weak=True,  # It is there to show what happens.
        on_step=count_step,
    )
    noisy = with_noise(photo.pixels, result.verification.levels, settings.seed)
    edits = []
    steps = max(settings.planned_steps, done)
    for index, instruction in enumerate(instructions):
        pictures: list[Tensor] = []
        for picture in (photo.pixels, noisy, result.image):
            made = steps + 3 * index + len(pictures)
            on_progress(made, steps + edits_to_make, f"editing: {instruction}")
            pictures.append(editor.edit(picture, instruction, seed=settings.seed))
        alike = _compare(photo.pixels, pictures, recogniser)
        edits.append(
            Edit(
                instruction=instruction,
                of_original=pictures[0],
                of_noisy=pictures[1],
                of_protected=pictures[2],
                similarity_original=alike[0],
                similarity_noisy=alike[1],
                similarity_protected=alike[2],
            )
        )
    return Exhibit(portrait.stem, photo, result, noisy, tuple(edits))


def _compare(
    portrait: Tensor, edits: Sequence[Tensor], recogniser: FaceRecogniser | None
) -> list[float | None]:
    """Similarity of each edit to the portrait, None where it cannot be told."""
    if recogniser is None:
        return [None] * len(edits)
    return compare_faces([to_array(image) for image in (portrait, *edits)], recogniser)


def _recogniser_if_installed() -> FaceRecogniser | None:
    """The face recogniser, or None without the extra `eval`."""
    return FaceRecogniser() if can_recognise() else None
