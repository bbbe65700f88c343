"""The two small text sides of `kontext-mini`: tokenizers with a vocabulary of their own, encoders.

Same classes as FLUX.1 Kontext: CLIP gives one pooled vector, T5 a vector for each token. The
encoders are trained together with the transformer.
"""

from __future__ import annotations

import json
import string
from collections import Counter

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
    T5TokenizerFast,
)

from training.instructions import vocabulary_corpus

TEXT_LENGTH = 16  # tokens; a longer instruction is cut, as the pipeline does at 512
CLIP_PIECES = 900
WORD_START = "\u2581"  # sentencepiece's mark of a word's beginning


def clip_tokenizer() -> CLIPTokenizer:
    """Byte-level BPE learnt from the instructions; anything else falls back to bytes."""
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    learner.normalizer = normalizers.Lowercase()
    learner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=CLIP_PIECES,
        initial_alphabet=alphabet,
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    learner.train_from_iterator(vocabulary_corpus(), trainer)
    merges = [tuple(pair) for pair in _merges(learner)]
    pieces = ["<|startoftext|>", "<|endoftext|>", *alphabet, *(a + "</w>" for a in alphabet)]
    pieces += ["".join(pair) for pair in merges]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TEXT_LENGTH)


def _merges(learner: Tokenizer) -> list[list[str]]:
    return [
        pair if isinstance(pair, list) else pair.split(" ")
        for pair in json.loads(learner.to_str())["model"]["merges"]
    ]


def t5_tokenizer() -> T5TokenizerFast:
    """Unigram pieces: the words of the instructions, common endings, every printable character.

    A learnt unigram vocabulary splits so small a corpus into syllables; whole words keep an
    instruction within `TEXT_LENGTH` and unknown words still have pieces.
    """
    words = Counter(word for text in vocabulary_corpus() for word in text.split())
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), (WORD_START, -9.0)]
    for text in sorted(words):
        pieces.append((WORD_START + text, -5.0))
        pieces.append((WORD_START + text.capitalize(), -5.5))
    endings = ("s", "ing", "ed", "er", "ly", "est", "es", "en", "ish", "y")
    pieces += [(ending, -8.0) for ending in endings]
    pieces += [(mark, -6.0) for mark in ".,!?"]
    known = {piece for piece, _ in pieces}
    characters = string.ascii_letters + string.digits + string.punctuation
    pieces += [(character, -12.0) for character in characters if character not in known]
    return T5TokenizerFast(
        vocab=list(dict(pieces).items()), extra_ids=0, model_max_length=TEXT_LENGTH
    )


class TextEncoders(nn.Module):
    """CLIP and T5 as the FLUX pipeline calls them: (pooled (B, 64), tokens (B, T, 128))."""

    def __init__(self) -> None:
        super().__init__()
        self.clip_tokenizer, self.t5_tokenizer = clip_tokenizer(), t5_tokenizer()
        self.clip = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(self.clip_tokenizer),
                hidden_size=64,
                intermediate_size=128,
                num_hidden_layers=2,
                num_attention_heads=4,
                projection_dim=64,
                max_position_embeddings=TEXT_LENGTH,
                bos_token_id=self.clip_tokenizer.bos_token_id,
                eos_token_id=self.clip_tokenizer.eos_token_id,
                pad_token_id=self.clip_tokenizer.pad_token_id,
            )
        )
        self.t5 = T5EncoderModel(
            T5Config(
                vocab_size=len(self.t5_tokenizer),
                d_model=128,
                d_kv=32,
                d_ff=256,
                num_layers=2,
                num_heads=4,
                dropout_rate=0.0,
                feed_forward_proj="gated-gelu",
            )
        )

    def tokens(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Token numbers for CLIP and T5, padded and cut to `TEXT_LENGTH`, (B, T) each."""
        settings = {
            "padding": "max_length",
            "max_length": TEXT_LENGTH,
            "truncation": True,
            "return_tensors": "pt",
        }
        return (
            self.clip_tokenizer(texts, **settings).input_ids,
            self.t5_tokenizer(texts, **settings).input_ids,
        )

    def forward(self, clip_ids: Tensor, t5_ids: Tensor) -> tuple[Tensor, Tensor]:
        pooled = self.clip(clip_ids).pooler_output
        return pooled, self.t5(t5_ids).last_hidden_state


def parameter_count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


if __name__ == "__main__":
    from training.instructions import TRAINING, UNSEEN

    torch.manual_seed(0)
    encoders = TextEncoders()
    print("parameters", parameter_count(encoders))
    for wordings in [*TRAINING.values(), *UNSEEN.values(), ("Zebra im Möbelhaus, bitte!",)]:
        texts = [text.format(person="this person", colour="yellow") for text in wordings]
        for text, ids in zip(texts, encoders.tokens(texts)[1], strict=True):
            length = int((ids != 0).sum())
            clip_length = len(encoders.clip_tokenizer(text).input_ids)
            print(
                length, clip_length, text, encoders.t5_tokenizer.convert_ids_to_tokens(ids[:length])
            )
