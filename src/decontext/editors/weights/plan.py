"""How an editor of FLUX's build fits on a device: what weights and a pass take, and what to choose.

Arithmetic only: nothing is loaded. The counts follow from the transformer's configuration; tests
hold them against the models themselves, built without memory on torch's meta device. What one
block keeps for its backward pass was counted there too, with saved-tensor hooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decontext.errors import EditorError
from decontext.machine import describe_bytes

WEIGHT_BYTES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0, "fp8": 1.0, "nf4": 0.5625}
"""Bytes a weight takes, scales included (of nf4: a float32 for 64 weights)."""

QUANTISED = ("int8", "fp8", "nf4")
PRECISIONS = (*WEIGHT_BYTES, "auto")
ALIASES = {"bf16": "bfloat16", "fp32": "float32"}

SAVED_PER_TOKEN = 17
"""Numbers as wide as the model that a block keeps for each token, the probe's included."""

SAVED_PER_GATED_TOKEN = 21
"""The same for blocks with a gated feed-forward, as FLUX.2's are: three numbers for its two."""

ENCODER_BYTES_PER_PIXEL = {2: 3_700, 4: 7_400}
"""What the autoencoder keeps while the gradient passes, by bytes a number, block by block."""

ENCODER_KEPT_PER_PIXEL = {2: 6_900, 4: 13_800}
"""The same where nothing is computed twice; it stays while the transformer keeps its own."""

ENCODER_FLOP_PER_PIXEL = 4.4e6
ENCODER_WIDTH = 128
"""Channels of FLUX's autoencoder at the size of the picture, for which both numbers hold."""

RESERVE = 700 * 1024**2
"""Left free for kernels, fragmentation and the desktop."""

TEXT_TOKENS = 512
LATENT_PIXELS = 16
"""Side of the square of pixels that one token stands for."""


@dataclass(frozen=True)
class Dimensions:
    """What a transformer is made of, in numbers of parameters.

    Attributes:
        double, single: how many blocks there are of each kind; double ones come first.
        width: of its tokens.
        double_block, single_block: of a block.
        embedders: what comes before the blocks.
        head_parameters: what comes after them; only a whole pass needs it.
        token_products: of a block, those that each token is multiplied with.
        largest_matrix: of a block.
        gated: whether the feed-forward of a block has a gate.
    """

    double: int
    single: int
    width: int
    double_block: int
    single_block: int
    embedders: int
    head_parameters: int
    token_products: int
    largest_matrix: int
    gated: bool = False

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Dimensions:
        """Of FLUX.1's, from `transformer/config.json`; what is missing has diffusers' default."""
        head = config.get("attention_head_dim", 128)
        width = head * config.get("num_attention_heads", 24)
        clocks = 2 if config.get("guidance_embeds", False) else 1
        channels = config.get("in_channels", 64)
        inputs = sum(
            (size + 1) * width
            for size in (
                channels,
                config.get("joint_attention_dim", 4096),
                config.get("pooled_projection_dim", 768),
                width,
            )
        )
        return cls(
            double=config.get("num_layers", 19),
            single=config.get("num_single_layers", 38),
            width=width,
            double_block=36 * width**2 + 30 * width + 4 * head,
            single_block=15 * width**2 + 11 * width + 2 * head,
            embedders=inputs + clocks * (257 * width + (width + 1) * width),
            head_parameters=2 * (width + 1) * width + (width + 1) * channels,
            token_products=12 * width**2,
            largest_matrix=6 * width**2,
        )

    def block_parameters(self, count: int) -> int:
        """Parameters of the first `count` blocks, double ones first."""
        double = min(count, self.double)
        return double * self.double_block + (count - double) * self.single_block

    def parameters(self, count: int | None = None) -> int:
        """Parameters of a pass through the first `count` blocks, or of everything."""
        if count is None:
            every = self.block_parameters(self.double + self.single)
            return self.embedders + every + self.head_parameters
        return self.embedders + self.block_parameters(count)


@dataclass(frozen=True)
class Demand:
    """What is asked for: blocks up to a number, how many of them are measured, at which sizes.

    `encoder_width` is the autoencoder's number of channels at the size of the picture.
    """

    blocks: int
    measured: int
    sizes: tuple[tuple[int, int], ...]
    gpu: bool
    text_tokens: int = TEXT_TOKENS
    encoder_width: int = ENCODER_WIDTH

    @property
    def pixels(self) -> int:
        """Of the largest size."""
        return max(width * height for width, height in self.sizes)

    def tokens(self, pixels: int | None = None) -> int:
        """Of text, target and context together, at the largest size or at one."""
        return self.text_tokens + 2 * ((pixels or self.pixels) // LATENT_PIXELS**2)


@dataclass(frozen=True)
class Plan:
    """How the weights are held and how a pass is run, and what that takes in bytes."""

    precision: str
    streamed: bool
    checkpointing: bool
    weights: int
    activations: int
    free: int
    reason: str

    @property
    def total(self) -> int:
        """Bytes of the device's memory at the peak."""
        return self.weights + self.activations

    @property
    def fits(self) -> bool:
        return self.total + RESERVE <= self.free

    def describe(self) -> str:
        """In words, for people."""
        ways = [self.precision]
        if self.streamed:
            ways.append("weights streamed block by block")
        if self.checkpointing:
            ways.append("activations computed twice")
        return (
            f"{', '.join(ways)}: {describe_bytes(self.weights)} of weights and "
            f"{describe_bytes(self.activations)} for a step; {describe_bytes(self.free)} are free"
            f" ({self.reason})"
        )


def number_bytes(precision: str, *, gpu: bool) -> int:
    """Bytes of a number in computing; beside quantised weights what suits the device."""
    return 2 if precision == "bfloat16" or (gpu and precision in QUANTISED) else 4


def weight_bytes(
    dimensions: Dimensions, blocks: int, precision: str, *, streamed: bool, gpu: bool
) -> int:
    """Bytes of the device's memory that weights take; a streamed model holds one block at a time.

    Only the blocks are quantised. A quantised matrix is unpacked while it is used.
    """
    number = number_bytes(precision, gpu=gpu)
    each = WEIGHT_BYTES[precision]
    largest = dimensions.double_block if dimensions.double else dimensions.single_block
    # Packed weights that are streamed lie in the memory of the CPU, all of them.
    packed_here = precision in QUANTISED and not gpu
    held = largest if streamed and not packed_here else dimensions.block_parameters(blocks)
    # Streamed weights may have to be unpacked or converted while the stored ones are there too.
    copies = largest * number if streamed else 0
    unpacked = dimensions.largest_matrix * number if precision in QUANTISED else 0
    return round(held * each + copies + unpacked + dimensions.embedders * number)


def activation_bytes(
    dimensions: Dimensions, demand: Demand, precision: str, *, checkpointing: bool
) -> int:
    """Bytes that a step takes beside the weights, its backward pass included.

    With checkpointing the transformer and the autoencoder have their peaks one after the other;
    otherwise what the autoencoder keeps is there until the gradient comes back to it.
    """
    number = number_bytes(precision, gpu=demand.gpu)
    saved = SAVED_PER_GATED_TOKEN if dimensions.gated else SAVED_PER_TOKEN
    per_block = saved * dimensions.width * number * demand.tokens()
    share = demand.encoder_width / ENCODER_WIDTH
    if not checkpointing:
        kept = share * ENCODER_KEPT_PER_PIXEL[number] * demand.pixels
        return round(per_block * demand.blocks + kept)
    inputs = dimensions.width * number * demand.tokens() * demand.blocks
    encoder = share * ENCODER_BYTES_PER_PIXEL[number] * demand.pixels
    return round(max(inputs + 2 * per_block, encoder))


def choose_plan(
    dimensions: Dimensions,
    demand: Demand,
    *,
    precision: str,
    stream: bool,
    free: int,
    checkpointing: bool | None = None,
) -> Plan:
    """The first way of loading that fits; what was chosen explicitly is taken as it is.

    Raises:
        EditorError: nothing fits; the hint says what would.
    """

    def plan(name: str, streamed: bool, twice: bool, reason: str) -> Plan:
        weights = weight_bytes(dimensions, demand.blocks, name, streamed=streamed, gpu=demand.gpu)
        activations = activation_bytes(dimensions, demand, name, checkpointing=twice)
        return Plan(name, streamed, twice, weights, activations, free, reason)

    names = _candidates(precision, gpu=demand.gpu)
    ways = [(name, stream) for name in names]
    if precision == "auto" and not stream:
        ways.append(("bfloat16", True))
    tried: list[Plan] = []
    for index, (name, streamed) in enumerate(ways):
        best = precision != "auto" or index == 0
        reason = "as asked" if precision != "auto" else _reason(tried, best=best)
        choices = [checkpointing] if checkpointing is not None else [streamed, True]
        for twice in dict.fromkeys(choices):
            candidate = plan(name, streamed, bool(twice), reason)
            if candidate.fits:
                return candidate
        tried.append(candidate)
    if precision != "auto":
        return candidate
    raise EditorError(*_nothing_fits(tried, free, gpu=demand.gpu))


def require_fit(plan: Plan, editor: str, *, gpu: bool) -> None:
    """Refuse before loading what cannot even hold its weights. Raises: EditorError.

    What a step takes is an estimate; where only that is too much, the attempt is left to the user.
    """
    if plan.weights > plan.free:
        message, hint = _nothing_fits([plan], plan.free, gpu=gpu)
        raise EditorError(f"{editor}: {message}", hint)


def step_flop(dimensions: Dimensions, demand: Demand, *, checkpointing: bool) -> float:
    """Floating-point operations of one step: a pass at every size, and its way back.

    Weights are frozen, so that a matrix product costs as much on the way back as on the way there.
    """
    passes = 3 if checkpointing else 2
    return sum(
        passes * pass_flop(dimensions, demand, width * height)
        + 0.5 * _attention_flop(dimensions, demand, width * height)
        for width, height in demand.sizes
    )


def pass_flop(dimensions: Dimensions, demand: Demand, pixels: int) -> float:
    """Floating-point operations of one pass without gradient, autoencoder included."""
    tokens = demand.tokens(pixels)
    linear = 2 * dimensions.token_products * tokens * demand.blocks
    share = (demand.encoder_width / ENCODER_WIDTH) ** 2
    encoder = share * ENCODER_FLOP_PER_PIXEL * pixels
    return linear + _attention_flop(dimensions, demand, pixels) + encoder


def _attention_flop(dimensions: Dimensions, demand: Demand, pixels: int) -> float:
    tokens = demand.tokens(pixels)
    target = pixels // LATENT_PIXELS**2
    whole = 4 * tokens**2 * dimensions.width
    return whole * demand.blocks + 4 * target * tokens * dimensions.width * demand.measured


def _candidates(precision: str, *, gpu: bool) -> Sequence[str]:
    if precision != "auto":
        return (precision,)
    return ("bfloat16", "int8", "nf4") if gpu else ("float32", "bfloat16", "int8", "nf4")


def _reason(tried: Sequence[Plan], *, best: bool) -> str:
    if best:
        return "the best precision fits"
    return ", ".join(
        f"{plan.precision} would need {describe_bytes(plan.total + RESERVE)}" for plan in tried
    )


def _nothing_fits(tried: Sequence[Plan], free: int, *, gpu: bool) -> tuple[str, str]:
    least = min(tried, key=lambda plan: plan.total)
    memory = "GPU memory" if gpu else "memory"
    message = (
        f"about {describe_bytes(least.total + RESERVE)} of {memory} are needed with "
        f"--precision {least.precision}{' --stream-weights' if least.streamed else ''}; "
        f"{describe_bytes(free)} are free."
    )
    ways = []
    if not least.streamed:
        ways.append("--stream-weights or --precision auto")
    ways.append("--working-size 512, fewer --blocks (double:0 needs one)")
    return message, f"Try {', '.join(ways)}."
