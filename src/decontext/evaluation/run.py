"""Carries out a plan: protects, publishes, edits and measures, one row at a time, resumable.

Whatever is wrong with one photo is said in its row, and the run goes on with the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from decontext.edit import edit
from decontext.editors import Editor
from decontext.errors import AttentionError, InputError
from decontext.evaluation import fidelity, quality
from decontext.evaluation.likeness import ImageEncoder, load_image_encoder
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
from decontext.evaluation.results import NAME, ResultFile, Row, fingerprint
from decontext.photo.files import make_folder
from decontext.photo.images import Photo, load_photo, read_pixels, save_photo, to_array
from decontext.prompts import HELD_OUT
from decontext.protect import protect_steps
from decontext.publishing.transforms import parse_transform
from decontext.verify import verify

OnProgress = Callable[[int, int, str], None]
"""Called with (pictures made, pictures in all, what is being made)."""

PICTURES = "pictures"


@dataclass(frozen=True, eq=False)
class Instruments:
    """What edits are measured with; loaded once."""

    judge: PersonJudge
    encoder: ImageEncoder


def load_instruments(plan: Plan) -> Instruments:
    """Every recogniser and encoder that is installed. Raises: InputError: none is."""
    return Instruments(PersonJudge(centred=plan.rendered), load_image_encoder())


def evaluate(
    photos: Sequence[Path],
    folder: Path,
    editor: Editor,
    plan: Plan,
    *,
    instruments: Instruments | None = None,
    name: str = NAME,
    known: Sequence[Path] = (),
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Row]:
    """Evaluate photos by a plan, into `folder`; what has been done there already is kept.

    Args:
        photos: files; their names tell them apart.
        folder: for rows and pictures; made where it is missing.
        editor: both protected against and edited with.
        plan: what to do.
        instruments: what to measure with; loaded where None.
        name: of the file of results in the folder.
        known: files of results of other processes in the same folder.
        force: begin again.
        on_progress: called before each picture that is made.

    Returns: all rows, those of earlier runs included.
    Raises:
        InputError: the folder cannot be written to, holds results of another editor, or the extra
            `eval` is not installed.
    """
    make_folder(folder)
    make_folder(folder / PICTURES)
    tools = instruments or load_instruments(plan)
    heading = {
        "editor": editor.info.name,
        "weights": fingerprint(editor),
        "edit_steps": plan.edit_steps,
        "rendered": plan.rendered,
        "thresholds": tools.judge.thresholds,
        "likeness": tools.encoder.name,
    }
    results = ResultFile(folder / name, heading, force=force, known=known)
    progress = _Progress(plan, len(photos), on_progress)
    for path in photos:
        _PhotoRun(
            path=path,
            folder=folder / PICTURES / path.name,
            editor=editor,
            plan=plan,
            tools=tools,
            results=results,
            progress=progress,
        ).run()
    return results.rows


class _Progress:
    """Counts pictures: each protected photo and each edit is one."""

    def __init__(self, plan: Plan, photos: int, on_progress: OnProgress | None) -> None:
        edits = len(plan.transforms) * len(plan.prompts) * plan.seeds
        self.per_version = edits
        self.cut = len(plan.prompts) * plan.seeds if plan.cut else 0
        self.per_photo = len(plan.protections) * (1 + edits) + edits + self.cut
        self._total = photos * self.per_photo
        self._done = 0
        self._tell = on_progress or (lambda done, total, what: None)

    def say(self, what: str) -> None:
        self._tell(self._done, self._total, what)

    def advance(self, count: int = 1) -> None:
        self._done += count
        self._tell(self._done, self._total, "")


@dataclass(frozen=True, eq=False, kw_only=True)
class _PhotoRun:
    """One photo, in all its versions."""

    path: Path
    folder: Path
    editor: Editor
    plan: Plan
    tools: Instruments
    results: ResultFile
    progress: _Progress

    def run(self) -> None:
        try:
            photo = load_photo(self.path)
        except InputError as error:
            self._add_photo("unreadable", [str(error)])
            self.progress.advance(self.progress.per_photo)
            return
        person = self.tools.judge.describe(to_array(photo.pixels))
        self._add_photo("evaluated", _notes(photo, person), size=list(photo.size))
        self.folder.mkdir(exist_ok=True)
        self._edit_version(photo, person, key=ORIGINAL, picture=photo.pixels)
        if self.plan.cut:
            self._edit_cut(photo, person)
        for protection in self.plan.protections:
            try:
                picture = self._protect(photo, protection)
            except AttentionError as error:
                self._add("failure", protection=protection.key, message=str(error))
                self.progress.advance(1 + self.progress.per_version)
                continue
            self._edit_version(photo, person, key=protection.key, picture=picture)

    def _add(self, kind: str, **fields: Any) -> None:
        self.results.add(kind=kind, photo=self.path.name, **fields)

    def _add_photo(self, status: str, notes: Sequence[str], **fields: Any) -> None:
        if self.results.find(kind="photo", photo=self.path.name) is None:
            self._add("photo", status=status, notes=list(notes), **fields)

    def _protect(self, photo: Photo, protection: Protection) -> Tensor:
        """The protected picture, from its file where there is one."""
        path = self.folder / f"{protection.key}.png"
        found = self.results.find(
            kind="protection", photo=self.path.name, protection=protection.key
        )
        if found is None or not path.exists():
            began = time.monotonic()
            steps = protect_steps(photo, self.editor, protection.settings)
            picture = photo.pixels
            while True:
                try:
                    step = next(steps)
                except StopIteration as stop:
                    picture = stop.value
                    break
                self.progress.say(f"{self.path.name}: {protection.label}, step {step.index}")
            save_photo(picture, Photo(picture, path, "PNG", "RGB"), path)
            differences = asdict(fidelity.compare(photo.pixels, picture))
            self._add(
                "protection",
                protection=protection.key,
                label=protection.label,
                settings=protection.settings.to_dict(),
                seconds=round(time.monotonic() - began, 2),
                # An infinite distance, of a picture that did not change, is no number of JSON.
                **{k: v if v != float("inf") else None for k, v in differences.items()},
            )
        self.progress.advance()
        return read_pixels(path)

    def _edit_cut(self, photo: Photo, person: Description | None) -> None:
        """Edits of the original that cannot see it: the bound of what is possible."""
        try:
            self._edit_after(NONE, photo, person, key=CUT, picture=photo.pixels)
        except AttentionError as error:
            self._add("failure", protection=CUT, message=str(error))
            self.progress.advance(self.progress.cut)

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
        published = publish(transform, picture, editor=self.editor) if wanted else picture
        for prompt, seed in wanted:
            self.progress.say(f"{self.path.name}: {transform}, {prompt}")
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
        return (
            self.results.find(
                kind=kind, photo=self.path.name, protection=key, transform=transform, **fields
            )
            is not None
        )

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
        path = self.folder / f"{key}.{transform}.{hash_text(prompt)}.{seed}.png"
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
            picture=str(path.relative_to(self.folder.parent.parent)),
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
