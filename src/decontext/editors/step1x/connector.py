"""The one part of Step1X-Edit that is not FLUX: from the language model's states to its text.

It looks at the noise level too, so it runs inside every denoising step. Parameter names are those
of the published weights, below `connector.`.

Source: the published weights of Step1X-Edit (stepfun-ai, Apache-2.0) and their sizes; equality
with its own implementation is held by tests/parity/test_step1x_edit_parity.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SIGMA_FREQUENCIES = 256
STEPS_PER_SIGMA = 1000
LAYER_NORM_EPSILON = 1e-6


class Connector(nn.Module):
    """Turns language-model states into FLUX's text tokens and its pooled vector.

    `scaled` says whether the pooled mean has a learned factor: v1.0 has it, v1.1 does not.
    """

    def __init__(
        self, states_width: int, width: int, *, heads: int, depth: int, pooled: int, scaled: bool
    ) -> None:
        super().__init__()
        self.S = _Refiner(states_width, width, heads=heads, depth=depth)
        self.global_proj_out = nn.Linear(states_width, pooled)
        if scaled:
            self.scale_factor = nn.Parameter(torch.zeros(1))

    def forward(self, states: Tensor, sigma: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Text tokens `(batch, positions, width)` and pooled vectors `(batch, pooled)`.

        `states` is `(batch, positions, states_width)`; `sigma`, `(batch,)`, lies in [0, 1];
        `mask`, `(batch, positions)`, is true where a position holds a state and not padding.
        """
        weights = mask.unsqueeze(-1).to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1)
        pooled = mean * (1 + self.scale_factor) if hasattr(self, "scale_factor") else mean
        tokens: Tensor = self.S(states, mean, sigma, mask)
        return tokens, self.global_proj_out(pooled)


class _Refiner(nn.Module):
    """Self-attention blocks over the states, gated by noise level and mean state."""

    def __init__(self, states_width: int, width: int, *, heads: int, depth: int) -> None:
        super().__init__()
        self.input_embedder = nn.Linear(states_width, width)
        self.t_embedder = _SigmaEmbedder(width)
        self.c_embedder = _MeanEmbedder(states_width, width)
        self.individual_token_refiner = _Blocks(width, heads, depth)

    def forward(self, states: Tensor, mean: Tensor, sigma: Tensor, mask: Tensor) -> Tensor:
        condition = self.t_embedder(sigma, mean.dtype) + self.c_embedder(mean)
        tokens: Tensor = self.input_embedder(states)
        valid = mask.bool()
        visible = valid[:, None, :, None] & valid[:, None, None, :]
        # A row of padding would see nothing at all, and its softmax would be no number.
        visible[..., 0] = True
        refined: Tensor = self.individual_token_refiner(tokens, condition, visible)
        return refined


class _Blocks(nn.Module):
    """One block after the other."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(depth))

    def forward(self, tokens: Tensor, condition: Tensor, visible: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = block(tokens, condition, visible)
        return tokens


class _SigmaEmbedder(nn.Module):
    """Sines and cosines of the noise level, in thousandths, and two layers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(SIGMA_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width)
        )

    def forward(self, sigma: Tensor, dtype: torch.dtype) -> Tensor:
        from diffusers.models.embeddings import get_timestep_embedding

        waves = get_timestep_embedding(
            sigma.float() * STEPS_PER_SIGMA,
            SIGMA_FREQUENCIES,
            flip_sin_to_cos=True,
            downscale_freq_shift=0,
        )
        embedded: Tensor = self.mlp(waves.to(dtype))
        return embedded


class _MeanEmbedder(nn.Module):
    """Two layers over the mean state."""

    def __init__(self, states_width: int, width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(states_width, width)
        self.linear_2 = nn.Linear(width, width)

    def forward(self, mean: Tensor) -> Tensor:
        embedded: Tensor = self.linear_2(functional.silu(self.linear_1(mean)))
        return embedded


class _Block(nn.Module):
    """Self-attention and a wider layer pair; what each adds is gated by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.self_attn_qkv = nn.Linear(width, 3 * width)
        self.self_attn_proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=LAYER_NORM_EPSILON)
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, tokens: Tensor, condition: Tensor, visible: Tensor) -> Tensor:
        attention_gate, wide_gate = self.adaLN_modulation(condition).unsqueeze(1).chunk(2, dim=-1)
        tokens = tokens + attention_gate * self._attend(self.norm1(tokens), visible)
        wide = functional.silu(self.mlp["fc1"](self.norm2(tokens)))
        result: Tensor = tokens + wide_gate * self.mlp["fc2"](wide)
        return result

    def _attend(self, tokens: Tensor, visible: Tensor) -> Tensor:
        batch, positions, width = tokens.shape
        fused = self.self_attn_qkv(tokens).view(batch, positions, 3, self.heads, -1)
        query, key, value = fused.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        projected: Tensor = self.self_attn_proj(
            attended.transpose(1, 2).reshape(batch, positions, width)
        )
        return projected
