"""Whether what would be published works without this repository: `make release-check`.

Builds the source distribution and from it the wheel, as an installer without a wheel would;
installs the wheel into an empty environment; and there, in an empty folder, protects a photo,
verifies and edits it. The size of the wheel is written into README.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

from benchmarks.sections import put

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS = ROOT / "build" / "dist"
NEVER_INSIDE = ("tests/", "training/", "study/", "benchmarks/", ".git")

PHOTO = """
import sys
from decontext.photo.portraits import GRACE_HOPPER
from PIL import Image
Image.open(GRACE_HOPPER).convert("RGB").resize((96, 96)).save(sys.argv[1])
"""


def main() -> None:
    """Build, install, protect; exits with 1 and a sentence where something does not work."""
    wheel = build()
    megabytes = wheel.stat().st_size / 1e6
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = install(wheel, folder / "environment")
        smoke_test(environment, folder)
    put(ROOT / "README.md", "wheel", f"The wheel has {megabytes:.1f} MB.")
    print(
        f"{wheel.name}: {megabytes:.1f} MB, installed into an empty environment, protects a photo"
    )


def build() -> Path:
    """The wheel, made from the source distribution.

    Raises:
        SystemExit: something lies in the wheel that does not belong there, or is missing.
    """
    for old in DISTRIBUTIONS.glob("decontext-*"):
        old.unlink()
    _run([sys.executable, "-m", "build", "--outdir", str(DISTRIBUTIONS), str(ROOT)], ROOT)
    (wheel,) = DISTRIBUTIONS.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    foreign = [name for name in names if name.startswith(NEVER_INSIDE)]
    if foreign:
        raise SystemExit(f"the wheel holds {foreign[0]}, which is not part of the package.")
    for needed in ("kontext_mini_weights/transformer/", "py.typed", "licenses/NOTICE"):
        if not any(needed in name for name in names):
            raise SystemExit(f"the wheel lacks {needed}.")
    return wheel


def install(wheel: Path, environment: Path) -> Path:
    """The folder of programs of a new environment that holds the wheel and what it needs."""
    venv.create(environment, with_pip=True)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", *constraints]
    _run([*pip, "torch"], ROOT)
    _run([*pip, str(wheel)], ROOT)
    return programs


def smoke_test(programs: Path, folder: Path) -> None:
    """Protect a small photo and verify it, where nothing of the repository is to be seen."""
    decontext = str(programs / "decontext")
    _run([decontext, "--version"], folder)
    _run([str(programs / "python"), "-c", PHOTO, "photo.png"], folder)
    against = ["--editor", "kontext-mini", "--quiet"]
    _run([decontext, "protect", "photo.png", "-o", "protected.png", *against], folder)
    _run(
        [decontext, "verify", "protected.png", "--original", "photo.png", *against],
        folder,
    )
    _run([decontext, "edit", "protected.png", "smile", "-o", "edit.png", *against], folder)


def _run(command: list[str], folder: Path) -> None:
    """Raises: SystemExit, with what was printed, where a command fails."""
    print("+", " ".join(command), flush=True)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"failed with {done.returncode}: {' '.join(command)}")


if __name__ == "__main__":
    main()
