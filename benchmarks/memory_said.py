"""Memory that loading and a step were said to take, and what the process took.

    python -m benchmarks.memory_said --heads 8 --page docs/performance.md

makes a random transformer of FLUX's build, much narrower than FLUX (128 numbers a head), takes
one step over all blocks in each of some ways to hold the weights, and prints what was said and the
peaks of anonymous memory and of mapped files, both above what the process took before.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.sections import put, table
from decontext.editors import load_editor
from decontext.machine import describe_bytes

WAYS = (("float32", False), ("bfloat16", False), ("bfloat16", True), ("int8", False))


def resident() -> dict[str, int]:
    """Bytes of anonymous memory and of mapped files of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    return {name: int(found[name]) * 1024 for name in ("RssAnon", "RssFile")}


class Watch:
    """The peaks while it runs, above the beginning."""

    def __enter__(self) -> Watch:
        self.before, self.peaks, self.running = resident(), resident(), True
        self.thread = threading.Thread(target=self._look)
        self.thread.start()
        return self

    def _look(self) -> None:
        while self.running:
            for name, value in resident().items():
                self.peaks[name] = max(self.peaks[name], value)
            time.sleep(0.005)

    def __exit__(self, *_: object) -> None:
        self.running = False
        self.thread.join()

    def above(self, name: str) -> str:
        return describe_bytes(self.peaks[name] - self.before[name])


def make(folder: Path, heads: int, double: int, single: int) -> None:
    """A pipeline in FLUX's layout with a wide transformer."""
    import sys

    import diffusers

    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from flux_layout import save_flux_layout
    from tiny_models import WIDTH

    save_flux_layout(folder, sample_size=1024)
    for path in (folder / "transformer").glob("*"):
        path.unlink()
    torch.set_default_dtype(torch.bfloat16)
    kind: Any = diffusers.FluxTransformer2DModel
    kind(
        in_channels=64, num_layers=double, num_single_layers=single, num_attention_heads=heads,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH, guidance_embeds=True,
    ).save_pretrained(folder / "transformer", max_shard_size="500MB")  # fmt: skip


def measure(folder: Path, precision: str, stream: bool, side: int, answer: Connection) -> None:
    """One way, in this process, which does nothing else; sends a row of the table."""
    torch.set_num_threads(1)
    editor: Any = load_editor(
        "flux-kontext", source=folder, device="cpu", dtype=precision, stream_weights=stream
    )
    prompt = editor.encode_prompt("smile")
    blocks = range(editor.info.double_blocks + editor.info.single_blocks)
    said = editor.estimate(tuple(blocks), ((side, side),), 1).memory
    image = torch.rand(1, 3, side, side).requires_grad_()
    noise = editor.draw_noise((side, side), torch.Generator().manual_seed(0))
    with Watch() as watch:
        editor.prepare(["smile"], blocks, sizes=[(side, side)])
        context = editor.encode_image(image, (side, side))
        editor.attend_latents(context, prompt, 0.99, noise, blocks).mean().backward()
    name = f"{precision}{', streamed' if stream else ''}"
    answer.send([name, describe_bytes(said), watch.above("RssAnon"), watch.above("RssFile")])


def main() -> None:
    """Measure, print the table, and write it into the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--double", type=int, default=3)
    parser.add_argument("--single", type=int, default=6)
    parser.add_argument("--side", type=int, default=256)
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "kontext"
        make(folder, given.heads, given.double, given.single)
        size = sum(path.stat().st_size for path in (folder / "transformer").glob("*.safetensors"))
        rows = []
        for precision, stream in WAYS:
            receive, send = context.Pipe(duplex=False)
            process = context.Process(
                target=measure, args=(folder, precision, stream, given.side, send)
            )
            process.start()
            send.close()
            rows.append(receive.recv())
            process.join()
            print(rows[-1], flush=True)
    text = table(["weights", "said", "anonymous memory", "mapped files"], rows)
    text += (
        f"\n\nThe transformer's files have {describe_bytes(size)}; {given.double} double and "
        f"{given.single} single blocks of {given.heads} heads; {given.side} x {given.side} pixels."
    )
    print(text)
    if given.page:
        put(given.page, "memory", text)


if __name__ == "__main__":
    main()
