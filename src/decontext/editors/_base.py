"""What an editor is to the rest of the program: one protocol and two small records.

An editor file holds its preprocessing, its token counts and one forward pass; the attention
mathematics is in `attention.py`, the optimisation loop in `pgd.py`. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from decontext.attention import SequenceLayout

OnEditStep = Callable[[int, int], None]
"""Called after each denoising step of an edit with (steps done, steps in all)."""


@dataclass(frozen=True)
class EditorInfo:
    """What a user should know about an editor before choosing it.

    `weights` says where the weights come from, `working_size` and `memory` are sentences for
    people. `double_blocks` and `single_blocks` count joint-attention blocks in their order.
    A `demonstration` editor is no editor that anyone would meet: protecting against it protects
    against nothing else. Where `text_sees_photo`, an instruction is encoded together with the
    photo, and the photo reaches the edit through the text tokens too. `among` says which of how
    many pictures the photo is, where an editor is given several.
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
    among: tuple[int, int] | None = None


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


@dataclass(frozen=True)
class Cost:
    """What a step takes: bytes of the device's memory (0: unknown), and work.

    `step_flop` and `pass_flop` count floating-point operations, with gradient and of one pass
    without, computed in `dtype`; `words` says for people how the weights are held.
    """

    memory: int
    step_flop: float
    pass_flop: float
    blocks: int
    dtype: str
    words: str


@dataclass(frozen=True)
class Outlook:
    """What an editor would do on this machine, and what it lacks, each in a sentence."""

    plans: tuple[str, ...]
    missing: tuple[str, ...]


class Editor(Protocol):
    """An in-context diffusion-transformer editor with frozen weights.

    Images are float32 RGB of shape `(1, 3, height, width)` in [0, 1]; a size is
    `(width, height)` in pixels; `sigma` is the noise level in [0, 1], 1 is pure noise.

    It may be used from several threads at the same time, each with a photo of its own: results are
    those of one after the other. A pass keeps nothing that another can see; loading weights and
    encoding instructions wait for each other. Each pass takes memory of its own.
    """

    @property
    def info(self) -> EditorInfo: ...

    @property
    def device(self) -> torch.device: ...

    def working_size(self, width: int, height: int, side: int | None = None) -> tuple[int, int]:
        """Size to which the ordinary pipeline brings a photo of `width` x `height`.

        With a `side`, the size of about `side` x `side` pixels and the photo's aspect ratio.
        """
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

    def encode_image(self, image: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Context latents of a photo of any size, differentiable in its pixels.

        `size` is the working size, by default that of the ordinary pipeline.
        """
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


@runtime_checkable
class AttendsLatents(Protocol):
    """An editor whose autoencoder can be left out of a pass: several passes then share one."""

    def attend_latents(
        self, context: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """As `Editor.attend`, from what `encode_image` returned, differentiable in it."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """An editor that does better when it knows beforehand what will be asked of it."""

    def prepare(
        self,
        prompts: Sequence[str],
        blocks: Sequence[int],
        *,
        sizes: Sequence[tuple[int, int]] = (),
        images: Sequence[Tensor] = (),
        samples: int = 1,
    ) -> None:
        """Encode these instructions, forget the text encoders, load the weights up to the blocks.

        `sizes` are the working sizes that will be asked for, `images` the photos that a text
        encoder will see, `samples` the draws of a step.

        Raises:
            EditorError: weights are missing or do not fit.
        """
        ...


@runtime_checkable
class LoadsForMeasuring(Protocol):
    """An editor that may run in less than its best precision while it optimises."""

    def for_measuring(self) -> Editor:
        """The same editor in the best precision that fits; itself where that is it already."""
        ...


@runtime_checkable
class SharesPhoto(Protocol):
    """An editor in which what the photo is may depend on nothing that an objective draws."""

    def share_photo(
        self, context: Tensor, prompt: Prompt, noise: Tensor, blocks: Sequence[int]
    ) -> tuple[Tensor, ...] | None:
        """What passes over these context latents have in common, differentiable in them.

        None: nothing. `prompt` and `noise` are those of any such pass.
        """
        ...

    def attend_shared(
        self,
        shared: Sequence[Tensor],
        context: Tensor,
        prompt: Prompt,
        sigma: float,
        noise: Tensor,
        blocks: Sequence[int],
    ) -> Tensor:
        """As `AttendsLatents.attend_latents`, differentiable in what `share_photo` returned."""
        ...


@runtime_checkable
class TakesSeveral(Protocol):
    """An editor that may take other pictures beside the photo."""

    def among(self, others: Sequence[Tensor], place: int = 0) -> Editor:
        """The same editor, given other pictures too; the photo comes after `place` of them.

        Raises: InputError, it takes fewer.
        """
        ...


@runtime_checkable
class LaysOut(Protocol):
    """An editor whose passes of one edit have texts of different lengths."""

    def edit_layouts(self, image: Tensor, instruction: str) -> Sequence[SequenceLayout]:
        """Where the tokens of the passes of an edit lie. Raises: InputError, no instruction."""
        ...


@runtime_checkable
class Rests(Protocol):
    """An editor that can make room for another one."""

    def rest(self) -> None:
        """Give back the memory that large weights take; the next pass reads them again."""
        ...


@runtime_checkable
class Estimates(Protocol):
    """An editor that can say what a step will take."""

    def estimate(
        self, blocks: Sequence[int], sizes: Sequence[tuple[int, int]], samples: int
    ) -> Cost:
        """Of a step with so many draws at each size. Raises: EditorError where nothing fits."""
        ...
