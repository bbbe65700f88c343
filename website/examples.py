"""The page of examples: each program as it lies in `examples/`, under its first line."""

from __future__ import annotations

import ast
from pathlib import Path


def page(folder: Path) -> str:
    """The page in Markdown.

    Raises:
        ValueError: an example has no docstring to say what it is.
    """
    lines = [
        "# Examples",
        "",
        "Programs to start from; each lies in `examples/` of the source.",
        "",
    ]
    for path in sorted(folder.glob("*.py")):
        code = path.read_text(encoding="utf-8")
        about = ast.get_docstring(ast.parse(code))
        if not about:
            raise ValueError(f"{path} does not say what it is.")
        lines += [f"## {path.stem.replace('_', ' ').capitalize()}", ""]
        lines += [f'```python title="{path.name}"', code.rstrip(), "```", ""]
    return "\n".join(lines)
