"""CLIP-T: does an edit show what was asked for? Where CLIP's weights are on this machine.

Asked after the edits, of their saved pictures, so that a run without CLIP can be completed later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.evaluation.likeness import CLIP, normalise_for_clip
from decontext.evaluation.results import Row, key_of
from decontext.photo.files import write_whole
from decontext.photo.images import read_pixels

NAME = "clip.json"


@dataclass(frozen=True, eq=False)
class TextJudge:
    """Compares pictures with words."""

    _network: Any = field(repr=False)
    _tokenizer: Any = field(repr=False)

    @torch.no_grad()
    def compare(self, picture: Tensor, text: str) -> float:
        """Cosine of a picture `(1, 3, height, width)` in [0, 1] and a text."""
        tokens = self._tokenizer([text], return_tensors="pt", truncation=True)
        found = self._network(
            input_ids=tokens["input_ids"],
            attention_mask=tokens["attention_mask"],
            pixel_values=normalise_for_clip(picture),
        )
        image, words = found.image_embeds[0], found.text_embeds[0]
        return float(image @ words / (image.norm() * words.norm()))


def load_text_judge(source: str | Path = CLIP) -> TextJudge | None:
    """CLIP by its hub id, looked for in the local cache only, or a folder; None: not here."""
    import transformers

    model: Any = transformers.CLIPModel
    tokenizer: Any = transformers.CLIPTokenizer
    try:
        network = model.from_pretrained(str(source), local_files_only=True)
        words = tokenizer.from_pretrained(str(source), local_files_only=True)
    except OSError:
        return None
    return TextJudge(network.requires_grad_(False).eval(), words)


@dataclass(frozen=True)
class Asked:
    """How near an edit is to its instruction, and how near the photo was; None: not known."""

    edit: float
    photo: float | None

    @property
    def succeeded(self) -> bool | None:
        """Whether the edit is nearer to what was asked for than the photo. Our reading of it."""
        return None if self.photo is None else self.edit > self.photo


def judge_edits(
    rows: Iterable[Row], folder: Path, judge: TextJudge, *, photos: Mapping[str, Path]
) -> dict[Any, Asked]:
    """CLIP-T of every edit whose picture lies in the folder, by the key of its row.

    `photos` are the originals by their SHA-256. What was judged before is read from `clip.json` in
    the folder, where all of it is kept.
    """
    path = folder / NAME
    known: dict[str, float] = {}
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))

    def ask(place: Path, name: str, text: str) -> float:
        if name not in known:
            known[name] = judge.compare(read_pixels(place), text)
        return known[name]

    found = {}
    for row in rows:
        picture, content = row.get("picture"), row.get("sha256", "")
        if row["kind"] == "edit" and picture and (folder / picture).exists():
            original = photos.get(content)
            before = None
            if original is not None:
                before = ask(original, f"{content} {row['prompt']}", row["prompt"])
            edited = ask(folder / picture, picture, row["prompt"])
            found[key_of(row)] = Asked(edited, before)
    write_whole(json.dumps(known, indent=0).encode(), path)
    return found
