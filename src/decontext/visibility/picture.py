"""Where a change shows: the difference made ten times as strong, a heat map, and a preview."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from decontext.photo.files import write_whole
from decontext.photo.images import to_array
from decontext.visibility.distance import VisibleDistance

AMPLIFIED = 10
HOT = 20.0
"""What is seen at a place drawn in the brightest colour, by `VisibleDistance.by_place`: as much
everywhere stands for an SSIMULACRA2 of about 60."""

LARGEST_PANEL = 1024
"""Pixels: panels of larger photos are reduced to this longest side."""

_COLOURS = (
    (0.0, 0.0, 0.0),
    (0.35, 0.05, 0.45),
    (0.85, 0.2, 0.25),
    (1.0, 0.65, 0.1),
    (1.0, 1.0, 0.8),
)
_MARGIN, _CAPTION = 8, 22


def amplify(original: Tensor, protected: Tensor) -> Tensor:
    """The difference, ten times as strong, around a middle grey: `(1, 3, height, width)`."""
    return ((protected - original) * AMPLIFIED + 0.5).clamp_(0, 1)


def heat_map(original: Tensor, protected: Tensor) -> Tensor:
    """Where the change is seen, from black over red to nearly white: `(1, 3, height, width)`."""
    seen = VisibleDistance(original).by_place(protected - original)
    place = (seen.sqrt() / HOT**0.5).clamp_(0, 1) * (len(_COLOURS) - 1)
    colours = torch.tensor(_COLOURS, device=seen.device)
    below = place.floor().long().clamp_(max=len(_COLOURS) - 2)
    share = (place - below)[0, 0, ..., None]
    low, high = colours[below[0, 0]], colours[below[0, 0] + 1]
    return torch.lerp(low, high, share.expand_as(low)).permute(2, 0, 1)[None]


def draw_preview(original: Tensor, protected: Tensor, captions: tuple[str, str]) -> Image.Image:
    """Photo, protected photo, the difference made stronger, and where it is seen, side by side.

    Large photos are reduced; panels of the middle of the photo at its own size lie below them then.
    `captions` are of the photo and of the protected photo.
    """
    panels = (
        (captions[0], original),
        (captions[1], protected),
        (f"difference x{AMPLIFIED}", amplify(original, protected)),
        ("where it is seen", heat_map(original, protected)),
    )
    pictures = [(said, Image.fromarray(to_array(picture))) for said, picture in panels]
    rows = [[(said, _reduced(picture)) for said, picture in pictures]]
    if max(pictures[0][1].size) > LARGEST_PANEL:
        rows.append([(f"{said}, middle at full size", _middle(p)) for said, p in pictures])
    return _lay_out(rows)


def write_preview(picture: Image.Image, path: Path) -> None:
    """Write a preview as PNG, whole or not at all. Raises: InputError."""
    from io import BytesIO

    buffer = BytesIO()
    picture.save(buffer, "PNG")
    write_whole(buffer.getvalue(), path)


def _reduced(picture: Image.Image) -> Image.Image:
    factor = min(1.0, LARGEST_PANEL / max(picture.size))
    width, height = picture.size
    return picture.resize((round(width * factor), round(height * factor)), Image.Resampling.LANCZOS)


def _middle(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    across, down = min(width, LARGEST_PANEL), min(height, LARGEST_PANEL)
    left, top = (width - across) // 2, (height - down) // 2
    return picture.crop((left, top, left + across, top + down))


def _lay_out(rows: list[list[tuple[str, Image.Image]]]) -> Image.Image:
    width = max(sum(p.width + _MARGIN for _, p in row) for row in rows) + _MARGIN
    height = sum(max(p.height for _, p in row) + _CAPTION + _MARGIN for row in rows) + _MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    top = _MARGIN
    for row in rows:
        left = _MARGIN
        for said, picture in row:
            draw.text((left, top), said, fill="black")
            sheet.paste(picture, (left, top + _CAPTION))
            left += picture.width + _MARGIN
        top += max(p.height for _, p in row) + _CAPTION + _MARGIN
    return sheet
