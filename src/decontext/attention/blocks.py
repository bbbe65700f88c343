"""Names of attention blocks, such as `single:0-25`, as numbers of joint-attention calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from decontext.errors import InputError

PAPER_SHARE = Fraction(26, 38)
"""Part of the single blocks that the paper optimises over: 0 to 25 of FLUX's 38."""

PAPER_DEPTH = (Fraction(19, 57), Fraction(45, 57))
"""The same as a part of all blocks in their order, for editors with blocks of one kind."""


def resolve_blocks(names: str | Sequence[str], double: int, single: int) -> tuple[int, ...]:
    """Turn block names into the numbers of joint-attention calls, sorted and without repeats.

    `names` is one of, or several (comma separated or a sequence) of: `all`, `paper` (single blocks
    in the paper's proportion: 0 to 25 of 38; of an editor without single blocks those at the same
    depth: 20 to 47 of 60), `double`, `single`, `double:3`, `single:0-25` (both ends included).
    `double` and `single` count the blocks that the editor has.

    Raises:
        InputError: a name is not understood or the editor has no such block.
    """
    parts = names.split(",") if isinstance(names, str) else [p for n in names for p in n.split(",")]
    blocks: set[int] = set()
    for part in parts:
        blocks.update(_resolve_name(part.strip(), double, single))
    if not blocks:
        raise InputError("no blocks are left to measure", _existing_blocks(double, single))
    return tuple(sorted(blocks))


def _resolve_name(name: str, double: int, single: int) -> range:
    if name == "all":
        return range(double + single)
    if name == "paper":
        if not single:
            begin, end = (double * depth for depth in PAPER_DEPTH)
            return range(int(begin), -int(-end // 1))
        return range(double, double + -int(-single * PAPER_SHARE // 1))
    match = re.fullmatch(r"(double|single)(?::(\d{1,9})(?:-(\d{1,9}))?)?", name)
    if match is None:
        raise InputError(f"no blocks are named {name[:40]!r}", _existing_blocks(double, single))
    kind, first, last = match.groups()
    offset, count = (0, double) if kind == "double" else (double, single)
    start = int(first or 0)
    stop = count if first is None else int(last or first) + 1
    if start >= stop or stop > count:
        raise InputError(f"no blocks are named {name!r}", _existing_blocks(double, single))
    return range(offset + start, offset + stop)


def _existing_blocks(double: int, single: int) -> str:
    kinds = [
        f"{kind}:0-{count - 1}" for kind, count in (("double", double), ("single", single)) if count
    ]
    return f"this editor has {' and '.join(kinds)}; 'all' and 'paper' also work"
