"""What FLUX's weights and passes take: the arithmetic against the models themselves.

What a step takes is held against one that is followed, in tests/trace.
"""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from decontext.attention import resolve_blocks
from decontext.editors.weights.plan import (
    FLUX_ENCODER,
    GATED,
    PLAIN,
    WEIGHT_BYTES,
    Demand,
    Dimensions,
    activation_bytes,
    choose_plan,
    weight_bytes,
)
from decontext.editors.weights.transformer import build_flux, count_published
from decontext.errors import EditorError

FLUX = Dimensions.from_config({"guidance_embeds": True})
GIB = 1024**3


def demand(blocks: str = "single:0-25", side: int = 1024, *, gpu: bool = True) -> Demand:
    numbers = resolve_blocks(blocks, 19, 38)
    return Demand(max(numbers) + 1, len(numbers), ((side, side),), gpu)


@pytest.fixture(scope="module")
def flux():
    """The published configuration on the meta device."""
    return build_flux({"guidance_embeds": True})


@pytest.mark.parametrize(
    ("blocks", "billions"), [("all", 11.9), ("single:0-25", 10.2), ("double:0", 0.4)]
)
def test_parameters_of_each_block_choice_are_those_of_the_model(flux, blocks, billions) -> None:
    count = max(resolve_blocks(blocks, 19, 38)) + 1
    double, single = min(count, 19), max(count - 19, 0)
    modules = [flux.x_embedder, flux.context_embedder, flux.time_text_embed]
    modules += [*flux.transformer_blocks[:double], *flux.single_transformer_blocks[:single]]
    counted = sum(weight.numel() for module in modules for weight in module.parameters())
    assert FLUX.parameters(count) == counted
    assert round(counted / 1e9, 1) == billions


def test_whole_model_has_as_many_parameters_as_published(flux) -> None:
    counted = sum(weight.numel() for weight in flux.parameters())
    assert FLUX.parameters() == counted == 11_901_408_320


def test_autoencoder_is_counted() -> None:
    from diffusers.models.autoencoders.vae import Encoder

    options = {"dtype": torch.bfloat16, "device": "meta"}
    with torch.device("meta"):
        encoder = Encoder(
            out_channels=16,
            down_block_types=("DownEncoderBlock2D",) * 4,
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
        )
    encoder = encoder.to(torch.bfloat16).requires_grad_(False)
    pixels = torch.empty(1, 3, 512, 512, **options, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        encoder(pixels)
    assert counter.get_total_flops() / 512**2 == pytest.approx(FLUX_ENCODER.flop, rel=0.1)


@pytest.mark.parametrize(
    ("free", "precision", "streamed"),
    [(40, "bfloat16", False), (24, "int8", False), (16, "int8", False), (12, "nf4", False),
     (8, "bfloat16", True)],
)  # fmt: skip
def test_auto_takes_what_fits_on_a_card(free: int, precision: str, streamed: bool) -> None:
    plan = choose_plan(FLUX, demand(), precision="auto", stream=False, free=int(0.95 * free * GIB))
    assert (plan.precision, plan.streamed) == (precision, streamed)
    assert plan.checkpointing and plan.fits
    assert ("bfloat16 would need" in plan.reason) == (free < 40)


def test_checkpointing_is_left_out_where_there_is_room() -> None:
    plan = choose_plan(FLUX, demand(side=512), precision="auto", stream=False, free=80 * GIB)
    assert not plan.checkpointing and plan.precision == "bfloat16"


def test_what_the_autoencoder_keeps_is_there_beside_what_the_blocks_keep() -> None:
    for side in (512, 1024):
        for blocks in ("double:0", "single:0-25"):
            wanted = demand(blocks, side)
            kept = activation_bytes(FLUX, wanted, "bfloat16", checkpointing=False)
            double = min(wanted.blocks, FLUX.double)
            numbers = PLAIN.double * double + PLAIN.single * (wanted.blocks - double)
            tokens = 2 * numbers * FLUX.width * wanted.tokens()
            assert kept == tokens + 2 * FLUX_ENCODER.kept * side**2


def test_gated_blocks_keep_more() -> None:
    size = {"num_layers": 8, "num_single_layers": 48}
    gated = count_published("Flux2Transformer2DModel", size)
    assert gated.kept == GATED and count_published("FluxTransformer2DModel", size).kept == PLAIN
    assert gated.parameters() == 32_223_281_152  # of FLUX.2 dev


def test_nothing_that_fits_is_an_error_that_says_what_would() -> None:
    with pytest.raises(EditorError) as error:
        choose_plan(FLUX, demand(), precision="auto", stream=False, free=3 * GIB)
    assert "of GPU memory are needed with --precision bfloat16 --stream-weights" in str(error.value)
    assert "--working-size 512, fewer --blocks" in error.value.hint


def test_cpu_prefers_full_precision() -> None:
    wanted = demand(side=512, gpu=False)
    names = [
        choose_plan(FLUX, wanted, precision="auto", stream=False, free=free * GIB).precision
        for free in (80, 32, 20)
    ]
    assert names == ["float32", "bfloat16", "int8"]


@pytest.mark.parametrize("precision", WEIGHT_BYTES)
def test_streamed_weights_take_a_block(precision: str) -> None:
    whole, streamed = (
        weight_bytes(FLUX, 45, precision, streamed=streamed, gpu=True) for streamed in (False, True)
    )
    assert streamed < 0.2 * whole
