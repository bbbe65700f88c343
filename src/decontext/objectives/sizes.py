"""At which sizes an editor sees a photo."""

from collections.abc import Sequence

from torch import Tensor

from decontext.editors import AttendsLatents, Editor
from decontext.errors import InputError


def working_sizes(
    editor: Editor, photo: Tensor, sides: Sequence[int | None]
) -> tuple[tuple[int, int], ...]:
    """Sizes in pixels at which the editor sees a photo; see `notation.parse_working_size`.

    Raises:
        InputError: the editor sees photos at its ordinary size only.
    """
    width, height = photo.shape[-1], photo.shape[-2]
    if any(side is not None for side in sides) and not isinstance(editor, AttendsLatents):
        raise InputError(
            f"{editor.info.name} sees photos at its ordinary size only", "Leave out --working-size."
        )
    sizes = (
        editor.working_size(width, height)
        if side is None
        else editor.working_size(width, height, side)
        for side in sides
    )
    return tuple(dict.fromkeys(sizes))


def working_size(editor: Editor, image: Tensor) -> tuple[int, int]:
    """The editor's ordinary size, `(width, height)`, for a picture `(1, 3, height, width)`."""
    return editor.working_size(image.shape[-1], image.shape[-2])
