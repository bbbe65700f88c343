"""What holds the parts apart: import direction, exported names, start-up, documented options."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

import decontext
from decontext.cli.commands import app

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "decontext"

WAY_OF_THE_DATA = (
    "errors",
    "machine",
    "prompts",
    "ranges",
    "notation",
    "settings",
    "keywords",
    "photo",
    "publishing",
    "attention",
    "pgd",
    "progress",
    "visibility",
    "editors",
    "edit",
    "objectives",
    "preparing",
    "least_visible",
    "verdict",
    "verify",
    "outcome",
    "report",
    "estimate",
    "trace",
    "doctor",
    "saving",
    "protect",
    "preview",
    "many",
    "folders",
    "cluster",
    "evaluation",
    "analysis",
    "demo",
    "app",
    "cli",
    "__main__",
)
"""A module may import from those before it. `__init__` only resolves names and is left out."""


def _modules() -> dict[Path, str]:
    """Every source file of the package and the station it belongs to."""
    files = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]
    return {path: path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in files}


def _imported_stations(path: Path) -> Iterator[str]:
    """Stations that a file imports from, type-only and lazy imports included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("decontext.") and name != "decontext.__version__":
                yield name.split(".")[1]


def _python(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_every_module_has_its_place_on_the_way_of_the_data() -> None:
    assert set(_modules().values()) == set(WAY_OF_THE_DATA)


@pytest.mark.parametrize("path", sorted(_modules()), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_only_from_earlier_modules(path: Path) -> None:
    station = _modules()[path]
    allowed = WAY_OF_THE_DATA[: WAY_OF_THE_DATA.index(station) + 1]
    assert [name for name in _imported_stations(path) if name not in allowed] == []


def test_exported_names_are_these_and_all_resolve() -> None:
    for name in decontext.__all__:
        assert getattr(decontext, name) is not None
    assert {"load_editor", "protect", "verify", "edit", "list_editors"} <= set(decontext.__all__)
    assert sorted(set(decontext.__all__) - set(dir(decontext))) == []


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = decontext.nonsense


@pytest.mark.parametrize(
    "code",
    [
        "import decontext",
        "import decontext.cli; decontext.cli.run(['--help'])",
        "import decontext.cli; decontext.cli.run(['protect', '--help'])",
        "import decontext.cli; decontext.cli.run(['app', '--help'])",
    ],
)
def test_start_up_does_not_import_torch(code: str) -> None:
    heavy = "{'torch', 'numpy', 'diffusers', 'transformers', 'gradio'}"
    printed = _python(f"import sys; {code}; print(sorted({heavy} & set(sys.modules)))")
    assert printed.splitlines()[-1] == "[]"


def test_every_option_is_named_in_the_docs() -> None:
    text = (ROOT / "docs" / "command-line.md").read_text(encoding="utf-8")
    sections = {part.split("\n")[0].strip("` "): part for part in text.split("\n## ")}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        section = sections[f"decontext {name}"]
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("-") and option not in ("-h", "--help"):
                    assert f"`{option}" in section or f" {option}`" in section, (name, option)


def test_every_module_says_what_it_is() -> None:
    for path in _modules():
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path


def test_examples_and_readme_use_exported_names() -> None:
    files = [ROOT / "README.md", *(ROOT / "examples").glob("*.py")]
    assert len(files) > 1
    for path in files:
        used = set(re.findall(r"\bdecontext\.([A-Za-z_]\w*)(?=\()", path.read_text("utf-8")))
        assert used or path.name == "app_client.py", path  # that one calls by HTTP only
        assert used <= set(decontext.__all__), path


def test_contributing_names_every_part_of_the_package() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for station in WAY_OF_THE_DATA[:-1]:
        name = f"{station}/" if (PACKAGE / station).is_dir() else f"{station}.py"
        assert f"| `{name}`" in text or f", `{name}`" in text, name
