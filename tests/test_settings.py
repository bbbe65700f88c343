"""Settings: what is accepted, what is refused, and in which words."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decontext.errors import InputError
from decontext.notation import describe_epsilon, parse_epsilon
from decontext.settings import ProtectSettings


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("8/255", 8 / 255, "8/255 of full range (8 levels)"),
        ("8", 8 / 255, "8/255 of full range (8 levels)"),
        ("1", 1 / 255, "1/255 of full range (1 level)"),
        (" 12.75 / 255 ", 12.75 / 255, "0.05 of full range (12.75 levels)"),
        ("0.03", 0.03, "0.03 of full range (7.65 levels)"),
        (".5", 0.5, "0.5 of full range (127.5 levels)"),
    ],
)
def test_epsilon_is_read_as_people_write_it(text: str, value: float, words: str) -> None:
    assert parse_epsilon(text) == (pytest.approx(value), words)


@pytest.mark.parametrize("text", ["0", "300", "0/255", "8/0", "-3", "abc", "", "8/255/2", "1e-3"])
def test_impossible_epsilon_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="epsilon is"):
        parse_epsilon(text)


@given(st.integers(1, 255))
def test_levels_and_fractions_mean_the_same(level: int) -> None:
    assert parse_epsilon(f"{level}/255")[0] == pytest.approx(parse_epsilon(str(level))[0])
    assert str(level) in describe_epsilon(level / 255)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epsilon": 8}, r"epsilon is 8; it must be in \(0, 1\]. Did you mean 8/255\?"),
        ({"epsilon": 0.001}, "less than one level"),
        ({"epsilon": 0}, "epsilon is 0"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.5}, "steps is 2.5"),
        ({"steps": True}, "steps is True"),
        ({"step_size": 0.0}, "step_size is 0.0"),
        ({"momentum": 1.0}, "momentum is 1.0"),
        ({"random_start": 1.5}, "random_start is 1.5"),
        ({"sigma_range": (1.0, 0.5)}, "sigma_range"),
        ({"sigma_range": (0.9, 1.1)}, "sigma_range"),
        ({"blocks": " "}, "blocks"),
        ({"schedule": "fast"}, "one of constant, linear, cosine"),
        ({"objective": "magic"}, "one of context-proportion"),
        ({"robust": "very"}, "robust is 'very'; it must be one of off, jpeg, web, strong"),
        ({"seed": -1}, "seed is -1"),
        ({"verify_noises": 0}, "verify_noises is 0"),
    ],
)
def test_value_out_of_range_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ProtectSettings(**values)


def test_settings_survive_the_way_through_json() -> None:
    settings = ProtectSettings(epsilon=0.1 / 3, sigma_range=(0.9, 0.95), step_size=1 / 255)
    assert ProtectSettings.from_dict(settings.to_dict()) == settings
    limited = ProtectSettings(step_limit=200).to_dict()
    assert set(limited) == {field.name for field in fields(ProtectSettings)}
    assert set(settings.to_dict()) == set(limited) - {"step_limit"}


def test_unknown_setting_in_a_report_is_named() -> None:
    with pytest.raises(InputError, match="no setting is named 'power'"):
        ProtectSettings.from_dict({"power": 1})


@pytest.mark.parametrize(("steps", "share"), [(100, 0.15), (20, 0.5), (800, 0.05), (300, 0.05)])
def test_first_step_size_follows_the_number_of_steps(steps: int, share: float) -> None:
    settings = ProtectSettings(steps=steps)
    assert settings.first_step_size == pytest.approx(share * settings.budget)
    assert ProtectSettings(steps=steps, step_size=0.01).first_step_size == 0.01
