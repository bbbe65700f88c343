"""Where output goes wrong: full disks, closed pipes, terminals without letters, an early Ctrl-C."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = "from decontext.cli import main; main()"
ROOM = Path("/dev/full")


def _run(
    code: str, *arguments: str, stdout: object = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        stdout=stdout,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(not ROOM.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["editors"], ["editors", "--json"], ["protect", "-h"]])
def test_a_full_disk_is_told_in_one_sentence(arguments: list[str]) -> None:
    with ROOM.open("w") as full:
        result = _run(RUN, *arguments, stdout=full)
    assert result.returncode == 1
    assert result.stderr == "Error: the output cannot be written (No space left on device).\n"


@pytest.mark.parametrize("arguments", [["editors"], ["editors", "--json"], ["protect", "-h"]])
def test_a_reader_who_has_gone_hears_nothing(arguments: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        result = _run(RUN, *arguments, stdout=writing)
    finally:
        os.close(writing)
    assert (result.returncode, result.stderr) == (1, "")


def test_closed_streams_are_no_error() -> None:
    result = _run(f"import sys; sys.stdout = sys.stderr = None; {RUN}", "editors", "--json")
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("module", ["typer", "rich.console", "decontext.settings"])
def test_ctrl_c_while_the_commands_are_imported_is_answered(module: str) -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Impatient:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Impatient())\n"
        f"{RUN}"
    )
    result = _run(code, "editors")
    assert result.returncode == 130
    assert result.stderr == "Error: stopped; no unfinished file was left.\n"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_terminal_without_letters_shows_them_as_escapes(
    tmp_path: Path, options: list[str]
) -> None:
    name = str(tmp_path / "Zoë.png")
    arguments = ["protect", name, "--editor", "kontext-mini", *options]
    result = _run(RUN, *arguments, PYTHONIOENCODING="ascii", LANG="C")
    assert result.returncode == 2
    if options:
        assert "Zoë.png" in json.loads(result.stdout)["error"]
    else:
        assert "Zo\\xeb.png" in result.stderr


def test_what_was_done_counts_though_its_name_cannot_be_shown() -> None:
    code = (
        "from decontext.cli import terminal, commands, _prepare_streams\n"
        "_prepare_streams()\n"
        "terminal.Terminal().say('saved Zoë.protected.png')\n"
    )
    result = _run(code, PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stdout) == (0, "saved Zo\\xeb.protected.png\n")
