"""The site's generated pages; `make docs` builds all of it, strictly."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer.main

import decontext
from decontext.cli.commands import app
from website import api, commands, examples, hooks

ROOT = Path(__file__).parents[2]


def test_reference_names_every_exported_name_once() -> None:
    named = re.findall(r"^::: decontext\.\S+?\.(\w+)$", api.page(), re.MULTILINE)
    assert sorted(named) == sorted(decontext.__all__)


def test_public_name_without_docstring_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def mute() -> None: ...

    monkeypatch.setattr(decontext, "verify", mute)
    with pytest.raises(api.UndocumentedError, match=r"decontext\.verify is public"):
        api.page()


def test_reference_of_the_command_line_names_every_option_with_its_default() -> None:
    page = commands.page()
    sections = {part.split("\n")[0]: part for part in page.split("\n## ")}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        section = sections[f"decontext {name}"]
        for parameter in command.params:
            if parameter.param_type_name == "option" and not parameter.hidden:
                assert f"`{parameter.opts[0]}`" in section, (name, parameter.opts)
    protect = next(line for line in page.splitlines() if line.startswith("| `--steps`"))
    assert protect.split("|")[3].strip() == "100"


def test_examples_are_shown_as_they_lie_in_their_folder(tmp_path: Path) -> None:
    page = examples.page(ROOT / "examples")
    for path in (ROOT / "examples").glob("*.py"):
        assert path.read_text(encoding="utf-8").rstrip() in page
    (tmp_path / "mute.py").write_text("print(1)\n", encoding="utf-8")
    with pytest.raises(ValueError, match="does not say what it is"):
        examples.page(tmp_path)


def test_every_page_of_the_docs_is_on_the_site() -> None:
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in (ROOT / "docs").rglob("*.md"):
        name = str(path.relative_to(ROOT / "docs"))
        if not name.startswith("gpu/"):
            assert f": {name}\n" in listed, f"{name} is not in mkdocs.yml"


def test_links_out_of_the_docs_are_led_to_pages_and_links_within_them_stay() -> None:
    def shown(page: str, text: str) -> str:
        return hooks.on_page_markdown(text, SimpleNamespace(file=SimpleNamespace(src_uri=page)))

    assert shown("a.md", "[all](../CHANGELOG.md)") == "[all](changelog.md)"
    assert shown("a.md", "[code](../src/decontext/pgd.py)") == "code"
    assert shown("reference/cli.md", "[more](../measuring.md)") == "[more](../measuring.md)"
