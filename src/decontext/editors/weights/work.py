"""How many floating-point operations a step of an editor takes, counted from its build.

Arithmetic only, as in `plan`; tests hold it against `trace`. Weights are frozen, so that a matrix
product costs as much on the way back as on the way there; attention costs two and a half times as
much, as fused kernels count again what they do not keep.
"""

from __future__ import annotations

from decontext.editors.weights.plan import ENCODER_WIDTH, LATENT_PIXELS, Demand, Dimensions

BACK = 1.5
"""That attention costs more on the way back than on the way there."""


def step_flop(dimensions: Dimensions, demand: Demand, *, checkpointing: bool) -> float:
    """Floating-point operations of one step: its passes at every size, and their way back.

    The photo goes through the autoencoder once for all draws, and where nothing sees the target
    (`Dimensions.causal`) once through the blocks, too.
    """
    passes = 3 if checkpointing else 2
    # Of the autoencoder the blocks are run again by themselves, within what is run again.
    encoder = demand.encoder.runs if checkpointing else passes
    draws = _shared_draws if demand.shares(dimensions) else _whole_draws
    return sum(
        encoder * _encoder_flop(demand, width * height)
        + draws(dimensions, demand, width * height, passes)
        for width, height in demand.sizes
    )


def pass_flop(dimensions: Dimensions, demand: Demand, pixels: int) -> float:
    """Floating-point operations of one pass without gradient, autoencoder included."""
    linear = _linear_flop(dimensions, demand, demand.tokens(pixels))
    attention = _attention_flop(dimensions, demand, pixels)
    ending = _ending_flop(dimensions, demand, pixels)
    return linear + attention + ending + _encoder_flop(demand, pixels)


def _whole_draws(dimensions: Dimensions, demand: Demand, pixels: int, passes: int) -> float:
    linear = passes * _linear_flop(dimensions, demand, demand.tokens(pixels))
    attention = (passes + BACK) * _attention_flop(dimensions, demand, pixels)
    ending = (passes - 1) * _ending_flop(dimensions, demand, pixels)
    return demand.samples * (linear + attention + ending)


def _shared_draws(dimensions: Dimensions, demand: Demand, pixels: int, passes: int) -> float:
    """The photo by itself, then instruction and target of every draw."""
    photo, rest = pixels // LATENT_PIXELS**2, demand.tokens(pixels) - pixels // LATENT_PIXELS**2
    whole = 4 * dimensions.width * (demand.blocks - 1)
    once = passes * _linear_flop(dimensions, demand, photo) + (passes + BACK) * whole * photo**2
    # In the first block these know nothing of the photo yet: no gradient passes.
    linear = passes * _linear_flop(dimensions, demand, rest) - 2 * dimensions.entry(1) * rest
    attention = whole * rest * (photo + rest) + _measured_flop(dimensions, demand, pixels)
    return once + demand.samples * (linear + (passes + BACK) * attention)


def _linear_flop(dimensions: Dimensions, demand: Demand, tokens: int) -> float:
    """Products of so many tokens with matrices, in the last block those before its attention."""
    products = dimensions.token_products * (demand.blocks - 1) + dimensions.entry(demand.blocks)
    return 2 * products * tokens


def _encoder_flop(demand: Demand, pixels: int) -> float:
    return (demand.encoder_width / ENCODER_WIDTH) ** 2 * demand.encoder.flop * pixels


def _attention_flop(dimensions: Dimensions, demand: Demand, pixels: int) -> float:
    tokens, target = demand.tokens(pixels), pixels // LATENT_PIXELS**2
    pairs = tokens**2
    if dimensions.causal:
        pairs = target * tokens + _pairs_before(demand, pixels)
    # The pass ends where the last block is measured, before its own attention.
    whole = 4 * pairs * dimensions.width * (demand.blocks - 1)
    return whole + _measured_flop(dimensions, demand, pixels)


def _measured_flop(dimensions: Dimensions, demand: Demand, pixels: int) -> float:
    """Of the target's queries once more, to be measured."""
    target = pixels // LATENT_PIXELS**2
    return 4 * target * demand.tokens(pixels) * dimensions.width * demand.measured


def _ending_flop(dimensions: Dimensions, demand: Demand, pixels: int) -> float:
    """Attention of what comes before the target, in the last block: nothing follows from it."""
    return 4 * _pairs_before(demand, pixels) * dimensions.width if dimensions.causal else 0


def _pairs_before(demand: Demand, pixels: int) -> int:
    """Queries and keys that see each other before the target: of the photo, and of the text."""
    photo = pixels // LATENT_PIXELS**2
    return photo**2 + demand.text_tokens * (photo + demand.text_tokens)
