"""Render people into shards: ten pictures each, the training material of `kontext-mini`.

    python -m training.people.generate --from 0 --to 1200 --out training/work/people/train.npz

writes `train-000000-000050.npz` and so on beside that name. Shards that exist are left alone, so
that an interrupted run goes on where it stopped; several runs may share a folder if their ranges
differ. A shard holds `imgs` (people, 10, 160, 160, 3) uint8; `bg` (people, 10), the number of the
named wall colour behind the person or -1; `blond` (people,), whether the person is blond by birth;
`seeds` (people,).
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.random import RandomState

from training.people.colours import WALLS
from training.people.head import HEAD_FILE, Head, load_head
from training.people.identity import draw_person
from training.people.render import Look, Sitter, render
from training.people.scene import Scene, draw_other_scene, draw_scene, draw_wall

# The first picture of a person, then the edits of it, pixel by pixel aligned.
ALIGNED_LOOKS = (
    Look(),
    Look(expression="smile"),
    Look(expression="surprised"),
    Look(expression="eyes_closed"),
    Look(glasses=True),
    Look(hat=True),
)
NO_WALL = -1
SHARD = 50  # people


def render_person(head: Head, seed: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """All pictures (10, 160, 160, 3) of a person, wall numbers (10,), and whether they are blond.

    Six looks, the hair in another colour, another wall (all aligned), and two other scenes.
    """
    sitter = Sitter(head, draw_person(head, seed))
    random = RandomState(seed * 7 + 3)
    blond = sitter.person.hair.colour_name == "blond"
    scene = draw_scene(random)
    pictures = [render(sitter, scene, look) for look in ALIGNED_LOOKS]
    pictures.append(render(sitter, scene, Look(hair="black" if blond else "blond")))
    walls = random.choice(len(WALLS), 3, replace=False)
    in_front_of_wall = Scene(scene.camera, scene.light, draw_wall(random, walls[0]))
    pictures.append(render(sitter, in_front_of_wall, Look()))
    for wall in walls[1:]:
        pictures.append(render(sitter, draw_other_scene(random, scene, wall), Look()))
    behind = [NO_WALL] * (len(pictures) - len(walls)) + [int(wall) for wall in walls]
    return np.stack(pictures), np.array(behind), blond


def write_shard(path: Path, head: Head, seeds: range) -> None:
    """Render and save; the file appears under its name only when it is complete."""
    people = [render_person(head, seed) for seed in seeds]
    pictures, walls, blond = (np.array(values) for values in zip(*people, strict=True))
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, imgs=pictures, bg=walls, blond=blond, seeds=np.array(seeds))
    os.replace(partial, path)


def generate(first: int, last: int, out: Path, head_file: Path = HEAD_FILE) -> None:
    """Shards of the seeds from `first` up to, not including, `last`."""
    cv2.setNumThreads(1)
    head = load_head(head_file)
    out.parent.mkdir(parents=True, exist_ok=True)
    for start in range(first, last, SHARD):
        seeds = range(start, min(start + SHARD, last))
        path = out.with_name(f"{out.stem}-{seeds.start:06d}-{seeds.stop:06d}.npz")
        if path.exists():
            print(f"{path.name}: exists", flush=True)
            continue
        began = time.time()
        write_shard(path, head, seeds)
        print(f"{path.name}: {(time.time() - began) / len(seeds):.2f} s a person", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--from", dest="first", type=int, required=True, help="first seed")
    parser.add_argument("--to", dest="last", type=int, required=True, help="seed after the last")
    parser.add_argument("--out", type=Path, required=True, help="FILE.npz, the shards' name")
    parser.add_argument("--head", type=Path, default=HEAD_FILE, help="made by people.assets")
    arguments = parser.parse_args()
    generate(arguments.first, arguments.last, arguments.out, arguments.head)


if __name__ == "__main__":
    main()
