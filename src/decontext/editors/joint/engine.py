"""Passes through a transformer and an autoencoder, for editors that are wired in different ways.

An editor's `Wiring` says how pixels become tokens and how its transformer is called. How the
weights are held, which of them are needed, where the tokens lie, what a step costs and what is
measured is settled here, once for all of them. Beside the photo there may be other pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from decontext.attention import SequenceLayout, measure
from decontext.editors._base import Cost
from decontext.editors.flux import family
from decontext.editors.weights.plan import Demand, Encoder, number_bytes
from decontext.editors.weights.transformer import DTYPES, LoadedTransformer, Transformer
from decontext.editors.weights.work import pass_flop, step_flop
from decontext.errors import EditorError
from decontext.machine import stands_apart

Size = tuple[int, int]
"""`(width, height)` in pixels."""


@dataclass(frozen=True)
class Text:
    """The text of a pass: tokens `(1, positions, width)`, where the transformer computes.

    `guidance` is for transformers that take it as an input; `photo` are positions that stand for
    the photo and are to count as context; `places`, `(1, positions)`, says where pictures take the
    place of text.
    """

    tokens: Tensor
    guidance: float | None = None
    photo: range = range(0)
    places: Tensor | None = None


class Wiring(Protocol):
    """How one kind of editor is wired. Latents are `(1, ...)`, of a form that only it knows."""

    vae: Any
    multiple: int
    """Pixels a side of a token."""

    @property
    def encoder(self) -> Encoder:
        """What the autoencoder takes in its published size."""
        ...

    def draw_noise(self, size: Size, generator: torch.Generator) -> Tensor:
        """Target latents of pure noise, float32, on the generator's device."""
        ...

    def size_of(self, latents: Tensor) -> Size:
        """The working size of such latents."""
        ...

    def bring(self, image: Tensor, size: Size) -> Tensor:
        """A photo of any size at a working size, differentiable, as the ordinary pipeline does."""
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents of pixels in [0, 1] at a working size, by the autoencoder's mode."""
        ...

    def pack(self, latents: Tensor) -> Tensor:
        """Tokens `(1, tokens, channels)` of latents."""
        ...

    def unpack(self, tokens: Tensor, like: Tensor) -> Tensor:
        """The inverse of `pack`, for latents of the form of others."""
        ...

    def lay_out(
        self, text: Text, target: int, pictures: Sequence[int], place: int
    ) -> SequenceLayout:
        """Where the tokens lie: of text, target and pictures, among which the photo has a place."""
        ...

    def call(
        self, model: Any, target: Tensor, pictures: Sequence[Tensor], text: Text, sigma: float
    ) -> Tensor:
        """Run the transformer over latents; its tokens, those of the target first.

        Latents and text are where and what it computes with.
        """
        ...


@runtime_checkable
class Shares(Wiring, Protocol):
    """A wiring in which what the pictures are depends on nothing that comes after them.

    It runs the blocks of a pass that is measured itself, whole or in part.
    """

    def run_blocks(
        self, model: Any, target: Tensor, pictures: Sequence[Tensor], text: Text, sigma: float
    ) -> None:
        """A whole pass, of which no prediction is wanted; also where tensors hold no numbers."""
        ...

    def share(
        self,
        model: Any,
        target: Tensor,
        pictures: Sequence[Tensor],
        text: Text,
        blocks: int,
        *,
        again: bool,
    ) -> tuple[Tensor, ...]:
        """What passes of any noise, level and instruction have in common, differentiable."""
        ...

    def after(
        self,
        model: Any,
        shared: Sequence[Tensor],
        target: Tensor,
        pictures: Sequence[Tensor],
        text: Text,
        sigma: float,
    ) -> None:
        """The rest of a pass: of the pictures only the shapes are looked at."""
        ...

    def lay_out_after(
        self, text: Text, target: Tensor, pictures: Sequence[Tensor], place: int
    ) -> SequenceLayout:
        """Where the tokens of the rest lie; its keys are those of a whole pass."""
        ...


def text_first(text: Text, target: int, pictures: Sequence[int], place: int) -> SequenceLayout:
    """The layout of most: text, target, pictures."""
    return SequenceLayout(
        text.tokens.shape[1],
        target,
        pictures[place],
        photo_text=text.photo,
        before=sum(pictures[:place]),
        after=sum(pictures[place + 1 :]),
    )


@dataclass(frozen=True)
class Company:
    """Latents of the other pictures that an editor is given with the photo, in their order."""

    before: tuple[Tensor, ...] = ()
    after: tuple[Tensor, ...] = ()

    def around(self, photo: Tensor) -> tuple[Tensor, ...]:
        return (*self.before, photo, *self.after)


class JointEngine:
    """A transformer and an autoencoder at work.

    `square` is the working size of a square photo, `text_tokens` what a pass has of them. Passes
    of several threads share the weights and nothing else, as with `flux.engine.FluxEngine`.
    """

    def __init__(
        self,
        transformer: Transformer,
        wiring: Wiring,
        *,
        square: Size,
        text_tokens: int,
    ) -> None:
        self.transformer, self.wiring = transformer, wiring
        self._square, self._text_tokens = square, text_tokens
        self._beside = sum(weight.numel() for weight in wiring.vae.parameters())
        dimensions = transformer.dimensions
        self.blocks: tuple[int, int] = (dimensions.double, dimensions.single)
        family.freeze((wiring.vae,))
        # Block by block inside the checkpoint of `encode_image`: half of the memory at its peak.
        wiring.vae.encoder._gradient_checkpointing_func = family.run_again

    @property
    def device(self) -> torch.device:
        """Where the transformer computes; photos, noise and prompts are brought there."""
        return self.transformer.device

    @property
    def dtype(self) -> torch.dtype:
        """What the transformer computes with."""
        return self.transformer.dtype

    def settle(
        self, blocks: Sequence[int] = (), sizes: Sequence[Size] = (), samples: int = 1
    ) -> None:
        """Choose how the transformer is held, where that is open, and bring the rest along."""
        vae = self.wiring.vae
        with self.transformer.lock:
            self.transformer.settle(self._demand(blocks, sizes, samples))
            if self.transformer.plan is not None and vae.dtype != self.dtype:
                torch.nn.Module.to(vae, self.dtype)  # diffusers' own makes remarks
            vae.encoder.gradient_checkpointing = self.transformer.checkpointing

    def estimate(self, blocks: Sequence[int], sizes: Sequence[Size], samples: int) -> Cost:
        """What a step over these blocks, sizes and draws takes. Raises: EditorError."""
        demand = self._demand(blocks, sizes, samples)
        transformer, dimensions = self.transformer, self.transformer.dimensions
        checkpointing, memory, words = transformer.checkpointing, 0, transformer.describe()
        dtype = self.dtype
        if isinstance(transformer, LoadedTransformer):
            plan = transformer.propose(demand)
            checkpointing, memory, words = plan.checkpointing, plan.total, plan.describe()
            dtype = DTYPES[number_bytes(plan.precision, gpu=demand.gpu)]
        return Cost(
            memory=memory,
            step_flop=step_flop(dimensions, demand, checkpointing=checkpointing),
            pass_flop=sum(pass_flop(dimensions, demand, w * h) for w, h in sizes) / len(sizes),
            blocks=demand.blocks,
            dtype=str(dtype).removeprefix("torch."),
            words=words,
        )

    def draw_noise(self, size: Size, generator: torch.Generator) -> Tensor:
        """Pure-noise target latents for a working size, see `Editor.draw_noise`."""
        return self.wiring.draw_noise(size, generator).to(self.device)

    def encode_image(self, image: Tensor, size: Size) -> Tensor:
        """Context latents of a photo at a working size, see `Editor.encode_image`.

        Where activations are computed twice, those of the autoencoder are too.
        """
        self.settle()
        vae = self.wiring.vae
        pixels = image.to(vae.device, torch.promote_types(vae.dtype, torch.float32))
        pixels = self.wiring.bring(pixels, size)
        if not (self.transformer.checkpointing and torch.is_grad_enabled()):
            return self.wiring.encode(pixels)
        latents: Tensor = family.run_again(self.wiring.encode, pixels)
        return latents

    def attend(
        self,
        photo: Tensor,
        noise: Tensor,
        text: Callable[[], Text],
        sigma: float,
        blocks: Sequence[int],
        company: Company,
    ) -> Tensor:
        """One pass up to the last of `blocks`: their context proportions, see `Editor.attend`.

        `text` is called when it is settled what the transformer computes with.
        """
        self.settle(blocks, [self.wiring.size_of(noise)])
        self.transformer.load_blocks(max(blocks, default=-1) + 1)
        run, layout = self.prepare_pass(photo, noise, text(), sigma, company, measured=True)
        return measure(run, layout, blocks)

    def share(
        self,
        photo: Tensor,
        noise: Tensor,
        text: Callable[[], Text],
        blocks: Sequence[int],
        company: Company,
    ) -> tuple[Tensor, ...] | None:
        """What passes over these pictures have in common, see `SharesPhoto`."""
        wiring = self.wiring
        if not isinstance(wiring, Shares):
            return None
        self.settle(blocks, [wiring.size_of(noise)], samples=2)  # or more, which takes as much
        count = max(blocks, default=-1) + 1
        self.transformer.load_blocks(count)
        target, *pictures = self._bring(noise, *company.around(photo))
        again = self.transformer.checkpointing
        return wiring.share(self.transformer.model, target, pictures, text(), count, again=again)

    def attend_shared(
        self,
        shared: Sequence[Tensor],
        photo: Tensor,
        noise: Tensor,
        text: Callable[[], Text],
        sigma: float,
        blocks: Sequence[int],
        company: Company,
    ) -> Tensor:
        """As `attend`, from what `share` returned; of the photo only its size counts."""
        wiring, words = self.wiring, text()
        if not isinstance(wiring, Shares):
            raise EditorError("this editor's passes share nothing")
        target, *pictures = self._bring(noise, *company.around(photo.detach()))
        model, place = self.transformer.model, len(company.before)
        layout = wiring.lay_out_after(words, target, pictures, place)
        return measure(
            lambda: wiring.after(model, shared, target, pictures, words, sigma), layout, blocks
        )

    def _bring(self, *latents: Tensor) -> list[Tensor]:
        return [one.to(self.device, self.dtype) for one in latents]

    def predict(
        self,
        photo: Tensor,
        noisy: Tensor,
        text: Callable[[], Text],
        sigma: float,
        company: Company,
    ) -> Tensor:
        """Velocity at the noisy target latents, of their shape, at least float32."""
        self.settle()
        self.transformer.load_everything()
        run, layout = self.prepare_pass(photo, noisy, text(), sigma, company)
        velocity = self.wiring.unpack(run()[:, : layout.target], noisy)
        return velocity.to(torch.promote_types(velocity.dtype, torch.float32))

    def prepare_pass(
        self,
        photo: Tensor,
        target: Tensor,
        text: Text,
        sigma: float,
        company: Company,
        *,
        measured: bool = False,
    ) -> tuple[Callable[[], Any], SequenceLayout]:
        """One pass, ready to run, and where its tokens lie; what is `measured` returns nothing."""
        wiring, model = self.wiring, self.transformer.model
        target, *pictures = self._bring(target, *company.around(photo))
        counts = [wiring.pack(latents).shape[1] for latents in pictures]
        layout = wiring.lay_out(text, wiring.pack(target).shape[1], counts, len(company.before))
        run = wiring.run_blocks if measured and isinstance(wiring, Shares) else wiring.call
        return lambda: run(model, target, pictures, text, sigma), layout

    def _demand(self, blocks: Sequence[int], sizes: Sequence[Size], samples: int) -> Demand:
        """What a step asks of the device; without blocks all of them, without sizes a square."""
        every = sum(self.blocks)
        return Demand(
            blocks=max(blocks, default=every - 1) + 1,
            measured=len(blocks) or every,
            sizes=tuple(sizes) or (self._square,),
            gpu=stands_apart(self.device),
            text_tokens=self._text_tokens,
            encoder=self.wiring.encoder,
            beside=self._beside,
            samples=samples,
        )
