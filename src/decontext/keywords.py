"""Settings as the keywords of a call: `protect(photo, editor, epsilon="8/255", steps=200)`."""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any, TypedDict, Unpack

from decontext.errors import InputError
from decontext.notation import parse_epsilon
from decontext.settings import (
    Method,
    ObjectiveName,
    ProtectSettings,
    RobustLevel,
    Schedule,
    Strength,
)


class SettingsKeywords(TypedDict, total=False):
    """The fields of `ProtectSettings`; changes of colour may be written `"8/255"`."""

    method: Method
    strength: Strength
    fall: float | None
    epsilon: float | str | None
    steps: int
    step_size: float | str | None
    momentum: float
    schedule: Schedule
    random_start: float
    sigma_range: tuple[float, float]
    blocks: str
    samples_per_step: int
    working_size: str
    objective: ObjectiveName
    refresh_text: int
    count_vlm_tokens: bool
    robust: RobustLevel
    seed: int
    verify_prompts: int
    verify_noises: int
    step_limit: int | None


def choose_settings(
    settings: ProtectSettings | None = None,
    preset: str | None = None,
    **keywords: Unpack[SettingsKeywords],
) -> ProtectSettings:
    """These settings, those of a preset, or the default ones, changed by the keywords.

    Raises:
        InputError: settings and a preset, no such preset, no such setting, or a bad value.
    """
    if settings is not None and preset is not None:
        raise InputError("settings and preset both say how to protect; give one of them.")
    given: dict[str, Any] = dict(keywords)
    for name, value in given.items():
        if name not in SettingsKeywords.__annotations__:
            raise _unknown(name)
        if name in ("epsilon", "step_size") and isinstance(value, str):
            given[name], _ = parse_epsilon(value, name=name)
    if preset is not None:
        return ProtectSettings.from_preset(preset, **given)
    return replace(settings or ProtectSettings(), **given)


def _unknown(name: str) -> InputError:
    known = tuple(SettingsKeywords.__annotations__)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(known)}."
    return InputError(f"no setting is named {name!r}.", hint)
