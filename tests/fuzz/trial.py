"""One file through reading, checking and saving to every format; whatever is wrong is returned."""

from __future__ import annotations

import random
from pathlib import Path

from decontext.errors import DecontextError
from decontext.photo.images import check_output, load_photo, save_photo
from tests.fuzz.mutations import mutate
from tests.fuzz.seeds import make_seeds

ENDINGS = (".jpg", ".png", ".webp", ".tiff", ".bmp")
SLOW_ENDINGS = (".avif", ".heic")
"""Every eighth file, by its length, is saved as these too."""


def make_case(seed: int, number: int) -> bytes:
    """The file of this number; the same wherever and whenever it is made."""
    return mutate(make_seeds(), random.Random(f"{seed}/{number}"))


def try_file(content: bytes, folder: Path, *, by_path: bool) -> list[str]:
    """What went wrong with a file that must be refused in words, or read, saved and read again."""
    name = folder / "case.jpg"
    try:
        if by_path:
            name.write_bytes(content)
        photo = load_photo(name if by_path else content)
    except DecontextError:
        return []
    except Exception as error:
        return [f"load: {type(error).__name__}: {error}"]
    wrong = []
    for ending in (*ENDINGS, *SLOW_ENDINGS) if len(content) % 8 == 0 else ENDINGS:
        step, out = "check", folder / f"out{ending}"
        try:
            check_output(photo, out)
            step = "save"
            save_photo(photo.pixels, photo, out)
            step = "read again"
            again = load_photo(out)
            if again.size != photo.size:
                wrong.append(f"{ending}: {again.size} instead of {photo.size}")
        except DecontextError as error:
            if step != "check":  # What cannot be saved must be found by the check.
                wrong.append(f"{step} {ending}: refused late: {error}")
        except Exception as error:
            wrong.append(f"{step} {ending}: {type(error).__name__}: {error}")
    return wrong
