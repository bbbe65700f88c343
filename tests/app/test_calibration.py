"""What the page says of a strength before a run: measured, with its pictures, or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from decontext.app.calibration import RESULTS, find_measured
from decontext.settings import FALLS
from decontext.visibility.scores import WORDS

MEASURED = [
    (editor, strength)
    for editor, strengths in json.loads(RESULTS.read_text(encoding="utf-8")).items()
    for strength in strengths
]


@pytest.mark.parametrize(("editor", "strength"), MEASURED)
def test_what_was_measured_has_its_pictures(editor: str, strength: str) -> None:
    found = find_measured(editor, strength)
    assert found is not None and found.count > 1
    assert found.low <= found.middle <= found.high
    # The strong one is not reached with every portrait; the page says what was.
    assert abs(found.fall - FALLS[strength]) < 0.1  # type: ignore[index]
    assert any(found.words.startswith(said) for _, said in WORDS)
    for path in (found.before, found.after):
        assert isinstance(path, Path) and path.stat().st_size < 600_000
        with Image.open(path) as picture:
            assert picture.size == (found.width, found.height)


def test_all_strengths_were_measured_and_more_strength_falls_further_and_is_more_visible() -> None:
    found = [find_measured("kontext-mini", strength) for strength in FALLS]
    falls = [one.fall for one in found if one]
    scores = [one.middle for one in found if one]
    assert len(falls) == len(FALLS)
    assert falls == sorted(falls) and scores == sorted(scores, reverse=True)


def test_of_what_was_not_measured_nothing_is_said() -> None:
    assert find_measured("flux-kontext", "standard") is None
    assert find_measured("kontext-mini", "nonsense") is None
