"""How much it matters to Step1X-Edit's protection which photo its language model is shown.

Protects a random picture against a tiny random Step1X-Edit with the text read once, every ten
steps and every step, and measures the saved pixels as `verify` does, which always reads the text
with the photo that is measured. Run: `python -m benchmarks.refresh_text`.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

from decontext.editors import load_editor
from decontext.photo.images import Photo
from decontext.protect import protect_steps
from decontext.settings import ProtectSettings
from decontext.verify import verify

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

SIZE, SIDE, STEPS, SEEDS = (96, 128), 128, 20, (0, 1)
VARIANTS = {
    "read once": {},
    "every 10 steps": {"refresh_text": 10},
    "every step": {"refresh_text": 1},
    "every step, photo's text tokens counted": {"count_vlm_tokens": True},
}


def main() -> None:
    from tiny_step1x import save_tiny_step1x

    print(f"{SIZE[1]} x {SIZE[0]} pixels, {STEPS} steps, 8/255, seeds {SEEDS}, CPU")
    with tempfile.TemporaryDirectory() as name:
        folder = save_tiny_step1x(Path(name))
        for variant, options in VARIANTS.items():
            drops, seconds = [], []
            for seed in SEEDS:
                drop, taken = run(folder, seed, options)
                drops.append(drop)
                seconds.append(taken)
            spread = statistics.pstdev(drops)
            mean, took = statistics.fmean(drops), statistics.fmean(seconds)
            print(f"{variant:40}  drop {mean:.4f} (spread {spread:.4f})  {took:.1f} s", flush=True)


def run(folder: Path, seed: int, options: dict[str, object]) -> tuple[float, float]:
    """By what part the proportion fell, and how long the steps took."""
    editor = load_editor("step1x-edit", source=folder, device="cpu", dtype="float32")
    editor._side = SIDE  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.rand(1, 3, 12, 16, generator=generator)
    pixels = torch.nn.functional.interpolate(pixels, SIZE, mode="bicubic").clamp(0, 1)
    pixels = (pixels * 255).round() / 255
    photo = Photo(pixels=pixels, path=Path("picture.png"), format="PNG", mode="RGB")
    settings = ProtectSettings(steps=STEPS, robust="off", seed=seed, **options)  # type: ignore[arg-type]
    began = time.perf_counter()
    steps = protect_steps(photo, editor, settings)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            protected = stop.value
            break
    taken = time.perf_counter() - began
    measured = verify(protected, pixels, editor, noises=1, seed=seed)
    return measured.drop, taken


if __name__ == "__main__":
    main()
