"""One photo of an evaluation: protected, published, edited and measured, in all its versions.

Whatever is wrong with a photo, or with one version of it, is said in a row, and the run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from decontext.edit import edit
from decontext.editors import Editor
from decontext.editors.several import Crew
from decontext.errors import DecontextError
from decontext.evaluation import fidelity, quality
from decontext.evaluation.likeness import ImageEncoder
from decontext.evaluation.plan import (
    CUT,
    NONE,
    ORIGINAL,
    Plan,
    Protection,
    hash_text,
    needs_editor,
    publish,
)
from decontext.evaluation.recognisers import Description, PersonJudge
from decontext.evaluation.results import (
    DUPLICATE,
    EVALUATED,
    FAILED,
    UNREADABLE,
    ResultFile,
    Row,
    printable,
)
from decontext.photo.images import Photo, load_photo, read_pixels, save_photo, to_array
from decontext.prompts import HELD_OUT
from decontext.protect import protect_steps
from decontext.publishing.transforms import parse_transform
from decontext.verify import verify

OnProgress = Callable[[int, int, str], None]
"""Called with (pictures made, pictures in all, what is being made)."""

PICTURES = "pictures"


def photo_folder(folder: Path, content: str) -> Path:
    """Where in the folder of an evaluation the pictures of a photo lie, by its content."""
    return folder / PICTURES / content[:16]


def protected_path(folder: Path, content: str, key: str) -> Path:
    """Where the picture lies that a protection made of a photo."""
    return photo_folder(folder, content) / f"{key}.png"


@dataclass(frozen=True, eq=False)
class Instruments:
    """What edits are measured with; loaded once."""

    judge: PersonJudge
    encoder: ImageEncoder


class CallerStopped(BaseException):
    """What the caller's `on_progress` raised: no failure of a photo, so no Exception."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(reason)
        self.reason = reason


class Progress:
    """Counts pictures: each protected photo and each edit is one."""

    def __init__(self, plan: Plan, photos: int, on_progress: OnProgress | None) -> None:
        edits = len(plan.transforms) * len(plan.prompts) * plan.seeds
        self.per_version = edits
        self.cut = len(plan.prompts) * plan.seeds if plan.cut else 0
        self.per_photo = len(plan.protections) * (1 + edits) + edits + self.cut
        self.done = 0
        self._total = photos * self.per_photo
        self._tell = on_progress or (lambda done, total, what: None)

    def say(self, what: str) -> None:
        try:
            self._tell(self.done, self._total, what)
        except Exception as error:
            raise CallerStopped(error) from error

    def advance(self, count: int = 1) -> None:
        self.done += count
        self.say("")


@dataclass(frozen=True, eq=False, kw_only=True)
class PhotoRun:
    """One photo, in all its versions."""

    path: Path
    name: str
    content: str
    first: str
    folder: Path
    editor: Editor
    others: Mapping[str, Editor]
    plan: Plan
    tools: Instruments
    results: ResultFile
    progress: Progress

    def run(self) -> None:
        if self.name != self.first:
            self._end(DUPLICATE, f"the same file as {self.first}")
            return
        try:
            photo = load_photo(self.path)
        except Exception as error:  # Whatever a damaged file makes Pillow raise.
            self._end(UNREADABLE, _say(error))
            return
        try:
            person = self.tools.judge.describe(to_array(photo.pixels))
            photo_folder(self.folder, self.content).mkdir(exist_ok=True)
        except Exception as error:
            self._end(FAILED, _say(error))
            return
        self._add_photo(EVALUATED, _notes(photo, person), size=list(photo.size))
        with self._own_failure(ORIGINAL, self.progress.per_version):
            self._edit_version(photo, person, key=ORIGINAL, picture=photo.pixels)
        if self.plan.cut:
            # Edits of the original that cannot see it: the bound of what is possible.
            with self._own_failure(CUT, self.progress.cut):
                self._edit_after(NONE, photo, person, key=CUT, picture=photo.pixels)
        for protection in self.plan.protections:
            with self._own_failure(protection.key, 1 + self.progress.per_version):
                picture = self._protect(photo, protection)
                self._edit_version(photo, person, key=protection.key, picture=picture)

    @contextmanager
    def _own_failure(self, key: str, pictures: int) -> Iterator[None]:
        """What goes wrong with one version of one photo is said in a row, and the run goes on."""
        end = self.progress.done + pictures
        try:
            yield
        except Exception as error:  # Whatever it is: the others have nothing to do with it.
            self._add("failure", protection=key, message=_say(error))
            self.progress.advance(end - self.progress.done)

    def _end(self, status: str, note: str) -> None:
        self._add_photo(status, [note])
        self.progress.advance(self.progress.per_photo)

    def _add(self, kind: str, **fields: Any) -> None:
        self.results.add(kind=kind, photo=self.name, sha256=self.content, **fields)

    def _find(self, kind: str, **fields: Any) -> Row | None:
        return self.results.find(kind=kind, photo=self.name, sha256=self.content, **fields)

    def _add_photo(self, status: str, notes: Sequence[str], **fields: Any) -> None:
        if self._find("photo") is None:
            self._add("photo", status=status, notes=list(notes), **fields)

    def _protect(self, photo: Photo, protection: Protection) -> Tensor:
        """The protected picture, from its file where there is one."""
        path = protected_path(self.folder, self.content, protection.key)
        found = self._find("protection", protection=protection.key)
        if found is None or not path.exists():
            began = time.monotonic()
            editors = [self.others[name] for name in protection.editors] or [self.editor]
            steps = protect_steps(photo, Crew(editors), protection.settings)
            picture = photo.pixels
            while True:
                try:
                    step = next(steps)
                except StopIteration as stop:
                    picture = stop.value
                    break
                self.progress.say(f"{self.name}: {protection.label}, step {step.index}")
            save_photo(picture, Photo(picture, path, "PNG", "RGB"), path)
            differences = asdict(fidelity.compare(photo.pixels, picture))
            self._add(
                "protection",
                protection=protection.key,
                label=protection.label,
                settings=protection.settings.to_dict(),
                against=protection.against or self.editor.info.name,
                seconds=round(time.monotonic() - began, 2),
                # An infinite distance, of a picture that did not change, is no number of JSON.
                **{k: v if v != float("inf") else None for k, v in differences.items()},
            )
        self.progress.advance()
        return read_pixels(path)

    def _edit_version(
        self, photo: Photo, person: Description | None, *, key: str, picture: Tensor
    ) -> None:
        """All edits of one version of the photo, after every transform."""
        for transform in self.plan.transforms:
            self._edit_after(transform, photo, person, key=key, picture=picture)
            if self.plan.measure_prompts and key != ORIGINAL and not needs_editor(transform):
                self._measure(photo, picture, key=key, transform=transform)

    def _edit_after(
        self, transform: str, photo: Photo, person: Description | None, *, key: str, picture: Tensor
    ) -> None:
        """The edits of one version after one transform that are not there yet."""
        wanted = [
            (prompt, seed)
            for prompt in self.plan.prompts
            for seed in range(self.plan.seeds)
            if not self._has("edit", key, transform, prompt=prompt, seed=seed)
        ]
        self.progress.advance(len(self.plan.prompts) * self.plan.seeds - len(wanted))
        published = picture
        if wanted:
            published = publish(transform, picture, editor=self.editor, others=self.others)
        for prompt, seed in wanted:
            self.progress.say(f"{self.name}: {transform}, {prompt}")
            self._edit(
                photo,
                person,
                key=key,
                transform=transform,
                published=published,
                prompt=prompt,
                seed=seed,
            )
            self.progress.advance()

    def _has(self, kind: str, key: str, transform: str, **fields: Any) -> bool:
        return self._find(kind, protection=key, transform=transform, **fields) is not None

    def _edit(
        self,
        photo: Photo,
        person: Description | None,
        *,
        key: str,
        transform: str,
        published: Tensor,
        prompt: str,
        seed: int,
    ) -> None:
        edited = edit(
            published,
            prompt,
            self.editor,
            seed=seed,
            steps=self.plan.edit_steps,
            cut_context="all" if key == CUT else None,
        )
        name = f"{key}.{transform}.{hash_text(prompt)}.{seed}.png"
        path = photo_folder(self.folder, self.content) / name
        save_photo(edited, Photo(edited, path, "PNG", "RGB"), path)
        shown = self.tools.judge.describe(to_array(edited))
        self._add(
            "edit",
            protection=key,
            transform=transform,
            prompt=prompt,
            seed=seed,
            identity=self.tools.judge.compare(person, shown),
            faces=0 if shown is None else shown.faces,
            likeness=self.tools.encoder.compare(photo.pixels, edited),
            picture=path.relative_to(self.folder).as_posix(),
            **asdict(quality.assess(edited)),
        )

    def _measure(self, photo: Photo, picture: Tensor, *, key: str, transform: str) -> None:
        """The context proportion after a transform, by the shipped verdict."""
        if self._has("measurement", key, transform):
            return
        found = verify(
            picture,
            photo,
            self.editor,
            prompts=HELD_OUT[-self.plan.measure_prompts :],
            noises=1,
            transform=None if transform == NONE else parse_transform(transform),
        )
        self._add(
            "measurement",
            protection=key,
            transform=transform,
            verdict=found.protected,
            level=found.level,
            original=found.original,
            protected=found.protected_mean,
            random=found.random,
            drop=found.drop,
        )


def _notes(photo: Photo, person: Description | None) -> list[str]:
    """What the reader should know of a photo, in words."""
    notes = []
    if photo.is_grey:
        notes.append("greyscale: all channels change alike")
    if person is None:
        notes.append("no face found: who edits show cannot be told")
    elif person.faces > 1:
        notes.append(f"{person.faces} faces found: edits are compared with the clearest one")
    return notes


def _say(error: Exception) -> str:
    """Why something failed, as text that can be written down."""
    if isinstance(error, DecontextError):
        return printable(str(error))
    return printable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
