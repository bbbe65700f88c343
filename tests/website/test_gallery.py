"""The gallery says what its file of results says, and works without JavaScript."""

from __future__ import annotations

import json
import re
from typing import Any

from PIL import Image

from website import gallery

SHOWN: list[dict[str, Any]] = json.loads(gallery.RESULTS.read_text("utf-8"))


def test_page_is_what_the_figures_say() -> None:
    assert gallery.PAGE.read_text("utf-8") == gallery.write(SHOWN)
    assert [one["name"] for one in SHOWN] == [path.stem for path in gallery.PHOTOS]


def test_every_picture_is_there_with_words_and_all_are_small() -> None:
    page = gallery.PAGE.read_text("utf-8")
    named = set(re.findall(r'<img src="images/gallery/([^"]+)" alt="[^"]+"', page))
    there = {path.name: path for path in gallery.PICTURES.iterdir()}
    assert named == set(there)
    assert sum(path.stat().st_size for path in there.values()) < 2_000_000
    for path in there.values():
        with Image.open(path) as image:
            assert max(image.size) <= gallery.SHOWN


def test_words_follow_from_the_similarity() -> None:
    one = {**SHOWN[0], "threshold": 0.363}
    one["edits"] = [{"instruction": "smile", "identity": [0.4, None]}]
    page = gallery.write([one])
    assert "of the photo: the same person (0.40)" in page
    assert "of the protected photo: no face found" in page
    one["edits"] = [{"instruction": "smile", "identity": [0.363, 0.36]}]
    assert "of the protected photo: somebody else (0.36)" in gallery.write([one])
    assert page.count("<script") == 0
