"""Step1X-Edit v1.1, and through the same code v1.0 and v1.2: FLUX's transformer, another text side.

What differs from FLUX.1 Kontext: the language model that reads the instruction sees the photo, a
connector turns its states into text tokens inside each step, and an edit is guided by a second
pass with an empty instruction; both see the photo. What is measured is the pass with the
instruction. The sequence is text, target, context. `step1x.versions` says how they differ.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.attention import SequenceLayout
from decontext.editors._base import Cost, EditorInfo, OnEditStep, Outlook, Prompt
from decontext.editors.flux import family
from decontext.editors.flux.diagnosis import diagnose_flux
from decontext.editors.flux.engine import FluxEngine, Text
from decontext.editors.flux.weightless import flux_autoencoder, flux_transformer
from decontext.editors.step1x.connector import Connector
from decontext.editors.step1x.files import AUTOENCODER, find_files
from decontext.editors.step1x.parts import Body, Parts
from decontext.editors.step1x.passes import connect, rows_of
from decontext.editors.step1x.published import Published, read_published
from decontext.editors.step1x.sampling import guide, schedule
from decontext.editors.step1x.versions import V1_1, Version
from decontext.editors.step1x.weightless import NoReader, empty_connector, empty_mapping
from decontext.editors.step1x.weights import read_layout
from decontext.editors.weights.blocks import count_parameters
from decontext.editors.weights.loading import choose_device, choose_precision
from decontext.editors.weights.plan import QUANTISED
from decontext.editors.weights.sources import INDEX
from decontext.editors.weights.transformer import LoadedTransformer, Transformer
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


PUBLISHED_AUTOENCODER = "vae/diffusion_pytorch_model.safetensors"

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
        cases=[(blocks, (version.side,) * 2) for blocks in ("paper", "all", "double:0")],
        files=(version.file, AUTOENCODER) if version.file else (INDEX, PUBLISHED_AUTOENCODER),
        gated=False,
        text_tokens=version.text_tokens,
    )


def weightless(held: Held, info: EditorInfo = INFO, version: Version = V1_1) -> Step1XEditor:
    """The published editor without its weights, see `Held`; nothing reads instructions."""

    # Built before anything is counted: a transformer that is not read yet takes nothing.
    transformer = flux_transformer(info.name, held, guided=False)

    def load_body() -> Body:
        connector = empty_connector(held, scaled=version.scaled)
        mapping = empty_mapping(held) if version.mapped else None
        return build_body(version, transformer, flux_autoencoder(held), connector, mapping)

    if held.depth is not None:
        info = replace(info, double_blocks=held.depth[0], single_blocks=held.depth[1])
    text: Any = NoReader()
    parts = Parts(load_body, lambda: text, together=True, cut=version.cut)
    return Step1XEditor(parts, info, device=held.device, version=version)


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
    said = Published(None, None, letters=False)
    if version.mapped:
        said = read_published(info.name, found.autoencoder.parent)
    layout = read_layout(
        found.weights,
        scaled=version.scaled,
        mapped=version.mapped,
        rope=said.rope,
        heads=said.heads,
    )
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
        mapping = layout.load_mapping(place) if said.letters else None
        return build_body(version, transformer, found.load_autoencoder(place), connector, mapping)

    return Step1XEditor(
        Parts(
            lambda: load_body(precision, stream_weights),
            lambda: found.load_text(place, precision, version.text_side),
            together=found.fit_together(place),
            cut=version.cut,
        ),
        replace(
            info,
            weights=str(source or info.weights),
            double_blocks=double,
            single_blocks=single,
        ),
        device=place,
        load_best=lambda: load_body("bfloat16" if place.type == "cuda" else "float32", True),
        version=version,
    )


def build_body(
    version: Version,
    transformer: Transformer,
    vae: Any,
    connector: Connector,
    mapping: Any = None,
) -> Body:
    """The parts of a version's denoising pass at work."""
    beside = [part for part in (connector, mapping) if part is not None]
    engine = FluxEngine(
        transformer,
        vae,
        shift=version.shift,
        square=(version.side, version.side),
        text_tokens=version.text_tokens,
        beside=sum(map(count_parameters, beside)),
        kernel=version.kernel,
    )
    return Body(engine, connector, mapping)


class Step1XEditor:
    """The `Editor` protocol over Step1X-Edit's parts, whose weights it freezes.

    `load_best` loads the body in the best precision that fits, to measure with. `side` is that of
    a square of the ordinary working size, by default the version's.
    """

    def __init__(
        self,
        parts: Parts,
        info: EditorInfo = INFO,
        *,
        device: torch.device | None = None,
        load_best: Callable[[], Body] | None = None,
        version: Version = V1_1,
        side: int | None = None,
    ) -> None:
        self.info, self.parts = info, parts
        self.device = device or torch.device("cpu")
        self._load_best, self._version, self._side = load_best, version, side or version.side

    def working_size(self, width: int, height: int, side: int | None = None) -> tuple[int, int]:
        """Size to which the original brings a photo of `width` x `height` pixels.

        An area of 512 squared (v1.2: 1024), or of `side` squared, at the photo's aspect ratio;
        both sides are cut to multiples of 16.
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
        samples: int = 1,
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
            self._engine.settle(blocks, sizes, samples)
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
            version=self._version,
            side=self._side,
        )

    def draw_noise(self, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """See `Editor.draw_noise`; for a working size."""
        return self._engine.draw_noise(size, generator)

    def encode_image(self, image: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """See `Editor.encode_image`; the mode of the autoencoder's distribution.

        Differs from the original code: that samples, which makes each step see another photo.
        v1.2 resizes the photo for its autoencoder with another kernel than for its language model.
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
        text = partial(self._connect, body, [prompt], sigma, context)
        return body.engine.attend(context, noise, text, sigma, blocks)

    def predict(self, image: Tensor, prompt: Prompt, sigma: float, noisy: Tensor) -> Tensor:
        """See `Editor.predict`; with the instruction and without guidance, as in its training."""
        body, context = self.parts.body, self.encode_image(image)
        text = partial(self._connect, body, [prompt], sigma, context)
        return body.engine.predict(context, noisy, text, sigma)

    def edit_layouts(self, image: Tensor, instruction: str) -> Sequence[SequenceLayout]:
        """See `LaysOut`."""
        text = family.checked_prompt(instruction)
        photo = family.from_pillow(family.resize_for_edit(image, self.working_size))
        # Read as an edit does, and first: where there is no room for both models, they take turns.
        prompts = self._read_both(text, photo.to(self.device))
        body, context = self.parts.body, self.encode_image(image)
        noise = torch.zeros_like(context)
        return [
            body.engine.prepare_pass(context, noise, self._connect(body, row, 1.0, context), 1.0)[1]
            for row in rows_of(self._version, prompts)
        ]

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
        prompts = self._read_both(text, pixels)
        # v1.2's program resizes the photo itself for its autoencoder, once more and otherwise.
        given = pixels
        if self._version.kernel != "lanczos":
            given = family.from_pillow(family.to_pillow(image))
        noise = self.draw_noise(size, torch.Generator().manual_seed(seed))
        sigmas = schedule(steps or DEFAULT_STEPS, noise.shape[-2] * noise.shape[-1] // 4)
        latents = self._denoise(
            noise,
            self.encode_image(given, size),
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
            velocities = torch.cat(
                [
                    body.engine.predict(
                        context, noisy, partial(self._connect, body, row, sigma, context), sigma
                    )
                    for row in rows_of(self._version, prompts)
                ]
            )
            velocity = guide(
                velocities[:1],
                velocities[1:],
                sigma=sigma,
                guidance=guidance,
                above=self._version.tamed_above,
            )
            noisy = noisy + (following - sigma) * velocity
            if on_step is not None:
                on_step(index + 1, total)
        return noisy

    def _read_both(self, text: str, image: Tensor) -> list[Prompt]:
        """What the passes of an edit read: the instruction, and the empty one."""
        look = self.parts.look(image, self._bring)
        return [self.parts.read(words, look) for words in (text, "")]

    def _connect(
        self, body: Body, prompts: Sequence[Prompt], sigma: float, context: Tensor
    ) -> Text:
        """The text tokens of prompts that share a pass, see `passes.connect`."""
        with self.parts.lock:
            for part in (body.connector, body.mapping):
                if part is not None:
                    part.to(body.engine.dtype)
        return connect(body, self._version, prompts, sigma, context)

    @property
    def _engine(self) -> FluxEngine:
        return self.parts.body.engine

    def _bring(self, image: Tensor) -> Tensor:
        """A photo at the working size."""
        size = self.working_size(image.shape[-1], image.shape[-2])
        return resize(image.to(self.device, torch.float32), size)
