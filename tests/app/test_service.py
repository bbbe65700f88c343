"""What a visitor has in hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from decontext.app.service import Desk
from decontext.app.work import Given


@pytest.mark.parametrize(("number", "name"), [(0, "b.jpg"), (-1, "b.jpg"), (2, "b.jpg")])
def test_only_the_photo_that_was_meant_is_forgotten(number: int, name: str) -> None:
    visit: Any = None
    desk = Desk(visit, [Given("a.jpg", Path("1")), Given("b.jpg", Path("2"))])
    before = desk.photos
    assert not desk.forget(number, name)  # as after a second click on what is gone already
    assert desk.forget(1, "b.jpg")
    assert [one.name for one in desk.photos] == ["a.jpg"]
    assert len(before) == 2  # a run that has begun keeps its photos
