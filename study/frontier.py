"""How much of a person edits still show, against how visible the change is, for every method.

    python -m study.frontier              # goes on where it was; two processes of one thread
    python -m study.frontier --write      # only write docs/frontier.md, from what is there

At one budget every method that works is at its ceiling, and a table says "no difference". Here each
method is run at five strengths, and the scalar is the visibility at which identity has fallen by
half: the higher that SSIMULACRA2, the less a person has to see of the protection for it to work.
"""

from __future__ import annotations

import argparse
import multiprocessing
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image

from decontext.evaluation.plan import NONE, Plan, Protection
from decontext.settings import ProtectSettings
from study.parts import INSTRUCTIONS, PEOPLE

ROOT = Path(__file__).parents[1]
EDITOR = "kontext-mini"
FALLS = (0.3, 0.45, 0.6, 0.7, 0.8)
FLAT = (1, 2, 3, 5, 8)
WIDE = (2, 4, 8, 12, 16)
NOISE = (4, 8, 16, 24, 32)
STEPS = 60
"""Of methods that take sign steps; the least visible change ends by itself, at the latest then."""


@dataclass(frozen=True)
class Method:
    """A way to protect, at rising strengths."""

    name: str
    versions: tuple[Protection, ...]


@dataclass(frozen=True)
class Question:
    """Methods that are compared on some photos; `sides` are the photos' pixels a side."""

    name: str
    title: str
    methods: tuple[Method, ...]
    photos: tuple[Path, ...]
    rendered: bool = True

    def plan(self) -> Plan:
        """Everything that is compared, on each photo."""
        return Plan(
            protections=tuple(one for method in self.methods for one in method.versions),
            transforms=(NONE,),
            prompts=INSTRUCTIONS[:2],
            edit_steps=8,
            measure_prompts=0,
            cut=False,
            rendered=self.rendered,
        )


def build_questions(
    folder: Path, *, people: int = 6, portraits: bool = True
) -> tuple[Question, ...]:
    """All questions, the first ones first; enlarged people are made in `folder`.

    `people` are of 128 pixels; of larger photos half and a third as many are taken.
    """
    from decontext.photo.portraits import PORTRAITS

    every, few = _all_methods(), _all_methods()[:3]
    found = sorted(PEOPLE.glob("*.webp"))[2:]  # the first two are tuned on, see docs/measuring.md
    questions = [
        Question("size-128", "Photos of the working size, 128 pixels", every,
                 tuple(found[:people])),
        Question("size-512", "Photos of 512 pixels", every,
                 _enlarge(found[: max(1, people // 2)], 512, folder)),
    ]  # fmt: skip
    if portraits:
        questions.append(
            Question("portraits", "The two free portraits", few, tuple(PORTRAITS), rendered=False)
        )
    questions += [
        Question("size-1500", "Photos of 1500 pixels", few,
                 _enlarge(found[: max(1, people // 3)], 1500, folder)),
        Question("blocks", "Attention blocks, by flat sign steps", _block_methods(),
                 tuple(found[: max(1, people // 2)])),
        Question("noise-levels", "Noise levels, by flat sign steps", _noise_level_methods(),
                 tuple(found[: max(1, people // 2)])),
        Question("steps", "Numbers of flat sign steps", _step_methods(),
                 tuple(found[: max(1, people // 2)])),
    ]  # fmt: skip
    return tuple(questions)


def _all_methods() -> tuple[Method, ...]:
    """Ours, the same objective by sign steps, VETO's budget, others' objectives, controls."""
    flat = ProtectSettings(method="sign", steps=STEPS, robust="off")
    return (
        Method("least visible", tuple(
            Protection(f"least visible {fall:.0%}", ProtectSettings(
                method="least-visible", fall=fall, steps=STEPS, robust="off"))
            for fall in FALLS
        )),
        _by_budget("flat sign steps", flat, FLAT),
        _by_budget("texture budget", replace(flat, method="texture"), WIDE),
        _by_budget("attention entropy", replace(flat, objective="attention-entropy"), FLAT),
        _by_budget("flow", replace(flat, objective="flow"), WIDE),
        _by_budget("encoder", replace(flat, objective="encoder"), WIDE),
        _by_budget("random signs", replace(flat, objective="random-sign"), NOISE),
    )  # fmt: skip


def _block_methods() -> tuple[Method, ...]:
    flat = ProtectSettings(method="sign", steps=STEPS, robust="off")
    return tuple(
        _by_budget(f"blocks {names}", replace(flat, blocks=names), FLAT)
        for names in ("all", "paper", "double", "double:0")
    )


def _noise_level_methods() -> tuple[Method, ...]:
    flat = ProtectSettings(method="sign", steps=STEPS, robust="off")
    return tuple(
        _by_budget(f"noise {low:g} to {high:g}", replace(flat, sigma_range=(low, high)), FLAT)
        for low, high in ((0.98, 1.0), (0.7, 1.0), (0.3, 0.7), (0.0, 1.0))
    )


def _step_methods() -> tuple[Method, ...]:
    flat = ProtectSettings(method="sign", robust="off")
    return tuple(
        _by_budget(f"{steps} steps", replace(flat, steps=steps), FLAT)
        for steps in (15, 30, 60, 120)
    )


def _by_budget(name: str, base: ProtectSettings, budgets: Sequence[float]) -> Method:
    return Method(
        name,
        tuple(
            Protection(f"{name} {budget:g}/255", replace(base, epsilon=budget / 255))
            for budget in budgets
        ),
    )


def _enlarge(files: Sequence[Path], side: int, folder: Path) -> tuple[Path, ...]:
    """Rendered people at another size (Lanczos): they have 128 pixels."""
    place = folder / "enlarged" / str(side)
    place.mkdir(parents=True, exist_ok=True)
    found = []
    for source in files:
        path = place / f"{source.stem}-{side}.png"
        if not path.exists():
            with Image.open(source) as image:
                image.convert("RGB").resize((side, side), Image.Resampling.LANCZOS).save(path)
        found.append(path)
    return tuple(found)


def main() -> None:
    """Do what is missing, and write the documents."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "frontier")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--questions", help="only these, with commas")
    parser.add_argument("--write", action="store_true", help="compute nothing")
    args = parser.parse_args()
    questions = build_questions(args.out, people=args.people)
    chosen = args.questions.split(",") if args.questions else [one.name for one in questions]
    if not args.write:
        context = multiprocessing.get_context("spawn")
        processes = [
            context.Process(target=work, args=(args.out, args.people, chosen, n, args.workers))
            for n in range(args.workers)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            raise SystemExit("a process failed; see above, and start it again to go on")
    from study.frontier_page import write_documents

    print("wrote", *write_documents(args.out, questions, args.docs))


def work(out: Path, people: int, chosen: Sequence[str], number: int, workers: int) -> None:
    """One process: every n-th photo of each question, into rows of its own."""
    import torch

    import decontext
    from decontext.evaluation.run import evaluate, load_instruments

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    editor = decontext.load_editor(EDITOR)
    instruments = {}
    for question in build_questions(out, people=people):
        if question.name not in chosen:
            continue
        plan, kind = question.plan(), _kind(question)
        if kind not in instruments:
            instruments[kind] = load_instruments(plan)
        for photo in question.photos[number::workers]:
            evaluate(
                [photo],
                out,
                editor,
                plan,
                instruments=instruments[kind],
                name=f"rows-{kind}-{number}.jsonl",
                known=sorted(out.glob(f"rows-{kind}-*.jsonl")),
            )
            print(f"process {number}: {question.name}, {photo.name}", flush=True)


def rows_of(question: Question, out: Path) -> Iterator[Path]:
    """The files of rows that a question's results are in."""
    yield from sorted(out.glob(f"rows-{_kind(question)}-*.jsonl"))


def _kind(question: Question) -> str:
    return "rendered" if question.rendered else "photographs"


if __name__ == "__main__":
    main()
