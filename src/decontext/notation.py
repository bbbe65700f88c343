"""How people write a change of colour, such as 8/255, and the size at which an editor sees a photo.

Nothing here imports torch.
"""

import math
import re

from decontext.errors import InputError
from decontext.ranges import check_number, is_number

LEVELS = 255
ORDINARY_SIZE = "ordinary"
SMALLEST_SIDE, LARGEST_SIDE = 64, 4096


def parse_working_size(text: str) -> tuple[int | None, ...]:
    """Sides of the working sizes in pixels, without repeats; None is the ordinary size.

    Raises:
        InputError: neither "ordinary" nor whole numbers from 64 to 4096.
    """
    sides: list[int | None] = []
    for part in text.split(",") if isinstance(text, str) else [repr(text)]:
        name = part.strip()
        if name == ORDINARY_SIZE:
            sides.append(None)
        elif re.fullmatch(r"\d{1,5}", name) and SMALLEST_SIDE <= int(name) <= LARGEST_SIDE:
            sides.append(int(name))
        else:
            raise InputError(
                f"working_size is {text!r}; it must be 'ordinary' or pixels a side, "
                f"{SMALLEST_SIDE} to {LARGEST_SIDE}.",
                "Try ordinary, 512 or ordinary,512.",
            )
    return tuple(dict.fromkeys(sides))


def parse_epsilon(text: str, *, name: str = "epsilon") -> tuple[float, str]:
    """Read a change of a colour value as people write it: `8/255`, `8` (levels) or `0.03`.

    A number of at least 1 counts levels of 255, a smaller one is a fraction of the full range.
    `name` is what an error calls the value; step sizes are written alike.

    Returns:
        The fraction of the full range, (0, 1], and in words how the text was understood.

    Raises:
        InputError: not such a number, 0 or less, or more than the full range.
    """
    number = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    match = re.fullmatch(rf"\s*{number}\s*(?:/\s*{number}\s*)?", text, flags=re.ASCII)
    if match is None:
        raise InputError(f"{name} is {text!r}; it must be a number.", "Try 8/255, 8 or 0.03.")
    value, divisor = float(match[1]), match[2]
    if divisor is not None:
        value = value / float(divisor) if float(divisor) else math.inf
    elif value >= 1:
        value /= LEVELS
    if not 0 < value <= 1:
        raise InputError(
            f"{name} is {text.strip()}; it must be above 0 and at most 255 levels.",
            "Try 8/255, 8 or 0.03.",
        )
    return value, describe_epsilon(value)


def describe_epsilon(value: float) -> str:
    """In words, such as "8/255 of full range (8 levels)"."""
    levels = value * LEVELS
    whole = round(levels)
    if abs(levels - whole) < 1e-6:
        return f"{whole}/255 of full range ({whole} level{'' if whole == 1 else 's'})"
    return f"{value:.4g} of full range ({levels:.4g} levels)"


def check_epsilon(value: float) -> None:
    """At least one level of a saved photo, at most the full range. Raises: InputError."""
    if is_number(value) and 1 < value <= LEVELS:
        raise InputError(
            f"epsilon is {value:g}; it must be in (0, 1].", f"Did you mean {value:g}/255?"
        )
    check_number("epsilon", value, 0, 1, low_included=False)
    if value * LEVELS < 1 - 1e-6:
        raise InputError(
            f"epsilon is {value:g}, less than one level of a saved photo; "
            "it must be at least 1/255.",
            "Try 8/255.",
        )
