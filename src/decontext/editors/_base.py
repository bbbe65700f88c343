"""What an editor is to the rest of the program: one protocol and two small records.

An editor file holds its preprocessing, its token counts and one forward pass; the attention
mathematics is in `attention.py`, the optimisation loop in `pgd.py`. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

OnEditStep = Callable[[int, int], None]
"""Called after each denoising step of an edit with (steps done, steps in all)."""


@dataclass(frozen=True)
class EditorInfo:
    """What a user should know about an editor before choosing it.

    `weights` says where the weights come from, `working_size` and `memory` are sentences for
    people. `double_blocks` and `single_blocks` count joint-attention blocks in their order.
    A `demonstration` editor is no editor that anyone would meet: protecting against it protects
    against nothing else. Where `text_sees_photo`, an instruction is encoded together with the
    photo, and the photo reaches the edit through the text tokens too.
    """

    name: str
    title: str
    weights: str
    licence: str
    double_blocks: int
    single_blocks: int
    working_size: str
    memory: str
    demonstration: bool = False
    text_sees_photo: bool = False


@dataclass(frozen=True)
class Prompt:
    """An encoded instruction. `tensors` is known to the editor that made it, and to no other.

    `photo` says which text tokens stand for the photo, where the text encoder sees it. With
    `photo_counts` they count as context while the proportion is measured.
    """

    text: str
    tensors: Mapping[str, Tensor] = field(repr=False)
    photo: range = range(0)
    photo_counts: bool = False


class Editor(Protocol):
    """An in-context diffusion-transformer editor with frozen weights.

    Images are float32 RGB of shape `(1, 3, height, width)` in [0, 1]; a size is
    `(width, height)` in pixels; `sigma` is the noise level in [0, 1], 1 is pure noise.
    """

    @property
    def info(self) -> EditorInfo: ...

    @property
    def device(self) -> torch.device: ...

    def working_size(self, width: int, height: int) -> tuple[int, int]:
        """Size to which the ordinary pipeline brings a photo of `width` x `height`."""
        ...

    def encode_prompt(self, text: str, image: Tensor | None = None) -> Prompt:
        """Encode an instruction. `image` is for editors whose text encoder sees the photo.

        Raises:
            InputError: the instruction is empty.
        """
        ...

    def draw_noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Pure-noise target latents for an edit of the working size `size`."""
        ...

    def encode_image(self, image: Tensor) -> Tensor:
        """Context latents of a photo of any size, differentiable in its pixels."""
        ...

    def attend(
        self,
        image: Tensor,
        prompt: Prompt,
        sigma: float,
        noise: Tensor,
        blocks: Sequence[int],
    ) -> Tensor:
        """One denoising pass: the context proportion of each block, differentiable in `image`.

        Returns float32 of shape `(len(blocks),)`.
        """
        ...

    def predict(self, image: Tensor, prompt: Prompt, sigma: float, noisy: Tensor) -> Tensor:
        """Velocity (noise minus clean latents) at `noisy`, of its shape, differentiable."""
        ...

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
        """The ordinary edit that anyone would run, at the working size, on the CPU in [0, 1]."""
        ...
