"""What jobs do: protect photos, edit both versions, verify. All of it is on disk afterwards.

Between `jobs` and `service` on the way of the data; a job of many photos goes on after a bad one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from decontext.app.archives import is_archive, pack, unpack
from decontext.app.jobs import Job
from decontext.app.pictures import Views, reduce, write_picture, write_views
from decontext.app.storage import Visit
from decontext.edit import edit
from decontext.editors import Editor
from decontext.errors import CancelledError, DecontextError, InputError
from decontext.evaluation.identity import THRESHOLD, FaceRecogniser, can_recognise, similarity
from decontext.folders.finding import name_result
from decontext.pgd import Step
from decontext.photo.images import Metadata, choose_metadata, load_photo, to_array
from decontext.progress import Progress
from decontext.protect import protect
from decontext.report import sha256
from decontext.settings import ProtectSettings
from decontext.verdict import Verification
from decontext.verify import TRANSFORMS, verify_after


@dataclass(frozen=True)
class Limits:
    """What a visitor may ask for.

    Attributes:
        megabytes: of one uploaded file.
        megapixels: of one photo.
        photos: of one job, those in ZIP files included.
        waiting: jobs in the line of all visitors together.
        letters: of an instruction.
    """

    megabytes: int = 100
    megapixels: int = 50
    photos: int = 200
    waiting: int = 50
    letters: int = 300

    @property
    def bytes(self) -> int:
        """Of one uploaded file."""
        return self.megabytes * 1_000_000

    @property
    def pixels(self) -> int:
        """Of one photo."""
        return self.megapixels * 1_000_000


@dataclass(frozen=True)
class Given:
    """A photo as it was dropped: its own name, with a ZIP file's folders, and where it lies."""

    name: str
    path: Path


@dataclass(frozen=True)
class Choice:
    """What the visitor chose."""

    editor: str
    strength: str = "standard"
    metadata: Metadata = "keep"
    accept_weak: bool = False


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of one photo; `error` where nothing was saved."""

    name: str
    original: Path
    protected: Path | None = None
    report: Path | None = None
    verification: Verification | None = None
    words: str = ""
    views: Views | None = None
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    error: DecontextError | None = None

    @property
    def level(self) -> str:
        """The verdict's level; "none" where nothing was saved."""
        # A verification is true only where it is strong.
        if self.verification is None or self.protected is None:
            return "none"
        return self.verification.level

    @property
    def sha256(self) -> str:
        """Of the protected file."""
        return (self.protected and sha256(self.protected)) or ""


@dataclass(frozen=True, eq=False)
class Protected:
    """What became of all photos of a job; `archive` holds the results where there are several."""

    outcomes: tuple[Outcome, ...]
    editor: str
    demonstration: bool
    archive: Path | None = None


@dataclass(frozen=True)
class Shown:
    """Whom an edit shows, by a recogniser: "same", "other", "nobody" or "unknown"."""

    who: str
    similarity: float | None = None


@dataclass(frozen=True, eq=False)
class Proof:
    """Edits of photo and protected photo by the same instruction and the same seed."""

    instruction: str
    original: Path
    protected: Path
    of_original: Shown
    of_protected: Shown


@dataclass(frozen=True, eq=False)
class Checked:
    """What was measured of a protected photo, as it is and after publishing."""

    as_it_is: Verification
    published: tuple[Verification, ...]


LoadEditor = Callable[[str, str], Editor]
"""An editor by its name, on a device."""


def gather(files: Sequence[tuple[Path, str]], visit: Visit, limits: Limits) -> list[Given]:
    """What was dropped as photos: files as they are, ZIP files unpacked.

    Raises:
        InputError: nothing, too much, or an archive that cannot be taken.
    """
    found: list[Given] = []
    for path, name in files:
        if is_archive(name):
            parts = unpack(path, visit.new_folder(), most=limits.photos, largest=10 * limits.bytes)
            found += [Given(part.name, part.path) for part in parts]
        else:
            found.append(Given(name, path))
    if not found:
        raise InputError("there is no photo yet.", "Drop one on the page first.")
    if len(found) > limits.photos:
        raise InputError(
            f"there are {len(found)} photos; up to {limits.photos} go at once.",
            "Take fewer at a time.",
        )
    return found


def protect_photos(
    given: Sequence[Given],
    choice: Choice,
    visit: Visit,
    limits: Limits,
    load: LoadEditor,
    settings: ProtectSettings,
) -> Callable[[Job, str], Protected]:
    """The job that protects these photos; a bad one is an outcome of its own.

    Only one that is the only photo of its job is raised, so that the job says what is wrong.
    """

    def work(job: Job, device: str) -> Protected:
        job.stage = "loading"
        editor = load(choice.editor, device)
        taken: set[str] = set()
        outcomes = []
        for number, one in enumerate(given, start=1):
            job.next_photo(number)
            name = _free_name(_result_name(one.name), taken)
            folder = visit.new_folder()
            try:
                with named(one):
                    outcome = _protect_one(one, name, choice, folder, limits, editor, settings, job)
                outcomes.append(outcome)
            except CancelledError:
                raise
            except DecontextError as error:
                if len(given) == 1:
                    raise
                outcomes.append(Outcome(one.name, one.path, error=error))
        archive = _pack(outcomes, visit) if len(given) > 1 else None
        return Protected(tuple(outcomes), choice.editor, editor.info.demonstration, archive)

    return work


@contextmanager
def named(*given: Given) -> Iterator[None]:
    """Errors name photos as their owner does, not by the place where they lie here.

    Raises: what was raised within, with other words.
    """
    try:
        yield
    except DecontextError as error:
        for one in given:
            for attribute in ("message", "hint"):
                said = getattr(error, attribute).replace(str(one.path), one.name)
                setattr(error, attribute, said)
        raise


def _protect_one(
    one: Given,
    name: str,
    choice: Choice,
    folder: Path,
    limits: Limits,
    editor: Editor,
    settings: ProtectSettings,
    job: Job,
) -> Outcome:
    photo = load_photo(one.path, max_pixels=limits.pixels)
    target = folder / PurePosixPath(name).name
    result = protect(
        choose_metadata(photo, choice.metadata),
        editor,
        output=target,
        settings=settings,
        accept_weak=choice.accept_weak,
        on_progress=_teller(job),
        on_step=lambda step: _note_value(job, step),
        cancel=job,
    )
    for path in folder.iterdir():
        path.chmod(0o600)
    return Outcome(
        name=name,
        original=one.path,
        protected=target,
        report=target.with_name(target.name + ".json"),
        verification=result.verification,
        words=result.visibility.words,
        views=write_views(photo.pixels, result.image, folder),
        notes=tuple(result.report["notes"]),
        seconds=result.report["seconds"],
    )


def edit_both(
    outcome: Outcome, instruction: str, seed: int, visit: Visit, load: LoadEditor, editor: str
) -> Callable[[Job, str], Proof]:
    """The job that edits photo and protected photo alike, and asks a recogniser who is shown."""

    def work(job: Job, device: str) -> Proof:
        job.stage = "loading"
        loaded = load(editor, device)
        if outcome.protected is None:
            raise InputError("this photo was not protected.", "Choose another one.")
        job.stage = "editing"
        folder, edits = visit.new_folder(), []
        for number, path in enumerate((outcome.original, outcome.protected)):
            tell = _edit_teller(job, number)
            edited = edit(load_photo(path), instruction, loaded, seed=seed, on_step=tell)
            edits.append(write_picture(edited.image, folder / f"edit-{number + 1}.png"))
        return Proof(instruction, edits[0], edits[1], *recognise(outcome.original, edits))

    return work


def verify_photos(
    protected: Given, original: Given, editor: str, limits: Limits, load: LoadEditor
) -> Callable[[Job, str], Checked]:
    """The job that measures a protected photo as it lies there and after what sites do."""

    def work(job: Job, device: str) -> Checked:
        job.stage = "loading"
        loaded = load(editor, device)
        job.stage = "measuring"
        with named(protected, original):
            after, before = (
                load_photo(g.path, max_pixels=limits.pixels) for g in (protected, original)
            )

        def tell(done: int, total: int) -> None:
            job.done, job.total = done, total
            if job.is_set():
                raise CancelledError("stopped, as was asked.")

        names = ("none", *TRANSFORMS)
        found = verify_after(names, after, before, loaded, noises=1, on_measure=tell)
        return Checked(found[0], found[1:])

    return work


def recognise(original: Path, edits: Sequence[Path]) -> list[Shown]:
    """Whom each edit shows, compared with the photo; "unknown" without the extra `eval`."""
    if not can_recognise():
        return [Shown("unknown") for _ in edits]
    pictures = [to_array(reduce(load_photo(path).pixels)) for path in (original, *edits)]
    vectors = FaceRecogniser().embed(pictures)
    if bool(np.isnan(vectors[0]).any()):
        return [Shown("no-face-before") for _ in edits]
    return [_who(float(similarity(vectors[0], vector))) for vector in vectors[1:]]


def _who(alike: float) -> Shown:
    if math.isnan(alike):
        return Shown("nobody")
    return Shown("same" if alike >= THRESHOLD else "other", alike)


def _pack(outcomes: Sequence[Outcome], visit: Visit) -> Path | None:
    """All results and their reports as one ZIP file; None where nothing was saved."""
    files: list[tuple[Path, str]] = []
    for outcome in outcomes:
        if outcome.protected and outcome.report:
            files += [(outcome.protected, outcome.name), (outcome.report, f"{outcome.name}.json")]
    return pack(files, visit.new_path("protected.zip")) if files else None


def _result_name(name: str) -> str:
    """What the result of a photo is called: its own name and format, marked as protected."""
    path = PurePosixPath(name_result(PurePosixPath(name)))
    return path.with_name(f"{path.stem}.protected{path.suffix}").as_posix()


def _free_name(name: str, taken: set[str]) -> str:
    """The name, with a number where another photo of the job has it."""
    path, number, found = PurePosixPath(name), 1, name
    while found.lower() in taken:
        number += 1
        found = path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix()
    taken.add(found.lower())
    return found


def _teller(job: Job) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        job.stage, job.done, job.total = progress.stage, progress.done, progress.total

    return tell


def _edit_teller(job: Job, number: int) -> Callable[[int, int], None]:
    """Counts the steps of the first or the second of two edits, and ends them when asked to."""

    def tell(done: int, total: int) -> None:
        job.done, job.total = number * total + done, 2 * total
        if job.is_set():
            raise CancelledError("stopped, as was asked.")

    return tell


def _note_value(job: Job, step: Step) -> None:
    if not job.values:
        job.add_value(step.start_value)
    job.add_value(step.value)
