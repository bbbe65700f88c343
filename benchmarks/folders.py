"""Many photos: photos per hour against one command a photo, the editor's share, Ray, memory.

    python -m benchmarks.folders --photos 8 --parts share,commands,ray
    python -m benchmarks.folders --photos 1000 --parts memory

With `kontext-mini` on one thread a process; `memory` with a single step a photo, so that a thousand
photos take minutes. Prints what it measured.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
from PIL import Image

from decontext import saving
from decontext.folders import photo as one_photo
from decontext.folders import run as folder_run
from decontext.folders.finding import find_tasks
from decontext.folders.photo import EditorChoice, Work
from decontext.folders.run import protect_folder
from decontext.photo.portraits import ASTRONAUT
from decontext.settings import ProtectSettings

STEPS = 20
OUTSIDE = (
    (one_photo, "load_photo"),
    (saving, "save_photo"),
    (saving, "load_photo"),
    (saving, "write_report"),
    (folder_run, "sha256"),
    (folder_run.Manifest, "add"),
)
"""What is done with a photo beside the editor."""


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--parts", default="share,commands,ray,memory")
    options = parser.parse_args()
    torch.set_num_threads(1)
    measures = {"share": share, "commands": commands, "ray": ray, "memory": memory}
    for name in options.parts.split(","):
        with tempfile.TemporaryDirectory() as folder:
            photos = make_photos(Path(folder) / "photos", options.photos)
            print(f"{name}: {measures[name](photos, Path(folder))}", flush=True)


def make_photos(folder: Path, count: int) -> Path:
    """So many portraits of 512 x 512 pixels, no two alike."""
    folder.mkdir()
    with Image.open(ASTRONAUT) as image:
        portrait = image.convert("RGB").resize((576, 576))
    for number in range(count):
        left, top = number % 64, number // 64 % 64
        portrait.crop((left, top, left + 512, top + 512)).save(folder / f"{number:04d}.jpg")
    return folder


def make_work(folder: Path, *, steps: int = STEPS) -> Work:
    """Protect against kontext-mini; a weak verdict is enough, as speed is what is measured."""
    settings = ProtectSettings(
        method="sign", epsilon=12.75 / 255, steps=steps, step_limit=steps, verify_prompts=1
    )
    choice = EditorChoice("kontext-mini", device="cpu")
    return Work(editor=choice, settings=settings, folder=folder, accept_weak=True)


def share(photos: Path, folder: Path) -> str:
    """How much of the time of a run in one process the editor has, decoding and saving left out."""
    outside, undo = 0.0, []

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*given: Any, **named: Any) -> Any:
            nonlocal outside
            began = time.perf_counter()
            try:
                return call(*given, **named)
            finally:
                outside += time.perf_counter() - began

        return run

    for place, name in OUTSIDE:
        undo.append((place, name, getattr(place, name)))
        setattr(place, name, timed(getattr(place, name)))
    try:
        work = make_work(folder / "out")
        editor = work.editor.load()
        began = time.perf_counter()
        list(protect_folder(find_tasks([photos], work.folder), work, load=lambda: editor))
        total = time.perf_counter() - began
    finally:
        for place, name, call in undo:
            setattr(place, name, call)
    count = len(list(photos.iterdir()))
    return f"{1 - outside / total:.3f} of {total:.1f} s for {count} photos in the editor"


def commands(photos: Path, folder: Path) -> str:
    """Photos per hour of a folder, and of one command a photo."""
    method = [f"--steps={STEPS}", f"--step-limit={STEPS}", "--epsilon=12.75", "--method=sign"]
    common = ["--editor=kontext-mini", "--device=cpu", "--accept-weak", "--quiet", *method]
    command = [sys.executable, "-W", "ignore", "-m", "decontext", "protect"]
    names = sorted(photos.iterdir())
    began = time.perf_counter()
    subprocess.run([*command, str(photos), "-o", str(folder / "out"), *common], check=False)
    together = time.perf_counter() - began
    began = time.perf_counter()
    for path in names:
        output = folder / "single" / path.name
        output.parent.mkdir(exist_ok=True)
        subprocess.run([*command, str(path), "-o", str(output), *common], check=False)
    apart = time.perf_counter() - began
    hourly = [3600 * len(names) / seconds for seconds in (together, apart)]
    return f"{hourly[0]:.0f} photos an hour as a folder, {hourly[1]:.0f} by one command each"


def ray(photos: Path, folder: Path) -> str:
    """Seconds of two workers, of a folder's run and of Ray, from the first photo that is done."""
    from decontext.cluster.finding import find_photos
    from decontext.cluster.run import Cluster, protect_on_cluster
    from decontext.cluster.stores import Place

    plain = make_work(folder / "plain")
    tasks = find_tasks([photos], plain.folder)
    there = _time(protect_folder(tasks, plain, devices=(None, None)))
    place = Place.of(folder / "ray")
    found = find_photos([str(photos)], place)
    work = replace(plain, folder=place.path)
    spread = _time(protect_on_cluster(found, work, place, cluster=Cluster(workers=2)))
    return (
        f"between the first photo and the last {there[1]:.1f} s as a folder, {spread[1]:.1f} s by "
        f"Ray ({spread[1] / there[1] - 1:+.0%}); until the first {there[0]:.1f} s and "
        f"{spread[0]:.1f} s"
    )


def memory(photos: Path, folder: Path) -> str:
    """Resident bytes of the process after ten photos and after all."""
    work = make_work(folder / "out", steps=1)
    process, after = psutil.Process(), dict[int, int]()
    run = protect_folder(find_tasks([photos], work.folder), work, load=work.editor.load)
    for done, _ in enumerate(run, 1):
        if done % 10 == 0:
            after[done] = process.memory_info().rss
    first, last = min(after), max(after)
    said = [f"{after[count] / 2**20:.0f} MiB after {count} photos" for count in (first, last)]
    return f"{' and '.join(said)}, at most {max(after.values()) / 2**20:.0f} MiB"


def _time(rows: Any) -> tuple[float, float]:
    """Seconds until the first row, and from there to the last."""
    began, ends = time.perf_counter(), list[float]()
    for _ in rows:
        ends.append(time.perf_counter())
    return ends[0] - began, ends[-1] - ends[0]


if __name__ == "__main__":
    main()
