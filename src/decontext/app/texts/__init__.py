"""The words of the page: `CODE.json` for each language, with the same keys. English is the first.

To add a language, copy `en.json`, `messages.de.json` and `am_i_safe.en.md`, translate them, and
name it in `LANGUAGES`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from decontext.app.texts.messages import read_messages
from decontext.errors import DecontextError
from decontext.verdict import LEAST_RATIO, LEAST_SHARE, Verification
from decontext.visibility.scores import WORDS

LANGUAGES = ("en", "de")
"""The first is shown to whoever reads none of the others."""

_SMOOTH = ", mostly on smooth"
"""How the words on visibility go on where most of it lies on smooth areas."""


@dataclass(frozen=True)
class Texts:
    """The texts of one language. Called with a key, it fills in what stands in braces."""

    language: str
    _texts: dict[str, str] = field(repr=False)

    def __call__(self, key: str, **values: Any) -> str:
        return self._texts[key].format(**values) if values else self._texts[key]

    @property
    def safe(self) -> str:
        """The answer to "Am I safe?", as Markdown."""
        return _read(f"am_i_safe.{self.language}.md")

    def verdict(self, found: Verification) -> str:
        """The verdict in a plain sentence."""
        return self(f"verdict.{found.level}", editor=found.editor)

    def reason(self, found: Verification) -> str:
        """Why the verdict is what it is, in another sentence."""
        if found.levels == 0:
            return self("reason.copy")
        if not found.same_photo:
            return self("reason.other")
        drop, random = self.percent(found.drop), self.percent(found.random_drop)
        if found.drop < LEAST_RATIO * found.random_drop:
            return self("reason.noise", drop=drop, random=random)
        if found.share_fallen < LEAST_SHARE:
            return self("reason.share", drop=drop, share=self.percent(found.share_fallen))
        return self("reason.fell", drop=drop, random=random)

    def seen(self, words: str) -> str:
        """The library's words on how visible a change is, in this language."""
        plain, smooth, _ = words.partition(_SMOOTH)
        known = [said for _, said in WORDS]
        if plain not in known:
            return self("seen.same")
        return self(f"seen.{known.index(plain)}") + (self("seen.smooth") if smooth else "")

    def transform(self, name: str) -> str:
        """A transform, such as `jpeg-75+resize-0.5`, in this language."""
        return ", ".join(map(self._part, name.split("+")))

    def _part(self, name: str) -> str:
        kind, _, value = name.partition("-")
        if kind == "jpeg":
            return self("after.jpeg", quality=value)
        if kind == "resize":
            return self("after.resize", percent=f"{100 * float(value):.0f}")
        if kind == "crop":
            return self("after.crop", percent=value)
        if kind == "blur":
            return self("after.blur", pixels=value)
        return self("verify.as_it_is") if kind == "none" else name

    def seconds(self, seconds: float) -> str:
        """A time in words, rounded as people say it."""
        if seconds < 90:
            return self("time.seconds", count=max(1, round(seconds)))
        minutes = round(seconds / 60)
        if minutes < 90:
            return self("time.minutes", count=minutes)
        return self("time.hours", hours=minutes // 60, minutes=minutes % 60)

    def percent(self, part: float) -> str:
        """A part as per cent."""
        rounded = round(100 * part) + 0
        return f"{rounded}\u00a0%" if self.language == "de" else f"{rounded}%"

    def number(self, value: float, digits: int = 2) -> str:
        """A number with the language's decimal point."""
        text = f"{value:.{digits}f}"
        return text.replace(".", ",") if self.language == "de" else text

    def error(self, error: DecontextError) -> str:
        """What went wrong and what to do about it."""
        return read_messages(self.language).error(str(error))

    def note(self, note: str) -> str:
        """What there is to say of a saved file."""
        return read_messages(self.language).note(note)


@cache
def read_texts(language: str) -> Texts:
    """The texts of a language of `LANGUAGES`."""
    return Texts(language, json.loads(_read(f"{language}.json")))


def choose_language(accepted: str) -> str:
    """The language of a browser's `Accept-Language`, as far as there is one here."""
    wanted = []
    for number, part in enumerate(accepted.split(",")):
        name, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            weight = 0.0
        wanted.append((-weight, number, name.split("-")[0].lower()))
    return next((name for _, _, name in sorted(wanted) if name in LANGUAGES), LANGUAGES[0])


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
