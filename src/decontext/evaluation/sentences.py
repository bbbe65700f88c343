"""What an evaluation found, in a few sentences, for whoever reads no tables."""

from __future__ import annotations

from decontext.evaluation.figures import Figures
from decontext.evaluation.plan import CUT, ORIGINAL
from decontext.evaluation.results import content_of
from decontext.evaluation.summary import FEW

_NAMED = 3


def tell_findings(figures: Figures) -> list[str]:
    """What was found, in a sentence or three; said first by page and command."""
    if not figures.edits(ORIGINAL):
        return ["No photo could be edited: see below why."]
    protected = [key for key in figures.labels if key not in (ORIGINAL, CUT)]
    said = f"The same person is in {_count_same(figures, ORIGINAL)} edits of the original photos"
    for key in protected[:_NAMED]:
        if figures.edits(key):
            said += f", in {_count_same(figures, key)} after {figures.labels[key]}"
    sentences = [f"{said}."]
    if len(protected) > _NAMED:
        sentences.append(f"{len(protected) - _NAMED} more ways to protect are below.")
    if (figures.identity(ORIGINAL).share or 0) < 0.5:
        sentences.append(
            "Here even edits of the originals seldom show the person: where they do not, no "
            "protection gets credit for it."
        )
    few = warn_of_few(figures)
    return [*sentences, few] if few else sentences


def _count_same(figures: Figures, version: str) -> str:
    """In how many edits of a version the person is, without a transform: "3 of 4"."""
    edits = len(figures.edits(version))
    return f"{round((figures.identity(version).share or 0) * edits)} of {edits}"


def warn_of_few(figures: Figures) -> str:
    """A sentence for whoever reads intervals of a few photos; empty where there are enough."""
    count = len(set(map(content_of, figures.edits(ORIGINAL))))
    if count >= FEW:
        return ""
    photos = "One photo" if count == 1 else f"{count} photos"
    return f"{photos}: a direction, no more. An interval of so few looks surer than it is."
