"""The page with small editors and few steps, in a process of its own.

`flux-kontext` is a tiny pipeline with random weights here, so that every part of the page answers
in seconds; `kontext-mini` is the embedded editor. Prints the address when it can be opened.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PASSWORD_VARIABLE = "TINY_PASSWORD"


@dataclass
class Running:
    """A process that serves the page."""

    address: str
    process: subprocess.Popen[str]
    folder: Path

    @property
    def kept(self) -> list[Path]:
        """Files that it keeps at the moment, uploads included."""
        walks = (os.walk(place) for place in self.folder.glob("decontext-app-*/*/"))
        # Unlike a glob these go on where a folder has just been removed.
        return [Path(place, name) for walk in walks for place, _, names in walk for name in names]


@contextmanager
def tiny_server(folder: Path, *options: str, password: str = "") -> Iterator[Running]:
    """Start one; it is told to stop at the end."""
    command = [sys.executable, "-W", "ignore", str(Path(__file__)), str(folder), *options]
    paths = os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests", ROOT)))
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    environment |= {"TMPDIR": str(folder), PASSWORD_VARIABLE: password}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield Running(process.stdout.readline().strip(), process, folder)
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()


def main() -> None:
    """Serve until told to stop. Arguments: FOLDER [--port N] [--steps N]."""
    warnings.simplefilter("ignore")
    import argparse

    import tiny_models
    import torch

    import decontext
    from decontext.app.guard import LOCAL
    from decontext.app.server import build_app, serve
    from decontext.app.service import Offer, open_service
    from decontext.app.work import Limits
    from decontext.editors import list_editors
    from decontext.settings import ProtectSettings

    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    weights = args.folder / "tiny-weights"
    if not weights.is_dir():
        tiny_models.save_tiny_pipeline(weights)
    known = {info.name: info for info in list_editors()}
    loaded: dict[str, Any] = {}

    def load(device: str) -> Any:
        if "tiny" not in loaded:
            loaded["tiny"] = decontext.load_editor("flux-kontext", source=weights, device=device)
        return loaded["tiny"]

    offers = [
        Offer(replace(known["flux-kontext"], demonstration=False), load),
        Offer(known["kontext-mini"], lambda d: decontext.load_editor("kontext-mini", device=d)),
    ]
    settings = ProtectSettings(
        method="sign",
        epsilon=64 / 255,
        steps=args.steps,
        blocks="double:0",
        robust="off",
        verify_prompts=1,
        verify_noises=1,
    )
    limits = Limits(megabytes=2, megapixels=1, photos=10, waiting=20)
    with open_service(offers, limits=limits, settings=settings, parent=args.folder) as service:
        password = os.environ.get(PASSWORD_VARIABLE) or None
        web = build_app(service, hosts=LOCAL, password=password)
        serve(
            web,
            service,
            host="127.0.0.1",
            port=args.port,
            on_ready=lambda address: print(address, flush=True),
        )


if __name__ == "__main__":
    main()
