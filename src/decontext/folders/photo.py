"""One photo of many: protected, or in a row of the manifest why not. Nothing is raised.

Every engine, in this process, in several, on a cluster, comes down to `protect_one`; whatever is
wrong with a photo never costs the others.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from decontext.editors import Editor, load_editor
from decontext.editors.several import TOGETHER, Crew
from decontext.errors import DecontextError, InputError, NotProtectedError
from decontext.folders.finding import Task
from decontext.folders.manifest import (
    ALREADY,
    FAILED,
    FINAL,
    NOT_PROTECTED,
    PROTECTED,
    SAVED,
    WEAK,
    Manifest,
    Row,
)
from decontext.folders.seen import fields_of_report
from decontext.photo.files import make_folder
from decontext.photo.images import Metadata, choose_metadata, load_photo
from decontext.protect import protect
from decontext.report import FORMAT, report_path, sha256
from decontext.settings import ProtectSettings

OnPart = Callable[[int, int, str], None]
"""Called with (steps done, steps in all, what there is to say) of the photo being worked on."""


@dataclass(frozen=True)
class EditorChoice:
    """Which editor to load and how, for another process to do so; see `load_editor`."""

    name: str
    source: str | None = None
    device: str | None = None
    dtype: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def load(self, device: str | None = None) -> Editor:
        """Load it, on another device where one is given."""
        return load_editor(
            self.name,
            source=self.source,
            device=device or self.device,
            dtype=self.dtype,
            **self.options,
        )

    def from_anywhere(self) -> EditorChoice:
        """The same for a process that runs in another folder: what lies here by its whole path."""
        options = dict(self.options)
        if "parts" in options:
            options["parts"] = _whole(options["parts"])
        return replace(self, source=_whole(self.source), options=options)


@dataclass(frozen=True)
class CrewChoice:
    """Several editors that every photo is to be protected against at once; as `EditorChoice`."""

    choices: tuple[EditorChoice, ...]

    @property
    def name(self) -> str:
        """Their names as a report has them."""
        return TOGETHER.join(choice.name for choice in self.choices)

    @property
    def source(self) -> list[str | None]:
        """Where the weights of each come from."""
        return [choice.source for choice in self.choices]

    @property
    def device(self) -> str | None:
        """That of all."""
        return self.choices[0].device

    def load(self, device: str | None = None) -> Crew:
        """Load them, on another device where one is given."""
        return Crew([choice.load(device) for choice in self.choices])

    def from_anywhere(self) -> CrewChoice:
        """See `EditorChoice.from_anywhere`."""
        return CrewChoice(tuple(choice.from_anywhere() for choice in self.choices))


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a run does with every photo; goes to other processes whole.

    With `take_over` a result without a row, that an earlier part of this run finished, counts.
    `threads` is how many each of several processes computes with; None leaves it to torch.
    """

    editor: EditorChoice | CrewChoice
    settings: ProtectSettings
    folder: Path
    force: bool = False
    accept_weak: bool = False
    metadata: Metadata = "keep"
    take_over: bool = False
    threads: int | None = 1

    def heading(self) -> Row:
        """What results depend on beside the photo, as the manifest keeps it."""
        return {
            "editor": self.editor.name,
            "weights": self.editor.source,
            "settings": self.settings.to_dict(),
            "accept_weak": self.accept_weak,
            "metadata": self.metadata,
        }


def _whole(source: str | None) -> str | None:
    """A folder or file of this machine by its whole path; a hub id stays."""
    return str(Path(source).absolute()) if source and Path(source).exists() else source


def protect_one(
    task: Task, editor: Editor | Crew, work: Work, on_part: OnPart | None = None
) -> Row:
    """Protect one photo into the folder and return its row, whatever happens.

    What an earlier run finished and did not come to write down is taken over.
    """
    began = time.monotonic()
    target = work.folder / task.name
    tell = on_part or (lambda done, total, note: None)
    try:
        report = find_finished(target, task.digest, work) if work.take_over else None
        if report is None:
            make_folder(target.parent)
            report = protect(
                choose_metadata(load_photo(task.source), work.metadata),
                editor,
                output=target,
                settings=work.settings,
                force=work.force,
                accept_weak=work.accept_weak,
                on_step=lambda step: tell(step.index, step.steps, "protecting"),
                on_measure=lambda done, total: tell(done, total, "measuring"),
            ).report
    except NotProtectedError as error:
        return build_row(task, NOT_PROTECTED, message=error.message, began=began)
    except DecontextError as error:
        return build_row(task, FAILED, message=str(error), began=began)
    except Exception as error:  # The last place where anything can be said of this photo.
        reason = f"unexpected error: {type(error).__name__}: {error}"
        return build_row(task, FAILED, message=reason, began=began)
    return row_of_report(task, report, began=began)


def skip(task: Task, manifest: Manifest, work: Work) -> Row | None:
    """The row of a photo that needs no work, found before any is done; None: protect it.

    A photo that cannot be read, one that is protected already, by the report beside it or as a
    result of this very folder, and one that an earlier run finished.
    """
    if not task.digest:
        why = "cannot be read" if os.path.exists(task.source) else "is not there"
        return build_row(task, FAILED, message=f"{task.source} {why}.")
    if manifest.is_result(task.digest):
        return build_row(task, ALREADY, message="it is a result that lies in the output folder")
    said = row_of_protected(task, read_report(report_path(Path(task.source))))
    if said is not None:
        return said
    row = manifest.find(task.name, task.digest)
    if row is None or row["status"] not in FINAL:
        return None
    gone = row["status"] in SAVED and sha256(work.folder / task.name) != row["protected_sha256"]
    return None if gone else row


def find_finished(target: Path, digest: str, work: Work) -> dict[str, Any] | None:
    """The report of a result that is this photo's, with these settings; else None."""
    report = read_report(report_path(target))
    if report is None or not is_result(report, digest, work):
        return None
    return report if report["files"]["protected"]["sha256"] == sha256(target) else None


def is_result(report: Mapping[str, Any], digest: str, work: Work) -> bool:
    """Whether a report is that of this photo, protected in this way."""
    if report["editor"]["name"] != work.editor.name:
        return False
    if _status(report) != PROTECTED and not work.accept_weak:
        return False
    if report["files"]["original"]["sha256"] != digest:
        return False
    try:
        found = ProtectSettings.from_dict(report["settings"]).to_dict()
    except InputError:
        return False
    wanted = work.settings.to_dict()
    if work.settings.blocks == "auto":  # chosen for each photo
        wanted["blocks"] = found["blocks"]
    return bool(found == wanted)


def row_of_protected(task: Task, report: Mapping[str, Any] | None) -> Row | None:
    """The row of a photo that is itself a protected one, by the report that lies beside it."""
    if report is None or report["files"]["protected"]["sha256"] != task.digest:
        return None
    message = f"against {report['editor']['name']}, as the report beside it says"
    return build_row(task, ALREADY, message=message)


def read_report(path: Path) -> dict[str, Any] | None:
    """A report of decontext, or None where there is none."""
    try:
        return parse_report(path.read_bytes())
    except OSError:
        return None


def parse_report(text: bytes | None) -> dict[str, Any] | None:
    """A report of decontext from what a file holds, or None where it is none."""
    try:
        content = json.loads(text or b"")
        is_report = content["format"] == FORMAT
        needed = (content["settings"], content["editor"]["name"], content["verification"]["drop"])
        files = [content["files"][name]["sha256"] for name in ("original", "protected")]
        is_report = is_report and None not in (*needed, *files)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return content if is_report else None


def row_of_report(task: Task, report: Mapping[str, Any], *, began: float) -> Row:
    """The row of a protected photo, from its report."""
    measured = report["verification"]
    return build_row(
        task,
        _status(report),
        began=began,
        message="; ".join(report["notes"]),
        protected_sha256=report["files"]["protected"]["sha256"],
        drop=measured["drop"],
        random_drop=measured["random_drop"],
        levels=measured["levels"],
        psnr_db=report["psnr_db"],
        **fields_of_report(report),
    )


def _status(report: Mapping[str, Any]) -> str:
    # Reports of earlier versions know no level; what they call protected was so by their rule.
    level = report["verification"].get("level", "strong")
    return PROTECTED if level == "strong" else WEAK


def build_row(
    task: Task, status: str, *, message: str = "", began: float | None = None, **fields: Any
) -> Row:
    """A row of the manifest."""
    return {
        "kind": "photo",
        "name": task.name,
        "source": task.source,
        "original_sha256": task.digest,
        "protected_sha256": "",
        "status": status,
        "message": message,
        "seconds": None if began is None else round(time.monotonic() - began, 2),
        **fields,
    }
