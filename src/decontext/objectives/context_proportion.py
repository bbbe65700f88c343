"""The method's objective: how much of the target's attention falls on the photo."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from decontext.editors import AttendsLatents, Editor, Prepares, SharesPhoto
from decontext.objectives.draws import Draw, Objective, Passes, draw_prompt, draw_sigma, mean
from decontext.objectives.instructions import Instructions
from decontext.objectives.sizes import working_sizes


def context_proportion(editor: Editor, photo: Tensor, passes: Passes) -> Objective:
    """How much of the target's attention falls on the photo: the mean over blocks and draws.

    The target latents are pure noise: at the high noise levels of the first steps of an edit it is
    settled who is shown. `photo` is `(1, 3, height, width)`, for text encoders that see it.

    Source: arXiv 2512.16625, eq. 8 (minimising r is maximising 1 - r) and eq. 11.
    """
    if isinstance(editor, Prepares):
        sizes = working_sizes(editor, photo, passes.working_sides)
        # What is read anew in every step need not be read beforehand.
        images = [] if passes.refresh_text == 1 or passes.count_vlm_tokens else [photo]
        editor.prepare(
            passes.prompts, passes.blocks, sizes=sizes, images=images, samples=passes.samples
        )
    instructions = Instructions(
        editor, photo, refresh=passes.refresh_text, count_photo=passes.count_vlm_tokens
    )

    def objective(image: Tensor, generator: torch.Generator) -> Tensor:
        def draw(size: tuple[int, int]) -> Draw:
            prompt = instructions.encode(draw_prompt(passes.prompts, generator))
            sigma = draw_sigma(passes.sigma_range, generator)
            return prompt, sigma, editor.draw_noise(size, generator)

        instructions.see(image)
        values = []
        for size in working_sizes(editor, image, passes.working_sides):
            draws = (draw(size) for _ in range(passes.samples))
            if isinstance(editor, AttendsLatents):
                context = editor.encode_image(image, size)
                in_turn = passes.samples > 1 and not instructions.follows_photo
                values.append(
                    _attend_all(editor, context, draws, passes.blocks, passes.samples * in_turn)
                )
            else:
                values.append(
                    mean(editor.attend(image, *one, passes.blocks).mean() for one in draws)
                )
        return mean(values)

    return objective


def _attend_all(
    editor: AttendsLatents,
    context: Tensor,
    draws: Iterable[Draw],
    blocks: Sequence[int],
    in_turn: int,
) -> Tensor:
    """Mean proportion of several draws: one pass through the autoencoder for all of them.

    Where their number is given in `in_turn`, each draw is differentiated down to the context
    latents at once, or to what all draws share of the photo, so that only one of their graphs
    exists at a time; what is sent back through the rest is the sum.
    """
    attend: Callable[..., Tensor] = _attend_latents(editor)
    sources: tuple[Tensor, ...] = (context,)
    if in_turn and isinstance(editor, SharesPhoto):
        draws = list(draws)
        prompt, _, noise = draws[0]
        shared = editor.share_photo(context, prompt, noise, blocks)
        if shared is not None:
            attend, sources = _attend_shared(editor, context), shared
    if not (in_turn and torch.is_grad_enabled() and sources[0].requires_grad):
        return mean(attend(sources, *one, blocks).mean() for one in draws)
    leaves = tuple(source.detach().requires_grad_() for source in sources)
    total = torch.zeros((), device=context.device)
    for one in draws:
        value = attend(leaves, *one, blocks).mean() / in_turn
        # Added up in place, one after the other.
        value.backward(inputs=leaves)  # type: ignore[no-untyped-call]
        total += value.detach()
    gradients = [leaf.grad for leaf in leaves]
    carried: Tensor = _Carried.apply(total, *sources, *gradients)  # type: ignore[no-untyped-call]
    return carried


def _attend_latents(editor: AttendsLatents) -> Callable[..., Tensor]:
    def attend(context: Sequence[Tensor], *others: Any) -> Tensor:
        (latents,) = context
        return editor.attend_latents(latents, *others)

    return attend


def _attend_shared(editor: SharesPhoto, context: Tensor) -> Callable[..., Tensor]:
    def attend(shared: Sequence[Tensor], *others: Any) -> Tensor:
        return editor.attend_shared(shared, context, *others)

    return attend


class _Carried(torch.autograd.Function):
    """A value whose gradients are known already; given are it, what they are for, and they."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, *sources_and_gradients: Tensor) -> Tensor:
        ctx.count = len(sources_and_gradients) // 2
        ctx.save_for_backward(*sources_and_gradients[ctx.count :])
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        gradients = (gradient * upstream[0] for gradient in ctx.saved_tensors)
        return (None, *gradients, *[None] * ctx.count)
