"""Many photos: photos per hour against one command a photo, the editor's share, Ray, memory.

    python -m benchmarks.folders --photos 10 --parts share,commands,ray --page docs/performance.md
    python -m benchmarks.folders --photos 1000 --parts memory --page docs/performance.md

Share, commands and Ray with `kontext-mini` on one thread a process and photos of 512 x 512,
`memory` with a tiny editor and photos of 72 x 56, so that a thousand of them take minutes. All with
few sign steps: it is the machinery around the editor that is measured, which weighs more so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil
import torch
from PIL import Image

from benchmarks.sections import ROOT, part, put, read, table
from benchmarks.step import _peak
from decontext import saving, verdict
from decontext.folders import photo as one_photo
from decontext.folders import run as folder_run
from decontext.folders.finding import find_tasks
from decontext.folders.photo import EditorChoice, Work
from decontext.folders.run import protect_folder
from decontext.folders.summary import write_summary
from decontext.photo.portraits import ASTRONAUT
from decontext.settings import ProtectSettings

STEPS = 10
OUTSIDE = (
    (one_photo, "load_photo"),
    (saving, "save_photo"),
    (saving, "load_photo"),
    (saving, "write_report"),
    (import_module("decontext.protect"), "measure_visibility"),
    (folder_run, "sha256"),
    (folder_run.Manifest, "add"),
)
"""What is done with a photo beside the editor."""


def main() -> None:
    """Measure the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=8)
    parser.add_argument("--parts", default="share,commands,ray,memory")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each photo; for share")
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    shared = partial(share, steps=options.steps)
    torch.set_num_threads(1)
    measures = {"share": shared, "commands": commands, "ray": ray, "memory": memory}
    for name in options.parts.split(","):
        with tempfile.TemporaryDirectory() as folder:
            text = measures[name](options.photos, Path(folder))
        print(f"{name}:\n{text}", flush=True)
        if options.page:
            part_name = f"many photos, {name}"
            put(options.page, part_name, with_earlier(text, options.page, part_name))


def with_earlier(text: str, page: Path, name: str) -> str:
    """The rows of a table below those that the page has of other numbers of photos and steps."""
    (new,) = read(text)["tables"]
    old = [rows for rows in read(part(page, name))["tables"] if rows[0] == new[0]]
    rows = {tuple(row[:2]): row for row in (*(old[0][1:] if old else ()), *new[1:])}
    return table(new[0], list(rows.values())) if name.endswith("share") else text


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


def share(count: int, folder: Path, *, steps: int = STEPS) -> str:
    """How much of the time of a run in one process the editor has.

    Not the editor's are reading, saving, the score of how much is seen, reports, the manifest, and
    page, table and contact sheet at the end.
    """
    photos = make_photos(folder / "photos", count)
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
        work = make_work(folder / "out", steps=steps)
        editor = work.editor.load()
        began = time.perf_counter()
        run = protect_folder(find_tasks([photos], work.folder), work, load=lambda: editor)
        timed(write_summary)(list(run), work.folder, editor=work.editor.name)
        total = time.perf_counter() - began
    finally:
        for place, name, call in undo:
            setattr(place, name, call)
    cells = (f"{count}", f"{steps}", f"{total:.1f} s", f"{1 - outside / total:.3f}")
    return table(("photos", "steps of each", "whole run", "share of the editor"), [cells])


def commands(count: int, folder: Path) -> str:
    """Photos per hour of a folder, and of one command a photo."""
    photos = make_photos(folder / "photos", count)
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
    hourly = [f"{3600 * len(names) / seconds:.0f}" for seconds in (together, apart)]
    return table(
        ("photos", "steps of each", "a folder: photos an hour", "one command a photo"),
        [(f"{len(names)}", f"{STEPS}", *hourly)],
    )


def ray(count: int, folder: Path) -> str:
    """What two workers take of the processors, in a folder's run and in one by Ray.

    From the second photo that is done on, when both have loaded their editor. Beside other programs
    the clock says little; so what the workers compute is told, and what all else does meanwhile,
    Ray's own processes among it, as a share of one processor.
    """
    photos = make_photos(folder / "photos", count)
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
    rows = [
        (name, f"{work / (count - 2):.2f} s", f"{beside:.1%} of a processor", f"{clock:.0f} s")
        for name, (work, beside, clock) in (("--jobs 2", there), ("--engine ray --jobs 2", spread))
    ]
    head = (f"{count} photos, 2 workers", "workers, a photo", "all else", "by the clock")
    return table(head, [*rows, ("Ray beside it", f"{spread[0] / there[0] - 1:+.0%}", "", "")])


def memory(count: int, folder: Path) -> str:
    """Resident bytes of the process after 10, 100 and all photos, and the most until then.

    Two steps a photo, and any fall of the attention is enough for saving it.
    """
    sys.path.insert(0, str(ROOT / "tests"))
    import tiny_models
    from kills_many import SETTINGS
    from kills_many import make_photos as make_small
    from kills_many import make_work as make_tiny

    photos = make_small(folder / "photos", count)
    work = make_tiny(tiny_models.save_tiny_pipeline(folder / "editor"), folder / "out")
    work = replace(work, settings=replace(SETTINGS, steps=2, step_limit=2))
    verdict.WEAK_DROP, verdict.LEAST_RATIO, verdict.LEAST_SHARE = 0.0, 0.0, 0.0
    tasks = find_tasks([photos], work.folder, recursive=True)
    process, rows, found = psutil.Process(), list[tuple[str, str, str]](), []

    def look(when: str) -> None:
        now, most = process.memory_info().rss, _peak(torch.device("cpu"))
        rows.append((when, f"{now / 2**20:.0f} MiB", f"{most / 2**20:.0f} MiB"))

    for row in protect_folder(tasks, work, load=work.editor.load):
        found.append(row)
        if len(found) in (10, 100, count):
            look(f"{len(found)}")
    write_summary(found, work.folder, editor=work.editor.name)
    look(f"{count}, and their page")
    return table(("photos", "memory then", "at most until then"), rows)


def _time(rows: Any) -> tuple[float, float, float]:
    """From the second row to the last: seconds that workers computed, all else as a share of one
    processor, and by the clock."""
    at, busy = list[float](), list[tuple[float, float]]()
    for _ in rows:
        at.append(time.perf_counter())
        busy.append(_computing())
    clock = at[-1] - at[1]
    work, beside = (last - first for first, last in zip(busy[1], busy[-1], strict=True))
    return work, beside / clock, clock


def _computing() -> tuple[float, float]:
    """Seconds on processors of the workers, and of this process and all else that comes of it."""
    workers, others = 0.0, 0.0
    this = psutil.Process()
    for process in (this, *this.children(recursive=True)):
        try:
            times, command = process.cpu_times(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        if "spawn_main" in command or "MapWorker" in command:
            workers += times.user + times.system
        else:
            others += times.user + times.system
    return workers, others


if __name__ == "__main__":
    main()
