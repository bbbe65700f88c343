"""One case in a process of its own: seconds of a step and the memory that it takes on top.

    python -m benchmarks.step '{"way": "ours", "blocks": "paper", ...}'

prints one JSON line. A step goes from the photo's latents to the gradient in them: both ways share
everything before that.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from benchmarks.original import measure_original
from decontext.attention import SequenceLayout, checkpointed, measure, resolve_blocks
from decontext.editors.flux.family import prepare_transformer
from decontext.editors.weights.plan import Demand, Dimensions
from decontext.editors.weights.work import step_flop
from decontext.machine import matmul_rate

AXES = {128: (16, 56, 56), 64: (8, 28, 28)}
"""Of the rotary tables, by the width of a head; FLUX's is 128."""

TEXT_WIDTH = 64


def run_case(case: dict[str, Any]) -> dict[str, Any]:
    """Seconds of each repeat, peak memory above what the model takes, value and gradient."""
    torch.set_num_threads(case["threads"])
    device = torch.device(case["device"])
    model, inputs, layout = build(case, device)
    double, single = case["double"], case["single"]
    blocks = resolve_blocks(case["blocks"], double, single)
    way = measure if case["way"] == "ours" else measure_original
    _set_checkpointing(model, case)

    def step() -> tuple[Tensor, Tensor]:
        latents = inputs["latents"].detach().requires_grad_()
        value = way(lambda: run(model, inputs, latents), layout, blocks).mean()
        (gradient,) = torch.autograd.grad(value, latents)
        return value.detach(), gradient

    seconds, peak = [], 0
    for _ in range(case["repeats"] + 1):
        before = _reset_peak(device)
        began = time.perf_counter()
        value, gradient = step()
        _wait(device)
        seconds.append(time.perf_counter() - began)
        peak = max(peak, _peak(device) - before)
    side = case["side"]
    demand = Demand(
        blocks=max(blocks) + 1,
        measured=len(blocks),
        sizes=((side, side),),
        gpu=device.type == "cuda",
        text_tokens=case["text"],
        encoder_width=0,  # the step begins after the autoencoder
    )
    flop = step_flop(
        Dimensions.from_config(model.config), demand, checkpointing=case["checkpointing"]
    )
    return {
        "seconds": seconds[1:],  # the first one warms up
        "peak_bytes": peak,
        "value": float(value),
        "gradient_norm": float(gradient.norm()),
        "flop": flop,
        "matmul_rate": matmul_rate(device, torch.float32),
        "tokens": layout.key_length,
    }


def build(
    case: dict[str, Any], device: torch.device
) -> tuple[Any, dict[str, Tensor], SequenceLayout]:
    """The same random transformer and inputs for every way of the same size."""
    generator = torch.Generator().manual_seed(0)
    model = FluxTransformer2DModel(
        num_layers=case["double"],
        num_single_layers=case["single"],
        num_attention_heads=case["heads"],
        attention_head_dim=case["head"],
        axes_dims_rope=AXES[case["head"]],
        joint_attention_dim=TEXT_WIDTH,
        pooled_projection_dim=TEXT_WIDTH,
        guidance_embeds=True,
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(std=0.02, generator=generator)
            if ".attn.norm_" in name:
                weight.add_(1)  # queries and keys as long as in a trained model
    model = model.to(device).requires_grad_(False).eval()
    rows, text = case["side"] // 16, case["text"]
    count = rows * rows

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    ids = torch.cartesian_prod(*(torch.arange(count).float() for count in (1, rows, rows)))
    return (
        model,
        {
            "latents": draw(1, count, 64),
            "noise": draw(1, count, 64),
            "text": draw(1, text, TEXT_WIDTH),
            "pooled": draw(1, TEXT_WIDTH),
            "ids": torch.cat([ids, ids + torch.tensor([1, 0, 0])]).to(device),
        },
        SequenceLayout(text, count, count),
    )


def run(model: Any, inputs: dict[str, Tensor], latents: Tensor) -> Any:
    """One call of the transformer."""
    device = latents.device
    return model(
        hidden_states=torch.cat([inputs["noise"], latents], dim=1),
        encoder_hidden_states=inputs["text"],
        pooled_projections=inputs["pooled"],
        timestep=torch.ones(1, device=device),
        guidance=torch.full((1,), 3.5, device=device),
        img_ids=inputs["ids"],
        txt_ids=torch.zeros(inputs["text"].shape[1], 3, device=device),
        return_dict=False,
    )[0]


def _set_checkpointing(model: Any, case: dict[str, Any]) -> None:
    prepare_transformer(model, False)
    if not case["checkpointing"]:
        return
    ways: dict[str, Callable[..., Any]] = {"ours": checkpointed, "original": _ordinary}
    model.enable_gradient_checkpointing(gradient_checkpointing_func=ways[case["way"]])


def _ordinary(block: Any, *arguments: Any) -> Any:
    return checkpoint(block, *arguments, use_reentrant=False)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _reset_peak(device: torch.device) -> int:
    """Forget the peak so far; returns what is in use."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak becomes what is in use now
    return _status("VmRSS")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status("VmHWM")


def _status(name: str, process: int | str = "self") -> int:
    """Bytes, of this process or another one."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"the system does not tell {name}; the memory of a CPU needs Linux")


if __name__ == "__main__":
    print(json.dumps(run_case(json.loads(sys.argv[1]))))
