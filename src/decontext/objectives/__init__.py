"""What the optimiser minimises: functions `objective(image, generator) -> scalar`, all alike.

On the way of the data they sit between an editor and the optimiser. `context_proportion` is the
method; `attention_entropy`, `flow_matching` and `encoder` are what others optimise, to compare it
with, and `control_noise` is what nobody optimised. Every call draws prompt, noise and noise level
anew from the generator it is given.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from decontext.attention import entropy, measuring, resolve_blocks
from decontext.editors import AttendsLatents, Editor, Prepares, Prompt
from decontext.errors import InputError
from decontext.objectives.instructions import Instructions
from decontext.photo.resampling import resize
from decontext.prompts import OPTIMISE
from decontext.settings import CONTROLS, LEVELS, ProtectSettings

Objective = Callable[[Tensor, torch.Generator], Tensor]
"""Picture `(1, 3, height, width)` in [0, 1] and source of randomness to a scalar to minimise."""

Draw = tuple[Prompt, float, Tensor]
"""Instruction, noise level and target latents of one pass."""

FLOW_SIGMA_RANGE = (0.5, 1.0)
"""Below this the noisy picture itself shows the person, and the photo plays no part."""


def build_objective(
    editor: Editor,
    photo: Tensor,
    settings: ProtectSettings,
    *,
    prompts: Sequence[str] = OPTIMISE,
    samples: int | None = None,
) -> Objective:
    """The objective that the settings name; `samples` replaces their `samples_per_step`.

    Raises:
        InputError: the editor has no such blocks.
    """
    draws = samples or settings.samples_per_step
    if settings.objective in CONTROLS:
        raise InputError(f"nothing is optimised for {settings.objective!r}; it is noise.")
    if settings.objective in ("encoder", "encoder-grey"):
        return encoder(editor, photo, to_grey=settings.objective == "encoder-grey")
    if settings.objective == "flow":
        return flow_matching(
            editor, photo, prompts=prompts, samples=draws, refresh_text=settings.refresh_text
        )
    through_attention = {
        "context-proportion": context_proportion,
        "attention-entropy": attention_entropy,
    }[settings.objective]
    return through_attention(
        editor,
        photo,
        prompts=prompts,
        blocks=resolve_blocks(
            settings.blocks, editor.info.double_blocks, editor.info.single_blocks
        ),
        sigma_range=settings.sigma_range,
        samples=draws,
        working_sides=settings.working_sides,
        refresh_text=settings.refresh_text,
        count_vlm_tokens=settings.count_vlm_tokens,
    )


def context_proportion(
    editor: Editor,
    photo: Tensor,
    *,
    prompts: Sequence[str] = OPTIMISE,
    blocks: Sequence[int],
    sigma_range: tuple[float, float] = (0.98, 1.0),
    samples: int = 1,
    working_sides: Sequence[int | None] = (None,),
    refresh_text: int = 0,
    count_vlm_tokens: bool = False,
) -> Objective:
    """How much of the target's attention falls on the photo: the mean over blocks and draws.

    The target latents are pure noise: at the high noise levels of the first steps of an edit it is
    settled who is shown.

    Args:
        editor: whose attention.
        photo: `(1, 3, height, width)`, for text encoders that see it.
        prompts: instructions to draw from.
        blocks: numbers of joint-attention calls, see `attention.blocks.resolve_blocks`.
        sigma_range: noise levels to draw from, within [0, 1].
        samples: draws that a value is the mean of, at each of the sizes.
        working_sides: sizes at which the editor sees the photo, see `settings`.
        refresh_text, count_vlm_tokens: see `instructions.Instructions`.

    Source: arXiv 2512.16625, eq. 8 (minimising r is maximising 1 - r) and eq. 11.
    """
    if isinstance(editor, Prepares):
        sizes = working_sizes(editor, photo, working_sides)
        # What is read anew in every step need not be read beforehand.
        images = [] if refresh_text == 1 or count_vlm_tokens else [photo]
        editor.prepare(prompts, blocks, sizes=sizes, images=images)
    instructions = Instructions(editor, photo, refresh=refresh_text, count_photo=count_vlm_tokens)

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        def draw(size: tuple[int, int]) -> Draw:
            prompt = instructions.encode(_draw_prompt(prompts, generator))
            sigma = _draw_sigma(sigma_range, generator)
            return prompt, sigma, editor.draw_noise(size, generator)

        instructions.see(image)
        values = []
        for size in working_sizes(editor, image, working_sides):
            draws = (draw(size) for _ in range(samples))
            if isinstance(editor, AttendsLatents):
                context = editor.encode_image(image, size)
                in_turn = samples > 1 and not instructions.follows_photo
                values.append(_attend_all(editor, context, draws, blocks, samples * in_turn))
            else:
                values.append(_mean(editor.attend(image, *one, blocks).mean() for one in draws))
        return _mean(values)

    return objective


def attention_entropy(
    editor: Editor,
    photo: Tensor,
    *,
    prompts: Sequence[str] = OPTIMISE,
    blocks: Sequence[int],
    sigma_range: tuple[float, float] = (0.98, 1.0),
    samples: int = 1,
    working_sides: Sequence[int | None] = (None,),
    refresh_text: int = 0,
    count_vlm_tokens: bool = False,
) -> Objective:
    """How evenly attention between target and photo is spread, negative: a baseline.

    The entropy of target to context and context to target attention is to become large, so that
    no token finds the one it needs. Takes the same as `context_proportion`.

    Source: VETO, arXiv 2607.27292, whose budget of blocks is `double:0`. Differs from it: one draw
    of ours per step, an instruction from the pool, and ours is the reading that each row is
    normalised over the other picture's tokens, see `entropy`.
    """
    measured = context_proportion(
        editor,
        photo,
        prompts=prompts,
        blocks=blocks,
        sigma_range=sigma_range,
        samples=samples,
        working_sides=working_sides,
        refresh_text=refresh_text,
        count_vlm_tokens=count_vlm_tokens,
    )

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        with measuring(entropy.attention_entropy):
            return -measured(image, generator)

    return objective


def flow_matching(
    editor: Editor,
    photo: Tensor,
    *,
    prompts: Sequence[str] = OPTIMISE,
    sigma_range: tuple[float, float] = FLOW_SIGMA_RANGE,
    samples: int = 1,
    refresh_text: int = 0,
) -> Objective:
    """The editor's training loss for keeping the photo as it is, negative: a baseline.

    From the noisy latents of the photo and the perturbed photo as context, the editor predicts the
    velocity; its squared error is to become large.

    Source: Diff-PGD as compared with in arXiv 2512.16625, table 1.
    """
    instructions = Instructions(editor, photo, refresh=refresh_text)
    encode_photo = _cached_latents(editor, photo)

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        def draw() -> Tensor:
            prompt = instructions.encode(_draw_prompt(prompts, generator))
            sigma = _draw_sigma(sigma_range, generator)
            size = _working_size(editor, image)
            clean, noise = encode_photo(size), editor.draw_noise(size, generator).float()
            velocity = editor.predict(image, prompt, sigma, torch.lerp(clean, noise, sigma))
            return -(velocity.float() - (noise - clean)).square().mean()

        instructions.see(image)
        return _mean(draw() for _ in range(samples))

    return objective


def encoder(editor: Editor, photo: Tensor, *, to_grey: bool = False) -> Objective:
    """Squared distance of the photo's latents from where they were, negative: a baseline.

    With `to_grey` it is the distance from the latents of a grey picture, and positive: there is
    then a place to go to. It needs neither prompt nor noise. Away from the photo its gradient is
    zero at the photo itself: start elsewhere.

    Source: the encoder attack of PhotoGuard, arXiv 2302.06588, section 4.1, untargeted or aimed at
    a grey picture.
    """
    aim = torch.full_like(photo, 0.5) if to_grey else photo
    encode_aim, sign = _cached_latents(editor, aim), 1 if to_grey else -1

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        del generator
        there = encode_aim(_working_size(editor, image))
        return sign * (editor.encode_image(image).float() - there).square().mean()

    return objective


def control_noise(
    name: str, photo: Tensor, *, epsilon: float, generator: torch.Generator, grey: bool = False
) -> Tensor:
    """The photo with noise of the whole budget that nothing was optimised for.

    "random-sign": every colour value changed by as many whole levels as the budget holds, up or
    down; "uniform": by anything within it. `grey` changes the channels alike. In [0, 1].
    """
    shape = (*photo[:, :1].shape,) if grey else photo.shape
    if name == "random-sign":
        signs = torch.randint(0, 2, shape, generator=generator, dtype=torch.float32)
        noise = signs.mul_(2).sub_(1).mul_(int(epsilon * LEVELS + 1e-6) / LEVELS)
    else:
        noise = torch.empty(shape).uniform_(-epsilon, epsilon, generator=generator)
    return (photo + noise.to(photo.device)).clamp_(0, 1)


def working_sizes(
    editor: Editor, photo: Tensor, sides: Sequence[int | None]
) -> tuple[tuple[int, int], ...]:
    """Sizes in pixels at which the editor sees a photo; see `settings.parse_working_size`.

    Raises:
        InputError: the editor sees photos at its ordinary size only.
    """
    width, height = photo.shape[-1], photo.shape[-2]
    if any(side is not None for side in sides) and not isinstance(editor, AttendsLatents):
        raise InputError(
            f"{editor.info.name} sees photos at its ordinary size only", "Leave out --working-size."
        )
    sizes = (
        editor.working_size(width, height)
        if side is None
        else editor.working_size(width, height, side)
        for side in sides
    )
    return tuple(dict.fromkeys(sizes))


def _cached_latents(editor: Editor, photo: Tensor) -> Callable[[tuple[int, int]], Tensor]:
    """The original's latents, float32, at a working size; a cut-off edge can change that size."""

    @cache
    def encode(size: tuple[int, int]) -> Tensor:
        with torch.no_grad():
            if _working_size(editor, photo) == size:
                return editor.encode_image(photo).float()
            return editor.encode_image(resize(photo, size)).float()

    return encode


def _working_size(editor: Editor, image: Tensor) -> tuple[int, int]:
    return editor.working_size(image.shape[-1], image.shape[-2])


def _draw_prompt(prompts: Sequence[str], generator: torch.Generator) -> str:
    index = torch.randint(len(prompts), (), generator=generator, device=generator.device)
    return prompts[int(index)]


def _draw_sigma(sigma_range: tuple[float, float], generator: torch.Generator) -> float:
    low, high = sigma_range
    share = torch.rand((), dtype=torch.float64, generator=generator, device=generator.device)
    return low + (high - low) * float(share)


def _mean(values: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()


def _attend_all(
    editor: AttendsLatents,
    context: Tensor,
    draws: Iterable[Draw],
    blocks: Sequence[int],
    in_turn: int,
) -> Tensor:
    """Mean proportion of several draws: one pass through the autoencoder for all of them.

    Where their number is given in `in_turn`, each draw is differentiated down to the context
    latents at once, so that only one of their graphs exists at a time, and what is sent back
    through the autoencoder is the sum.
    """
    if not (in_turn and torch.is_grad_enabled() and context.requires_grad):
        return _mean(editor.attend_latents(context, *one, blocks).mean() for one in draws)
    leaf = context.detach().requires_grad_()
    total = torch.zeros((), device=context.device)
    gradient = torch.zeros_like(leaf)
    for one in draws:
        value = editor.attend_latents(leaf, *one, blocks).mean() / in_turn
        gradient += torch.autograd.grad(value, leaf)[0]
        total += value.detach()
    carried: Tensor = _Carried.apply(context, total, gradient)  # type: ignore[no-untyped-call]
    return carried


class _Carried(torch.autograd.Function):
    """A value whose gradient to the latents is known already."""

    @staticmethod
    def forward(ctx: Any, context: Tensor, value: Tensor, gradient: Tensor) -> Tensor:
        del context
        ctx.save_for_backward(gradient)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0], None, None
