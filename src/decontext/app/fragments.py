"""From what jobs found to parts of the page, in the visitor's language; `fragments.html` has them.

Addresses are those under which `server` gives out files.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from decontext.app.beside import read_beside
from decontext.app.calibration import find_measured
from decontext.app.jobs import Job
from decontext.app.pictures import SHOWN, Views
from decontext.app.service import Desk, Service
from decontext.app.texts import LANGUAGES, Texts, read_texts
from decontext.app.work import Checked, Outcome, Proof, Shown
from decontext.errors import DecontextError

FILES, PORTRAITS = "/files", "/portraits"
"""Where the server gives out visitors' files, and the portraits of the preview."""

NAMES_SHOWN = 12
SHOWN_VALUES = ("count", "pixels", "words", "low", "middle", "high", "fall")
"""What is said of the portraits that were measured."""

PHOTOS_SHOWN = 200
_CURVE = (400, 80)
SMOOTHED = 9
LEAST_VALUES = 5
"""Before so many steps their means say little."""

WHO_MARKS = {"same": "none", "other": "strong", "nobody": "strong"}
"""How whom an edit shows is marked, by the colours of verdicts."""


class Fragments:
    """The parts of the page in one language."""

    def __init__(self, service: Service, texts: Texts) -> None:
        self.service, self.t = service, texts

    def head(self) -> str:
        """Title, what it does, and the languages."""
        addresses = {code: f"/{code}/" for code in LANGUAGES[1:]} | {LANGUAGES[0]: "/?lang=en"}
        languages = [(c, read_texts(c)("lang.name"), addresses[c]) for c in LANGUAGES]
        return self._draw("head", languages)

    def banner(self) -> str:
        """That this is a demonstration."""
        return self._draw("banner")

    def notice(self, error: DecontextError) -> str:
        """What went wrong."""
        return self._draw("notice", self.t.error(error))

    def photos(self, desk: Desk | None = None) -> str:
        """What was dropped so far."""
        return self._draw("photos", [one.name for one in desk.photos] if desk else [], NAMES_SHOWN)

    def preview(self, editor: str, strength: str) -> str:
        """How visible this strength was on portraits."""
        found, offer = find_measured(editor, strength), self.service.editors.offers[editor]
        values: dict[str, Any] | None = None
        if found is not None:
            picture = {
                "original": f"{PORTRAITS}/{found.before.name}",
                "protected": f"{PORTRAITS}/{found.after.name}",
                "width": found.width,
                "height": found.height,
            }
            values = {n: getattr(found, n) for n in SHOWN_VALUES}
            values["picture"] = picture
        several = not self.service.editors.only_demonstration
        return self._draw("preview", editor, values, several and offer.info.demonstration)

    def progress(self, job: Job) -> str:
        """How far a job is, and how far attention has fallen."""
        values, left = smooth(job.values), job.seconds_left
        now = values[-1] / values[0] if values and values[0] else 1.0
        shown: dict[str, Any] = {
            "what": self.stage(job),
            "percent": None if job.state == "waiting" else round(100 * job.part),
            "left": "" if left is None else self.t("progress.left", time=self.t.seconds(left)),
            "curve": draw_curve(values) if len(values) >= LEAST_VALUES else "",
            "now": self.t.percent(now),
        }
        return self._draw("progress", shown)

    def stage(self, job: Job) -> str:
        """What is being done, in a line; screen readers are told when it changes."""
        if job.state == "waiting":
            before = self.service.queue.position(job) + self.service.queue.count()[0]
            waiting = "progress.waiting" if before else "progress.next"
            return self.t(waiting, before=before)
        said = self.t(f"progress.{job.stage or 'preparing'}")
        if job.photos > 1:
            said = f"{self.t('progress.photo', number=job.photo, count=job.photos)}: {said}"
        return said

    def result(self, desk: Desk) -> str:
        """The photo that is chosen among those that were protected."""
        if desk.protected is None:
            return ""
        outcome = desk.protected.outcomes[desk.chosen]
        shown: dict[str, Any] = {"name": outcome.name, "error": ""}
        if outcome.error is not None:
            shown["error"] = self.t.error(outcome.error)
        else:
            shown |= self._outcome(desk, outcome)
            shown["demonstration"] = desk.protected.demonstration
        return self._draw("result", shown)

    def _outcome(self, desk: Desk, outcome: Outcome) -> dict[str, Any]:
        """What is shown of a photo that was saved."""
        views, protected = outcome.views, outcome.protected
        if views is None or protected is None or outcome.verification is None:
            return {}
        zooms = all(p.suffix.lower() in SHOWN for p in (outcome.original, protected))
        compare = {
            "original": self._address(desk, views.original),
            "protected": self._address(desk, views.protected),
            "full_original": self._address(desk, outcome.original),
            "full_protected": self._address(desk, protected),
            "width": views.width,
            "height": views.height,
        }
        return {
            "level": outcome.level,
            "verdict": self.t.verdict(outcome.verification),
            "reason": self.t.reason(outcome.verification),
            "seen": self.t.seen(outcome.words),
            "notes": [self.t.note(note) for note in outcome.notes],
            "photo": compare["full_protected"],
            "download": protected.name,
            "report": outcome.report and self._address(desk, outcome.report),
            "archive": None,
            "compare": compare,
            "zooms": zooms,
            "large": views.middle,
            **self._pictures(desk, views),
        }

    def _pictures(self, desk: Desk, views: Views) -> dict[str, Any]:
        return {
            "difference": self._address(desk, views.difference),
            "heat": self._address(desk, views.heat),
            "middle": views.middle,
        }

    def table(self, desk: Desk) -> str:
        """All photos of a run; nothing where there was one."""
        protected = desk.protected
        if protected is None or len(protected.outcomes) < 2:
            return ""
        rows = [
            {
                "name": outcome.name,
                "level": outcome.level,
                "said": self.t.error(outcome.error)
                if outcome.error
                else self.t(f"level.{outcome.level}"),
                "photo": outcome.protected and self._address(desk, outcome.protected),
                "download": outcome.protected.name if outcome.protected else "",
            }
            for outcome in protected.outcomes
        ]
        archive = protected.archive and self._address(desk, protected.archive)
        return self._draw("table", rows, archive)

    def proof(self, desk: Desk, proof: Proof) -> str:
        """Edits of both, and whom they show."""
        sides = [
            self._side(desk, "original", proof.original, proof.of_original, proof.instruction),
            self._side(desk, "protected", proof.protected, proof.of_protected, proof.instruction),
        ]
        return self._draw("proof", {"instruction": proof.instruction, "sides": sides})

    def _side(
        self, desk: Desk, which: str, picture: Path, shown: Shown, instruction: str
    ) -> dict[str, str]:
        alike = "" if shown.similarity is None else self.t.number(shown.similarity)
        return {
            "title": self.t(f"proof.of_{which}"),
            "alt": self.t(f"proof.alt_{which}", instruction=instruction),
            "picture": self._address(desk, picture),
            "said": self.t(f"proof.{shown.who}", similarity=alike),
            "mark": WHO_MARKS.get(shown.who, ""),
        }

    def checked(self, found: Checked) -> str:
        """What was measured of a protected photo, as it is and after publishing."""
        rows = [
            {
                "after": self.t.transform(one.transform),
                "level": one.level,
                "fall": self.t.percent(max(0.0, one.drop)),
            }
            for one in (found.as_it_is, *found.published)
        ]
        first = found.as_it_is
        values = {"level": first.level, "verdict": self.t.verdict(first), "rows": rows}
        values["reason"] = self.t.reason(first)
        return self._draw("checked", values | {"demonstration": first.demonstration})

    def _address(self, desk: Desk, path: Path) -> str:
        return f"{FILES}/{self.service.storage.address(desk.visit, path)}"

    def _draw(self, macro: str, *values: Any) -> str:
        return str(getattr(_templates(), macro)(self.t, *values)).strip()


def smooth(values: list[float]) -> list[float]:
    """Means of the last steps: each step draws another instruction and noise, and they differ."""
    if not values:
        return []
    means = [values[0]]
    for index in range(2, len(values) + 1):
        last = values[max(1, index - SMOOTHED) : index]
        means.append(sum(last) / len(last))
    return means


def draw_curve(values: list[float]) -> str:
    """Points of a line from the left to the right; the first value and 0 are top and bottom."""
    if len(values) < 2 or not values[0]:
        return ""
    width, height = _CURVE
    top = max(values)
    places = (
        f"{width * index / (len(values) - 1):.1f},{4 + (height - 8) * (1 - value / top):.1f}"
        for index, value in enumerate(values)
    )
    return " ".join(places)


@cache
def _templates() -> Any:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(read_beside("fragments.html")).module
