"""Kills a run over many photos at random, goes on, and compares with one that nobody disturbed.

`python tests/kills_many.py --photos 200 --kills 10` prints what came of it; a short one is a test.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tiny_models
from PIL import Image

from decontext.folders.finding import find_tasks
from decontext.folders.manifest import NAME, SAVED, read_rows
from decontext.folders.photo import EditorChoice, Work
from decontext.folders.run import protect_folder
from decontext.photo.files import is_unfinished
from decontext.photo.portraits import ASTRONAUT
from decontext.settings import ProtectSettings

ENDINGS = ("png", "jpg", "webp", "tiff", "bmp")

SETTINGS = ProtectSettings(
    method="sign",
    epsilon=96 / 255,
    steps=10,
    blocks="double:0",
    robust="off",
    step_limit=10,
    verify_prompts=1,
    verify_noises=1,
)
"""A strong budget on one block, with which even random weights lose sight of the photo."""


def make_photos(folder: Path, count: int) -> Path:
    """Small photos in five formats, every other one in a sub-folder; no two are alike."""
    (folder / "sub").mkdir(parents=True)
    with Image.open(ASTRONAUT) as image:
        portrait = image.convert("RGB")
    for number in range(count):
        left = 7 * number % 150
        ending = ENDINGS[number % len(ENDINGS)]
        name = f"{'sub/' if number % 2 else ''}photo-{number:03d}.{ending}"
        portrait.crop((left, 0, left + 360, 280)).resize((72, 56)).save(folder / name)
    return folder


def prepare(folder: Path, count: int) -> tuple[Path, Path]:
    """A tiny editor and photos in this folder, where an earlier run has not left them."""
    editor, photos = folder / "editor", folder / "photos"
    if not photos.exists():
        tiny_models.save_tiny_pipeline(editor)
        make_photos(photos, count)
    return editor, photos


def make_work(editor: Path, output: Path, **options: Any) -> Work:
    """How the photos are protected, by a tiny editor on one thread."""
    choice = EditorChoice("flux-kontext", source=str(editor), device="cpu")
    return Work(editor=choice, settings=SETTINGS, folder=output, accept_weak=True, **options)


class DiesWithItsFirstPhoto(EditorChoice):
    """An editor whose process is killed when it has saved a photo and not yet said so, once."""

    def load(self, device: str | None = None) -> Any:
        """Load it, and put what kills in the place of what protects."""
        from decontext.folders import pool

        protect_one, marker = pool.protect_one, Path(str(self.options["marker"]))

        def protect_and_die(*given: Any) -> Any:
            row = protect_one(*given)
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return row

        pool.protect_one = protect_and_die
        return EditorChoice(self.name, source=self.source, device=self.device).load(device)


def protect_all(photos: Path, work: Work, devices: Sequence[None] = ()) -> list[dict[str, Any]]:
    """One run to its end: in this process, or one process for each of `devices`."""
    import torch

    torch.set_num_threads(1)
    tasks = find_tasks([photos], work.folder, recursive=True)
    load = None if devices else work.editor.load
    return list(protect_folder(tasks, work, load=load, devices=devices or (None,)))


def kill_and_go_on(photos: Path, work: Work, *, kills: int, longest: float, seed: int = 0) -> int:
    """Begin the run and kill it, as often as asked; returns how often it was still running."""
    context = multiprocessing.get_context("forkserver")
    # Imported once: a process that is killed after a second would do nothing but import.
    context.set_forkserver_preload(["decontext.folders.run", "diffusers", "transformers"])
    generator, killed = random.Random(seed), 0
    for _ in range(kills):
        process = context.Process(target=protect_all, args=(photos, work))
        process.start()
        began, seen = time.monotonic(), len(_lines(work.folder))
        # The clock starts with the first new row, so that every kill falls into the work.
        while process.is_alive() and len(_lines(work.folder)) <= seen:
            if time.monotonic() - began > 120:
                raise TimeoutError("no photo was protected within two minutes")
            time.sleep(0.02)
        process.join(generator.uniform(0, longest))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
    return killed


def read_results(folder: Path) -> dict[str, bytes]:
    """The photos of a folder of results by name."""
    wanted = (f".{ending}" for ending in ENDINGS)
    endings = tuple(wanted)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in endings and "contact-sheet" not in path.name and not is_unfinished(path)
    }


def read_statuses(folder: Path) -> dict[str, str]:
    """What became of each photo, by the manifest."""
    _, rows = read_rows([folder / NAME])
    return {row["name"]: row["status"] for row in rows}


def leftovers(folder: Path) -> list[Path]:
    """Unfinished files that lie in a folder."""
    return [path for path in folder.rglob("*") if is_unfinished(path)]


def tell(page: Path | None, name: str, values: dict[str, str]) -> None:
    """Print what came of it, and write it into a part of a page."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from benchmarks.sections import put, table

    text = table(list(values), [list(values.values())])
    print(text, flush=True)
    if page is not None:
        put(page, name, text)


def _lines(folder: Path) -> list[bytes]:
    path = folder / NAME
    return path.read_bytes().splitlines() if path.exists() else []


def main() -> int:
    """The long version: as many photos and kills as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--longest", type=float, default=20.0, help="seconds to a kill at most")
    parser.add_argument("--folder", type=Path, help="keep photos and results of both runs here")
    parser.add_argument("--page", type=Path, help="write what came of it into this page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        editor, photos = prepare(folder, options.photos)
        began = time.monotonic()
        protect_all(photos, make_work(editor, folder / "whole"))
        undisturbed = time.monotonic() - began
        print(f"undisturbed: {undisturbed:.0f} s", flush=True)
        work = make_work(editor, folder / "killed")
        began = time.monotonic()
        killed = kill_and_go_on(photos, work, kills=options.kills, longest=options.longest)
        rows = protect_all(photos, work)
        whole, results = read_results(folder / "whole"), read_results(folder / "killed")
        _, written = read_rows([work.folder / NAME])
        equal = sum(results.get(name) == content for name, content in whole.items())
        tell(
            options.page,
            "killed runs",
            {
                "run": "one process",
                "photos": f"{options.photos}",
                "undisturbed": f"{undisturbed:.0f} s",
                "killed": f"{killed} times",
                "with the kills": f"{time.monotonic() - began:.0f} s",
                "rows": f"{len(rows)}, {len(written)} written",
                "not protected": f"{sum(row['status'] not in SAVED for row in rows)}",
                "files": f"{len(results)}",
                "equal": f"{equal}",
                "unfinished files left": f"{len(leftovers(work.folder))}",
            },
        )
        same = read_statuses(folder / "whole") == read_statuses(work.folder)
        return 0 if same and equal == len(whole) == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
