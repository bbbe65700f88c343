"""What `klein-mini` is made of: a small Flux2KleinPipeline with one text encoder.

A Qwen3 of 27 layers, for the pipeline takes the states after the 9th, 18th and 27th; they are
narrow. The transformer has shared modulation and four position axes, and no guidance.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import Flux2Transformer2DModel
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

from training.instructions import CLEANING, vocabulary_corpus

TEXT_LENGTH = 16  # tokens of a pass, padding included
PIECES = 1200
STATES = (9, 18, 27)  # layers whose states the pipeline puts side by side
WIDTH = 48  # of the text encoder
HEADS, HEAD = 6, 32
PICTURE_STEP = 10  # between two pictures on the first axis

CONFIG = {
    "patch_size": 1,
    "in_channels": 80,
    "num_layers": 1,
    "num_single_layers": 5,
    "attention_head_dim": HEAD,
    "num_attention_heads": HEADS,
    "joint_attention_dim": len(STATES) * WIDTH,
    "guidance_embeds": False,
    "axes_dims_rope": (6, 10, 10, 6),
}
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
WORDS = Regex(r"""[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+""")


def tokenizer() -> Qwen2Tokenizer:
    """Byte-level pieces learnt from the instructions; anything else falls back to bytes.

    A chat without marks: the instruction alone, for a pass has few text tokens.
    """
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(WORDS, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    corpus = [*vocabulary_corpus(), *6 * CLEANING, *6 * ("reconstruct this photo",)]
    texts = [form for text in corpus for form in (text, text.capitalize())]
    learner.train_from_iterator(texts, trainer)
    vocabulary = {"<|endoftext|>": 0}
    vocabulary |= {piece: number + 1 for piece, number in learner.get_vocab().items()}
    merges = _merges(learner)
    found = Qwen2Tokenizer(vocab=vocabulary, merges=merges, model_max_length=TEXT_LENGTH)
    found.chat_template = TEMPLATE
    return found


def _merges(learner: Tokenizer) -> list[tuple[str, str]]:
    merges = json.loads(learner.to_str())["model"]["merges"]
    return [tuple(pair if isinstance(pair, list) else pair.split(" ")) for pair in merges]


class KleinText(nn.Module):
    """Instructions as Flux2KleinPipeline encodes them: tokens (B, T, 3 x width)."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = tokenizer()
        self.qwen = Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=len(self.tokenizer),
                bos_token_id=None,
                eos_token_id=None,
                pad_token_id=0,
                hidden_size=WIDTH,
                intermediate_size=96,
                num_hidden_layers=STATES[-1],
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=24,
                max_position_embeddings=512,
                initializer_range=0.1,
                tie_word_embeddings=True,
            )
        )

    def forward(self, texts: list[str]) -> Tensor:
        tokens = self.tokenizer(
            texts,
            padding="max_length",
            max_length=TEXT_LENGTH,
            truncation=True,
            return_tensors="pt",
        )
        states = self.qwen.model(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
        return torch.cat([states[number] for number in STATES], -1)


class KleinEditor(nn.Module):
    """Text encoder and transformer together, as they are trained."""

    blocks = CONFIG["num_layers"] + CONFIG["num_single_layers"]
    text_length = TEXT_LENGTH

    def __init__(self) -> None:
        super().__init__()
        self.text = KleinText()
        self.transformer = Flux2Transformer2DModel(**CONFIG)
        for name, module in self.transformer.named_modules():
            if isinstance(module, nn.Linear):
                if "modulation" in name or name in ("norm_out.linear", "proj_out"):
                    nn.init.zeros_(module.weight)
                else:
                    nn.init.xavier_uniform_(module.weight)

    def forward(self, noisy: Tensor, context: Tensor, texts: list[str], sigma: Tensor) -> Tensor:
        """Velocity of the packed target tokens, (B, N, 80)."""
        from training.transformer import pack

        height, width = noisy.shape[-2:]
        tokens = self.text(texts)
        output = self.transformer(
            hidden_states=torch.cat([pack(noisy), pack(context)], 1),
            encoder_hidden_states=tokens,
            timestep=sigma,
            img_ids=torch.cat([grid(number, height // 2, width // 2) for number in (0, 1)]),
            txt_ids=text_places(tokens.shape[1]),
            return_dict=False,
        )[0]
        return output[:, : height * width // 4]

    def pipeline_parts(self) -> dict[str, Any]:
        """The trained parts by the names that Flux2KleinPipeline has for them."""
        return {
            "text_encoder": self.text.qwen,
            "tokenizer": self.text.tokenizer,
            "transformer": self.transformer,
        }

    def load_exported(self, folder: Path) -> None:
        """Take the weights of an exported folder."""
        self.transformer = Flux2Transformer2DModel.from_pretrained(folder / "transformer")
        self.text.qwen = Qwen3ForCausalLM.from_pretrained(folder / "text_encoder")


def grid(number: int, rows: int, columns: int) -> Tensor:
    """Positions (picture, row, column, 0) of the number-th picture's tokens; 0 is the target."""
    axes = (torch.tensor([PICTURE_STEP * number]), torch.arange(rows), torch.arange(columns))
    return torch.cartesian_prod(*axes, torch.tensor([0]))


def text_places(count: int) -> Tensor:
    """Positions of the text's tokens: they differ on the last axis alone."""
    zero = torch.tensor([0])
    return torch.cartesian_prod(zero, zero, zero, torch.arange(count))
