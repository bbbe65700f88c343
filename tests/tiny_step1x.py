"""A small Step1X-Edit with random weights, in the layout of the original release.

`save_tiny_step1x(folder)` writes the single file of a version, `vae.safetensors` and a folder with
a tiny Qwen2.5-VL and its tokenizer. The names and shapes of a transformer of any size come from
`transformer_shapes`, which is also what the full-size layout is checked with.
`save_tiny_step1x_v1_2(folder)` writes a folder in diffusers' layout, as v1.2 is published. Nothing
is downloaded; the same seed gives the same files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from decontext.editors.step1x.text import read_prefix
from decontext.editors.step1x.text_v1_2 import read_prefix as read_prefix_v1_2
from decontext.editors.step1x.versions import V1_0, V1_1
from decontext.editors.step1x.weights import build_autoencoder, read_layout
from decontext.editors.weights.loading import quiet
from decontext.editors.weights.shards import WeightFiles

Shapes = dict[str, tuple[int, ...]]
FULL: dict[str, int] = {
    "width": 3072,
    "head": 128,
    "double": 19,
    "single": 38,
    "channels": 64,
    "text_width": 4096,
    "pooled": 768,
    "states_width": 3584,
}
TINY: dict[str, int] = {
    "width": 64,
    "head": 32,
    "double": 2,
    "single": 3,
    "channels": 64,
    "text_width": 48,
    "pooled": 24,
    "states_width": 32,
}
SPECIAL = ["<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]
LANGUAGE = "Qwen2.5-VL-7B-Instruct"
VAE_WIDTHS = (8, 8, 16, 16)
CONNECTOR_HEADS, ROPE = 3, (8, 12, 12)
"""Of the small v1.2, as its configuration says them; not what they would be without it."""

OTHER_NAMES = {
    "time_text_embed.timestep_embedder.linear_1": "time_embed.in_layer",
    "time_text_embed.timestep_embedder.linear_2": "time_embed.out_layer",
    "time_text_embed.text_embedder.linear_1": "vec_embed.in_layer",
    "time_text_embed.text_embedder.linear_2": "vec_embed.out_layer",
}
"""Layers of FLUX, and what the folder in diffusers' layout calls them."""

TEMPLATE = (
    "{% for message in messages %}{% if loop.first and message.role != 'system' %}"
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message.role }}\n{% for part in message.content %}"
    "{% if part.type == 'image' %}{% if add_vision_id %}Picture 1: {% endif %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Words a question with one picture as Qwen2.5-VL's own template does."""


class HeldTensors(WeightFiles):
    """Tensors that lie in no file."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__("the test", Path(), dict.fromkeys(tensors, "memory"), lambda _: None)
        self._tensors = tensors

    def read(self, name: str, rows: slice | None = None) -> Tensor:
        tensor = self._tensors[name]
        return tensor if rows is None else tensor[rows]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.read(name).shape)

    def check_files(self) -> None:
        pass


def hold_shapes(shapes: Shapes) -> HeldTensors:
    """Tensors of these shapes on the meta device."""
    return HeldTensors({n: torch.empty(shape, device="meta") for n, shape in shapes.items()})


def save_tiny_step1x(folder: Path, *, seed: int = 0) -> Path:
    """Both versions, autoencoder and language model; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    for version in (V1_0, V1_1):
        shapes = transformer_shapes(**TINY) | connector_shapes(**TINY, scaled=version.scaled)
        save_file(_fill(shapes, generator), folder / version.file)
    save_file(_fill(autoencoder_shapes(VAE_WIDTHS), generator), folder / "vae.safetensors")
    save_tiny_language_model(folder / LANGUAGE, seed=seed)
    return folder


def save_tiny_step1x_v1_2(folder: Path, *, seed: int = 0, letters: bool = True) -> Path:
    """v1.2 in diffusers' layout; `letters` is what its configuration says of quoted letters.

    Its autoencoder's distribution has no width, so that a sample of it is its mode.
    """
    import diffusers

    generator = torch.Generator().manual_seed(seed)
    shapes = transformer_shapes(**TINY) | connector_shapes(**TINY, scaled=False)
    tensors = as_diffusers(_fill(shapes, generator))
    letter = _linear("text_token_mapping", TINY["states_width"], TINY["text_width"])
    tensors |= _fill(letter, generator)
    tensors["proj_out.weight"] *= 2  # so that guidance is tamed at some tokens and not at others
    (folder / "transformer").mkdir(parents=True)
    save_file(tensors, folder / "transformer" / "diffusion_pytorch_model.safetensors")
    config = {
        "_class_name": "Step1XEditTransformer2DModel",
        "in_channels": TINY["channels"],
        "num_layers": TINY["double"],
        "num_single_layers": TINY["single"],
        "attention_head_dim": TINY["head"],
        "num_attention_heads": TINY["width"] // TINY["head"],
        "joint_attention_dim": TINY["text_width"],
        "vector_in_dim": TINY["pooled"],
        "connector_in_channels": TINY["states_width"],
        "connector_hidden_size": TINY["text_width"],
        "connector_heads_num": CONNECTOR_HEADS,
        "axes_dims_rope": ROPE,
        "enable_text_token_mapping": letters,
    }
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    vae = _fill(autoencoder_shapes(VAE_WIDTHS), generator)
    vae["encoder.conv_out.weight"][16:], vae["encoder.conv_out.bias"][16:] = 0, -40
    build_autoencoder(vae).save_pretrained(folder / "vae")
    scheduler: Any = diffusers.FlowMatchEulerDiscreteScheduler
    scheduler(use_dynamic_shifting=True).save_pretrained(folder / "scheduler")
    save_tiny_language_model(
        folder / "text_encoder", seed=seed, wording=read_prefix_v1_2(), generator=generator
    )
    tokenizer = build_tiny_tokenizer(read_prefix_v1_2())
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder / "processor")
    (folder / "model_index.json").write_text('{"_class_name": "Step1XEditPipelineV1P2"}')
    return folder


def as_diffusers(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of transformer and connector under the names of the folder in diffusers' layout."""
    renamed = {n: t for n, t in tensors.items() if n.startswith("connector.")}
    transformer = read_layout(HeldTensors(tensors), scaled=False).transformer
    for name in sorted(transformer.names()):
        layer, last = name.rsplit(".", 1)
        tensor = transformer.read(name).clone()
        renamed[f"{OTHER_NAMES.get(layer, layer)}.{last}"] = tensor
    return renamed


def save_tiny_language_model(
    folder: Path,
    *,
    seed: int = 0,
    wording: str | None = None,
    generator: torch.Generator | None = None,
) -> Path:
    """A Qwen2.5-VL of two layers each, in the layout of the published one.

    With a `generator` its weights are drawn from that, whatever transformers draws at the start.
    """
    import transformers

    tokenizer = build_tiny_tokenizer(wording)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        config = transformers.Qwen2_5_VLConfig(
            text_config={
                "vocab_size": len(tokenizer),
                "bos_token_id": None,
                "eos_token_id": None,
                "hidden_size": TINY["states_width"],
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 1,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 1e6,
                    "mrope_section": [2, 3, 3],
                },
            },
            vision_config={
                "depth": 2,
                "hidden_size": 32,
                "intermediate_size": 48,
                "num_heads": 2,
                "out_hidden_size": TINY["states_width"],
                "fullatt_block_indexes": [1],
            },
            image_token_id=tokenizer.convert_tokens_to_ids("<|image_pad|>"),
            initializer_range=0.2,
        )
        model = transformers.Qwen2_5_VLForConditionalGeneration(config)
    if generator is not None:
        held = {name: tuple(tensor.shape) for name, tensor in sorted(model.state_dict().items())}
        model.load_state_dict(_fill(held, generator))
    with quiet(local=True):
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def transformer_shapes(
    *,
    width: int,
    head: int,
    double: int,
    single: int,
    channels: int,
    text_width: int,
    pooled: int,
    states_width: int,
) -> Shapes:
    """Tensors of the transformer, under the original release's names."""
    del states_width
    shapes: Shapes = {}
    for name, inputs in (("time_in", 256), ("vector_in", pooled)):
        shapes |= _linear(f"{name}.in_layer", inputs, width)
        shapes |= _linear(f"{name}.out_layer", width, width)
    shapes |= _linear("img_in", channels, width) | _linear("txt_in", text_width, width)
    for number in range(double):
        for side in ("img", "txt"):
            block = f"double_blocks.{number}.{side}"
            shapes |= _linear(f"{block}_mod.lin", width, 6 * width)
            shapes |= _linear(f"{block}_attn.qkv", width, 3 * width)
            shapes |= _linear(f"{block}_attn.proj", width, width)
            shapes |= _linear(f"{block}_mlp.0", width, 4 * width)
            shapes |= _linear(f"{block}_mlp.2", 4 * width, width)
            shapes |= {f"{block}_attn.norm.{n}_norm.scale": (head,) for n in ("query", "key")}
    for number in range(single):
        block = f"single_blocks.{number}"
        shapes |= _linear(f"{block}.modulation.lin", width, 3 * width)
        shapes |= _linear(f"{block}.linear1", width, 7 * width)
        shapes |= _linear(f"{block}.linear2", 5 * width, width)
        shapes |= {f"{block}.norm.{n}_norm.scale": (head,) for n in ("query", "key")}
    shapes |= _linear("final_layer.linear", width, channels)
    return shapes | _linear("final_layer.adaLN_modulation.1", width, 2 * width)


def connector_shapes(
    *, text_width: int, pooled: int, states_width: int, scaled: bool, **others: int
) -> Shapes:
    """Tensors of the connector, under the original release's names."""
    del others
    shapes: Shapes = {"connector.scale_factor": (1,)} if scaled else {}
    shapes |= _linear("connector.global_proj_out", states_width, pooled)
    shapes |= _linear("connector.S.input_embedder", states_width, text_width)
    shapes |= _linear("connector.S.t_embedder.mlp.0", 256, text_width)
    shapes |= _linear("connector.S.t_embedder.mlp.2", text_width, text_width)
    shapes |= _linear("connector.S.c_embedder.linear_1", states_width, text_width)
    shapes |= _linear("connector.S.c_embedder.linear_2", text_width, text_width)
    for number in range(2):
        block = f"connector.S.individual_token_refiner.blocks.{number}"
        shapes |= _norm(f"{block}.norm1", text_width) | _norm(f"{block}.norm2", text_width)
        shapes |= _linear(f"{block}.self_attn_qkv", text_width, 3 * text_width)
        shapes |= _linear(f"{block}.self_attn_proj", text_width, text_width)
        shapes |= _linear(f"{block}.mlp.fc1", text_width, 4 * text_width)
        shapes |= _linear(f"{block}.mlp.fc2", 4 * text_width, text_width)
        shapes |= _linear(f"{block}.adaLN_modulation.1", text_width, 2 * text_width)
    return shapes


def autoencoder_shapes(widths: tuple[int, ...], *, layers: int = 2, latents: int = 16) -> Shapes:
    """Tensors of `vae.safetensors`, under the original release's names."""
    last = widths[-1]
    shapes = _conv("encoder.conv_in", 3, widths[0]) | _conv("decoder.conv_in", latents, last)
    inputs = (widths[0], *widths[:-1])
    for level, width in enumerate(widths):
        for block in range(layers):
            start = inputs[level] if block == 0 else width
            shapes |= _resnet(f"encoder.down.{level}.block.{block}", start, width)
        if level < len(widths) - 1:
            shapes |= _conv(f"encoder.down.{level}.downsample.conv", width, width)
        above = widths[min(level + 1, len(widths) - 1)]
        for block in range(layers + 1):
            start = above if block == 0 else width
            shapes |= _resnet(f"decoder.up.{level}.block.{block}", start, width)
        if level > 0:
            shapes |= _conv(f"decoder.up.{level}.upsample.conv", width, width)
    for side in ("encoder", "decoder"):
        for block in ("block_1", "block_2"):
            shapes |= _resnet(f"{side}.mid.{block}", last, last)
        shapes |= _norm(f"{side}.mid.attn_1.norm", last)
        for layer in ("q", "k", "v", "proj_out"):
            shapes |= _conv(f"{side}.mid.attn_1.{layer}", last, last, size=1)
    shapes |= _norm("encoder.norm_out", last) | _conv("encoder.conv_out", last, 2 * latents)
    return shapes | _norm("decoder.norm_out", widths[0]) | _conv("decoder.conv_out", widths[0], 3)


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _conv(name: str, inputs: int, outputs: int, *, size: int = 3) -> Shapes:
    return {f"{name}.weight": (outputs, inputs, size, size), f"{name}.bias": (outputs,)}


def _resnet(name: str, inputs: int, outputs: int) -> Shapes:
    shapes = _norm(f"{name}.norm1", inputs) | _conv(f"{name}.conv1", inputs, outputs)
    shapes |= _norm(f"{name}.norm2", outputs) | _conv(f"{name}.conv2", outputs, outputs)
    if inputs != outputs:
        shapes |= _conv(f"{name}.nin_shortcut", inputs, outputs, size=1)
    return shapes


def _fill(shapes: Shapes, generator: torch.Generator) -> dict[str, Tensor]:
    """Matrices as wide as keeps the scale; what stretches a norm is near 1, the rest near 0."""
    tensors = {}
    for name, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            tensors[name] = noise / (noise[0].numel() ** 0.5)
        elif name.endswith(("scale", ".weight")):
            tensors[name] = 1 + 0.1 * noise
        else:
            tensors[name] = 0.02 * noise
    return tensors


def build_tiny_tokenizer(wording: str | None = None) -> Any:
    """About one token for a word of the fixed wording, one for a letter of anything else."""
    import transformers
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    words = Regex(r"""[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+""")
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=2000,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    trained.train_from_iterator([wording or read_prefix(), "You are a helpful assistant."], trainer)
    model = json.loads(trained.to_str())["model"]
    merges = [tuple(merge) for merge in model["merges"]]
    vocabulary = {"<|endoftext|>": 0} | {p: i + 1 for p, i in model["vocab"].items()}
    tokenizer = transformers.Qwen2Tokenizer(vocab=vocabulary, merges=merges)
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    return tokenizer


def photo(width: int = 112, height: int = 64, *, seed: int = 0) -> Tensor:
    """Random pixels, `(1, 3, height, width)`."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator)


def noise_for(editor: Any, image: Tensor, *, seed: int = 1) -> Tensor:
    """First latents of an edit of a photo at its working size."""
    size = editor.working_size(image.shape[-1], image.shape[-2])
    return editor.draw_noise(size, torch.Generator().manual_seed(seed))


def check_edit(editor: Any) -> None:
    """An edit has the working size, is the same each time, and depends on all that it is given."""
    image = photo(200, 130)
    steps: list[tuple[int, int]] = []
    edited = editor.edit(image, "smile", steps=2, on_step=lambda *s: steps.append(s))
    width, height = editor.working_size(200, 130)
    assert edited.shape == (1, 3, height, width) and steps == [(1, 2), (2, 2)]
    assert edited.dtype == torch.float32 and 0 <= edited.min() and edited.max() <= 1
    assert torch.equal(edited, editor.edit(image, "smile", steps=2))
    for other in (
        editor.edit(image, "smile", steps=2, seed=1),
        editor.edit(image, "smile", steps=2, guidance=1.0),
        editor.edit(image, "red hat", steps=2),
        editor.edit(photo(200, 130, seed=1), "smile", steps=2),
    ):
        assert not torch.equal(edited, other)
