"""How an editor of FLUX's build fits on a device: what weights and a pass take, and what to choose.

Arithmetic only: nothing is loaded. The counts follow from the transformer's configuration; tests
hold them against `trace`, which follows a whole step of the published models on torch's meta
device. What a block keeps, and what it takes while it is run again, was counted there.
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


@dataclass(frozen=True)
class Kept:
    """Numbers as wide as the model, for each token; the probe's are included.

    Attributes:
        double, single: that a block of each kind keeps for its way back.
        double_again, single_again: that it takes while it is run again and sent back.
        ending: that the last block keeps less, of which only attention is wanted.
    """

    double: float
    single: float
    double_again: float
    single_again: float
    ending: float = 0


PLAIN = Kept(14.5, 13.5, 25, 26)
GATED = Kept(19.5, 20.5, 27, 39)
"""Of blocks with a gated feed-forward, as FLUX.2's are: three numbers for its two."""
QWEN = Kept(16.55, 0, 24.9, 0)
"""Of Qwen-Image-Edit's, whose positions are turned in full precision."""
TWO_TIMES = Kept(20.1, 0, 28.4, 0, ending=2)
"""The same where pictures are modulated by another noise level than the target, as in 2511."""
CAUSAL = Kept(25.6, 0, 33.65, 0, ending=7)
"""Of Qwen-Image-2.1's, which keep what each token is modulated with."""
SHARED = Kept(26.6, 0, 33.65, 0, ending=16.8)
JOINED = 1.35
"""The same where draws share what the photo is; keys and values of both are joined in a block."""


@dataclass(frozen=True)
class Encoder:
    """What an autoencoder takes for a pixel; bytes are those of numbers of one byte.

    Attributes:
        again: bytes while the gradient passes, block by block.
        kept: bytes where nothing is computed twice; it stays while the transformer keeps its own.
        flop: floating-point operations on the way there.
        parameters: how many it has.
        runs: how often as many operations, on both ways, where activations are computed twice.
    """

    again: float
    kept: float
    flop: float
    parameters: int
    runs: float = 4.0


FLUX_ENCODER = Encoder(again=1_965, kept=3_300, flop=4.25e6, parameters=83_819_683)
ENCODER_WIDTH = 128
"""Channels of FLUX's autoencoder at the size of the picture, for which its numbers hold."""

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
        double_entry, single_entry: of these, the ones before attention: of the last block that is
            measured no others are used.
        largest_matrix: of a block.
        causal: whether text and pictures do not see the target.
        kept: what its blocks keep in a whole pass.
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
    double_entry: int = 0
    single_entry: int = 0
    causal: bool = False
    kept: Kept = PLAIN

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
            double_entry=3 * width**2,
            single_entry=7 * width**2,
        )

    @property
    def largest_block(self) -> int:
        """Parameters of a block of the first kind."""
        return self.double_block if self.double else self.single_block

    def block_parameters(self, count: int) -> int:
        """Parameters of the first `count` blocks, double ones first."""
        double = min(count, self.double)
        return double * self.double_block + (count - double) * self.single_block

    def entry(self, count: int) -> int:
        """Parameters that a token meets in the last of `count` blocks, up to its attention."""
        return self.double_entry if count <= self.double else self.single_entry

    def parameters(self, count: int | None = None) -> int:
        """Parameters of a pass through the first `count` blocks, or of everything."""
        if count is None:
            every = self.block_parameters(self.double + self.single)
            return self.embedders + every + self.head_parameters
        return self.embedders + self.block_parameters(count)


@dataclass(frozen=True)
class Demand:
    """What is asked for: blocks up to a number, how many of them are measured, at which sizes.

    `encoder` is the autoencoder, `encoder_width` the number of channels that FLUX's has at the size
    of the picture; `beside` is the number of parameters that lie on the device beside the
    transformer's: those of the autoencoder. `samples` are the draws of a step.
    """

    blocks: int
    measured: int
    sizes: tuple[tuple[int, int], ...]
    gpu: bool
    text_tokens: int = TEXT_TOKENS
    encoder: Encoder = FLUX_ENCODER
    encoder_width: int = ENCODER_WIDTH
    beside: int = FLUX_ENCODER.parameters
    samples: int = 1

    @property
    def pixels(self) -> int:
        """Of the largest size."""
        return max(width * height for width, height in self.sizes)

    def shares(self, dimensions: Dimensions) -> bool:
        """Whether the draws of a step have their photo in common, see `qwen.sharing`."""
        return dimensions.causal and self.samples > 1

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
    dimensions: Dimensions,
    blocks: int,
    precision: str,
    *,
    streamed: bool,
    gpu: bool,
    beside: int = 0,
) -> int:
    """Bytes of the device's memory that weights take; a streamed model holds one block at a time.

    Only the blocks are quantised. A quantised matrix is unpacked while it is used. `beside` are
    parameters of other parts.
    """
    number = number_bytes(precision, gpu=gpu)
    each = WEIGHT_BYTES[precision]
    largest = dimensions.largest_block
    # Packed weights that are streamed lie in the memory of the CPU, all of them.
    packed_here = precision in QUANTISED and not gpu
    held = largest if streamed and not packed_here else dimensions.block_parameters(blocks)
    # On a CPU streamed weights may have to be converted while the stored ones are there too.
    copies = largest * number if streamed and not gpu else 0
    unpacked = _unpacked_bytes(dimensions, precision, number)
    others = (dimensions.embedders + beside) * number
    return round(held * each + copies + unpacked + others)


def _unpacked_bytes(dimensions: Dimensions, precision: str, number: int) -> int:
    """Of the quantised matrix that is being used."""
    return dimensions.largest_matrix * number if precision in QUANTISED else 0


def activation_bytes(
    dimensions: Dimensions,
    demand: Demand,
    precision: str,
    *,
    checkpointing: bool,
    streamed: bool = False,
) -> int:
    """Bytes that a step takes beside the weights, its backward pass included.

    With checkpointing the transformer and the autoencoder have their peaks one after the other;
    otherwise what the autoencoder keeps is there until the gradient comes back to it. Of streamed
    weights the largest block counts as weights, and of packed ones a matrix that is in use; where
    the peak has a smaller one or none, the difference is not needed.
    """
    number = number_bytes(precision, gpu=demand.gpu)
    shares = demand.shares(dimensions)
    kept = SHARED if shares else dimensions.kept
    tokens = dimensions.width * number * demand.tokens()
    share = demand.encoder_width / ENCODER_WIDTH
    double = min(demand.blocks, dimensions.double)
    single = demand.blocks - double
    if not checkpointing:
        encoder = share * number * demand.encoder.kept * demand.pixels
        blocks = double * kept.double + single * kept.single - kept.ending
        return round(tokens * blocks + encoder)
    each = WEIGHT_BYTES[precision] if streamed else 0.0
    largest = dimensions.largest_block
    absent = each * largest + _unpacked_bytes(dimensions, precision, number)
    peaks = [share * number * demand.encoder.again * demand.pixels - absent]
    # A block that is run again has those after it behind itself already.
    if single:
        again = tokens * (demand.blocks + kept.single_again)
        peaks.append(again - each * (largest - dimensions.single_block))
    if double:
        again = tokens * (double + kept.double_again)
        if shares:
            again = dimensions.width * number * _shared_numbers(dimensions, demand)
        peaks.append(again - each * (largest - dimensions.double_block))
    return round(max(peaks))


def _shared_numbers(dimensions: Dimensions, demand: Demand) -> float:
    """Numbers for a token's width that a draw takes beside what all draws share.

    Of the photo a block's input, its keys and values and their gradient are there for every block.
    """
    photo, tokens = demand.pixels // LATENT_PIXELS**2, demand.tokens()
    rest = tokens - photo
    mask = rest * tokens / dimensions.width
    return demand.blocks * (5 * photo + rest) + SHARED.double_again * rest + JOINED * tokens + mask


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
        weights = weight_bytes(
            dimensions,
            demand.blocks,
            name,
            streamed=streamed,
            gpu=demand.gpu,
            beside=demand.beside,
        )
        activations = activation_bytes(
            dimensions, demand, name, checkpointing=twice, streamed=streamed
        )
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
