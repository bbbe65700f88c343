"""What stands where an ordinary pipeline has its processor of text and pictures.

transformers' own needs torchvision, and rounds the pictures to 8 bits on a way without gradient.
This one is given the pictures' patches beforehand; what the pipeline then passes as pictures is
only counted. The text side is the processor's own tokenizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.editors.language.patches import Grid
from decontext.editors.weights.configuration import read_json

PAD = "<|image_pad|>"
_HOLDER = "<|placeholder|>"
_FILES = ("preprocessor_config.json", "processor_config.json")


class Processor:
    """Called as `transformers.Qwen2VLProcessor` and `Qwen3VLProcessor` are, with pictures shown.

    Attributes:
        grid: how pictures are cut into patches.
        image_processor: the same for pipelines that call it alone.
    """

    def __init__(self, tokenizer: Any, grid: Grid) -> None:
        self.tokenizer, self.grid = tokenizer, grid
        self.merge_size = grid.merge
        self._shown: tuple[Tensor, Tensor] | None = None

    @classmethod
    def from_pretrained(cls, folder: Path, subfolder: str) -> Processor:
        """Of a part of a folder in diffusers' layout. Raises: what is no configuration."""
        import transformers

        place = Path(folder) / subfolder
        config = next((place / name for name in _FILES if (place / name).is_file()), None)
        if config is None:
            raise OSError(f"there is no {_FILES[0]} in {place}")
        grid = Grid.from_config(read_json(config))
        kind: Any = transformers.AutoTokenizer
        # Some have their tokenizer in a part of its own.
        own = place if (place / "tokenizer_config.json").is_file() else place.parent / "tokenizer"
        return cls(kind.from_pretrained(own), grid)

    def showing(self, patches: Sequence[Tensor], sizes: Sequence[tuple[int, int]]) -> Processor:
        """The same with these pictures: their patches, and how many rows and columns of them."""
        shown = copy(self)
        shown._shown = torch.cat(list(patches)), torch.tensor([(1, *size) for size in sizes])
        return shown

    @classmethod
    def over(cls, processor: Any) -> Processor:
        """One that reads as a processor of transformers does, or the processor itself."""
        if isinstance(processor, cls):
            return processor
        grid = Grid.from_config(processor.image_processor.to_dict())
        return cls(processor.tokenizer, grid)

    @property
    def image_processor(self) -> Processor:
        return self

    def __call__(
        self, text: Sequence[str] | None = None, images: Any = None, **options: Any
    ) -> Any:
        """Token ids of the texts and the pictures that are shown, as a `BatchFeature`."""
        import transformers

        kind: Any = transformers.BatchFeature
        pictures: dict[str, Tensor] = {}
        if images is not None and self._shown is not None:
            pictures = dict(zip(("pixel_values", "image_grid_thw"), self._shown, strict=True))
        if text is None:
            return kind(pictures)
        side = {"padding_side": options["padding_side"]} if "padding_side" in options else {}
        read = self.tokenizer(
            self._fill(text), padding=options.get("padding", False), return_tensors="pt", **side
        )
        ids = read["input_ids"]
        kinds = (ids == self.tokenizer.convert_tokens_to_ids(PAD)).int()
        return kind({**read, **pictures, "mm_token_type_ids": kinds})

    def apply_chat_template(self, messages: Any, **options: Any) -> Any:
        """As the tokenizer does, for a batch of one conversation."""
        return self.tokenizer.apply_chat_template([messages], **options)

    def _fill(self, texts: Sequence[str]) -> list[str]:
        """Each picture's mark repeated for its tokens, in the order of the pictures."""
        if self._shown is None:
            return list(texts)
        counts = [int(count) // self.merge_size**2 for count in self._shown[1].prod(-1)]
        filled = []
        for text in texts:
            for count in counts:
                text = text.replace(PAD, _HOLDER * count, 1)
            filled.append(text.replace(_HOLDER, PAD))
        return filled
