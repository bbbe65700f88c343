"""Encode everything the transformer learns from, once: pictures -> latents in one file.

Third of the training steps. First folds the latents' per-channel mean and spread into the
autoencoder's own convolutions, so that the exported model needs no statistics beside it; for
`klein-mini` they become those of the batch norm that its autoencoder carries.

    python -m training.latents --people WORK/people --autoencoder WORK/autoencoder.pt \
        --out WORK/latents.pt --folded WORK/autoencoder-folded.pt
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2
from PIL import Image
from torch import Tensor

from training.builds import add_build, normalised, read_autoencoder, write_statistics
from training.datasets import MIDDLE, load_people, photo_pool
from training.instructions import TONES
from training.pictures import procedural
from training.tones import tone

# (height, width) of the working sizes, all of about 128 x 128 by area; the square one is half.
SHAPES = ((128, 128), (112, 144), (144, 112), (96, 160), (160, 96))
SHAPE_WEIGHTS = (0.5, 0.125, 0.125, 0.125, 0.125)
CANVAS = 160
CONTEXTS = (0, 7, 8, 9)  # renders that are also encoded in a disturbed version, as contexts
TONES_EACH = 4
MIRRORED = 10  # place of the shifted or mirrored version of render 7 among a person's targets


def fold_statistics(model: Any, pictures: Tensor) -> None:
    """Make the latents of `pictures` zero-mean and unit-spread per channel."""
    with torch.no_grad():
        latents = torch.cat([model.encode(p).latent_dist.mode() for p in pictures.split(32)])
        if isinstance(model, AutoencoderKLFlux2):
            write_statistics(model, latents)
            return
        mean, spread = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
        out, back, channels = model.encoder.conv_out, model.decoder.conv_in, len(mean)
        out.weight[:channels] /= spread.view(-1, 1, 1, 1)
        out.bias[:channels] = (out.bias[:channels] - mean) / spread
        # Exact inside; at the border the zero padding stood for 0 and now stands for the mean.
        # Further training of the decoder (`autoencoder --decoder-only`) absorbs that.
        back.bias += torch.einsum("oikl,i->o", back.weight, mean)
        back.weight *= spread.view(1, -1, 1, 1)


class Encoder:
    def __init__(self, model: Any, bf16: bool):
        self.model, self.bf16 = model, bf16
        self.normalise = isinstance(model, AutoencoderKLFlux2)

    def __call__(self, pictures: list[np.ndarray]) -> Tensor:
        """Pictures (height, width, 3) in [0, 1] of one shape -> (N, C, height/4, width/4) half."""
        parts = []
        for first in range(0, len(pictures), 32):
            batch = np.stack(pictures[first : first + 32]).astype(np.float32)
            tensor = torch.from_numpy(batch).permute(0, 3, 1, 2) * 2 - 1
            tensor = tensor.contiguous(memory_format=torch.channels_last)
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
                latents = self.model.encode(tensor).latent_dist.mode()
            latents = latents.float().contiguous()
            if self.normalise:
                latents = normalised(self.model, latents)
            parts.append(latents.half())
        return torch.cat(parts)


def window(shape: tuple[int, int], rng: np.random.Generator) -> tuple[slice, slice]:
    height, width = shape
    top = rng.integers(0, CANVAS - height + 1)
    left = rng.integers(0, CANVAS - width + 1)
    # Square crops stay near the middle: the head must not be cut.
    if shape == (128, 128):
        top, left = rng.integers(8, 25, size=2)
    return np.s_[top : top + height], np.s_[left : left + width]


def look(rng: np.random.Generator):
    """One person's photographic look: contrast, colour and sharpness, the same in all pictures."""
    contrast, shift = rng.uniform(0.75, 1.2), rng.uniform(-0.06, 0.06, 3)
    blur = rng.uniform(0.3, 0.9) if rng.random() < 0.3 else 0.0
    plain = rng.random() < 0.4

    def apply(picture: np.ndarray) -> np.ndarray:
        if plain:
            return picture
        if blur:
            import cv2

            picture = cv2.GaussianBlur(picture, (0, 0), blur)
        return np.clip((picture - 0.5) * contrast + 0.5 + shift, 0, 1).astype(np.float32)

    return apply


def disturb(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mild noise or JPEG, never adversarial: random noise alone must not break the editor."""
    kind = rng.random()
    if kind < 0.5:
        noise = rng.uniform(-1, 1, picture.shape) * rng.uniform(0, 14) / 255
    elif kind < 0.7:
        noise = np.sign(rng.standard_normal(picture.shape)) * rng.uniform(2, 14) / 255
    else:
        stream = io.BytesIO()
        quality = int(rng.integers(50, 95))
        Image.fromarray((picture * 255).round().astype(np.uint8)).save(
            stream, "JPEG", quality=quality
        )
        return np.asarray(Image.open(stream), np.float32) / 255
    return np.clip(picture + noise, 0, 1).astype(np.float32)


def irrelevant(people: np.ndarray, photos: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture that shows nobody: noise, patterns, shuffled tiles, a face drowned in noise."""
    kind = rng.random()
    if kind < 0.6:
        return procedural(rng, CANVAS)
    source = people[rng.integers(len(people)), rng.integers(10)] if rng.random() < 0.7 else None
    if source is None:
        source = photos[rng.integers(len(photos))]
    picture = source.astype(np.float32) / 255
    if kind < 0.8:
        tile = int(rng.choice([8, 16, 20, 32]))
        count = CANVAS // tile
        tiles = (
            picture.reshape(count, tile, count, tile, 3).swapaxes(1, 2).reshape(-1, tile, tile, 3)
        )
        tiles = tiles[rng.permutation(len(tiles))].reshape(count, count, tile, tile, 3)
        return tiles.swapaxes(1, 2).reshape(CANVAS, CANVAS, 3)
    share = rng.uniform(0.1, 0.3)
    return (share * picture + (1 - share) * procedural(rng, CANVAS)).astype(np.float32)


def person_pictures(pictures: np.ndarray, shape: tuple[int, int], rng: np.random.Generator):
    """Targets (11) and disturbed contexts (4) of one person, cut to one shape."""
    rows, columns = window(shape, rng)
    develop = look(rng)
    canvases = [develop(p.astype(np.float32) / 255) for p in pictures]
    targets = [canvas[rows, columns] for canvas in canvases]
    other_rows, other_columns = window(shape, rng)
    moved = canvases[7][other_rows, other_columns]
    targets.append(moved[:, ::-1] if rng.random() < 0.4 else moved)
    return targets, [disturb(targets[i], rng) for i in CONTEXTS]


def encode_people(people: dict, encode: Encoder, shapes: np.ndarray) -> list[dict]:
    """One dict per shape: `targets` (N, 11, C, h, w), `contexts` (N, 4, C, h, w), walls, blond."""
    groups = []
    for number, shape in enumerate(SHAPES):
        members = np.flatnonzero(shapes == number)
        targets, contexts = [], []
        for person in members:
            rng = np.random.default_rng([2, int(people["seeds"][person])])
            clean, disturbed = person_pictures(people["pictures"][person], shape, rng)
            latents = encode([*clean, *disturbed])
            targets.append(latents[:11])
            contexts.append(latents[11:])
        groups.append(
            {
                "targets": torch.stack(targets),
                "contexts": torch.stack(contexts),
                "walls": torch.from_numpy(people["walls"][members]),
                "blond": torch.from_numpy(people["blond"][members]),
            }
        )
        print("people", shape, len(members), flush=True)
    return groups


def encode_tones(people: np.ndarray, photos: np.ndarray, encode: Encoder, count: int) -> list[dict]:
    """Any picture with some of its tone edits: `pictures` (N, 2 + 4, C, h, w), which, is_person."""
    groups = []
    for number, (shape, weight) in enumerate(zip(SHAPES, SHAPE_WEIGHTS, strict=True)):
        latents, which, shows_person = [], [], []
        for item in range(int(count * weight)):
            rng = np.random.default_rng([3, number, item])
            person = rng.random() < 0.45
            if person:
                canvas = look(rng)(
                    people[rng.integers(len(people)), rng.integers(10)] / np.float32(255)
                )
            else:
                canvas = photos[rng.integers(len(photos))].astype(np.float32) / 255
            rows, columns = window(shape, rng)
            picture = canvas[rows, columns]
            tones = rng.choice(len(TONES), TONES_EACH, replace=False)
            edits = [tone(picture, TONES[t]) for t in tones]
            latents.append(encode([picture, disturb(picture, rng), *edits]))
            which.append(torch.from_numpy(tones))
            shows_person.append(person)
        groups.append(
            {
                "pictures": torch.stack(latents),
                "tones": torch.stack(which),
                "person": torch.tensor(shows_person),
            }
        )
    print("tones", count, flush=True)
    return groups


def encode_irrelevant(people: np.ndarray, photos: np.ndarray, encode: Encoder, count: int):
    groups = []
    for number, (shape, weight) in enumerate(zip(SHAPES, SHAPE_WEIGHTS, strict=True)):
        pictures = []
        for item in range(int(count * weight)):
            rng = np.random.default_rng([4, number, item])
            rows, columns = np.s_[: shape[0]], np.s_[: shape[1]]
            pictures.append(irrelevant(people, photos, rng)[rows, columns])
        groups.append(encode(pictures))
    print("irrelevant", count, flush=True)
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_build(parser)
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--autoencoder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folded", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=1600, help="pictures that get tone edits")
    parser.add_argument("--irrelevant", type=int, default=3000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    began = time.time()
    people = load_people(args.people)
    model = read_autoencoder(args.build, args.autoencoder).requires_grad_(False)
    rng = np.random.default_rng(5)
    some = people["pictures"][
        rng.integers(len(people["pictures"]), size=256), rng.integers(10, size=256)
    ]
    fold_statistics(
        model, torch.from_numpy(some[:, MIDDLE, MIDDLE]).permute(0, 3, 1, 2).float() / 127.5 - 1
    )
    torch.save({"model": model.state_dict()}, args.folded)
    model = model.to(memory_format=torch.channels_last)
    encode = Encoder(model, args.bf16)
    photos = photo_pool(1500, CANVAS, seed=6)
    shapes = rng.choice(len(SHAPES), size=len(people["pictures"]), p=SHAPE_WEIGHTS)
    data = {
        "people": encode_people(people, encode, shapes),
        "tones": encode_tones(people["pictures"], photos, encode, args.photos),
        "irrelevant": encode_irrelevant(people["pictures"], photos, encode, args.irrelevant),
    }
    torch.save(data, args.out)
    print(f"done in {time.time() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
