"""Step1X-Edit v1.1, and through the same code v1.0: FLUX's transformer with its own text side.

What differs from FLUX.1 Kontext: the language model that reads the instruction sees the photo, a
connector turns its states into text tokens inside each step, and an edit is guided by a second
pass with an empty instruction, in one batch with the first. Both see the photo. What is measured
is the pass with the instruction. The sequence is text, target, context.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from decontext.attention import SequenceLayout, measure
from decontext.editors import _flux_family as family
from decontext.editors._base import EditorInfo, OnEditStep, Prompt
from decontext.editors._loading import choose_device, choose_dtype
from decontext.editors._step1x_files import find_files
from decontext.editors._step1x_parts import Body, Parts
from decontext.editors._step1x_sampling import guide, schedule
from decontext.editors._step1x_text import POSITIONS, TextSide
from decontext.errors import InputError
from decontext.resampling import resize

INFO = EditorInfo(
    name="step1x-edit",
    title="Step1X-Edit v1.1",
    weights="stepfun-ai/Step1X-Edit",
    licence="Apache-2.0",
    double_blocks=19,
    single_blocks=38,
    working_size="about 512 x 512 by area, any aspect ratio",
    memory="about 25 GB of weights in bfloat16; before that about 16 GB for the text encoder",
    text_sees_photo=True,
)


@dataclass(frozen=True)
class Version:
    """What tells the versions apart.

    Attributes:
        file: with transformer and connector, in the original release.
        shift: from the position of a target token to that of the photo's at the same place.
        scaled: whether the connector scales its pooled mean by a learned factor.
    """

    file: str
    shift: tuple[int, int, int]
    scaled: bool


V1_1 = Version("step1x-edit-v1p1-official.safetensors", shift=(1, 1, 1), scaled=False)
V1_0 = Version("step1x-edit-i1258.safetensors", shift=(0, 0, 0), scaled=True)

DEFAULT_SIDE = 512
DEFAULT_STEPS = 28
DEFAULT_GUIDANCE = 6.0


def load(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    cache: str | Path | None = None,
) -> Step1XEditor:
    """Load Step1X-Edit v1.1 from its hub ids or from a folder, see `_step1x_files`.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return load_version(INFO, V1_1, source, device=device, dtype=dtype, cache=cache)


def load_version(
    info: EditorInfo,
    version: Version,
    source: str | Path | None,
    *,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    cache: str | Path | None,
) -> Step1XEditor:
    """Load one of the versions. Raises: as `load`."""
    place = choose_device(device)
    precision = choose_dtype(dtype, place)
    found = find_files(
        info.name, source or info.weights, version.file, scaled=version.scaled, cache=cache
    )
    double, single = found.count_blocks()
    return Step1XEditor(
        lambda: Body(*found.load_body(place, precision)),
        lambda: found.load_text(place, precision),
        replace(
            info,
            weights=str(source or info.weights),
            double_blocks=double,
            single_blocks=single,
        ),
        shift=version.shift,
        device=place,
        together=found.fit_together(place, precision),
    )


class Step1XEditor:
    """The `Editor` protocol over Step1X-Edit's parts, whose weights it freezes.

    `load_body`, `load_text`, `together` and `checkpointing` are as for `Parts`. A pass has
    `positions` text tokens; `side` is that of a square of the working size's area.
    """

    def __init__(
        self,
        load_body: Callable[[], Body],
        load_text: Callable[[], TextSide],
        info: EditorInfo = INFO,
        *,
        shift: tuple[int, int, int],
        device: torch.device | None = None,
        together: bool = True,
        positions: int = POSITIONS,
        checkpointing: bool | None = None,
        side: int = DEFAULT_SIDE,
    ) -> None:
        self.info = info
        self.device = device or torch.device("cpu")
        self.parts = Parts(load_body, load_text, together=together, checkpointing=checkpointing)
        self._shift, self._positions, self._side = shift, positions, side

    def working_size(self, width: int, height: int, side: int | None = None) -> tuple[int, int]:
        """Size to which the original brings a photo of `width` x `height` pixels.

        An area of 512 squared, or of `side` squared, at the photo's aspect ratio; both sides are
        cut to multiples of 16.
        """
        ratio, length = width / height, side or self._side
        if width > height:
            wide = math.ceil(length * ratio**0.5)
            high = math.ceil(wide / ratio)
        else:
            high = math.ceil(length / ratio**0.5)
            wide = math.ceil(high * ratio)
        multiple = 16
        return max(wide // multiple, 1) * multiple, max(high // multiple, 1) * multiple

    def encode_prompt(self, text: str, image: Tensor | None = None) -> Prompt:
        """Let the language model read an instruction with the photo.

        Differentiable in `image` where that requires a gradient; otherwise a text that was read
        with the same photo before is not read again.

        Raises:
            InputError: the instruction is empty, or there is no photo.
        """
        text = family.checked_prompt(text)
        if image is None:
            raise InputError(
                f"{self.info.name} reads an instruction together with the photo; it needs both."
            )
        return self.parts.read(text, self.parts.look(image, self._bring))

    def prepare(
        self,
        prompts: Sequence[str],
        blocks: Sequence[int],
        *,
        sizes: Sequence[tuple[int, int]] = (),
        images: Sequence[Tensor] = (),
    ) -> None:
        """Read these instructions with these photos, so that the text side is not needed later.

        Where both sides are in memory together, that is left to the passes that need them.
        """
        del blocks, sizes
        if self.parts.together:
            return
        with torch.no_grad():
            for image in images:
                for text in prompts:
                    self.encode_prompt(text, image)

    def draw_noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """Pure-noise target latents, float32 `(1, channels, height / 8, width / 8)`.

        `size` is a working size; the same seed gives the same noise on every machine.
        """
        body = self.parts.body
        channels = body.transformer.config.in_channels // 4
        multiple = family.token_side(body.vae)
        noise = family.draw_noise(size, generator, channels=channels, multiple=multiple)
        return noise.to(self.device)

    def encode_image(self, image: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Context latents `(1, channels, height / 8, width / 8)`, differentiable in the pixels.

        `image` is `(1, 3, height, width)` in [0, 1] at any size; it is brought to the working size
        like Pillow's Lanczos does it, in float32. The autoencoder's mode is used.

        Differs from the original code: that samples, which makes each step see another photo.
        """
        body = self.parts.body
        size = size or self.working_size(image.shape[-1], image.shape[-2])
        return family.encode_image(body.vae, image, size, checkpointing=self.parts.checkpointed)

    def attend(
        self, image: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """One pass with the instruction, up to the last of `blocks`: their context proportions.

        Returns float32 `(len(blocks),)`, differentiable in `image`.
        """
        return self.attend_latents(self.encode_image(image), prompt, sigma, noise, blocks)

    def attend_latents(
        self, context: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """As `attend`, from what `encode_image` returned, differentiable in it."""
        run, layout = self._prepare_pass(context, noise, [prompt], sigma)
        return measure(run, layout, blocks)

    def predict(self, image: Tensor, prompt: Prompt, sigma: float, noisy: Tensor) -> Tensor:
        """Velocity at the noisy target latents, of their shape, float32, differentiable.

        With the instruction and without guidance: what the editor was trained to predict.
        """
        context = self.encode_image(image)
        run, layout = self._prepare_pass(context, noisy, [prompt], sigma)
        return family.unpack(run()[:, : layout.target], *noisy.shape[-2:]).float()

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
        """Edit a photo as the original program does, at the working size.

        `image` is `(1, 3, height, width)` in [0, 1]; Pillow resizes it, as for anyone's edit.
        Returns float32 of the same form on the CPU.

        Raises:
            InputError: the instruction is empty.
        """
        text = family.checked_prompt(prompt)
        photo = family.to_pillow(image)
        size = self.working_size(*photo.size)
        pixels = family.from_pillow(photo.resize(size, Image.Resampling.LANCZOS)).to(self.device)
        prompts = [
            self.parts.read(words, self.parts.look(pixels, self._bring)) for words in (text, "")
        ]
        noise = self.draw_noise(size, torch.Generator().manual_seed(seed))
        sigmas = schedule(steps or DEFAULT_STEPS, noise.shape[-2] * noise.shape[-1] // 4)
        latents = self._denoise(
            noise,
            self.encode_image(pixels, size),
            prompts,
            sigmas,
            DEFAULT_GUIDANCE if guidance is None else guidance,
            on_step,
        )
        return family.decode_latents(self.parts.body.vae, latents).cpu()

    def _denoise(
        self,
        noisy: Tensor,
        context: Tensor,
        prompts: Sequence[Prompt],
        sigmas: Sequence[float],
        guidance: float,
        on_step: OnEditStep | None = None,
    ) -> Tensor:
        """Guided Euler steps from the first noise level to the last; latents in, latents out.

        `prompts` are the instruction and the empty one.
        """
        total = len(sigmas) - 1
        for index, (sigma, following) in enumerate(pairwise(sigmas)):
            run, layout = self._prepare_pass(context, noisy, prompts, sigma)
            with_text, without = run()[:, : layout.target].float().chunk(2)
            velocity = guide(with_text, without, sigma=sigma, guidance=guidance)
            noisy = noisy + (following - sigma) * family.unpack(velocity, *noisy.shape[-2:])
            if on_step is not None:
                on_step(index + 1, total)
        return noisy

    def _prepare_pass(
        self,
        context: Tensor,
        target: Tensor,
        prompts: Sequence[Prompt],
        sigma: float,
    ) -> tuple[Callable[[], Tensor], SequenceLayout]:
        """One call of the transformer, ready to run, and where its tokens lie.

        The batch has one row for each of the prompts.
        """
        body = self.parts.body
        dtype = body.transformer.dtype
        tokens = [family.pack(latents.to(self.device, dtype)) for latents in (target, context)]
        states, mask = self._pad([prompt.tensors["states"] for prompt in prompts], dtype)
        batch = len(prompts)
        time = torch.full((batch,), sigma, dtype=dtype, device=self.device)
        text, pooled = body.connector(states, time, mask)
        layout = SequenceLayout(
            text.shape[1],
            tokens[0].shape[1],
            tokens[1].shape[1],
            photo_text=prompts[0].photo if prompts[0].photo_counts else range(0),
        )
        ids = family.position_ids(target, context, shift=self._shift, like=tokens[0])

        def run() -> Tensor:
            output: Tensor = body.transformer(
                hidden_states=torch.cat(tokens, dim=1).expand(batch, -1, -1),
                timestep=time,
                pooled_projections=pooled,
                encoder_hidden_states=text,
                txt_ids=ids.new_zeros(layout.text, 3),
                img_ids=ids,
                return_dict=False,
            )[0]
            return output

        return run, layout

    def _pad(self, readings: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """States of several texts as one batch of all positions, and which of these are states.

        Padding is zero, and takes part in the transformer's attention as everything else does.
        """
        shape = (len(readings), self._positions, readings[0].shape[-1])
        states = torch.zeros(shape, dtype=dtype, device=self.device)
        mask = torch.zeros(shape[:2], dtype=torch.bool, device=self.device)
        for row, reading in enumerate(readings):
            states[row, : len(reading)] = reading.to(self.device, dtype)
            mask[row, : len(reading)] = True
        return states, mask

    def _bring(self, image: Tensor) -> Tensor:
        """A photo at the working size."""
        size = self.working_size(image.shape[-1], image.shape[-2])
        return resize(image.to(self.device, torch.float32), size)
