"""Every editor in its published size, without weights: the plan against a step that is followed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from decontext.editors import editor_names
from decontext.editors.weights.weightless import Held
from decontext.errors import InputError
from decontext.trace import WAYS, Trace, trace_editor


def find_editors() -> list[str]:
    """Those that can be had without their weights."""
    names = {name: name.replace("-", "_").replace(".", "_") for name in editor_names()}
    return [
        name
        for name, module in names.items()
        if hasattr(import_module(f"decontext.editors.{module}"), "weightless")
    ]


EDITORS = find_editors()
SHORT: dict[str, Any] = {"side": 512, "photo": (512, 512)}


def require_agreement(trace: Trace) -> None:
    assert abs(trace.memory_error) < 0.05, trace.describe()
    assert abs(trace.flop_error) < 0.05, trace.describe()


def test_every_large_editor_can_be_followed() -> None:
    assert {"flux-kontext", "flux2-klein", "flux2-klein-9b", "flux2-dev"} < set(EDITORS)
    assert {"step1x-edit", "step1x-edit-v1.0", "step1x-edit-v1.2"} < set(EDITORS)
    assert "longcat-image-edit" in EDITORS
    assert {"qwen-image-edit", "qwen-image-edit-2509", "qwen-image-edit-2511"} < set(EDITORS)
    assert "qwen-image-2.1" in EDITORS


@pytest.mark.parametrize("name", EDITORS)
@pytest.mark.parametrize("held", [Held(depth=(1, 3)), Held(checkpointing=False, depth=(2, 4))])
def test_plan_agrees_with_a_step_of_few_blocks(name: str, held: Held) -> None:
    require_agreement(trace_editor(name, held, **SHORT))


@pytest.mark.parametrize("held", [Held("nf4", depth=(1, 2)), Held(stream=True, depth=(1, 2))])
def test_plan_agrees_where_weights_are_packed_or_streamed(held: Held) -> None:
    require_agreement(trace_editor("flux2-klein", held, **SHORT))


@pytest.mark.parametrize("name", ["flux2-klein", "qwen-image-2.1"])
@pytest.mark.parametrize("checkpointing", [True, False])
def test_plan_knows_what_draws_of_a_step_have_in_common(name: str, checkpointing: bool) -> None:
    held = Held(checkpointing=checkpointing, depth=(2, 1))
    one, three = (trace_editor(name, held, samples=samples, **SHORT) for samples in (1, 3))
    require_agreement(three)
    shared = 2 if name == "qwen-image-2.1" else 3  # the photo's way through the blocks, or less
    assert one.flop < three.flop < shared * one.flop
    assert three.samples == 3 and "3 draws" in three.describe()


def test_what_draws_share_takes_more_memory_in_a_deep_model_as_planned() -> None:
    one = trace_editor("qwen-image-2.1", Held(depth=(1,)), **SHORT)  # of the autoencoder
    two = trace_editor("qwen-image-2.1", Held(depth=(24,)), samples=2, **SHORT)
    require_agreement(two)
    assert two.peak - two.weights > 1.1 * (one.peak - one.weights)


def test_first_block_alone_is_followed_as_planned() -> None:
    trace = trace_editor("flux-kontext", Held(depth=(1, 1)), blocks="double:0", **SHORT)
    assert trace.blocks == 1
    require_agreement(trace)


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITORS)
@pytest.mark.parametrize("held", WAYS, ids=Held.describe)
def test_plan_agrees_with_a_step_in_full(name: str, held: Held) -> None:
    require_agreement(trace_editor(name, held))


@pytest.mark.slow
@pytest.mark.parametrize("held", WAYS, ids=Held.describe)
def test_plan_of_several_draws_agrees_in_full(held: Held) -> None:
    require_agreement(trace_editor("qwen-image-2.1", held, samples=2))


def test_an_editor_that_has_its_weights_is_not_followed() -> None:
    with pytest.raises(InputError, match="'weightless'") as error:
        trace_editor("kontext-mini")
    assert "flux-kontext" in error.value.hint
