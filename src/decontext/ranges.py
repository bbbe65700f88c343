"""Whether a setting is within its range, and the sentence where it is not.

Each check raises InputError with the setting's name, what it is and what it must be.
"""

from decontext.errors import InputError


def check_number(
    name: str,
    value: float,
    low: float,
    high: float,
    *,
    low_included: bool = True,
    high_included: bool = True,
) -> None:
    """A number from low to high; the ends belong to it unless they are said not to."""
    inside = (
        is_number(value)
        and (low <= value if low_included else low < value)
        and (value <= high if high_included else value < high)
    )
    if not inside:
        interval = f"{'[' if low_included else '('}{low}, {high}{']' if high_included else ')'}"
        raise InputError(f"{name} is {value!r}; it must be in {interval}.")


def check_count(name: str, value: int, low: int, high: int = 1_000_000) -> None:
    """A whole number from low to high."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name} is {value!r}; it must be a whole number, {low} to {high}.")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """One of these words."""
    if value not in choices:
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")


def check_sigma_range(value: tuple[float, float]) -> None:
    """Two noise levels of which the first is not above the second."""
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value))
    if not is_pair or not 0 <= value[0] <= value[1] <= 1:
        raise InputError(
            f"sigma_range is {value!r}; it must be two rising numbers in [0, 1].",
            "Try (0.98, 1.0).",
        )


def is_number(value: object) -> bool:
    """A number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
