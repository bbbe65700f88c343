"""What jobs found as plain values, for programs that call by HTTP. docs/app.md names each."""

from __future__ import annotations

from typing import Any

from decontext.app.jobs import Job
from decontext.app.service import Desk, Service
from decontext.app.work import Checked, Outcome, Proof
from decontext.verdict import Verification

FILES = "/files"


def describe_progress(service: Service, job: Job) -> dict[str, Any]:
    """How far a job is."""
    return {
        "state": job.state,
        "before": service.queue.position(job),
        "stage": job.stage,
        "photo": job.photo,
        "photos": job.photos,
        "part": round(job.part, 4),
        "seconds_left": job.seconds_left,
    }


def describe_run(service: Service, desk: Desk) -> dict[str, Any]:
    """What became of each photo."""
    run = desk.protected
    if run is None:
        return {"state": "done", "results": []}
    return {
        "state": "done",
        "editor": run.editor,
        "demonstration": run.demonstration,
        "archive": run.archive and _address(service, desk, run.archive),
        "results": [_describe(service, desk, outcome) for outcome in run.outcomes],
    }


def _describe(service: Service, desk: Desk, outcome: Outcome) -> dict[str, Any]:
    if outcome.protected is None or outcome.report is None:
        return {"name": outcome.name, "level": "none", "error": str(outcome.error)}
    return {
        "name": outcome.name,
        "level": outcome.level,
        "sentence": str(outcome.verification),
        "visible": outcome.words,
        "photo": _address(service, desk, outcome.protected),
        "report": _address(service, desk, outcome.report),
        "sha256": outcome.sha256,
        "notes": list(outcome.notes),
        "seconds": outcome.seconds,
    }


def describe_proof(service: Service, desk: Desk, proof: Proof) -> dict[str, Any]:
    """Two edits, and whom they show."""
    sides = (("original", proof.original, proof.of_original),
             ("protected", proof.protected, proof.of_protected))  # fmt: skip
    return {"state": "done", "instruction": proof.instruction} | {
        name: {
            "edit": _address(service, desk, picture),
            "shows": shown.who,
            "similarity": shown.similarity,
        }
        for name, picture, shown in sides
    }


def describe_checked(found: Checked) -> dict[str, Any]:
    """The verdict, and one after each thing that sites do."""
    after = {one.transform: _verdict(one) for one in found.published}
    return {"state": "done", **_verdict(found.as_it_is), "after": after}


def _verdict(found: Verification) -> dict[str, Any]:
    return {"level": found.level, "sentence": str(found), "drop": found.drop}


def _address(service: Service, desk: Desk, path: Any) -> str:
    return f"{FILES}/{service.storage.address(desk.visit, path)}"
