"""Carries out a plan: every photo in turn, one row at a time, resumable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from decontext.editors import Editor, list_editors, load_editor
from decontext.errors import InputError
from decontext.evaluation.likeness import load_image_encoder
from decontext.evaluation.photo_run import (
    PICTURES,
    CallerStopped,
    Instruments,
    OnProgress,
    PhotoRun,
    Progress,
)
from decontext.evaluation.plan import Plan, other_editors
from decontext.evaluation.recognisers import PersonJudge
from decontext.evaluation.results import (
    NAME,
    ResultFile,
    Row,
    fingerprint,
    identify,
    name_photos,
)
from decontext.photo.files import clear_leftovers, make_folder
from decontext.photo.lock import hold_lock


def load_instruments(plan: Plan) -> Instruments:
    """Every recogniser and encoder that is installed. Raises: InputError: none is."""
    return Instruments(PersonJudge(centred=plan.rendered), load_image_encoder())


def load(name: str, editor: Editor) -> Editor:
    """An editor by its name, with its own weights; the one that edits is not loaded twice.

    Raises:
        InputError: there is no such editor.
        EditorError: its weights are missing or damaged.
    """
    own = {info.name: info.weights for info in list_editors()}
    if name == editor.info.name and editor.info.weights == own.get(name):
        return editor
    return load_editor(name, device=editor.device)


def evaluate(
    photos: Sequence[Path],
    folder: Path,
    editor: Editor,
    plan: Plan,
    *,
    others: Mapping[str, Editor] | None = None,
    instruments: Instruments | None = None,
    name: str = NAME,
    known: Sequence[Path] = (),
    companions: Mapping[str, str] | None = None,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> list[Row]:
    """Evaluate photos by a plan, into `folder`; what has been done there already is kept.

    Args:
        photos: files; their contents tell them apart, of copies the first is evaluated.
        folder: for rows and pictures; made where it is missing.
        editor: edited with, and protected against where the plan does not say otherwise.
        plan: what to do.
        others: further editors of the plan by their names; loaded where they are not here.
        instruments: what to measure with; loaded where None.
        name: of the file of results in the folder.
        known: files of results of other processes in the same folder.
        companions: names of other photos by content that the same file holds rows of. They stay,
            also where the files have the same names, as those of several people may.
        force: begin again.
        on_progress: called before each picture that is made; what it raises ends the evaluation.

    Returns: all rows, those of earlier runs included. What failed is in rows of its own, see
        `tables.Figures.failed`.
    Raises:
        InputError: the folder cannot be written to or is being written to, holds results of another
            editor, there is no such editor, or the extra `eval` is not installed.
    """
    make_folder(folder)
    make_folder(folder / PICTURES)
    pictures = (folder / PICTURES).resolve()
    for path in photos:
        if path.resolve().is_relative_to(pictures):
            raise InputError(
                f"{path} lies among the pictures of this evaluation, which it could replace.",
                "Choose another folder for the report.",
            )
    tools = instruments or load_instruments(plan)
    found = {name: (others or {}).get(name) or load(name, editor) for name in other_editors(plan)}
    heading: dict[str, Any] = {
        "editor": editor.info.name,
        "weights": fingerprint(editor),
        "edit_steps": plan.edit_steps,
        "rendered": plan.rendered,
        "thresholds": tools.judge.thresholds,
        "likeness": tools.encoder.name,
    }
    if found:
        heading["others"] = {name: fingerprint(other) for name, other in found.items()}
    contents = identify(photos)
    # Reversed, so that of copies the first gives the name.
    shown = name_photos(photos)
    own = {contents[path]: shown[path] for path in reversed(photos)}
    names = {**(companions or {}), **own}
    with hold_lock(folder / name):
        clear_leftovers(folder)
        results = ResultFile(folder / name, heading, photos=names, force=force, known=known)
        progress = Progress(plan, len(photos), on_progress)
        try:
            for path in photos:
                PhotoRun(
                    path=path,
                    name=shown[path],
                    content=contents[path],
                    first=names[contents[path]],
                    folder=folder,
                    editor=editor,
                    others=found,
                    plan=plan,
                    tools=tools,
                    results=results,
                    progress=progress,
                ).run()
        except CallerStopped as stopped:
            raise stopped.reason from None
    return results.rows
