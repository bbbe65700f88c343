"""Several editors that one photo is to be protected against, and their turns in memory.

Where they fit onto the device together all of them stay there. Otherwise the one whose turn it is
has it, and the others give their weights back; they are read again when their turn comes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from decontext.editors._base import Editor, EditorInfo, Rests
from decontext.errors import InputError

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("decontext")


TOGETHER = " + "
"""Between the names of several editors."""


class Crew:
    """One editor or more, in their order.

    Attributes:
        editors: those.
        together: whether all of them may stay in memory.
        blocks: by the editor's name, those that were chosen for a photo.

    Raises:
        InputError: there is none, or one is there twice.
    """

    def __init__(self, editors: Sequence[Editor], *, together: bool = True) -> None:
        self.editors, self.together = tuple(editors), together
        self.blocks: dict[str, str] = {}
        names = [editor.info.name for editor in editors]
        if not names:
            raise InputError("no editor was given; there must be one to protect against.")
        if len(set(names)) < len(names):
            raise InputError(
                f"the editors are {', '.join(names)}; each may be given once.",
                "Give every editor only once.",
            )

    def __iter__(self) -> Iterator[Editor]:
        return iter(self.editors)

    def __len__(self) -> int:
        return len(self.editors)

    def turn(self, editor: Editor) -> Editor:
        """The editor itself, whose turn it is: where they do not fit together the others rest."""
        if not self.together:
            for other in self.editors:
                if other is not editor and isinstance(other, Rests):
                    other.rest()
        return editor

    def take_turns(self, needed: Sequence[int], free: int) -> None:
        """From what each needs of the device, and what is free: whether they stay together."""
        self.together = len(self) == 1 or sum(needed) <= free
        if not self.together:
            logger.warning(
                "the editors do not fit into memory together: they take turns, and read their "
                "weights again in every step; --precision int8 or nf4, or --stream-weights, may "
                "keep them there"
            )

    @property
    def info(self) -> EditorInfo:
        """Of one that editor's; of several their names and weights side by side."""
        infos = [editor.info for editor in self.editors]
        if len(infos) == 1:
            return infos[0]
        return EditorInfo(
            name=TOGETHER.join(info.name for info in infos),
            title=TOGETHER.join(info.title for info in infos),
            weights=TOGETHER.join(info.weights for info in infos),
            licence=TOGETHER.join(info.licence for info in infos),
            double_blocks=0,
            single_blocks=0,
            working_size="each its own",
            memory="each its own",
            demonstration=all(info.demonstration for info in infos),
        )

    @property
    def device(self) -> torch.device:
        """Of the first."""
        return self.editors[0].device

    @property
    def precision(self) -> str:
        """How the weights of each are held, in words."""
        return TOGETHER.join(getattr(editor, "precision", "") for editor in self.editors)


def gather(given: Editor | Crew | str | Sequence[Editor | str]) -> Crew:
    """The crew of one editor or several, by name or loaded. Raises: as `load_editor`."""
    from decontext.editors import load_editor

    if isinstance(given, Crew):
        return given
    several: list[Any] = list(given) if isinstance(given, list | tuple) else [given]
    return Crew([load_editor(one) if isinstance(one, str) else one for one in several])


def count_editors(given: Editor | Crew | str | Sequence[Editor | str]) -> int:
    """How many were given; nothing is loaded."""
    return len(given) if isinstance(given, Crew | list | tuple) else 1


def describe_editors(crew: Crew) -> list[dict[str, Any]]:
    """For a report: each of several; nothing of a single one."""
    if len(crew) == 1:
        return []
    return [
        {
            "name": one.info.name,
            "weights": one.info.weights,
            "demonstration": one.info.demonstration,
            "device": str(one.device),
            "precision": getattr(one, "precision", ""),
            "blocks": crew.blocks.get(one.info.name, ""),
        }
        for one in crew
    ]
