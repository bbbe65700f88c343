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
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.editors._base import Cost, EditorInfo, OnEditStep, Outlook, Prompt
from decontext.editors.flux import family
from decontext.editors.flux.diagnosis import diagnose_flux
from decontext.editors.flux.engine import FluxEngine, Text
from decontext.editors.flux.weightless import flux_autoencoder, flux_transformer
from decontext.editors.step1x.files import AUTOENCODER, find_files
from decontext.editors.step1x.parts import Body, Parts
from decontext.editors.step1x.sampling import guide, schedule
from decontext.editors.step1x.text import POSITIONS
from decontext.editors.step1x.weightless import NoReader, empty_connector
from decontext.editors.step1x.weights import read_layout
from decontext.editors.weights.blocks import count_parameters
from decontext.editors.weights.loading import choose_device, choose_precision
from decontext.editors.weights.plan import QUANTISED
from decontext.editors.weights.transformer import LoadedTransformer
from decontext.editors.weights.weightless import Held
from decontext.errors import InputError
from decontext.photo.resampling import resize

INFO = EditorInfo(
    name="step1x-edit",
    title="Step1X-Edit v1.1",
    weights="stepfun-ai/Step1X-Edit",
    licence="Apache-2.0",
    double_blocks=19,
    single_blocks=38,
    working_size="about 512 x 512 by area, any aspect ratio",
    memory="as flux-kontext, and before that 16 GB for the text encoder; see 'doctor'",
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
    stream_weights: bool = False,
) -> Step1XEditor:
    """Load Step1X-Edit v1.1 from its hub ids or from a folder, see `step1x.files`.

    Weights are read when they are first needed.

    Raises:
        InputError: there is no such device or precision.
        EditorError: a part is missing or damaged; the message names it.
    """
    return load_version(
        INFO, V1_1, source, device=device, dtype=dtype, cache=cache, stream_weights=stream_weights
    )


def diagnose(info: EditorInfo = INFO, version: Version = V1_1) -> Outlook:
    """Plans for the published weights on this machine, and what of them is not here."""
    return diagnose_flux(
        info,
        cases=[(blocks, (DEFAULT_SIDE, DEFAULT_SIDE)) for blocks in ("paper", "all", "double:0")],
        files=(version.file, AUTOENCODER),
        gated=False,
        text_tokens=POSITIONS,
    )


def weightless(held: Held, info: EditorInfo = INFO, version: Version = V1_1) -> Step1XEditor:
    """The published editor without its weights, see `Held`; nothing reads instructions."""

    # Built before anything is counted: a transformer that is not read yet takes nothing.
    transformer = flux_transformer(info.name, held, guided=False)

    def load_body() -> Body:
        connector = empty_connector(held, scaled=version.scaled)
        engine = FluxEngine(
            transformer,
            flux_autoencoder(held),
            shift=version.shift,
            square=(DEFAULT_SIDE, DEFAULT_SIDE),
            text_tokens=POSITIONS,
            beside=count_parameters(connector),
        )
        return Body(engine, connector)

    if held.depth is not None:
        info = replace(info, double_blocks=held.depth[0], single_blocks=held.depth[1])
    text: Any = NoReader()
    parts = Parts(load_body, lambda: text, together=True)
    return Step1XEditor(parts, info, device=held.device)


def load_version(
    info: EditorInfo,
    version: Version,
    source: str | Path | None,
    *,
    device: str | torch.device | None,
    dtype: str | torch.dtype | None,
    cache: str | Path | None,
    stream_weights: bool,
) -> Step1XEditor:
    """Load one of the versions. Raises: as `load`."""
    place = choose_device(device)
    precision = choose_precision(dtype or "auto", place)
    found = find_files(info.name, source or info.weights, version.file, cache=cache)
    layout = read_layout(found.weights, scaled=version.scaled)
    double, single = found.count_blocks()

    def load_body(precision: str, stream: bool) -> Body:
        transformer = LoadedTransformer(
            layout.config,
            layout.transformer,
            editor=info.name,
            device=place,
            precision=precision,
            stream=stream,
        )
        connector = layout.load_connector(place)
        engine = FluxEngine(
            transformer,
            found.load_autoencoder(place),
            shift=version.shift,
            square=(DEFAULT_SIDE, DEFAULT_SIDE),
            text_tokens=POSITIONS,
            beside=count_parameters(connector),
        )
        return Body(engine, connector)

    return Step1XEditor(
        Parts(
            lambda: load_body(precision, stream_weights),
            lambda: found.load_text(place, precision),
            together=found.fit_together(place),
        ),
        replace(
            info,
            weights=str(source or info.weights),
            double_blocks=double,
            single_blocks=single,
        ),
        device=place,
        load_best=lambda: load_body("bfloat16" if place.type == "cuda" else "float32", True),
    )


class Step1XEditor:
    """The `Editor` protocol over Step1X-Edit's parts, whose weights it freezes.

    `load_best` loads the body in the best precision that fits, to measure with. A pass has
    `positions` text tokens; `side` is that of a square of the ordinary working size.
    """

    def __init__(
        self,
        parts: Parts,
        info: EditorInfo = INFO,
        *,
        device: torch.device | None = None,
        load_best: Callable[[], Body] | None = None,
        positions: int = POSITIONS,
        side: int = DEFAULT_SIDE,
    ) -> None:
        self.info, self.parts = info, parts
        self.device = device or torch.device("cpu")
        self._load_best, self._positions, self._side = load_best, positions, side

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
        """Read these instructions with these photos, then load the blocks up to the last.

        Where both models are in memory together, an instruction is read when it is first needed.
        Without a photo there is nothing to read, and nothing is loaded yet.

        Raises:
            EditorError: weights are missing, damaged or do not fit.
        """
        for image in () if self.parts.together else images:
            for text in prompts:
                self.encode_prompt(text, image.detach())
        if images:
            self._engine.settle(blocks, sizes)
            self._engine.transformer.load_blocks(max(blocks) + 1)

    def estimate(
        self, blocks: Sequence[int], sizes: Sequence[tuple[int, int]], samples: int
    ) -> Cost:
        """See `Estimates`."""
        return self._engine.estimate(blocks, sizes, samples)

    def rest(self) -> None:
        """See `Rests`; the language model goes too."""
        self.parts.rest()

    def for_measuring(self) -> Step1XEditor:
        """The same editor in the best precision that fits, where this one is quantised."""
        plan = self._engine.transformer.plan
        if self._load_best is None or plan is None or plan.precision not in QUANTISED:
            return self
        return Step1XEditor(
            self.parts.with_body(self._load_best),
            self.info,
            device=self.device,
            positions=self._positions,
            side=self._side,
        )

    def draw_noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """See `Editor.draw_noise`; for a working size."""
        return self._engine.draw_noise(size, generator)

    def encode_image(self, image: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """See `Editor.encode_image`; the mode of the autoencoder's distribution.

        Differs from the original code: that samples, which makes each step see another photo.
        """
        size = size or self.working_size(image.shape[-1], image.shape[-2])
        return self._engine.encode_image(image, size)

    def attend(
        self, image: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """See `Editor.attend`; of the pass with the instruction."""
        self._engine.settle_for(noise, blocks)
        return self.attend_latents(self.encode_image(image), prompt, sigma, noise, blocks)

    def attend_latents(
        self, context: Tensor, prompt: Prompt, sigma: float, noise: Tensor, blocks: Sequence[int]
    ) -> Tensor:
        """See `AttendsLatents`."""
        body = self.parts.body
        connect = partial(self._connect, body, [prompt], sigma)
        return body.engine.attend(context, noise, connect, sigma, blocks)

    def predict(self, image: Tensor, prompt: Prompt, sigma: float, noisy: Tensor) -> Tensor:
        """See `Editor.predict`; with the instruction and without guidance, as in its training."""
        body = self.parts.body
        connect = partial(self._connect, body, [prompt], sigma)
        return body.engine.predict(self.encode_image(image), noisy, connect, sigma)

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
        """What the original program makes of a photo, see `Editor.edit`.

        Raises: InputError, the instruction is empty.
        """
        text = family.checked_prompt(prompt)
        photo = family.resize_for_edit(image, self.working_size)
        size, pixels = photo.size, family.from_pillow(photo).to(self.device)
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
        return family.decode_latents(self._engine.vae, latents).cpu()

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
        total, body = len(sigmas) - 1, self.parts.body
        for index, (sigma, following) in enumerate(pairwise(sigmas)):
            velocities = body.engine.predict(
                context, noisy, partial(self._connect, body, prompts, sigma), sigma
            )
            velocity = guide(velocities[:1], velocities[1:], sigma=sigma, guidance=guidance)
            noisy = noisy + (following - sigma) * velocity
            if on_step is not None:
                on_step(index + 1, total)
        return noisy

    def _connect(self, body: Body, prompts: Sequence[Prompt], sigma: float) -> Text:
        """The text tokens of a batch of prompts at a noise level.

        Padding is zero, and takes part in the transformer's attention as everything else does.
        """
        dtype = body.engine.dtype
        with self.parts.lock:
            body.connector.to(dtype)
        readings = [prompt.tensors["states"] for prompt in prompts]
        shape = (len(readings), self._positions, readings[0].shape[-1])
        states = torch.zeros(shape, dtype=dtype, device=self.device)
        mask = torch.zeros(shape[:2], dtype=torch.bool, device=self.device)
        for row, reading in enumerate(readings):
            states[row, : len(reading)] = reading.to(self.device, dtype)
            mask[row, : len(reading)] = True
        sigmas = torch.full((len(readings),), sigma, dtype=dtype, device=self.device)
        tokens, pooled = body.connector(states, sigmas, mask)
        photo = prompts[0].photo if prompts[0].photo_counts else range(0)
        return Text(tokens, pooled, photo=photo)

    @property
    def _engine(self) -> FluxEngine:
        return self.parts.body.engine

    def _bring(self, image: Tensor) -> Tensor:
        """A photo at the working size."""
        size = self.working_size(image.shape[-1], image.shape[-2])
        return resize(image.to(self.device, torch.float32), size)
