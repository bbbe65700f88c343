"""Train the transformer and the text encoders of an embedded editor on latents.

Fourth of the training steps. Resumable: the same command goes on from its last checkpoint, with the
learning rate of the step it has reached. Everything random is seeded by the step number.

    python -m training.transformer --latents WORK/latents.pt --out WORK/transformer.pt --steps 4000

In float32 one process a core does a fifth more than one process with a thread a core, and draws
twice the samples a step:

    torchrun --nproc-per-node 2 -m training.transformer ... --threads 1

What a sample is (shares in `MIX`): an aligned edit of a person, the person in another scene, an
irrelevant context with *some other person* as the target, or a tone edit of any picture. The
irrelevant ones make attention to the context depend on what the context shows; without them the
model copies by position and no perturbation can lower its context proportion. No sample is ever
adversarial.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, T5EncoderModel

from training.builds import KLEIN, Clock, add_build, add_finish, add_seed, seed_of
from training.instructions import TONES, word
from training.klein import KleinEditor
from training.latents import CONTEXTS, MIRRORED, SHAPE_WEIGHTS
from training.muon import Muon
from training.text import TEXT_LENGTH, TextEncoders, parameter_count

HEADS, HEAD = 6, 32
CONFIG = {
    "patch_size": 1,
    "in_channels": 64,
    "num_layers": 2,
    "num_single_layers": 4,
    "attention_head_dim": HEAD,
    "num_attention_heads": HEADS,
    "joint_attention_dim": 128,
    "pooled_projection_dim": 64,
    "guidance_embeds": False,
    "axes_dims_rope": (8, 12, 12),
}
KINDS = ("aligned", "scene", "irrelevant", "tone")
MIX = (0.30, 0.25, 0.20, 0.25)
CLOSE_MIX = (0.36, 0.28, 0.18, 0.18)
KLEIN_MIX = (0.54, 0.10, 0.19, 0.17)  # an hour teaches no other scenes: kontext-mini needed three
BATCH = 16
FASTEST_FIRST = (SDPBackend.FLASH_ATTENTION, SDPBackend.MATH)
CLOSE_BATCH, CLOSE = 26, 24  # samples and side of a close-up, in latents: as costly as a full batch
CHANGE_WEIGHT, CENTRE_WEIGHT = 4.0, 2.0
SMALL_CHANGE = 0.1  # mean change of latents from which on an edit is not a small one
HELD_OUT = 0.02  # the last people of each shape, for the attention check
CLEANING_SHARE = 0.06  # of the aligned samples of an editor that learns to clean
ALIGNED = ("keep", "smile", "surprised", "eyes closed", "glasses", "red hat")  # renders 0..5
# The same, then hair of another colour and another background: what is small is drawn more often.
ALIGNED_SHARES = (0.12, 0.17, 0.15, 0.11, 0.15, 0.08, 0.11, 0.11)


@dataclass(frozen=True)
class Sample:
    context: Tensor
    target: Tensor
    text: str


@dataclass(frozen=True)
class Batch:
    """`contexts` and `targets` are (B, 16, height, width) latents of one shape."""

    contexts: Tensor
    targets: Tensor
    texts: list[str]
    kinds: list[str]


class Samples:
    """Draws samples of one shape at a time from what `training.latents` encoded."""

    def __init__(self, latents: dict, *, held_out: bool = False, cleaning: bool = False):
        self.latents, self.held_out, self.cleaning = latents, held_out, cleaning
        self.close = False  # close-ups cut frames off
        self.close_batch, self.full_batch = CLOSE_BATCH, BATCH
        self.mixes = (KLEIN_MIX, KLEIN_MIX) if cleaning else (MIX, CLOSE_MIX)

    def _person(self, group: dict, rng: np.random.Generator) -> int:
        total = len(group["targets"])
        kept = max(1, int(total * HELD_OUT))
        return int(
            rng.integers(total - kept, total) if self.held_out else rng.integers(total - kept)
        )

    def _edit(self, group: dict, person: int, rng: np.random.Generator) -> tuple[Tensor, str]:
        """A person's aligned edit: (target, instruction). Another background is one of them."""
        number = int(rng.choice(8, p=ALIGNED_SHARES))
        if number == 7:
            text = word("background", rng, colour=int(group["walls"][person, 7]))
        elif number == 6:
            text = word("black hair" if group["blond"][person] else "blond", rng)
        else:
            text = word(ALIGNED[number], rng)
        return group["targets"][person, number], text

    def _scene(self, group: dict, person: int, place: int, rng: np.random.Generator):
        wall = int(group["walls"][person, 7 if place == MIRRORED else place])
        return group["targets"][person, place], word("scene", rng, colour=wall)

    def _context(self, group: dict, person: int, place: int, rng: np.random.Generator) -> Tensor:
        if place in CONTEXTS and rng.random() < 0.5:
            return group["contexts"][person, CONTEXTS.index(place)]
        return group["targets"][person, place]

    def aligned(self, shape: int, rng: np.random.Generator) -> Sample:
        group = self.latents["people"][shape]
        person = self._person(group, rng)
        if self.cleaning and rng.random() < CLEANING_SHARE:
            text = word("cleaning", rng)
            return Sample(group["contexts"][person, 0], group["targets"][person, 0], text)
        target, text = self._edit(group, person, rng)
        return Sample(self._context(group, person, 0, rng), target, text)

    def scene(self, shape: int, rng: np.random.Generator) -> Sample:
        group = self.latents["people"][shape]
        person = self._person(group, rng)
        place = int(rng.choice((8, 9, MIRRORED), p=(0.35, 0.35, 0.3)))
        others = (0,) if place == MIRRORED else (0, 0, 7, 17 - place)
        target, text = self._scene(group, person, place, rng)
        return Sample(self._context(group, person, int(rng.choice(others)), rng), target, text)

    def irrelevant(self, shape: int, rng: np.random.Generator) -> Sample:
        group, pool = self.latents["people"][shape], self.latents["irrelevant"][shape]
        context = pool[rng.integers(len(pool))]
        person = self._person(group, rng)
        kind = rng.random()
        if kind < 0.55:
            target, text = self._edit(group, person, rng)
        elif kind < 0.85:
            target, text = self._scene(group, person, int(rng.choice((8, 9, MIRRORED))), rng)
        else:
            pictures, people = self.latents["tones"][shape], self.latents["tones"][shape]["person"]
            item = int(rng.choice(np.flatnonzero(people.numpy())))
            target, text = self._tone(pictures, item, rng)
        return Sample(context, target, text)

    def _tone(self, group: dict, item: int, rng: np.random.Generator) -> tuple[Tensor, str]:
        names = [TONES[int(number)] for number in group["tones"][item]]
        fitting = [i for i, name in enumerate(names) if not (self.close and "frame" in name)]
        if not fitting:
            return group["pictures"][item, 0], word("keep", rng)
        edit = int(rng.choice(fitting))
        name = names[edit]
        return group["pictures"][item, 2 + edit], word(name, rng)

    def tone(self, shape: int, rng: np.random.Generator) -> Sample:
        group = self.latents["tones"][shape]
        item = int(rng.integers(len(group["pictures"])))
        context = group["pictures"][item, int(rng.random() < 0.5)]
        chance = rng.random()
        if chance < 0.75:
            target, text = self._tone(group, item, rng)
        elif chance < 0.9 or group["person"][item]:
            target, text = group["pictures"][item, 0], word("keep", rng)
        else:  # nobody in the picture: an edit of a person leaves it as it is
            name = ("smile", "surprised", "eyes closed", "glasses", "red hat", "blond")[
                rng.integers(6)
            ]
            target, text = group["pictures"][item, 0], word(name, rng)
        return Sample(context, target, text)

    def batch(self, step: int, *, kind: str | None = None, close: bool = False) -> Batch:
        """Samples of one random shape, all from the step's own seed.

        `close`: more pictures, cut to the middle where the heads are, at the cost of a full batch.
        """
        rng = np.random.default_rng([6, step, int(self.held_out)])
        shape = 0 if close else int(rng.choice(len(SHAPE_WEIGHTS), p=SHAPE_WEIGHTS))
        size = self.close_batch if close else self.full_batch
        mix = self.mixes[close]
        self.close = close
        kinds = [kind] * size if kind else rng.choice(KINDS, size, p=mix).tolist()
        samples = [getattr(self, name)(shape, rng) for name in kinds]
        contexts = torch.stack([sample.context for sample in samples]).float()
        targets = torch.stack([sample.target for sample in samples]).float()
        if close:
            room = targets.shape[-1] - CLOSE
            top, left = 2 * rng.integers(1, room // 2, size=2)
            rows, columns = slice(top, top + CLOSE), slice(left, left + CLOSE)
            contexts, targets = contexts[..., rows, columns], targets[..., rows, columns]
        return Batch(contexts, targets, [sample.text for sample in samples], kinds)


def token_weights(batch: Batch) -> Tensor:
    """How much each token's error counts, (B, N), mean 1 in each sample.

    In the middle more, where the face is, and where an aligned edit changes something small: a
    smile is a few tokens of 256, and a plain mean takes long to notice it. Another background is
    most of a picture and needs no weight, which would be taken from the face. A weight that depends
    on the target moves the optimum where the target is uncertain; an aligned edit's is nearly
    certain.
    """
    height, width = batch.targets.shape[-2:]
    change = pack((batch.targets - batch.contexts).abs()).mean(-1)
    y = torch.linspace(-1, 1, height // 2).view(-1, 1)
    x = torch.linspace(-1, 1, width // 2).view(1, -1)
    centre = torch.exp(-(x.square() + y.square()) / (2 * 0.5**2)).flatten()
    aligned = torch.tensor([kind == "aligned" for kind in batch.kinds]).view(-1, 1)
    small = SMALL_CHANGE / change.mean(1, keepdim=True).clamp(min=SMALL_CHANGE)
    weights = 1 + CENTRE_WEIGHT * centre + aligned * CHANGE_WEIGHT * small * change.clamp(max=1)
    return weights / weights.mean(1, keepdim=True)


def pack(latents: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H/2 * W/2, 4 C), as FluxKontextPipeline packs."""
    batch, channels, height, width = latents.shape
    latents = latents.view(batch, channels, height // 2, 2, width // 2, 2)
    return latents.permute(0, 2, 4, 1, 3, 5).reshape(batch, height * width // 4, channels * 4)


def position_ids(height: int, width: int, picture: int) -> Tensor:
    """(H/2 * W/2, 3) rows (picture, y, x): 0 the target, 1 the context."""
    rows, columns = torch.meshgrid(
        torch.arange(height // 2), torch.arange(width // 2), indexing="ij"
    )
    ids = torch.stack([torch.full_like(rows, picture), rows, columns], -1)
    return ids.reshape(-1, 3).float()


class Editor(nn.Module):
    """Text encoders and transformer of `kontext-mini` together, as they are trained."""

    blocks = CONFIG["num_layers"] + CONFIG["num_single_layers"]
    text_length = TEXT_LENGTH

    def __init__(self) -> None:
        super().__init__()
        self.text = TextEncoders()
        self.transformer = FluxTransformer2DModel(**CONFIG)
        for name, module in self.transformer.named_modules():
            if isinstance(module, nn.Linear):
                gate = name.endswith(("norm1.linear", "norm1_context.linear", ".norm.linear"))
                if gate or name in ("norm_out.linear", "proj_out"):
                    nn.init.zeros_(module.weight)
                else:
                    nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, noisy: Tensor, context: Tensor, texts: list[str], sigma: Tensor) -> Tensor:
        """Velocity of the packed target tokens, (B, N, 64)."""
        height, width = noisy.shape[-2:]
        pooled, tokens = self.text(*self.text.tokens(texts))
        ids = torch.cat([position_ids(height, width, 0), position_ids(height, width, 1)])
        output = self.transformer(
            hidden_states=torch.cat([pack(noisy), pack(context)], 1),
            encoder_hidden_states=tokens,
            pooled_projections=pooled,
            timestep=sigma,
            img_ids=ids,
            txt_ids=torch.zeros(tokens.shape[1], 3),
            return_dict=False,
        )[0]
        return output[:, : height * width // 4]

    def pipeline_parts(self) -> dict[str, Any]:
        """The trained parts by the names that FluxKontextPipeline has for them."""
        return {
            "text_encoder": self.text.clip,
            "tokenizer": self.text.clip_tokenizer,
            "text_encoder_2": self.text.t5,
            "tokenizer_2": self.text.t5_tokenizer,
            "transformer": self.transformer,
        }

    def load_exported(self, folder: Path) -> None:
        """Take the weights of an exported folder."""
        self.transformer = FluxTransformer2DModel.from_pretrained(folder / "transformer")
        self.text.clip = CLIPTextModel.from_pretrained(folder / "text_encoder")
        self.text.t5 = T5EncoderModel.from_pretrained(folder / "text_encoder_2")


def new_editor(build: str, seed: int | None = None) -> Editor | KleinEditor:
    """What is trained, with the first weights of a seed; None: of the build's own."""
    torch.manual_seed(seed_of(build, seed))
    return KleinEditor() if build == KLEIN else Editor()


def draw_sigma(count: int, generator: torch.Generator) -> Tensor:
    """Mostly a logistic-normal, 15 % at the nearly pure noise where protection works."""
    sigma = torch.sigmoid(1.2 * torch.randn(count, generator=generator) + 0.4)
    early = torch.rand(count, generator=generator) < 0.15
    return torch.where(early, 0.96 + 0.04 * torch.rand(count, generator=generator), sigma)


def flow_loss(model: Editor, batch: Batch, step: int, bf16: bool) -> tuple[Tensor, Tensor]:
    """Flow-matching loss of each sample, (B,), weighted as it is minimised and plain."""
    generator = torch.Generator().manual_seed(step)
    targets = batch.targets
    sigma = draw_sigma(len(targets), generator)
    noise = torch.randn(targets.shape, generator=generator)
    level = sigma.view(-1, 1, 1, 1)
    # In bfloat16 plain matrix products are more than twice as fast on a CPU as the fused attention;
    # in float32 the fused attention is two to four times as fast as they are.
    attention = sdpa_kernel([SDPBackend.MATH] if bf16 else [*FASTEST_FIRST])
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16), attention:
        velocity = model((1 - level) * targets + level * noise, batch.contexts, batch.texts, sigma)
    error = (velocity.float() - pack(noise - targets)).square().mean(2)
    return (error * token_weights(batch)).mean(1), error.detach().mean(1)


def optimisers(model: Editor, rate: float, muon_rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks, AdamW for all else."""
    matrices, others = [], []
    for name, weight in model.named_parameters():
        inside = name.startswith(("transformer.transformer_blocks", "transformer.single"))
        gate = "norm" in name
        (matrices if inside and weight.ndim == 2 and not gate else others).append(weight)
    adam = torch.optim.AdamW(others, rate, betas=(0.9, 0.98), weight_decay=0.01)
    muon = Muon(matrices, muon_rate)
    for group in (*adam.param_groups, *muon.param_groups):
        group["peak"] = group["lr"]
    return [adam, muon]


def schedule(step: int, progress: float) -> float:
    """Warm-up over 100 steps, then a cosine down to 2 %."""
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return min(1.0, (step + 1) / 100) * (0.98 * cosine + 0.02)


def attention_check(model: Editor, samples: Samples) -> dict[str, str]:
    """Context proportion of every block on held-out people, by kind of sample, at sigma 0.99."""
    return {kind: _attention_of(model, samples.batch(0, kind=kind)) for kind in KINDS}


def _attention_of(model: Editor, batch: Batch) -> str:
    from decontext.attention import SequenceLayout, measure

    contexts, targets, texts = batch.contexts, batch.targets, batch.texts
    tokens = targets.shape[-1] * targets.shape[-2] // 4
    layout = SequenceLayout(text=model.text_length, target=tokens, context=tokens)
    noise = torch.randn(targets.shape, generator=torch.Generator().manual_seed(0))
    sigma = torch.full((len(targets),), 0.99)
    blocks = range(model.blocks)
    with torch.no_grad():
        shares = measure(lambda: model(noise, contexts, texts, sigma), layout, blocks)
    return " ".join(f"{share:.2f}" for share in shares.tolist())


def share_gradients(model: Editor) -> None:
    """Mean of the gradients of all processes; nothing when there is one."""
    if not dist.is_initialized():
        return
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    pieces = flat.split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def read_checkpoint(path: Path, build: str) -> dict:
    """A checkpoint of this script, or the weights of an exported folder (half precision)."""
    if path.is_file():
        return torch.load(path)
    editor = new_editor(build)
    editor.load_exported(path)
    weights = editor.float().state_dict()
    return {"model": weights, "average": weights}


def train(args: argparse.Namespace) -> None:
    # Before any thread is started: sharp attention and idle moments make denormal numbers, with
    # which a CPU computes several times slower.
    torch.set_flush_denormal(True)
    torch.set_num_threads(args.threads)
    if "RANK" in os.environ:  # started by torchrun
        dist.init_process_group("gloo")
    rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)  # holds for the CPU too
    latents = torch.load(args.latents)
    samples, held_out = (
        Samples(latents, held_out=held, cleaning=args.build == KLEIN) for held in (False, True)
    )
    for drawn in (samples, held_out):
        drawn.close_batch = args.close_batch
        drawn.full_batch = max(1, args.close_batch * BATCH // CLOSE_BATCH)  # as costly
    model = new_editor(args.build, args.seed)
    average = copy.deepcopy(model).requires_grad_(False)
    optimise, start, first = optimisers(model, args.rate, args.muon_rate), 0, time.time()
    source = args.out if args.out.exists() else args.start_from
    if source:
        state = read_checkpoint(source, args.build)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        if source == args.out:
            for optimiser, saved in zip(optimise, state["optimisers"], strict=True):
                optimiser.load_state_dict(saved)
            start, first = state["step"], state.get("began", first)
    if rank == 0:
        print("parameters", parameter_count(model), "from step", start, flush=True)
    clock = Clock(args.steps, first, args.finish)
    other = args.seed_offset + 10**6 * seed_of(args.build, args.seed)
    began, losses = time.time(), {kind: [] for kind in KINDS}
    compiled = torch.compile(model.transformer) if args.compile else None
    if compiled is not None:
        model.transformer.forward = compiled.forward  # the names of the weights stay
    done = start
    for step in range(start, args.steps):
        progress = clock.progress(step)
        if progress >= 1:
            break
        seed = other + step * processes + rank
        close = progress < args.close_until and step % 5 != 0
        batch = samples.batch(seed, close=close)  # the processes' are of one size, as is a step's
        loss, plain = flow_loss(model, batch, seed, args.bf16)
        for optimiser in optimise:
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * schedule(step, progress)
        loss.mean().backward()
        share_gradients(model)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimise:
            optimiser.step()
        with torch.no_grad():
            keep = min(args.average, (step + 1) / (step + 20))
            torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - keep)
        for kind, value in zip(batch.kinds, plain.tolist(), strict=True):
            losses[kind].append(value)
        done = step + 1
        if rank:
            continue
        if done % 100 == 0:
            means = {kind: round(float(np.mean(values)), 3) for kind, values in losses.items()}
            print(f"step {done} {time.time() - began:.0f} s {means}", flush=True)
            losses = {kind: [] for kind in KINDS}
        if done % args.save_every == 0:
            save(args.out, model, average, optimise, {"step": done, "began": first})
            print("   attention", attention_check(average, held_out), flush=True)
    if rank == 0:
        save(args.out, model, average, optimise, {"step": done, "began": first})
        print(f"finished at step {done}", attention_check(average, held_out), flush=True)


def save(
    path: Path,
    model: nn.Module,
    average: nn.Module,
    optimise: list[torch.optim.Optimizer],
    where: dict[str, float],
) -> None:
    """Write a checkpoint; it appears under its name only when it is complete."""
    state = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimise],
        **where,
    }
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_build(parser)
    add_seed(parser)
    parser.add_argument("--latents", type=Path, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, help="checkpoint to write and go on from"
    )
    parser.add_argument(
        "--start-from", type=Path, help="checkpoint or exported folder to begin a second round with"
    )
    parser.add_argument("--steps", type=int, default=4000)
    add_finish(parser)
    parser.add_argument(
        "--close-batch",
        type=int,
        default=CLOSE_BATCH,
        help="samples of a batch of close-ups; other batches have as many as cost the same",
    )
    parser.add_argument("--save-every", type=int, default=300, help="steps between checkpoints")
    parser.add_argument(
        "--seed-offset", type=int, default=0, help="other samples in a second round"
    )
    parser.add_argument(
        "--close-until",
        type=float,
        default=0.8,
        help="part of the steps in which four of five batches are close-ups",
    )
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--muon-rate", type=float, default=3e-3)
    parser.add_argument("--average", type=float, default=0.998, help="decay of the weight average")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="autocast; worth it with AVX512-BF16")
    parser.add_argument("--compile", action="store_true", help="torch.compile the transformer")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
