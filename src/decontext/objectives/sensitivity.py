"""Which attention blocks are worth optimising over: what they bring, and what they cost.

Between the objectives and `protect` on the way of the data: `--blocks auto` chooses by it, and
`analyze` shows it. A step moves every pixel by the sign of a gradient. So what a step over some
blocks brings is, to first order, how far that sign lies along the gradient of the proportion over
*all* blocks; what it costs is the work of the pass, which ends after the last of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

from decontext.attention import resolve_blocks
from decontext.editors import Editor
from decontext.notation import LEVELS
from decontext.photo.resampling import resize
from decontext.prompts import OPTIMISE

SIGMAS = (0.98, 1.0)
DRAWS = 4
MOST_PREFIXES = 8
LEAST_SHARE = 0.8
"""Of the best fall, which a choice must bring: a cheap step that leads nowhere is not worth it."""


@dataclass(frozen=True)
class Worth:
    """What one step over a set of blocks brings and costs.

    Attributes:
        name: of the blocks, as `attention.blocks.resolve_blocks` reads it.
        falls: for each noise level, by what part the context proportion of all blocks is expected
            to fall when each pixel moves by one level of 255, to first order.
        cost: of the pass, as a part of a pass over all blocks, autoencoder included, (0, 1].
    """

    name: str
    falls: tuple[float, ...]
    cost: float

    @property
    def fall(self) -> float:
        """Mean over the noise levels."""
        return sum(self.falls) / len(self.falls)

    @property
    def per_cost(self) -> float:
        """The fall for the work of one full pass."""
        return self.fall / self.cost


def single_sets(double: int, single: int) -> tuple[str, ...]:
    """Names of all blocks, each by itself."""
    kinds = (("double", double), ("single", single))
    return tuple(f"{kind}:{number}" for kind, count in kinds for number in range(count))


def prefix_sets(double: int, single: int) -> tuple[str, ...]:
    """Names of the first blocks of the pass, up to eight different numbers of them."""
    in_all = double + single
    ends = {max(1, round(in_all * part / MOST_PREFIXES)) for part in range(1, MOST_PREFIXES + 1)}
    return tuple(_prefix(end, double) for end in sorted(ends))


def weigh_blocks(
    editor: Editor,
    photo: Tensor,
    names: Sequence[str],
    *,
    sigmas: Sequence[float] = SIGMAS,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[Worth, ...]:
    """What steps over each of these sets of blocks bring and cost, in the order given.

    Measured at the editor's working size, where a gradient is small; `draws` of instruction and
    noise for each noise level. `photo` is `(1, 3, height, width)` in [0, 1].
    """
    info = editor.info
    sets = {name: resolve_blocks(name, info.double_blocks, info.single_blocks) for name in names}
    seen = resize(photo, editor.working_size(photo.shape[-1], photo.shape[-2]))
    generator = torch.Generator().manual_seed(seed)
    whole, level = torch.zeros_like(seen), 0.0
    signs: list[dict[str, Tensor]] = []
    for sigma in sigmas:
        sums = {name: torch.zeros_like(seen) for name in sets}
        for _ in range(draws):
            value = _add_gradients(editor, seen, sigma, sets, sums, whole, generator)
            level += value / (len(sigmas) * draws)
        # One byte a colour value: with many blocks the gradients themselves would fill a memory.
        signs.append({name: total.sign().to(torch.int8) for name, total in sums.items()})
    whole /= len(sigmas) * draws
    costs = _count_costs(editor, seen, {max(blocks) for blocks in sets.values()})
    return tuple(
        Worth(
            name,
            tuple(float((sign[name] * whole).sum()) / LEVELS / level for sign in signs),
            costs[max(blocks)],
        )
        for name, blocks in sets.items()
    )


def choose_blocks(editor: Editor, photo: Tensor, *, seed: int = 0) -> str:
    """The first blocks of the pass that bring the most for their cost, by name.

    Only choices that bring at least `LEAST_SHARE` of the best count. The same photo, editor, seed
    and device give the same choice: the cost is counted in operations, not in seconds.
    """
    names = prefix_sets(editor.info.double_blocks, editor.info.single_blocks)
    worths = weigh_blocks(editor, photo, names, seed=seed)
    best = max(worth.fall for worth in worths)
    good = [worth for worth in worths if worth.fall >= LEAST_SHARE * best]
    return max(good, key=lambda worth: worth.per_cost).name


def _prefix(count: int, double: int) -> str:
    parts = [("double", min(count, double)), ("single", count - double)]
    return ",".join(f"{kind}:0-{number - 1}" for kind, number in parts if number > 0)


def _add_gradients(
    editor: Editor,
    seen: Tensor,
    sigma: float,
    sets: Mapping[str, Sequence[int]],
    sums: Mapping[str, Tensor],
    whole: Tensor,
    generator: torch.Generator,
) -> float:
    """One draw: add the gradients of each set and of all blocks; the proportion over all."""
    text = OPTIMISE[int(torch.randint(len(OPTIMISE), (), generator=generator))]
    size = editor.working_size(seen.shape[-1], seen.shape[-2])
    noise = editor.draw_noise(size, generator)
    image = seen.detach().requires_grad_()
    every = range(editor.info.double_blocks + editor.info.single_blocks)
    values = editor.attend(image, editor.encode_prompt(text, seen), sigma, noise, every)
    for name, blocks in sets.items():
        (gradient,) = torch.autograd.grad(values[list(blocks)].mean(), image, retain_graph=True)
        sums[name].add_(gradient)
    (gradient,) = torch.autograd.grad(values.mean(), image)
    whole.add_(gradient)
    return float(values.detach().mean())


@torch.no_grad()
def _count_costs(editor: Editor, seen: Tensor, lasts: set[int]) -> dict[int, float]:
    """Operations of a pass that ends after each of these blocks, as parts of a full pass."""
    size = editor.working_size(seen.shape[-1], seen.shape[-2])
    noise = editor.draw_noise(size, torch.Generator().manual_seed(0))
    prompt = editor.encode_prompt(OPTIMISE[0], seen)
    final = editor.info.double_blocks + editor.info.single_blocks - 1
    counts = {}
    for last in lasts | {final}:
        with _Counter() as counter:  # type: ignore[no-untyped-call]
            editor.attend(seen, prompt, SIGMAS[0], noise, (last,))
        counts[last] = counter.operations
    return {last: counts[last] / counts[final] for last in lasts}


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts multiplications and additions of matrix products, convolutions and attention.

    torch's own counter follows modules, which a pass that is left halfway confuses.
    """

    operations = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        if packet in flop_registry:
            self.operations += flop_registry[packet](*args, **(kwargs or {}), out_val=result)
        elif "scaled_dot_product" in str(packet):  # the CPU's kernel is not in torch's list
            shapes = (tensor.shape for tensor in args[:3])
            self.operations += sdpa_flop_count(*shapes)  # type: ignore[no-untyped-call]
        return result
