"""Runs the study on several processes, then writes docs/results.md and figures of docs/limits.md.

Stopped and started again it does only what is missing; nothing is computed twice. With other
weights of the editor it begins again, in a folder of its own.

    python -m study.run                          # make study: 22 people
    python -m study.run --level quick            # make study LEVEL=quick: 6 people
    python -m study.run --write                  # only write the documents, from what is there
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import sys
import time
import warnings
from pathlib import Path

from study.parts import LEVELS, PEOPLE, SIDES, Level, Part, build_parts
from study.write import write_documents

ROOT = Path(__file__).parents[1]
EDITOR = "kontext-mini"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--level", choices=LEVELS, default="full")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "study")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--parts", help="only these, with commas")
    parser.add_argument("--write", action="store_true", help="compute nothing")
    args = parser.parse_args()
    level, out = LEVELS[args.level], args.out / args.level / _fingerprint()
    parts = _build(level, out)
    chosen = args.parts.split(",") if args.parts else [part.name for part in parts]
    unknown = set(chosen) - {part.name for part in parts}
    if unknown:
        parser.error(f"no part is named {', '.join(unknown)}: {', '.join(p.name for p in parts)}")
    began = time.monotonic()
    if not args.write:
        _run_workers(args.level, out, chosen, args.workers)
    spent = None if args.write else time.monotonic() - began
    written = write_documents(
        out, parts, args.docs, level=args.level, workers=args.workers, seconds=spent
    )
    print("wrote", *written)


def _build(level: Level, out: Path) -> tuple[Part, ...]:
    from decontext.photo.portraits import PORTRAITS

    return build_parts(level, portraits=tuple(PORTRAITS), enlarged=_enlarge(level, out))


def _enlarge(level: Level, out: Path) -> dict[int, tuple[Path, ...]]:
    """Rendered people at the sizes of ordinary photos; they have 128 pixels in `people/`."""
    from PIL import Image

    found: dict[int, tuple[Path, ...]] = {}
    for side in SIDES:
        folder, files = out / "enlarged" / str(side), []
        folder.mkdir(parents=True, exist_ok=True)
        for source in sorted(PEOPLE.glob("*.webp"))[: level.enlarged]:
            path = folder / f"{source.stem}-{side}.png"
            if not path.exists():
                with Image.open(source) as image:
                    image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS).save(path)
            files.append(path)
        found[side] = tuple(files)
    return found


def _fingerprint() -> str:
    """Of the editor's weights: other weights have results of their own."""
    import torch

    import decontext
    from decontext.evaluation.results import fingerprint

    torch.set_num_threads(1)
    return fingerprint(decontext.load_editor(EDITOR))


def _run_workers(level: str, out: Path, chosen: list[str], workers: int) -> None:
    """Every worker takes every n-th photo of each part and writes rows of its own."""
    context = multiprocessing.get_context("spawn")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # told to stop, as by Ctrl-C
    processes = [
        context.Process(target=_work, args=(level, out, chosen, number, workers))
        for number in range(workers)
    ]
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    except KeyboardInterrupt:
        for process in multiprocessing.active_children():
            process.terminate()
        sys.exit("stopped; start it again to go on")
    if any(process.exitcode for process in processes):
        sys.exit("a process failed; see above, and start it again to go on")


def _work(name: str, out: Path, chosen: list[str], number: int, workers: int) -> None:
    """One process. `rows-KIND-NUMBER.jsonl` keeps its rows, of rendered people and photographs."""
    import torch

    import decontext
    from decontext.evaluation.run import Instruments, evaluate, load_instruments

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    level, editor = LEVELS[name], decontext.load_editor(EDITOR)
    instruments: dict[bool, Instruments] = {}
    for part in _build(level, out):
        if part.name not in chosen:
            continue
        began, plan = time.monotonic(), part.plan(level)
        photos = part.photos[(number - part.shift) % workers :: workers]
        kind = "rendered" if part.rendered else "photographs"
        if part.rendered not in instruments:
            instruments[part.rendered] = load_instruments(plan)
        evaluate(
            photos,
            out,
            editor,
            plan,
            instruments=instruments[part.rendered],
            name=f"rows-{kind}-{number}.jsonl",
            known=sorted(out.glob(f"rows-{kind}-*.jsonl")),
        )
        seconds = time.monotonic() - began
        print(f"process {number}: {part.name}, {len(photos)} photos, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
