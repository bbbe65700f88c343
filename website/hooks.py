"""Hooks of mkdocs: pages that are generated, and links that lead out of `docs/`.

The command line's page comes from the commands themselves, the reference of Python from the
exported names, the changes from CHANGELOG.md, the examples from their files: none of them can fall
behind.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:  # mkdocs loads this file by its path
    sys.path.insert(0, str(ROOT))

from website import api, commands, examples, schema  # noqa: E402

ELSEWHERE = '<script src="https://unpkg.com/iframe-worker/shim"></script>'
"""What the plugin `offline` would fetch from elsewhere; ours is `assets/file-search.js`."""

MOVED = {
    "../README.md": "index.md",
    "../CHANGELOG.md": "changelog.md",
    "../examples": "examples.md",
}
"""Links that are right where the files are read as they lie, and their pages of the site."""


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    generated = {
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "examples.md": examples.page(ROOT / "examples"),
        "reference/cli.md": commands.page(),
        "reference/api.md": api.page(),
        "reference/files.md": schema.page(),
    }
    for name, text in generated.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links that leave `docs/` to their pages; what has none is named, not linked."""
    if "/" in page.file.src_uri:  # there `..` is `docs/` itself
        return markdown
    for link, page in MOVED.items():
        markdown = re.sub(rf"\]\({re.escape(link)}(?:#[^)]*)?\)", f"]({page})", markdown)
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]*\)", r"\1", markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Nothing is fetched from elsewhere: ours in place of a script on somebody's server."""
    depth = "../" * page.url.count("/")
    return output.replace(ELSEWHERE, f'<script src="{depth}assets/file-search.js"></script>')


def on_post_template(output: str, template_name: str, **_: Any) -> str:
    """The same for the page of an address that is none."""
    return output.replace(ELSEWHERE, "") if template_name == "404.html" else output
