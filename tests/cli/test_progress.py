"""How far a command is, told by a clock of the test's own."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from rich.console import Console

from decontext import cli
from decontext.cli.options import RunOptions
from decontext.cli.progress import PREPARING, Progress, drawing_bar, printing_lines
from decontext.cli.protect import _teller
from decontext.cli.terminal import Terminal
from decontext.pgd import Step
from decontext.progress import Meter


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(clock: Clock) -> Progress:
    return Progress("protecting", clock=clock)


def test_loading_says_how_long_it_has_been(progress: Progress, clock: Clock) -> None:
    assert progress.line() == "protecting"
    progress.prepare("loading flux-kontext")
    clock.wait(150)
    assert progress.line() == "protecting: loading flux-kontext, 2 min so far"
    assert (progress.part, progress.left) == (PREPARING, None)


def test_the_time_left_is_counted_from_the_pace_of_the_work_alone(
    progress: Progress, clock: Clock
) -> None:
    progress.prepare("loading")
    clock.wait(500)
    progress.prepare("estimating")
    clock.wait(10)
    progress.show(10, 100, "step 10 of 100")  # with it came the encoding of all instructions
    assert progress.left is None
    clock.wait(60)
    progress.show(40, 100, "step 40 of 100")
    assert progress.left == pytest.approx(120)
    assert progress.line() == "protecting: step 40 of 100, about 2 min left"
    assert progress.seconds == 570


def test_protecting_and_measuring_are_one_total_that_grows_with_the_steps(
    progress: Progress,
) -> None:
    progress.prepare("loading")
    meter = Meter(steps=10, passes=6, on_progress=_teller(progress))
    parts = []

    def run(first: int, last: int) -> None:
        for index in range(first, last + 1):
            meter.stepped(_step(index, last))
            parts.append(progress.part)
        for done in range(1, 7):
            meter.measured(done, 6)
            parts.append(progress.part)

    run(1, 10)
    assert parts == sorted(parts)
    assert (progress.part, progress.note) == (1, "measuring, pass 6 of 6")
    parts.clear()
    run(11, 20)  # the verdict was not strong
    assert 0.5 < parts[0] < 0.65
    assert parts == sorted(parts)
    assert progress.part == 1


def _step(index: int, steps: int) -> Step:
    picture = torch.zeros(1, 3, 1, 1)
    return Step(index, steps, 0.3, 0.4, 0.3, 0.01, 1.0, picture, picture, picture)


def test_a_log_gets_lines_though_nothing_moves(progress: Progress, clock: Clock) -> None:
    said: list[str] = []
    enough = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) >= 4:
            enough.set()

    with printing_lines(progress, say, every=0.01):
        progress.show(0, 4, "")
        progress.show(1, 4, "step 1 of 4")
        assert enough.wait(10)
        clock.wait(42)
    assert said[0] == "protecting: begins"
    assert said[-2] in ("protecting: step 1 of 4, about 1 s left", said[1])
    assert said[-1] == "protecting: done after 42 s"
    assert threading.active_count() == 1 or "repeat" not in str(threading.enumerate())


def test_a_log_hears_no_end_where_the_work_failed(progress: Progress) -> None:
    said: list[str] = []
    with pytest.raises(KeyError), printing_lines(progress, said.append):
        raise KeyError
    assert said == ["protecting: begins"]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_bar_keeps_to_one_line_of_the_terminal(
    progress: Progress, clock: Clock, width: int
) -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=width, _environ={"TERM": "xterm"})
    with drawing_bar(progress, console):
        progress.show(0, 100, "step 0 of 100")
        clock.wait(60)
        progress.show(50, 100, "step 50 of 100, from 0.412 to 0.381")
    shown = Console(width=width).render_str(file.getvalue()).plain
    assert "50%" in shown
    assert "about 60 s left" in shown
    assert ("0.381" in shown) is (width >= 80)


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal(RunOptions(quiet=True)).progress("protecting") as progress:
        progress.show(1, 2, "step 1 of 2")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["protect", "me.png", "--editor", "kontext-mini"],
        ["verify", "me.png", "--original", "me.png", "--editor", "kontext-mini"],
        ["edit", "me.png", "smile", "-o", "edit.png", "--editor", "kontext-mini"],
        ["analyze", "me.png", "-o", "analysis", "--editor", "kontext-mini"],
        ["demo"],
    ],
)
def test_every_long_command_says_that_it_begins(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save("me.png")
    monkeypatch.setattr("decontext.editors.load_editor", _fail)
    assert cli.run(arguments) == 1
    assert ": begins\n" in capsys.readouterr().err
    assert cli.run([*arguments, "--quiet"]) == 1
    assert capsys.readouterr().err == "Error: unexpected error: KeyError\n--debug shows where.\n"


def _fail(*_: object, **__: object) -> Callable[..., Any]:
    raise KeyError
