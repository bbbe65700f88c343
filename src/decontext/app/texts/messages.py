"""The library's messages and notes in the words of the page, which knows no options of commands.

`messages.CODE.json`: patterns with what is said in their place, and the phrases within notes. What
has no pattern stays as the library says it, in English.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

Pairs = tuple[tuple[re.Pattern[str], str], ...]


@dataclass(frozen=True)
class Messages:
    """Of one language.

    Attributes:
        otherwise: what stands before a message that has no translation.
        errors, notes: patterns of whole messages, and what is said instead.
        phrases: patterns of parts of notes.
    """

    otherwise: str
    errors: Pairs
    notes: Pairs
    phrases: Pairs

    def error(self, text: str) -> str:
        """An error in the words of the page."""
        return _first(self.errors, text) or self._plain(text)

    def note(self, text: str) -> str:
        """A note on a photo in the words of the page."""
        said = _first(self.notes, text)
        if said is None:
            return self._plain(text)
        for pattern, instead in self.phrases:
            said = pattern.sub(instead, said)
        return said

    def _plain(self, text: str) -> str:
        if self.otherwise:
            return f"{self.otherwise} {text}"
        named = "." in text.split(" ", 1)[0]  # A sentence that begins with the name of a file.
        return text if named else text[:1].upper() + text[1:]


@cache
def read_messages(language: str) -> Messages:
    """Those of a language that has texts."""
    name = f"messages.{language}.json"
    content = json.loads(files(__package__).joinpath(name).read_text(encoding="utf-8"))
    lists = (_compile(content[part]) for part in ("errors", "notes", "phrases"))
    return Messages(content["otherwise"], *lists)


def _compile(pairs: Iterable[tuple[str, str]]) -> Pairs:
    return tuple((re.compile(pattern, re.DOTALL), said) for pattern, said in pairs)


def _first(pairs: Pairs, text: str) -> str | None:
    """What is said in the place of a text that begins like the first pattern that fits."""
    for pattern, said in pairs:
        match = pattern.match(text)
        if match:
            return match.expand(said)
    return None
