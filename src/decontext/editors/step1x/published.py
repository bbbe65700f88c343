"""What the folder of v1.2 says of itself, and that its program would do nothing that ours does not.

Its transformer's configuration says how a head's width is divided and whether quoted letters are
looked at once more; its scheduler's, which noise levels an edit has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from decontext.editors.step1x.sampling import SHIFT_AT
from decontext.editors.weights.configuration import damaged, read_config
from decontext.errors import EditorError

SCHEDULER = ("scheduler", "scheduler_config.json")
(_FEW, _LOW), (_MANY, _HIGH) = SHIFT_AT
LEVELS: dict[str, tuple[Any, Any]] = {
    "use_dynamic_shifting": (True, False),
    "base_image_seq_len": (_FEW, _FEW),
    "max_image_seq_len": (_MANY, _MANY),
    "base_shift": (_LOW, _LOW),
    "max_shift": (_HIGH, _HIGH),
    "time_shift_type": ("exponential", "exponential"),
    "num_train_timesteps": (1000, 1000),
    "shift_terminal": (None, None),
    "invert_sigmas": (False, False),
    "stochastic_sampling": (False, False),
    "use_karras_sigmas": (False, False),
    "use_exponential_sigmas": (False, False),
    "use_beta_sigmas": (False, False),
}
"""Entries of a scheduler's configuration: what `sampling.schedule` does, and diffusers' default."""


@dataclass(frozen=True)
class Published:
    """Entries of a transformer's configuration.

    Attributes:
        rope: how a head's width is divided among the position axes; None in FLUX's proportion.
        heads: the connector's; None for those of the published one.
        letters: whether quoted letters are looked at once more.
    """

    rope: tuple[int, ...] | None
    heads: int | None
    letters: bool


def read_published(editor: str, folder: Path) -> Published:
    """What the folder says. Raises: EditorError, it says something that is not done here."""
    config = read_config(editor, folder, "transformer")
    rope, heads = config.get("axes_dims_rope"), config.get("connector_heads_num")
    sound = rope is None or (isinstance(rope, list) and all(isinstance(n, int) for n in rope))
    if not sound or not (heads is None or (isinstance(heads, int) and heads > 0)):
        reason = "axes_dims_rope or connector_heads_num is no number"
        raise damaged(editor, folder, "transformer", f"transformer/config.json: {reason}")
    _check_levels(editor, folder)
    return Published(
        None if rope is None else tuple(rope),
        heads,
        config.get("enable_text_token_mapping", False) is True,
    )


def _check_levels(editor: str, folder: Path) -> None:
    config = read_config(editor, folder, *SCHEDULER)
    for name, (ours, default) in LEVELS.items():
        theirs = config.get(name, default)
        if theirs != ours:
            raise EditorError(
                f"{editor}: {name} of {'/'.join(SCHEDULER)} is {theirs!r}; it must be {ours!r}, "
                "or an edit would have other noise levels than here",
                "use the published folder",
            )
