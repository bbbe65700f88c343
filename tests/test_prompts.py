"""The instructions: enough of them, in their groups, and none on both sides."""

from __future__ import annotations

import pytest

from decontext.prompts import GROUPS, HELD_OUT, OPTIMISE


def test_no_instruction_is_both_optimised_on_and_held_out() -> None:
    assert not {text.lower() for text in OPTIMISE} & {text.lower() for text in HELD_OUT}


def test_there_are_about_sixty_in_six_groups_and_a_dozen_held_out() -> None:
    assert len(set(OPTIMISE)) == len(OPTIMISE) >= 60
    assert len(set(HELD_OUT)) == len(HELD_OUT) == 12
    assert tuple(GROUPS) == ("expression", "accessory", "posture", "style", "scene", "combined")
    assert all(len(group) >= 10 for group in GROUPS.values())


def test_instructions_are_one_clean_line_each() -> None:
    for text in OPTIMISE + HELD_OUT:
        assert text == " ".join(text.split()) != ""


UNDERSTOOD = """
smile surprised eyes glasses hat blond black_hair sepia invert warmer cooler darker brighter
red_frame white_frame black_and_white red green blue yellow white_wall grey_wall keep_the_picture
"""


@pytest.mark.parametrize("word", UNDERSTOOD.split())
def test_what_the_embedded_editor_understands_is_optimised_on(word: str) -> None:
    assert any(word.replace("_", " ") in text for text in OPTIMISE)
