"""The two large parts of Step1X-Edit, in memory together or in turns, and what was read already.

Language model and transformer take about 16 and 25 GB in bfloat16. What the first makes of an
instruction and a photo is small and kept, so that the second can take its place.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from decontext.editors._base import Prompt
from decontext.editors.flux import family
from decontext.editors.flux.engine import FluxEngine
from decontext.editors.language.patches import digest
from decontext.editors.step1x.connector import Connector
from decontext.editors.step1x.pixels import to_patches
from decontext.editors.step1x.text import Reading
from decontext.errors import EditorError

REMEMBERED = 256
"""Readings that are kept, some five megabytes each."""


@dataclass(frozen=True)
class Body:
    """What a denoising pass needs beside the text; `mapping` is v1.2's layer for quoted letters."""

    engine: FluxEngine
    connector: Connector
    mapping: nn.Module | None = None


@dataclass(frozen=True)
class Look:
    """A photo in patches for the vision tower, `rows_columns` of them each way.

    `digest` is the same for the same photo; it is empty where a gradient is to be followed.
    """

    patches: Tensor
    rows_columns: tuple[int, int]
    digest: str


class Reads(Protocol):
    """What reads instructions: `text.TextSide`, or that of another version."""

    def read(self, text: str, patches: Tensor, rows_columns: tuple[int, int]) -> Reading: ...


class Parts:
    """Loads what is needed when it is first needed; `cut` cuts a photo into patches.

    Unless they are `together`, loading one of the two forgets the other. One thread at a time
    loads or reads: the language model keeps positions of what it reads in itself.

    Attributes:
        lock: held meanwhile; a pass through the transformer runs without it.
    """

    def __init__(
        self,
        load_body: Callable[[], Body],
        load_text: Callable[[], Reads],
        *,
        together: bool,
        cut: Callable[[Tensor], tuple[Tensor, tuple[int, int]]] = to_patches,
    ) -> None:
        self.together = together
        self.lock = threading.RLock()
        self.loaded_body: Body | None = None
        self.loaded_text: Reads | None = None
        self._load_body, self._load_text, self._cut = load_body, load_text, cut
        self._readings: dict[tuple[str, str], Reading] = {}
        self._last: tuple[Tensor, int, Look] | None = None

    def with_body(self, load_body: Callable[[], Body]) -> Parts:
        """Parts with another body, which share what was read."""
        other = Parts(load_body, self._load_text, together=self.together, cut=self._cut)
        other.loaded_text, other._readings = self.loaded_text, self._readings
        other.lock = self.lock  # of what they share
        return other

    @property
    def body(self) -> Body:
        """Frozen."""
        with self.lock:
            if self.loaded_body is None:
                if not self.together:
                    self.loaded_text = None
                body = self._load_body()
                family.freeze((body.connector, body.mapping))
                self.loaded_body = body
            return self.loaded_body

    @property
    def text(self) -> Reads:
        """Frozen."""
        with self.lock:
            if self.loaded_text is None:
                if not self.together:
                    self.loaded_body = None
                self.loaded_text = self._load_text()
            return self.loaded_text

    def rest(self) -> None:
        """Forget both, but not what was read."""
        with self.lock:
            self.loaded_text = None
            if self.loaded_body is not None:
                self.loaded_body.engine.transformer.forget_blocks()

    def look(self, image: Tensor, bring: Callable[[Tensor], Tensor]) -> Look:
        """The photo as the language model sees it; `bring` brings it to the working size.

        The last photo is remembered, for as long as nobody changes its pixels.
        """
        tracked = torch.is_grad_enabled() and image.requires_grad
        if self._last is not None and not tracked:
            last, version, look = self._last
            if last is image and version == image._version:
                return look
        patches, rows_columns = self._cut(bring(image))
        look = Look(patches, rows_columns, "" if tracked else digest(patches))
        if not tracked:
            self._last = (image, image._version, look)
        return look

    def read(self, text: str, look: Look) -> Prompt:
        """The prompt for a text, which may be empty, and a photo; read once, unless tracked."""
        if not look.digest and not self.together:
            raise EditorError(
                "the gradient is to run through the language model, but there is no room for it "
                "beside the transformer",
                "leave out --count-vlm-tokens, or try --precision nf4 or --stream-weights",
            )
        with self.lock:
            reading = self._read(text, look)
        return Prompt(text, {"states": reading.states, **reading.beside}, photo=reading.photo)

    def _read(self, text: str, look: Look) -> Reading:
        key = (look.digest, text)
        reading = self._readings.get(key)
        if reading is None:
            with torch.set_grad_enabled(not look.digest):
                reading = self.text.read(text, look.patches, look.rows_columns)
            if look.digest:
                beside = {name: tensor.cpu() for name, tensor in reading.beside.items()}
                reading = Reading(reading.states.cpu(), reading.photo, beside)
                while len(self._readings) >= REMEMBERED:
                    del self._readings[next(iter(self._readings))]
                self._readings[key] = reading
        return reading
