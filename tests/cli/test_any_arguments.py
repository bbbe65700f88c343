"""Whatever is typed: help, or one sentence and exit code 2, before any editor is loaded."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import typer.main
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from decontext import cli
from decontext.cli.commands import app
from decontext.errors import InputError

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
TYPED = ("protect", "verify", "edit", "evaluate", "analyze", "demo", "cache")
FILES = ("me.png", "folder", "none.png", "report.json", "deep.json", "huge.json", ".", "..")
EDITOR = ("--editor", "kontext-mini")
NUMBERS = ("1e9", "1e400", "-1", "0", "9" * 25, "9" * 400, "9" * 5000, "nan", "1/0", "0x10", "1_0")

WORDS = st.one_of(
    st.sampled_from(FILES),
    st.sampled_from(NUMBERS),
    st.sampled_from(
        ("", "all", "512", "8/255", "single:" + "1" * 5000, ",,,", "jpeg-75", "caf\udce9")
    ),
    st.text(max_size=12).filter(lambda text: not text.startswith("/")),
    st.integers().map(str),
    st.floats().map(str),
)


def _options(name: str) -> st.SearchStrategy[list[str]]:
    """One option of a command, mostly with a value."""
    names = [
        (option, parameter.is_flag)
        for parameter in COMMANDS[name].params
        for option in parameter.opts
        if option.startswith("-")
    ]
    return st.sampled_from(names).flatmap(
        lambda known: st.just([known[0]]) if known[1] else WORDS.map(lambda word: [known[0], word])
    )


def _command_lines(name: str) -> st.SearchStrategy[list[str]]:
    """Arguments and options of a command, every other time with what it needs."""
    needed = {"demo": [], "cache": [], "verify": ["me.png", "--original", "me.png", *EDITOR]}
    enough = needed.get(name, ["me.png", *EDITOR, "-o", "out.png"])
    parts = st.tuples(
        st.sampled_from(([], enough)),
        st.lists(WORDS, max_size=2),
        st.lists(_options(name), max_size=3),
    )
    return parts.map(lambda found: [name, *found[0], *found[1], *chain(*found[2])])


COMMAND_LINES = st.sampled_from(TYPED).flatmap(_command_lines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A place of its own, with a photo, and editors that are never reached."""
    folder = tmp_path_factory.mktemp("typed")
    Image.new("RGB", (32, 32)).save(folder / "me.png")
    (folder / "folder").mkdir()
    (folder / "report.json").write_text('{"format": "decontext-report-1", "settings": {}}')
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "huge.json").write_text(
        '{"format": "decontext-report-1", "settings": {"steps": 1e400, "epsilon": -1e400}}'
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DECONTEXT_CACHE", str(folder / "cache"))
        for name in ("decontext.editors.load_editor", "decontext.evaluation.run.load_instruments"):
            patch.setattr(name, _stop)
        yield folder


def _stop(*_: object, **__: object) -> None:
    raise InputError("here the work would begin.")


def _run(arguments: list[str]) -> tuple[int, str]:
    """Exit code, and everything that was said."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", said)
        patch.setattr(sys, "stderr", said)
        return cli.run(arguments), said.getvalue()


@given(COMMAND_LINES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@example(["protect", "me.png", *EDITOR, "--seed", str(2**63)])
@example(["verify", "me.png", "--original", "me.png", *EDITOR, "--seed", str(2**63)])
@example(["edit", "me.png", "smile", "-o", "out.png", *EDITOR, "--seed", str(2**63)])
@example(["protect", "me.png", *EDITOR, "--config", "deep.json"])
@example(["protect", "me.png", *EDITOR, "--config", "huge.json"])
@example(["edit", "me.png", "caf\udce9", "-o", "out.png", *EDITOR])
@example(["protect", "a\0b.png", *EDITOR])
@example(["protect", "me.png", *EDITOR, "--steps", "9" * 5000])
@example(["protect", "me.png", *EDITOR, "--epsilon", "9" * 400])
@example(["evaluate", "folder", "-o", "out", *EDITOR, "--seeds", "9" * 25])
@example(["protect", "me.png", "folder", *EDITOR, "-o", "9" * 400])
@example(["protect", "me.png", "folder", *EDITOR, "-o", "9" * 400 + ".png"])
@example(["protect", "9" * 400, *EDITOR, "-o", "9" * 400])
@example(["edit", "folder", "smile", *EDITOR, "-o", "9" * 400])
@example(["evaluate", "folder", *EDITOR, "-o", "9" * 400])
@example(["verify", "folder", "--original", "9" * 400, *EDITOR])
@example(["report", "9" * 400])
@example(["analyze", "me.png", *EDITOR, "-o", "9" * 400])
@example(["demo", "-o", "9" * 400])
def test_whatever_is_typed_is_answered_in_words(folder: Path, arguments: list[str]) -> None:
    code, said = _run(arguments)
    assert "unexpected error" not in said
    assert "--debug" in arguments or "Traceback" not in said
    assert code == 2 or (code == 0 and ("Usage:" in said or arguments[0] == "cache"))


@pytest.mark.parametrize("name", TYPED)
def test_no_option_takes_an_empty_value(folder: Path, name: str) -> None:
    for parameter in COMMANDS[name].params:
        option = parameter.opts[-1]
        if option.startswith("--") and not parameter.is_flag:
            for typed in ([option, ""], [f"{option}="]):
                code, said = _run([name, "me.png", *typed])
                assert (code, f"{option} is empty" in said) == (2, True)


def test_good_arguments_reach_the_editor(folder: Path) -> None:
    lines: list[list[Any]] = [
        ["protect", "me.png", *EDITOR, "--seed", str(2**63 - 1), "--config", "report.json"],
        ["verify", "me.png", "--original", "me.png", *EDITOR, "--transforms", "usual"],
        ["edit", "me.png", "smile", "-o", "edited.png", *EDITOR],
        ["analyze", "-o", "analysis", *EDITOR, "--preset", "fast"],
        ["demo"],
    ]
    for arguments in lines:
        code, said = _run(arguments)
        assert (code, said.splitlines()[-1]) == (2, "Error: here the work would begin.")
