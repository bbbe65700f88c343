"""What stands where on a terminal: the sentence first, wrapped lines, details when asked for."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from decontext import cli
from decontext.cli.options import SaveOptions
from decontext.cli.terminal import Terminal
from decontext.cli.verdicts import show_verifications
from decontext.verdict import Measurement, Verification

PATH = "/a/folder/with a name/" + "x" * 70 + "/me.protected.png"


def _lines(text: str) -> list[str]:
    """Without the codes that make letters bold."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def _verification(protected: float, **more: Any) -> Verification:
    measurements = tuple(
        Measurement(f"instruction {number}", 0.99, 0.4, protected, 0.4001) for number in range(4)
    )
    return Verification("flux-kontext", (0, 1), 8, measurements, block_count=57, **more)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a terminal of 60 columns were there, one without colours."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")


@pytest.mark.parametrize(("protected", "level"), [(0.1, "Strong"), (0.3, "Weak"), (0.39, "None")])
def test_the_verdict_is_the_first_word_and_the_table_waits_for_details(
    capsys: pytest.CaptureFixture[str], protected: float, level: str
) -> None:
    show_verifications(Terminal(), _verification(protected), [], details=False)
    out = capsys.readouterr().out
    assert out.startswith(f"{level}: ")
    assert "mean" not in out
    show_verifications(Terminal(), _verification(protected), [], details=True)
    detailed = capsys.readouterr().out
    assert detailed.startswith(out)
    assert "n = 4, with instructions and noises" in detailed
    assert "it fell in 100% of them; 2 of 57 attention blocks" in detailed


def test_no_figure_is_minus_zero(capsys: pytest.CaptureFixture[str]) -> None:
    show_verifications(Terminal(), _verification(0.39), [], details=True)
    out = capsys.readouterr().out
    assert "-0" not in out
    assert [line.split()[-1] for line in out.splitlines() if line.startswith("random noise")] == [
        "0.0%"
    ]


def test_every_transform_has_a_line_and_with_details_a_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    after = replace(_verification(0.3), transform="jpeg-75")
    show_verifications(Terminal(), _verification(0.1), [after], details=False)
    out = capsys.readouterr().out
    assert out.splitlines()[2].startswith("saved as JPEG of quality 75: weak; ")
    show_verifications(Terminal(), _verification(0.1), [after], details=True)
    assert capsys.readouterr().out.count("context proportion") == 2
    show_verifications(
        Terminal(SaveOptions(as_json=True)), _verification(0.1), [after], details=True
    )
    assert json.loads(capsys.readouterr().out)["after"]["jpeg-75"]["level"] == "weak"


def test_lines_are_wrapped_between_words_and_paths_stay_whole(
    capsys: pytest.CaptureFixture[str], wide: None
) -> None:
    terminal = Terminal()
    terminal.say("word " * 30)
    terminal.say("  " + "plan " * 30)
    terminal.say(f"saved {PATH}")
    lines = _lines(capsys.readouterr().out)
    assert PATH.split(" ")[-1] in lines[-1]
    assert max(map(len, lines[:-1])) <= 60
    assert [line[:6] for line in lines[3:5]] == ["  plan", "    pl"]


def test_doctor_fits_the_terminal(capsys: pytest.CaptureFixture[str], wide: None) -> None:
    assert cli.run(["doctor"]) == 0
    lines = _lines(capsys.readouterr().out)
    too_long = [line for line in lines if len(line) > 60 and "https://" not in line]
    assert too_long == []


def test_errors_are_wrapped_too(capsys: pytest.CaptureFixture[str], wide: None) -> None:
    Terminal().show_error("too many words " * 8, "and a hint " * 12, code=2)
    lines = _lines(capsys.readouterr().err)
    assert lines[0].startswith("Error: too many words")
    assert max(map(len, lines)) <= 60
