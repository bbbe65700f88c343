"""What mypy says of programs that use decontext: typos are found before anything runs."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[1]

RIGHT = """
import decontext
from decontext import evaluate

result = decontext.protect("me.jpg", "kontext-mini", epsilon="8/255", preset="fast", seed=3)
for one in decontext.protect_many(["me.jpg"], "kontext-mini", robust="web", steps=3):
    print(one)
evaluate(["me.jpg"], "out", "kontext-mini", steps=3)
reveal_type(result.verification.level)
"""

WRONG = {
    "decontext.protect('me.jpg', 'kontext-mini', epsilom='8/255')": 'keyword argument "epsilom"',
    "decontext.protect('me.jpg', 'kontext-mini', steps='many')": 'incompatible type "str"',
    "decontext.protect('me.jpg', 'kontext-mini', robust='very')": "incompatible type",
    "decontext.protect_many(['me.jpg'], 'kontext-mini', step=3)": 'keyword argument "step"',
    "decontext.verify('a.png', 'b.png', 'kontext-mini', block='all')": 'keyword argument "block"',
    "decontext.edit('a.png', 'smile', 'kontext-mini', sed=3)": 'keyword argument "sed"',
    "decontext.evaluate(['a.png'], 'out', 'kontext-mini', stepz=3)": 'argument "stepz"',
    "decontext.protect(7, 'kontext-mini')": 'incompatible type "int"',
}


def test_mypy_finds_typos_in_what_users_write(tmp_path: Path) -> None:
    # A name of its own: mypy keeps what it said of a file, with the path of the run before.
    program = tmp_path / f"program_{uuid.uuid4().hex}.py"
    program.write_text(RIGHT + "\n".join(WRONG) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, str(program)], capture_output=True, text=True, cwd=ROOT, check=False, timeout=280
    )
    first = RIGHT.count("\n") + 1
    said = [line for line in done.stdout.splitlines() if line.startswith(str(program))]
    errors = {line.split(":")[1]: line for line in said if ": error:" in line}
    assert set(errors) == {str(first + index) for index in range(len(WRONG))}, done.stdout
    for index, part in enumerate(WRONG.values()):
        assert part in errors[str(first + index)]
    assert any("'strong'" in line for line in said if "Revealed type" in line), done.stdout
