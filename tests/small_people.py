"""Two people with a photo each of the same name, one folder a person, as protocols want them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER


def save_people(folder: Path) -> Path:
    """Write them into a folder, 64 x 64 pixels each; returns the folder."""
    for name, source, box in (
        ("eileen", ASTRONAUT, (100, 0, 350, 250)),
        ("grace", GRACE_HOPPER, (100, 0, 450, 350)),
    ):
        (folder / name).mkdir()
        with Image.open(source) as image:
            image.convert("RGB").crop(box).resize((64, 64)).save(folder / name / "1.png")
    return folder
