"""Pairs of a photo and an instruction, as VetoBench has them: `pairs.jsonl` in a folder of photos.

{"image": "photos/001.png", "prompt": "make the person smile"}
"""

from __future__ import annotations

import json
from pathlib import Path

from decontext.errors import InputError

NAME = "pairs.jsonl"


def read_pairs(folder: str | Path) -> dict[tuple[str, ...], list[Path]]:
    """Photos by their instructions: those that share them are evaluated together.

    Raises:
        InputError: there is no such file, or a line in it is no pair.
    """
    path = Path(folder) / NAME
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise InputError(
            f"{path} cannot be read; it must hold the pairs of photo and instruction.",
            'Write a line a pair: {"image": "a.png", "prompt": "make the person smile"}',
        ) from None
    asked: dict[Path, list[str]] = {}
    for number, line in enumerate(lines, 1):
        if line.strip():
            image, prompt = _read_pair(line, f"line {number} of {path}")
            asked.setdefault(path.parent / image, []).append(prompt)
    if not asked:
        raise InputError(f"{path} holds no pair.")
    groups: dict[tuple[str, ...], list[Path]] = {}
    for photo, prompts in asked.items():
        groups.setdefault(tuple(dict.fromkeys(prompts)), []).append(photo)
    return groups


def _read_pair(line: str, where: str) -> tuple[str, str]:
    try:
        pair = json.loads(line)
        image, prompt = pair["image"], pair["prompt"]
    except (ValueError, TypeError, KeyError):
        image = prompt = None
    if not (isinstance(image, str) and isinstance(prompt, str) and image and prompt.strip()):
        raise InputError(f"{where} is no pair.", 'It must be {"image": "...", "prompt": "..."}.')
    return image, prompt
