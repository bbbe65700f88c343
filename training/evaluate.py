"""Measure an embedded editor on people it never saw: identity of edits, protected or not.

The photos are the middle 128 x 128 pixels of the renders, the editor's working size, as in
`training.round_trip`: of the whole 160 the editor sees faces a fifth smaller, of which the
autoencoder keeps less.

Resumable: one JSON line for each photo and treatment is appended to the output, and photos that are
there already are skipped. `--table` prints the summary. Several processes may append to one file.

    python -m training.evaluate --people WORK/held-out --out WORK/evaluation.jsonl
    python -m training.evaluate --out WORK/evaluation.jsonl --table
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import decontext
from decontext.evaluation.identity import THRESHOLD, FaceRecogniser, similarity
from decontext.evaluation.recognisers import SYNTHETIC_THRESHOLDS
from training.builds import add_build
from training.datasets import MIDDLE, load_people
from training.instructions import COLOURS, UNSEEN

PEOPLE = 20
ALIGNED = ("keep", "smile", "surprised", "eyes closed", "glasses", "red hat", "hair", "background")
SCENES = ("scene red", "scene green", "scene blue")
SAME_PERSON = SYNTHETIC_THRESHOLDS["sface"]
TREATMENTS = {
    "original": None,
    "noise 8/255": ("noise", 8),
    "noise 12.75/255": ("noise", 12.75),
    "protected 8/255": ("protect", 8),
    "protected 12.75/255": ("protect", 12.75),
}


def instruction(edit: str, blond: bool) -> str:
    """The first wording that was not trained on."""
    if edit == "hair":
        edit = "black hair" if blond else "blond"
    if edit.startswith("scene"):
        return UNSEEN["scene"][0].format(person="this person", colour=edit.split()[1])
    return UNSEEN[edit][0].format(person="this person", colour=COLOURS[1])


def to_tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255


def to_picture(image: torch.Tensor) -> np.ndarray:
    return (image[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()


def treat(picture: np.ndarray, treatment, editor, folder: Path, name: str, steps: int):
    """The picture after one treatment, as uint8, by way of a real file for protection."""
    if treatment is None:
        return picture, {}
    kind, levels = treatment
    if kind == "noise":
        generator = np.random.default_rng(0)
        noise = np.sign(generator.standard_normal(picture.shape)) * int(levels)
        return np.clip(picture + noise, 0, 255).round().astype(np.uint8), {}
    folder.mkdir(parents=True, exist_ok=True)
    source, output = folder / f"{name}.png", folder / f"{name}.{levels}.png"
    Image.fromarray(picture).save(source)
    result = decontext.protect(
        source, editor, output=output, epsilon=levels / 255, steps=steps, seed=1, force=True
    )
    measured = result.report["verification"] if isinstance(result.report, dict) else {}
    return np.asarray(Image.open(output)), measured


def measure(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    people, recogniser = load_people(args.people), FaceRecogniser()
    editor = decontext.load_editor(args.build, source=args.weights)
    done = set()
    if args.out.exists():
        done = {(r["seed"], r["treatment"]) for r in map(json.loads, args.out.open())}
    for person in range(args.first, min(args.first + args.count, len(people["seeds"]))):
        seed = int(people["seeds"][person])
        original = people["pictures"][person, 0, MIDDLE, MIDDLE]
        reference = recogniser.embed([original])
        for name, treatment in TREATMENTS.items():
            if (seed, name) in done or name not in args.treatments:
                continue
            picture, measured = treat(
                original,
                treatment,
                editor,
                args.out.parent / "protected",
                str(seed),
                args.protect_steps,
            )
            edits = {}
            for number, edit in enumerate(ALIGNED + SCENES):
                text = instruction(edit, bool(people["blond"][person]))
                image = editor.edit(to_tensor(picture), text, seed=100 + number)
                found = recogniser.embed([to_picture(image)])
                edits[edit] = float(similarity(reference, found, centred=True)[0])
            row = {"seed": seed, "treatment": name, "edits": edits, "measured": measured}
            with args.out.open("a") as stream:
                stream.write(json.dumps(row, default=str) + "\n")
            values = np.array(list(edits.values()))
            print(seed, name, f"mean identity {np.nanmean(values):.3f}", flush=True)


def table(path: Path) -> str:
    """A Markdown table: mean identity, share of same persons, faces found, by treatment."""
    rows = [json.loads(line) for line in path.open()]
    lines = [
        "| photo | aligned edits | other scenes | all | same person | face found |",
        "|---|---|---|---|---|---|",
    ]
    for treatment in TREATMENTS:
        edits = [row["edits"] for row in rows if row["treatment"] == treatment]
        if not edits:
            continue
        aligned = np.array([[edit[name] for name in ALIGNED] for edit in edits])
        scenes = np.array([[edit[name] for name in SCENES] for edit in edits])
        both = np.concatenate([aligned, scenes], 1)
        same = np.nan_to_num(both, nan=-1) > SAME_PERSON
        lines.append(
            f"| {treatment} ({len(edits)} people) | {np.nanmean(aligned):.3f} "
            f"| {np.nanmean(scenes):.3f} | {np.nanmean(both):.3f} | {same.mean():.0%} "
            f"| {1 - np.isnan(both).mean():.0%} |"
        )
    lines.append("")
    for name in ALIGNED + SCENES:
        means = [
            f"{t}: {np.nanmean([r['edits'][name] for r in rows if r['treatment'] == t]):.2f}"
            for t in TREATMENTS
            if any(r["treatment"] == t for r in rows)
        ]
        lines.append(f"- {name}: " + ", ".join(means))
    lines.append(
        f"\nSame person: mean-centred SFace cosine above {SAME_PERSON} (raw: {THRESHOLD})."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_build(parser)
    parser.add_argument("--people", type=Path, help="folder of rendered people not trained on")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="another folder than the packaged one")
    parser.add_argument("--count", type=int, default=PEOPLE)
    parser.add_argument("--first", type=int, default=0, help="for a second process beside this one")
    parser.add_argument(
        "--treatments", nargs="+", choices=TREATMENTS, default=list(TREATMENTS), help="only these"
    )
    parser.add_argument("--protect-steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", action="store_true", help="only print the summary")
    args = parser.parse_args()
    if not args.table:
        measure(args)
    print(table(args.out))


if __name__ == "__main__":
    main()
