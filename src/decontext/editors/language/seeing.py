"""The text side of editors whose language model sees the pictures with the instruction.

The ordinary pipeline's own code asks the language model, so that wording and tokens are its; what
is taken are the states that it would take, and where among them the photo's own tokens are: a
second way on which the photo reaches an edit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from decontext.editors._base import Prompt
from decontext.editors.flux import family
from decontext.editors.joint.engine import Size
from decontext.editors.language.patches import Grid, digest, fit, to_patches
from decontext.editors.language.processor import PAD, Processor
from decontext.editors.weights.loading import quiet
from decontext.editors.weights.text import TextModels
from decontext.errors import EditorError
from decontext.photo.resampling import resize

REMEMBERED = 128
"""Readings that are kept, some ten megabytes each where a picture has a thousand tokens."""


@dataclass(frozen=True)
class SeeingParts:
    """How an editor's pipeline asks its language model.

    Attributes:
        names: of the parts that take part in it.
        processor: which of them is called with pictures.
        build: from the parts by name to the ordinary pipeline, which has no others.
        sizes: to which a picture is brought, one after the other, before the model's own
            processor gets it.
        ask: from pipeline, instruction and stand-ins for the pictures to tensors by name,
            `embeddings` among them.
        dropped: from pipeline and token ids to how many states at the beginning are left out.
        replaced: whether the transformer has the photo's latents in the place of its text tokens.
    """

    names: tuple[str, ...]
    processor: str
    build: Callable[[dict[str, Any]], Any]
    sizes: Callable[[int, int], Sequence[Size]]
    ask: Callable[[Any, str, list[Any]], dict[str, Tensor]]
    dropped: Callable[[Any, Sequence[int]], int]
    replaced: bool = False


@dataclass(frozen=True)
class _Look:
    """The pictures in patches for the vision tower; without a `digest` where a gradient follows."""

    patches: tuple[Tensor, ...]
    sizes: tuple[tuple[int, int], ...]
    digest: str


class SeeingText:
    """See `joint.editor.TextSide`.

    `models` are the parts, or a pipeline in memory that holds them. One thread at a time reads: the
    language model keeps positions of what it reads in itself.
    """

    sees = True

    def __init__(
        self, models: TextModels | Any, parts: SeeingParts, *, grid: Grid, length: int
    ) -> None:
        self._models, self._parts, self._grid = models, parts, grid
        self.length = length
        self._known: dict[tuple[str, int, str], Prompt] = {}
        self._last: tuple[tuple[tuple[Tensor, int], ...], _Look] | None = None
        self._lock = threading.RLock()

    def read(self, text: str, pictures: Sequence[Tensor], place: int) -> Prompt:
        """Read once with the same pictures, unless a gradient is followed."""
        with self._lock:
            look = self._look(pictures)
            if not look.digest:
                return self._ask(self._keep_models(), text, look, place)
            self.prepare([text], pictures, place)
            return self._known[look.digest, place, text]

    def prepare(self, texts: Sequence[str], pictures: Sequence[Tensor], place: int) -> None:
        with self._lock, torch.no_grad():
            look = self._look(pictures)
            keys = [(look.digest, place, text) for text in dict.fromkeys(texts)]
            absent = [key for key in keys if key not in self._known]

            def ask(pipeline: Any) -> None:
                for key in absent:
                    self._known[key] = self._ask(pipeline, key[-1], look, place)

            if absent:
                self._forget(len(absent), keys)
                _use(self._models, ask)

    def _keep_models(self) -> Any:
        if not isinstance(self._models, TextModels):
            return self._models
        if not self._models.fits():
            raise EditorError(
                "the gradient is to run through the language model, but there is no room for it "
                "beside the transformer",
                "leave out --count-vlm-tokens, or try --precision nf4 or --stream-weights",
            )
        return self._models.keep()

    def _look(self, pictures: Sequence[Tensor]) -> _Look:
        """The last pictures are remembered, for as long as nobody changes their pixels."""
        tracked = torch.is_grad_enabled() and any(picture.requires_grad for picture in pictures)
        seen = tuple((picture, picture._version) for picture in pictures)
        if self._last is not None and not tracked and _same(self._last[0], seen):
            return self._last[1]
        cut = [self._cut(picture, tracked=tracked) for picture in pictures]
        patches, sizes = tuple(one for one, _ in cut), tuple(size for _, size in cut)
        look = _Look(patches, sizes, "" if tracked else digest(*patches))
        if not tracked:
            self._last = seen, look
        return look

    def _cut(self, picture: Tensor, *, tracked: bool) -> tuple[Tensor, tuple[int, int]]:
        """A picture in patches: as anyone's edit sees it, in 8 bits, or with a gradient."""
        sizes = self._parts.sizes(picture.shape[-1], picture.shape[-2])
        if tracked:
            pixels = picture.to(dtype=torch.promote_types(picture.dtype, torch.float32))
            for size in sizes:
                pixels = resize(pixels, size)
            return to_patches(pixels, self._grid)
        shown = family.to_pillow(picture)
        for size in sizes:
            shown = shown.resize(size, Image.Resampling.LANCZOS)
        shown = shown.resize(fit(*shown.size, self._grid), Image.Resampling.BICUBIC)
        return to_patches(family.from_pillow(shown), self._grid)

    def _ask(self, pipeline: Any, text: str, look: _Look, place: int) -> Prompt:
        """One reading by the pipeline's own code, watched."""
        model = pipeline.text_encoder
        asking = copy(pipeline)
        processor = Processor.over(getattr(pipeline, self._parts.processor))
        patches = [one.to(model.device, model.dtype) for one in look.patches]
        _put(asking, self._parts.processor, processor.showing(patches, look.sizes))
        seen: dict[str, Any] = {}

        def watch(_model: Any, _args: Any, options: dict[str, Any], output: Any) -> None:
            seen.update(ids=options["input_ids"][0].tolist(), states=output.hidden_states[-1])

        handle = model.register_forward_hook(watch, with_kwargs=True)
        try:
            with quiet(local=True):
                stand_ins = [_stand_in(size, self._grid) for size in look.sizes]
                tensors = self._parts.ask(asking, text, stand_ins)
        finally:
            handle.remove()
        dropped = self._parts.dropped(asking, seen["ids"])
        length = tensors["embeddings"].shape[1]
        # Some pipelines cut the gradient off: the states themselves are taken.
        tensors = tensors | {"embeddings": seen["states"][:, dropped : dropped + length]}
        if look.digest:
            tensors = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        if self._parts.replaced:
            return Prompt(text, tensors)
        photo = _find_photo(seen["ids"], processor, look.sizes, place)
        inside = [min(max(at - dropped, 0), length) for at in (photo.start, photo.stop)]
        return Prompt(text, tensors, photo=range(*inside))

    def _forget(self, count: int, wanted: Sequence[tuple[str, int, str]]) -> None:
        for key in list(self._known):
            if len(self._known) + count <= REMEMBERED:
                break
            if key not in wanted:
                del self._known[key]


def _use(models: TextModels | Any, work: Callable[[Any], None]) -> None:
    if isinstance(models, TextModels):
        models.use(work)
    else:
        work(models)


def _same(one: tuple[tuple[Tensor, int], ...], other: tuple[tuple[Tensor, int], ...]) -> bool:
    return len(one) == len(other) and all(
        mine is theirs and version == number
        for (mine, version), (theirs, number) in zip(one, other, strict=True)
    )


def _put(pipeline: Any, name: str, processor: Processor) -> None:
    """Past the pipeline's bookkeeping, which knows no part that is no model."""
    vars(pipeline)[name] = processor
    if "image_processor_vl" in vars(pipeline):
        vars(pipeline)["image_processor_vl"] = processor


def _stand_in(size: tuple[int, int], grid: Grid) -> Any:
    """A picture of the right size, for pipelines that look at it; its pixels count for nothing."""
    return Image.new("RGB", (size[1] * grid.patch, size[0] * grid.patch))


def _find_photo(
    ids: Sequence[int], processor: Processor, sizes: Sequence[tuple[int, int]], place: int
) -> range:
    """Where the tokens of the photo are, which is the picture at this place."""
    pad = processor.tokenizer.convert_tokens_to_ids(PAD)
    counts = [rows * columns // processor.merge_size**2 for rows, columns in sizes]
    places = [at for at, number in enumerate(ids) if number == pad]
    first = sum(counts[:place])
    return range(places[first], places[first + counts[place] - 1] + 1)
