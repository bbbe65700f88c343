"""Settings as keywords of a call."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest

from decontext.errors import InputError
from decontext.keywords import SettingsKeywords, choose_settings
from decontext.settings import ProtectSettings

WRITTEN = {"epsilon": float | str | None, "step_size": float | str | None}
"""What may also be written as people write it."""


def test_keywords_are_the_settings_with_their_types() -> None:
    settings = get_type_hints(ProtectSettings)
    expected = {
        one.name: WRITTEN.get(one.name, settings[one.name]) for one in fields(ProtectSettings)
    }
    assert get_type_hints(SettingsKeywords) == expected
    assert not SettingsKeywords.__required_keys__


def test_changes_of_colour_may_be_written_and_a_preset_named() -> None:
    assert choose_settings(epsilon="8/255", steps=3) == ProtectSettings(epsilon=8 / 255, steps=3)
    assert choose_settings(step_size="0.01").step_size == 0.01
    assert choose_settings(preset="paper") == ProtectSettings.from_preset("paper")
    assert choose_settings(preset="fast", steps=7).steps == 7
    settings = ProtectSettings(seed=4)
    assert choose_settings(settings) == settings
    assert choose_settings(settings, steps=9) == ProtectSettings(seed=4, steps=9)


def test_typo_is_an_error_that_says_what_was_meant() -> None:
    with pytest.raises(InputError, match="no setting is named 'epsilom'. Did you mean epsilon"):
        choose_settings(epsilom=3)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="no setting is named 'xyz'. There are method, strength"):
        choose_settings(xyz=3)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="give one of them"):
        choose_settings(ProtectSettings(), "paper")
    with pytest.raises(InputError, match="preset is 'papers'"):
        choose_settings(preset="papers")
