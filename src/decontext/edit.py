"""The ordinary edit that anyone would run, and one in which the editor cannot see the photo.

The second is the bound of what a perfect protection would do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from decontext.attention import SequenceLayout, measuring, resolve_blocks
from decontext.attention.cut import Cut
from decontext.editors import Editor, LaysOut, OnEditStep, load_editor
from decontext.errors import AttentionError
from decontext.machine import explained_memory
from decontext.photo.files import check_targets
from decontext.photo.images import Photo, check_output, save_photo, to_array
from decontext.photo.sources import PhotoSource, read_pixels


class Edited(Tensor):
    """An edited picture: a tensor `(1, 3, height, width)` in [0, 1] that can be saved.

    What is computed from it is an ordinary tensor.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]
    _inputs: tuple[Path, ...] = ()

    @property
    def image(self) -> Tensor:
        """The picture as an ordinary tensor."""
        return self.as_subclass(Tensor)

    def to_pil(self) -> Image.Image:
        """The picture as a PIL image."""
        return Image.fromarray(to_array(self.image))

    def save(self, path: str | Path, *, quality: int | None = None, force: bool = False) -> Path:
        """Write the picture; the format follows the ending of `path`.

        Raises:
            InputError: it cannot be written, would replace the photo, or exists already.
        """
        target = Path(path)
        check_edit_output(target, quality=quality, inputs=self._inputs, force=force)
        save_photo(self.image, _plain(self.image, target), target, quality=quality)
        return target


def edit(
    photo: PhotoSource,
    instruction: str,
    editor: Editor | str,
    *,
    seed: int = 0,
    steps: int | None = None,
    cut_context: str | None = None,
    on_step: OnEditStep | None = None,
) -> Edited:
    """Edit a photo by an instruction. Nothing is written; `Edited.save` does it.

    `photo` is a path, bytes, a binary file, a PIL image, an array or a tensor, see `to_photo`.
    `cut_context` names attention blocks ("all", or as `ProtectSettings.blocks`) in which the
    picture being made cannot see the photo: the reference for what a perfect protection would do.
    `on_step` is called after each denoising step; what it raises ends the edit.

    Returns:
        `(1, 3, height, width)` float32 in [0, 1] at the editor's working size.

    Raises:
        InputError: the photo cannot be read, the instruction is empty, or there are no such blocks.
        EditorError: the editor's weights are missing or damaged.
        MemoryShortError: there is not enough memory.
    """
    pixels = read_pixels(photo)
    loaded = load_editor(editor) if isinstance(editor, str) else editor
    options: dict[str, Any] = {"seed": seed, "steps": steps, "on_step": on_step}
    with explained_memory():
        if cut_context is None:
            picture = loaded.edit(pixels, instruction, **options)
        else:
            picture = edit_without_context(
                loaded, pixels, instruction, blocks=cut_context, **options
            )
    edited = picture.as_subclass(Edited)
    edited._inputs = _files_among(photo)
    return edited


def check_edit_output(
    path: Path, *, quality: int | None = None, inputs: Sequence[Path] = (), force: bool = False
) -> None:
    """Find out before the work whether an edited picture could be saved there.

    Raises:
        InputError: it could not, would replace one of the `inputs`, or exists already.
    """
    check_output(_plain(torch.zeros(1, 3, 16, 16), path), path, quality=quality)
    check_targets([path], inputs=inputs, force=force)


def _plain(image: Tensor, path: Path) -> Photo:
    """A picture without anything of a photo's file."""
    return Photo(image, path, "PNG", "RGB", from_file=False)


def _files_among(photo: PhotoSource) -> tuple[Path, ...]:
    """The file that a photo came from, so that nothing replaces it."""
    if isinstance(photo, Photo):
        return (photo.path,) if photo.from_file else ()
    return (Path(photo),) if isinstance(photo, str | os.PathLike) else ()


def edit_without_context(
    editor: Editor, image: Tensor, instruction: str, *, blocks: str = "all", **options: Any
) -> Tensor:
    """`Editor.edit` with the context cut off in these blocks; `options` are those of `edit`."""
    with cut_context(editor, image, instruction, blocks=blocks):
        return editor.edit(image, instruction, **options)


@contextmanager
def cut_context(
    editor: Editor, image: Tensor, instruction: str, *, blocks: str = "all"
) -> Iterator[None]:
    """Within it, this edit of this photo by this editor runs without target-to-context attention.

    Args:
        editor: whose `edit` is called within.
        image: `(1, 3, height, width)` in [0, 1], the photo that is edited.
        instruction: of the edit.
        blocks: where the attention is cut, see `attention.blocks.resolve_blocks`.

    Raises:
        InputError: there are no such blocks.
        AttentionError: an edit ended without a call that could be cut.
    Source: arXiv 2512.16625, section 3, where it shows that the photo comes in by this way.
    """
    info = editor.info
    numbers = resolve_blocks(blocks, info.double_blocks, info.single_blocks)
    layouts = find_layouts(editor, image, instruction)
    with Cut(layouts, frozenset(numbers), info.double_blocks + info.single_blocks) as mode:
        yield
    if mode.seen == 0:
        raise AttentionError(
            f"the edit made no attention call over {layouts[0].key_length} tokens; nothing was cut",
            "use the native attention backend",
        )


@torch.no_grad()
def find_layouts(editor: Editor, image: Tensor, instruction: str) -> Sequence[SequenceLayout]:
    """Where the tokens of the passes of an edit lie: asked for, or seen up to the first block."""
    if isinstance(editor, LaysOut):
        return editor.edit_layouts(image, instruction)
    found: list[SequenceLayout] = []

    def look(call: dict[str, Any], layout: SequenceLayout) -> Tensor:
        found.append(layout)
        return torch.zeros((), device=call["query"].device)

    size = editor.working_size(image.shape[-1], image.shape[-2])
    noise = editor.draw_noise(size, torch.Generator().manual_seed(0))
    prompt = editor.encode_prompt(instruction, image)
    with measuring(look):
        editor.attend(image, prompt, 1.0, noise, (0,))
    return found[:1]
