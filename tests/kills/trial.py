"""One run that is killed, and the run after it."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from PIL import Image

from decontext.photo.files import is_unfinished
from decontext.photo.portraits import GRACE_HOPPER
from decontext.report import FORMAT, report_path, sha256
from decontext.settings import ProtectSettings

SIGNALS = ("INT", "TERM", "KILL")
SETTINGS = ProtectSettings(
    method="sign", epsilon=32 / 255, steps=2, robust="off", verify_prompts=1, verify_noises=1
)
"""A run of a second or two, after everything was imported."""

ALLOWED = 1200.0  # seconds that a run may take on a machine with much else to do
AFTER_FILE = 0.03  # seconds after the first file of a run within which it is killed


@dataclass(frozen=True)
class Trial:
    """What one kill left, and what was wrong with it."""

    number: int
    signal: str
    moment: str
    left: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        said = "; ".join(self.problems) or "as it must be"
        return f"{self.signal} {self.moment}: left {self.left}: {said}"


def find_duration(folder: Path) -> float:
    """Seconds that a run takes when nobody kills it."""
    began, photo = time.monotonic(), _save_photo(folder)
    code, said = _start(photo).finish()
    if code != 0:
        raise RuntimeError(f"a run that nobody killed failed: {said}")
    return time.monotonic() - began


def run_trials(
    folder: Path, *, count: int, seed: int, duration: float | None = None
) -> Iterator[Trial]:
    """Kill so many runs, with each signal in turn; the same seed draws the same moments.

    Every other three come at any moment of the `duration`, the rest while files are written; all
    of them do where it is None.
    """
    draw = random.Random(seed)
    for number in range(count):
        photo = _save_photo(folder / f"{seed}-{number}")
        name = SIGNALS[number % len(SIGNALS)]
        while_saving = duration is None or (number // len(SIGNALS)) % 2 == 1
        wait = draw.uniform(0, AFTER_FILE if while_saving else duration or 0)
        moment = (
            f"{wait * 1000:.0f} ms after the first file" if while_saving else f"at {wait:.1f} s"
        )
        run = _start(photo)
        if while_saving:
            _wait_for_file(run, photo)
        time.sleep(wait)
        run.send(name)
        run.finish()
        left, problems = _look(photo, cleans_up=name != "KILL")
        problems += _run_again(photo)
        yield Trial(number, name, moment, left, tuple(problems))


def _save_photo(folder: Path) -> Path:
    folder.mkdir()
    with Image.open(GRACE_HOPPER) as image:
        image.convert("RGB").resize((48, 56)).save(folder / "me.png")
    return folder / "me.png"


@dataclass(frozen=True)
class Run:
    """A process of `decontext protect`, and the file that holds what it says."""

    process: ForkServerProcess
    said: Path

    def send(self, name: str) -> None:
        """Send a signal, unless it is over."""
        if self.process.is_alive() and self.process.pid:
            os.kill(self.process.pid, getattr(signal, f"SIG{name}"))

    def finish(self) -> tuple[int | None, str]:
        """Exit code and what was said; a run that takes too long is ended."""
        self.process.join(ALLOWED)
        self.process.kill()
        self.process.join()
        return self.process.exitcode, self.said.read_text("utf-8")


def _start(photo: Path) -> Run:
    """Forked from a server that has imported everything: while importing nothing is written."""
    config, said = photo.parent.with_suffix(".json"), photo.parent.with_suffix(".log")
    config.write_text(json.dumps({"format": FORMAT, "settings": SETTINGS.to_dict()}))
    command = ["protect", str(photo), "-o", str(_output(photo)), "--config", str(config)]
    command += ["--editor", "kontext-mini", "--accept-weak"]
    said.touch()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kills.preload"])
    process = context.Process(target=_run, args=(command, str(said)))
    process.start()
    return Run(process, said)


def _run(command: list[str], said: str) -> None:
    """In the process: the command line, as its own program would run it."""
    # A shell that starts this in the background has told it to ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore")
    with open(said, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.argv = ["decontext", *command]
        from decontext.cli import main

        main()


def _output(photo: Path) -> Path:
    return photo.with_name("out.png")


def _wait_for_file(run: Run, photo: Path) -> None:
    """Until the picture or the report is being written; not while it is tried beforehand."""
    while run.process.is_alive():
        # What is tried beforehand is empty.
        if any(_size(path) for path in photo.parent.iterdir() if path != photo):
            return
        time.sleep(0.001)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _look(photo: Path, *, cleans_up: bool) -> tuple[str, list[str]]:
    """What lies there now, in words, and what must not."""
    output, problems = _output(photo), []
    others = [path for path in photo.parent.iterdir() if path != photo]
    unfinished = [path for path in others if is_unfinished(path)]
    if set(others) - set(unfinished) - {output, report_path(output)}:
        problems.append(f"unknown files: {others}")
    if unfinished and cleans_up:
        problems.append("unfinished files after a signal that a program can catch")
    if output.exists():
        problems += _check_protected(output)
    named = {"unfinished": unfinished, "report": report_path(output).exists(),
             "photo": output.exists()}  # fmt: skip
    return " + ".join(name for name, there in named.items() if there) or "nothing", problems


def _check_protected(output: Path) -> list[str]:
    """Whether the photo under the output's name is the one that was measured."""
    if not report_path(output).exists():
        return ["a photo without its report"]
    report = json.loads(report_path(output).read_text("utf-8"))
    if report["files"]["protected"]["sha256"] != sha256(output):
        return ["another photo than the report's"]
    return [] if report["verification"]["level"] != "none" else ["a photo that is not protected"]


def _run_again(photo: Path) -> list[str]:
    """The same command: it succeeds, or says that it had finished, and leaves nothing else."""
    finished = _output(photo).exists()
    code, said = _start(photo).finish()
    names = {path.name for path in photo.parent.iterdir()}
    problems = _check_protected(_output(photo)) if _output(photo).exists() else ["no photo"]
    if code != (2 if finished else 0):
        problems.append(f"run again: exit code {code}: {said}")
    if names != {"me.png", "out.png", "out.png.json"}:
        problems.append(f"run again: left {sorted(names)}")
    return problems
