"""What the rows of an evaluation say: who edits of each version show, after each transform.

Everything is computed from rows alone, so that tables and pages can be made again from the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from decontext.editors import list_editors
from decontext.evaluation.plan import CUT, NONE, ORIGINAL
from decontext.evaluation.results import FAILED, UNREADABLE, Row, content_of
from decontext.evaluation.summary import Summary, summarise
from decontext.report import DEMONSTRATION
from decontext.verdict import LEVELS

STATEMENT = (
    "Measured against this editor, with these instructions and seeds, and nothing else: another "
    "editor, instruction or treatment of the photo may show the person again."
)


@dataclass(frozen=True)
class Figures:
    """The rows of an evaluation, and what they say.

    A version is `original` or the key of a protection; `label` gives its name.
    """

    rows: Sequence[Row]

    @cached_property
    def heading(self) -> Row:
        """Editor, thresholds and the name of the image encoder."""
        return next(iter(self._of("heading")), {"thresholds": {}, "likeness": ""})

    @property
    def demonstration(self) -> bool:
        """Whether the editor is there to show how, and for nothing else."""
        names = {self.heading.get("editor"), *self.heading.get("others", ())}
        return any(info.demonstration for info in list_editors() if info.name in names)

    @property
    def title(self) -> str:
        """Who edits, and what the photos were protected against, in a line."""
        said = f"What edits by {self.heading.get('editor')} show"
        if not self.is_transfer:
            return said
        return f"{said} of photos protected against {', '.join(self.against)}"

    @property
    def against(self) -> tuple[str, ...]:
        """The editors that photos were protected against, several at once as `A+B`."""
        editor = self.heading.get("editor", "")
        rows = self._of("protection")
        return tuple(dict.fromkeys(str(row.get("against", editor)) for row in rows))

    @property
    def is_transfer(self) -> bool:
        """Whether photos were protected against another editor than the one that edits."""
        return set(self.against) - {self.heading.get("editor", "")} != set()

    @property
    def statement(self) -> str:
        """What the figures hold for."""
        return f"{DEMONSTRATION} {STATEMENT}" if self.demonstration else STATEMENT

    @property
    def recognisers(self) -> tuple[str, ...]:
        """Names of the recognisers, SFace first."""
        return tuple(self.heading["thresholds"])

    @cached_property
    def labels(self) -> dict[str, str]:
        """Versions and their names, the original first, in the order of the rows."""
        found = {ORIGINAL: "the original"}
        if self.edits(CUT):
            found[CUT] = "attention cut: the bound"
        for row in self._of("protection"):
            found.setdefault(row["protection"], row["label"])
        return found

    @cached_property
    def transforms(self) -> tuple[str, ...]:
        """Names of the transforms, in the order of the rows."""
        return tuple(dict.fromkeys(row["transform"] for row in self._of("edit")))

    def identity(
        self, version: str, transform: str = NONE, *, recogniser: str | None = None, **fields: Any
    ) -> Summary:
        """How much edits show the person of the original; `fields` choose rows further."""
        name = recogniser or self.recognisers[0]
        rows = self.edits(version, transform, **fields)
        return summarise(
            [row["identity"][name] for row in rows],
            [content_of(row) for row in rows],
            threshold=self.heading["thresholds"][name],
        )

    def value(self, name: str, version: str, transform: str = NONE) -> Summary:
        """Another figure of edits: `likeness`, `blur` or `noise`."""
        rows = self.edits(version, transform)
        return summarise([row[name] for row in rows], [content_of(row) for row in rows])

    def face_found(self, version: str, transform: str = NONE) -> float | None:
        """Part of the edits in which a face was found: one minus FDFR."""
        rows = self.edits(version, transform)
        return sum(row["faces"] > 0 for row in rows) / len(rows) if rows else None

    def attention_drop(self, version: str, transform: str = NONE) -> Summary:
        """By what part the context proportion fell, the original after the same transform."""
        rows = self._of("measurement", protection=version, transform=transform)
        return summarise([row["drop"] for row in rows], [content_of(row) for row in rows])

    def verdicts(self, version: str, transform: str = NONE) -> dict[str, int]:
        """How many photos measure as strong, weak and none after a transform, those that do."""
        rows = self._of("measurement", protection=version, transform=transform)
        levels = [row["level"] for row in rows if "level" in row]
        return {level: levels.count(level) for level in reversed(LEVELS) if level in levels}

    def fidelity(self, name: str, version: str, *, sha256: str | None = None) -> Summary:
        """A figure of the protected photos, such as `levels` or `psnr`; older rows lack some.

        With `sha256` of that photo alone.
        """
        rows = self._of("protection", protection=version)
        rows = [row for row in rows if sha256 in (None, content_of(row))]
        return summarise([row.get(name) for row in rows], [content_of(row) for row in rows])

    def identity_drop(self, version: str, transform: str) -> float | None:
        """How far identity fell against edits of the original after the same transform.

        Only pairs of edits count of which both show a face, of the same photo, prompt and seed.
        """
        name = self.recognisers[0]
        before = {_pair(r): r["identity"][name] for r in self.edits(ORIGINAL, transform)}
        after = {_pair(r): r["identity"][name] for r in self.edits(version, transform)}
        drops = [
            before[pair] - value
            for pair, value in after.items()
            if value is not None and before.get(pair) is not None
        ]
        return sum(drops) / len(drops) if drops else None

    def identity_difference(
        self, version: str, other: str, *, recogniser: str | None = None
    ) -> Summary:
        """Identity of edits of one version minus that of another, by pairs as above."""
        name = recogniser or self.recognisers[0]
        before = {_pair(r): r["identity"][name] for r in self.edits(other)}
        after = {_pair(r): r["identity"][name] for r in self.edits(version)}
        pairs = [p for p, v in after.items() if v is not None and before.get(p) is not None]
        return summarise([after[p] - before[p] for p in pairs], [p[0] for p in pairs])

    def kept(self, version: str, transform: str) -> float | None:
        """Part of the drop of identity that a transform leaves; None where there was none."""
        whole, left = self.identity_drop(version, NONE), self.identity_drop(version, transform)
        # A drop of less than 0.05 is within what another seed does; a part of it says nothing.
        return left / whole if whole is not None and left is not None and whole >= 0.05 else None

    def edits(self, version: str, transform: str = NONE, **fields: Any) -> list[Row]:
        """The rows of edits of a version after a transform."""
        return self._of("edit", protection=version, transform=transform, **fields)

    def photos(self) -> list[Row]:
        """One row for each photo, with what the reader should know of it."""
        return self._of("photo")

    def failures(self, photo: Row | None = None) -> list[Row]:
        """Versions of photos, or of one photo, that failed, with the reason."""
        rows = self._of("failure")
        return [r for r in rows if photo is None or content_of(r) == content_of(photo)]

    def failed(self) -> tuple[str, ...]:
        """A sentence for each photo or version of one that failed; empty where all went well."""
        unread = [row for row in self.photos() if row["status"] in (UNREADABLE, FAILED)]
        return tuple(
            [f"{row['photo']}: {'; '.join(row['notes'])}" for row in unread]
            + [
                f"{row['photo']}, {self.labels.get(row['protection'], row['protection'])}: "
                f"{row['message']}"
                for row in self.failures()
            ]
        )

    def _of(self, kind: str, **fields: Any) -> list[Row]:
        wanted = {"kind": kind, **fields}
        return [row for row in self.rows if all(row.get(k) == v for k, v in wanted.items())]


def _pair(row: Row) -> tuple[Any, ...]:
    return content_of(row), row["prompt"], row["seed"]
