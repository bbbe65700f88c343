"""What `--help` shows, what the shell completes, and that the documents say the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer.main
from typer.testing import CliRunner

from decontext import cli
from decontext.cli.commands import app
from decontext.cli.options import OUTPUT, PANELS, expand, flag, option

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
DOCUMENT = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str) -> str:
        assert cli.run(arguments) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_h_is_help(run: Any, command: str) -> None:
    arguments = [command] if command else []
    assert run(*arguments, "-h") == run(*arguments, "--help")


@pytest.mark.parametrize("columns", ["60", "80", "120"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_the_terminal_and_cuts_nothing_off(
    run: Any, monkeypatch: pytest.MonkeyPatch, command: str, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = run(*([command] if command else []), "--help").splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert not [line for line in lines if "…" in line]


@pytest.mark.parametrize("command", ["protect", "evaluate", "analyze"])
def test_options_stand_in_four_panels_in_this_order(run: Any, command: str) -> None:
    panels = re.findall(r"^╭─ (\w+) ─", run(command, "--help"), flags=re.MULTILINE)
    assert panels == ["Arguments", *PANELS]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_with_a_value_says_what_it_is_when_not_given(name: str) -> None:
    for parameter in COMMANDS[name].params:
        is_option = parameter.param_type_name == "option"
        if is_option and not parameter.is_flag and not parameter.required:
            needed = parameter.opts == ["--editor"]
            assert needed or " Default: " in parameter.help, (name, parameter.opts)


@pytest.mark.parametrize("name", COMMANDS)
def test_documents_say_the_defaults_that_help_says(name: str) -> None:
    (section,) = (
        part for part in DOCUMENT.split("\n## ") if part.startswith(f"decontext {name}\n")
    )
    rows = dict(re.findall(r"^\| `(--[a-z-]+).*\| *([^|]*?) *\|$", section, flags=re.MULTILINE))
    for parameter in COMMANDS[name].params:
        said = re.search(r" Default: (.*)\.$", getattr(parameter, "help", None) or "")
        if said and parameter.param_type_name == "option":
            assert rows[parameter.opts[0]].replace("`", "") == said[1], (name, parameter.opts)


def test_what_an_ordinary_computer_can_do_is_said_first(run: Any) -> None:
    for arguments in ([], ["--help"]):
        said = " ".join(run(*arguments).split())
        assert "An ordinary laptop runs 'decontext demo'" in said
        assert said.index("large GPU") < said.index("Commands")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("protect --editor flux-k", ["flux-kontext"]),
        ("protect --preset ", ["paper", "balanced", "fast"]),
        ("evaluate --robust s", ["strong"]),
        ("analyze --objective enc", ["encoder", "encoder-grey"]),
        ("cache c", ["clear"]),
    ],
)
def test_the_shell_completes_names(typed: str, offered: list[str]) -> None:
    words = f"decontext {typed}"
    result = CliRunner().invoke(
        app,
        prog_name="decontext",
        env={
            "_DECONTEXT_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        },
    )
    assert result.output.split() == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_shown_for_a_shell(monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    # Otherwise it looks for the shell that it was started by, which tests may not have.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    result = CliRunner().invoke(app, ["--show-completion", shell], prog_name="decontext")
    assert result.exit_code == 0
    assert "_DECONTEXT_COMPLETE" in result.output


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A record of two options."""

    name: Annotated[str | None, option("--name", "A name.", panel=OUTPUT)] = None
    loud: Annotated[bool, flag("--loud", "Louder.", panel=OUTPUT)] = False


def test_a_record_of_options_comes_back_as_a_record() -> None:
    seen = []

    def command(word: Annotated[str, typer.Argument()], *, shared: Shared) -> int:
        """First.

        Second, which has
        two lines.
        """
        seen.append((word, shared))
        return 7

    assert expand(command).__doc__ == "First.\n\nSecond, which has two lines."
    small = typer.Typer()
    small.command()(expand(command))
    assert small(["hello", "--name", "you", "--loud"], standalone_mode=False) == 7
    assert small(["again"], standalone_mode=False) == 7
    assert seen == [("hello", Shared(name="you", loud=True)), ("again", Shared())]
