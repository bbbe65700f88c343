"""What is measured of an editor and a photo: attention, gradients, and edits without the photo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from decontext.edit import edit_without_context
from decontext.editors import Editor

PROMPT = "a photo of this person"
MAP_SIGMAS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
TIME_SIGMAS = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.0)
DRAWS = 2
INSTRUCTIONS = (PROMPT, "make the person smile")


@dataclass(frozen=True)
class Gradients:
    """Mean absolute gradients of the flow-matching loss, one for each noise level.

    Attributes:
        sigmas: noise levels, [0, 1].
        target: with respect to the noisy target latents.
        context: with respect to the photo's latents.
    """

    sigmas: tuple[float, ...]
    target: tuple[float, ...]
    context: tuple[float, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """The photo's part of the two together, [0, 1]: by it noise levels can be compared."""
        return tuple(c / (c + t) for t, c in zip(self.target, self.context, strict=True))


@dataclass(frozen=True, eq=False)
class Reference:
    """Edits of one instruction and seed, `(1, 3, height, width)` at the working size.

    `without` is an edit of the original in which the picture could not see the photo.
    """

    instruction: str
    of_original: Tensor = field(repr=False)
    of_protected: Tensor = field(repr=False)
    without: Tensor = field(repr=False)


@torch.no_grad()
def map_proportions(
    editor: Editor,
    picture: Tensor,
    original: Tensor,
    *,
    sigmas: Sequence[float] = MAP_SIGMAS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Tensor:
    """Context proportion by noise level and block, float32 `(len(sigmas), blocks)`.

    The target latents are the original's, noisy, as in an edit that keeps the photo: for a
    protected `picture` too, so that nothing but the context differs.
    """
    every = range(editor.info.double_blocks + editor.info.single_blocks)
    clean, prompt = editor.encode_image(original).float(), editor.encode_prompt(PROMPT, picture)
    rows = []
    for sigma in sigmas:
        generator = torch.Generator().manual_seed(seed)
        draw = [_noise(editor, original, generator) for _ in range(draws)]
        passes = [
            editor.attend(picture, prompt, sigma, torch.lerp(clean, noise, sigma), every)
            for noise in draw
        ]
        rows.append(torch.stack(passes).mean(0))
    return torch.stack(rows).cpu()


def time_gradients(
    editor: Editor,
    photo: Tensor,
    *,
    sigmas: Sequence[float] = TIME_SIGMAS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Gradients:
    """At which noise levels the editor listens to its target latents, and at which to the photo.

    The loss is that of keeping the photo: target latents are the photo's own, noisy, the
    instruction is "a photo of this person".

    Source: arXiv 2512.16625, section 3, the timestep analysis.
    """
    with torch.no_grad():
        clean = editor.encode_image(photo).float()
    prompt = editor.encode_prompt(PROMPT, photo)
    target, context = [], []
    for sigma in sigmas:
        generator = torch.Generator().manual_seed(seed)
        sums = [0.0, 0.0]
        for _ in range(draws):
            noise = _noise(editor, photo, generator)
            noisy = torch.lerp(clean, noise, sigma).requires_grad_()
            latents = clean.clone().requires_grad_()
            with _context_latents(editor, latents):
                velocity = editor.predict(photo, prompt, sigma, noisy)
                loss = (velocity.float() - (noise - clean)).square().mean()
                gradients = torch.autograd.grad(loss, (noisy, latents))
            sums = [total + float(g.abs().mean()) for total, g in zip(sums, gradients, strict=True)]
        target.append(sums[0] / draws)
        context.append(sums[1] / draws)
    return Gradients(tuple(sigmas), tuple(target), tuple(context))


def edit_references(
    editor: Editor,
    original: Tensor,
    protected: Tensor,
    *,
    blocks: str = "all",
    instructions: Sequence[str] = INSTRUCTIONS,
    seed: int = 0,
) -> tuple[Reference, ...]:
    """Edits of the original, of the protected photo, and of the original with the context cut."""
    return tuple(
        Reference(
            instruction=text,
            of_original=editor.edit(original, text, seed=seed),
            of_protected=editor.edit(protected, text, seed=seed),
            without=edit_without_context(editor, original, text, blocks=blocks, seed=seed),
        )
        for text in instructions
    )


def _noise(editor: Editor, photo: Tensor, generator: torch.Generator) -> Tensor:
    size = editor.working_size(photo.shape[-1], photo.shape[-2])
    return editor.draw_noise(size, generator).float()


@contextmanager
def _context_latents(editor: Editor, latents: Tensor) -> Iterator[None]:
    """Within it the editor's passes begin with these latents of the photo, a leaf of the graph.

    Every editor's pass asks its own `encode_image` for them, which is hidden for so long.
    """
    vars(editor)["encode_image"] = lambda *_arguments, **_options: latents
    try:
        yield
    finally:
        del vars(editor)["encode_image"]
