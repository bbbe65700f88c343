"""What each published protocol asks, as plans over the same photos.

A part is one question. Parts share photos, instructions and protections where they can, so that
nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from decontext.errors import InputError
from decontext.evaluation.plan import NONE, Plan, Protection
from decontext.evaluation.protocols.published import MIRROR, PHOTO, PORTRAIT
from decontext.prompts import HELD_OUT
from decontext.settings import ProtectSettings

PROTOCOLS = ("decontext", "veto")


@dataclass(frozen=True)
class Part:
    """One question of a protocol: versions with names of their own, and instructions."""

    name: str
    title: str
    versions: tuple[Protection, ...]
    instructions: tuple[str, ...]

    def plan(
        self, *, instructions: Sequence[str] = (), rendered: bool, edit_steps: int | None
    ) -> Plan:
        """The part as `evaluation.run` carries it out; `instructions` in place of its own."""
        return Plan(
            protections=self.versions,
            transforms=(NONE,),
            prompts=tuple(instructions) or self.instructions,
            edit_steps=edit_steps,
            measure_prompts=1,
            cut=False,
            rendered=rendered,
        )


def build_parts(
    protocol: str, *, settings: Mapping[str, Any], blocks: tuple[int, int]
) -> tuple[Part, ...]:
    """The parts of a protocol.

    Args:
        protocol: one of `PROTOCOLS`.
        settings: what is to be otherwise than published, such as `steps`, for all versions.
        blocks: how many double and single blocks the editor has.

    Raises:
        InputError: no such protocol, or a setting out of its range.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"no protocol is named {protocol!r}; there are {', '.join(PROTOCOLS)}.")
    own = Protection("this version's own", ProtectSettings(**settings))
    if protocol == "veto":
        return (Part("pairs", "Pairs of photo and instruction", (_veto(settings), own), ()),)
    return _decontext(ProtectSettings.from_preset("paper", **settings), own, blocks)


def _decontext(
    paper: ProtectSettings, own: Protection, blocks: tuple[int, int]
) -> tuple[Part, ...]:
    """Source: arXiv 2512.16625, section 5 and its ablations."""
    questions = (PHOTO, PORTRAIT, MIRROR, *HELD_OUT[:3])
    main = Protection("decontext", paper)
    parts = [
        Part("main", "Protected as published, and by this version's own method", (main, own),
             questions),
        Part("baseline", "The baseline: Diff-PGD, which raises the flow-matching loss",
             (Protection("diff-pgd", replace(paper, objective="flow")),), questions),
        Part("budgets", "Budgets, in the paper's unit of colours from -1 to 1",
             tuple(
                 Protection(f"{budget:g}", replace(paper, epsilon=budget / 2))
                 for budget in (0.05, 0.1, 0.15)
             ), (PHOTO,)),
        Part("timesteps", "Noise levels that are drawn from",
             tuple(
                 Protection(f"{low:g} to {high:g}", replace(paper, sigma_range=(low, high)))
                 for low, high in ((0.98, 1.0), (0.48, 0.5), (0.0, 0.02))
             ), (PHOTO,)),
    ]  # fmt: skip
    if all(blocks):
        parts.insert(3, Part("blocks", "Blocks", tuple(_block_versions(paper, *blocks)), (PHOTO,)))
    return tuple(parts)


def _block_versions(paper: ProtectSettings, double: int, single: int) -> list[Protection]:
    """The paper's three choices, in its proportions: single 0 to 25 and 12 to 37 of 38."""
    last = f"single:{round(single * 12 / 38)}-{single - 1}"
    return [
        Protection("double", replace(paper, blocks=f"double:0-{double - 1}")),
        Protection("first singles", replace(paper, blocks="paper")),
        Protection("last singles", replace(paper, blocks=last)),
    ]


def _veto(settings: Mapping[str, Any]) -> Protection:
    """VETO's settings. Source: arXiv 2607.27292 and its code.

    Differs: the instructions of a step are ours, theirs is empty; its working size is a square.
    """
    published: dict[str, Any] = {
        "method": "sign",
        "objective": "attention-entropy",
        "epsilon": 4 / 255,
        "step_size": 2 / 255,
        "steps": 100,
        "momentum": 0.9,
        "schedule": "constant",
        "blocks": "double:0",
        "samples_per_step": 10,
        "sigma_range": (0.0, 1.0),
        "robust": "off",
    }
    return Protection("veto", ProtectSettings(**published | dict(settings)))
