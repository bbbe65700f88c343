"""The `Editor` protocol over a diffusers pipeline that is wired in a way of its own.

An editor file brings a `Kind`: sizes, wiring, text and the call of its pipeline. Everything else
is here. `among` is the same editor given other pictures beside the photo.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from decontext.attention import SequenceLayout
from decontext.editors._base import Cost, EditorInfo, OnEditStep, Prompt
from decontext.editors.flux import family
from decontext.editors.joint.engine import Company, JointEngine, Size, Text, Wiring
from decontext.editors.weights.transformer import Transformer
from decontext.errors import InputError


class TextSide(Protocol):
    """What encodes instructions, and the pictures with them where it sees them."""

    length: int
    """Text tokens of a pass, or about as many where that depends on the instruction."""

    sees: bool
    """Whether it sees the pictures."""

    def read(self, text: str, pictures: Sequence[Tensor], place: int) -> Prompt:
        """An instruction, which may be empty; `place` is that of the photo among the pictures."""
        ...

    def prepare(self, texts: Sequence[str], pictures: Sequence[Tensor], place: int) -> None:
        """Read what is new; a large text encoder is forgotten afterwards."""
        ...


@dataclass(frozen=True)
class Edit:
    """An ordinary edit: what the pipeline is called with, as everyone calls it."""

    pictures: list[Image.Image]
    size: Size
    steps: int
    guidance: float
    generator: torch.Generator
    on_step: Any


class Kind(Protocol):
    """What one kind of editor has of its own."""

    steps: int
    guidance: float
    negative: str | None
    """The instruction that an edit is guided away from, in a second pass; None: there is none."""

    @property
    def square(self) -> Size:
        """Working size of a large square photo."""
        ...

    @property
    def most_pictures(self) -> int | None:
        """That the pipeline takes at once; None: as many as one likes."""
        ...

    def wire(self, vae: Any) -> Wiring: ...

    def working_size(self, width: int, height: int, side: int | None) -> Size:
        """See `Editor.working_size`."""
        ...

    def text_of(self, tensors: Mapping[str, Tensor]) -> Text:
        """The text of a pass, from what the text side made, on the device."""
        ...

    def run(
        self, pipeline: Any, edit: Edit, text: Mapping[str, Tensor], away: Mapping[str, Tensor]
    ) -> Tensor:
        """Call the pipeline; `away` is the negative instruction, empty where there is none."""
        ...


class JointEditor:
    """A pipeline's transformer and autoencoder, whose weights it freezes, and a text side.

    A pipeline that is complete in memory is used as it is; `checkpointing` then recomputes
    activations in the backward pass (default: large transformers only). From files comes a
    `transformer`, which loads what is needed when it is needed.
    """

    def __init__(
        self,
        kind: Kind,
        pipeline: Any,
        info: EditorInfo,
        *,
        text: TextSide,
        transformer: Transformer | None = None,
        checkpointing: bool | None = None,
    ) -> None:
        self._kind, self._pipeline, self._text = kind, pipeline, text
        family.freeze(pipeline.components.values())
        self._transformer = transformer or Transformer(
            pipeline.transformer, checkpointing=checkpointing
        )
        self._engine = JointEngine(
            self._transformer,
            kind.wire(pipeline.vae),
            square=kind.square,
            text_tokens=text.length,
        )
        double, single = self._engine.blocks
        self.info = replace(info, double_blocks=double, single_blocks=single)
        self._others: tuple[Tensor, ...] = ()
        self._place = 0
        self._companies: dict[torch.dtype, Company] = {}
        pipeline.set_progress_bar_config(disable=True)

    def among(self, others: Sequence[Tensor], place: int = 0) -> JointEditor:
        """The same editor, given other pictures too; the photo comes after `place` of them.

        They are `(1, 3, height, width)` in [0, 1], of any size. What is measured is attention to
        the photo alone.

        Raises:
            InputError: there are fewer pictures than that, or more than the editor takes.
        """
        if not 0 <= place <= len(others):
            raise InputError(
                f"the photo's place is {place}; beside {len(others)} pictures it must be between 0 "
                f"and {len(others)}"
            )
        most = self._kind.most_pictures
        if most is not None and len(others) >= most:
            raise InputError(
                f"{self.info.name} is given {len(others) + 1} pictures; it takes {most} at most",
                "leave out the other pictures, or name an editor that takes several",
            )
        editor = copy(self)
        editor._others, editor._place = tuple(others), place
        editor._companies = {}
        number = (place + 1, len(others) + 1)
        editor.info = replace(self.info, among=number if others else None)
        return editor

    @property
    def device(self) -> torch.device:
        """Where the transformer computes; photos, noise and prompts are brought there."""
        return self._engine.device

    @property
    def precision(self) -> str:
        """How the transformer's weights are held, in words."""
        return self._transformer.describe()

    def working_size(self, width: int, height: int, side: int | None = None) -> Size:
        """See `Editor.working_size`."""
        return self._kind.working_size(width, height, side)

    def prepare(
        self,
        prompts: Sequence[str],
        blocks: Sequence[int],
        *,
        sizes: Sequence[Size] = (),
        images: Sequence[Tensor] = (),
        samples: int = 1,
    ) -> None:
        """See `Prepares`. Raises: EditorError, weights are missing, damaged or do not fit."""
        self._engine.settle(blocks, sizes, samples)
        texts = [family.checked_prompt(prompt) for prompt in prompts]
        for image in images if self._text.sees else [None]:
            self._text.prepare(texts, self._pictures(image), self._place)
        self._transformer.load_blocks(max(blocks) + 1)

    def estimate(self, blocks: Sequence[int], sizes: Sequence[Size], samples: int) -> Cost:
        """See `Estimates`."""
        return self._engine.estimate(blocks, sizes, samples)

    def rest(self) -> None:
        """See `Rests`."""
        self._transformer.forget_blocks()

    def for_measuring(self) -> JointEditor:
        """The same editor in the best precision that fits, where this one is quantised."""
        transformer = self._transformer.for_measuring()
        if transformer is self._transformer:
            return self
        pipeline = copy(self._pipeline)
        pipeline.register_modules(transformer=transformer.model)
        other = JointEditor(
            self._kind, pipeline, self.info, text=self._text, transformer=transformer
        )
        return other.among(self._others, self._place)

    def encode_prompt(self, text: str, image: Tensor | None = None) -> Prompt:
        """See `Editor.encode_prompt`.

        Differentiable in `image` where the text encoder sees it and it requires a gradient.

        Raises:
            InputError: the instruction is empty, or a photo is missing that has to be seen.
        """
        text = family.checked_prompt(text)
        if image is None and self._text.sees:
            raise InputError(
                f"{self.info.name} reads an instruction together with the photo; it needs both."
            )
        return self._text.read(text, self._pictures(image), self._place)

    def draw_noise(self, size: Size, generator: torch.Generator) -> Tensor:
        """See `Editor.draw_noise`; the same seed gives the same noise on every machine."""
        return self._engine.draw_noise(size, generator)

    def encode_image(self, image: Tensor, size: Size | None = None) -> Tensor:
        """See `Editor.encode_image`; the mode of the autoencoder's distribution."""
        size = size or self.working_size(image.shape[-1], image.shape[-2])
        return self._engine.encode_image(image, size)

    def attend(
        self, image: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """See `Editor.attend`; of the pass with the instruction."""
        self._engine.settle(blocks, [self._engine.wiring.size_of(noise)])
        return self.attend_latents(self.encode_image(image), prompt, sigma, noise, blocks)

    def attend_latents(
        self, context: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """See `AttendsLatents`."""
        return self._engine.attend(
            context, noise, lambda: self._text_of(prompt), sigma, blocks, self._company()
        )

    def share_photo(
        self, context: Tensor, prompt: Prompt, noise: Tensor, blocks: Sequence[int]
    ) -> tuple[Tensor, ...] | None:
        """See `SharesPhoto`."""
        return self._engine.share(
            context, noise, lambda: self._text_of(prompt), blocks, self._company()
        )

    def attend_shared(
        self,
        shared: Sequence[Tensor],
        context: Tensor,
        prompt: Prompt,
        sigma: float,
        noise: Tensor,
        blocks: Sequence[int],
    ) -> Tensor:
        """See `SharesPhoto`."""
        text = partial(self._text_of, prompt)
        return self._engine.attend_shared(
            shared, context, noise, text, sigma, blocks, self._company()
        )

    def predict(self, image: Tensor, prompt: Prompt, sigma: float, noisy: Tensor) -> Tensor:
        """See `Editor.predict`; with the instruction, as in training."""
        context = self.encode_image(image)
        return self._engine.predict(
            context, noisy, lambda: self._text_of(prompt), sigma, self._company()
        )

    @torch.no_grad()
    def edit(
        self,
        image: Tensor,
        prompt: str,
        *,
        seed: int = 0,
        steps: int | None = None,
        guidance: float | None = None,
        on_step: OnEditStep | None = None,
    ) -> Tensor:
        """Edit a photo through the pipeline's own call, see `Editor.edit`.

        The pipeline gets the pictures as they are, in 8 bits, and brings them to size itself.

        Raises:
            InputError: the instruction is empty.
        """
        words = self._words(prompt)
        total = steps or self._kind.steps
        self._engine.settle()
        pictures = self._pictures(image)
        self._text.prepare(words, pictures, self._place)
        encoded, *rest = (
            self._on_device(self._text.read(one, pictures, self._place)) for one in words
        )
        self._transformer.load_everything()

        def report(_pipeline: Any, step: int, _time: Any, tensors: dict[str, Any]) -> Any:
            if on_step is not None:
                on_step(step + 1, total)
            return tensors

        edit = Edit(
            [family.to_pillow(picture) for picture in pictures],
            self.working_size(image.shape[-1], image.shape[-2]),
            total,
            self._kind.guidance if guidance is None else guidance,
            torch.Generator().manual_seed(seed),
            report,
        )
        # The pipeline and its scheduler keep where they are in themselves: each edit has its own.
        pipeline = copy(self._pipeline)
        pipeline.scheduler = deepcopy(self._pipeline.scheduler)
        return self._kind.run(pipeline, edit, encoded, rest[0] if rest else {}).float().cpu()

    @torch.no_grad()
    def edit_layouts(self, image: Tensor, instruction: str) -> Sequence[SequenceLayout]:
        """See `LaysOut`."""
        pictures, context = self._pictures(image), self.encode_image(image)
        noise = self.draw_noise(self._engine.wiring.size_of(context), torch.Generator())
        prompts = (self._text.read(one, pictures, self._place) for one in self._words(instruction))
        return [
            self._engine.prepare_pass(context, noise, self._text_of(one), 1.0, self._company())[1]
            for one in prompts
        ]

    def _words(self, instruction: str) -> list[str]:
        """What the passes of an edit read: the instruction, and what it is guided away from."""
        negative = self._kind.negative
        text = family.checked_prompt(instruction)
        return [text] if negative is None else [text, negative]

    def _pictures(self, image: Tensor | None) -> tuple[Tensor, ...]:
        photo = () if image is None else (image,)
        return (*self._others[: self._place], *photo, *self._others[self._place :])

    def _company(self) -> Company:
        """Latents of the other pictures, each at its own working size; encoded once."""
        dtype = self._engine.dtype
        if dtype not in self._companies:
            with torch.no_grad():
                latents = tuple(self.encode_image(other) for other in self._others)
            self._companies[dtype] = Company(latents[: self._place], latents[self._place :])
        return self._companies[dtype]

    def _on_device(self, prompt: Prompt) -> dict[str, Tensor]:
        """Numbers where the transformer computes; what says where something lies stays."""
        device, dtype = self.device, self._engine.dtype
        return {
            name: tensor.to(device, dtype) if tensor.is_floating_point() else tensor
            for name, tensor in prompt.tensors.items()
        }

    def _text_of(self, prompt: Prompt) -> Text:
        text = self._kind.text_of(self._on_device(prompt))
        return replace(text, photo=prompt.photo) if prompt.photo_counts else text
