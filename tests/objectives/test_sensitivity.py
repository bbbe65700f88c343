"""What steps over blocks bring and cost: against a real step, and as a choice."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_models
import torch
from torch import Tensor

import decontext
from decontext.attention import resolve_blocks
from decontext.objectives.sensitivity import (
    LEAST_SHARE,
    Worth,
    choose_blocks,
    prefix_sets,
    single_sets,
    weigh_blocks,
)
from decontext.photo.images import Photo
from decontext.preparing import settle
from decontext.prompts import OPTIMISE
from decontext.settings import ProtectSettings

DOUBLE, SINGLE = tiny_models.DOUBLE_BLOCKS, tiny_models.SINGLE_BLOCKS


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture(scope="module")
def photo() -> Tensor:
    return 0.2 + 0.6 * torch.rand((1, 3, 64, 64), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def worths(editor: Any, photo: Tensor) -> dict[str, Worth]:
    names = (*single_sets(DOUBLE, SINGLE), *prefix_sets(DOUBLE, SINGLE))
    found = weigh_blocks(editor, photo, names, sigmas=(0.99,), draws=1)
    return {worth.name: worth for worth in found}


def test_sets_have_names_that_editors_understand() -> None:
    assert single_sets(1, 2) == ("double:0", "single:0", "single:1")
    assert prefix_sets(2, 3) == (
        "double:0-0",
        "double:0-1",
        "double:0-1,single:0-0",
        "double:0-1,single:0-1",
        "double:0-1,single:0-2",
    )
    ends = [max(resolve_blocks(name, 19, 38)) + 1 for name in prefix_sets(19, 38)]
    assert (len(ends), ends[-1]) == (8, 57)
    for name in prefix_sets(19, 38):
        blocks = resolve_blocks(name, 19, 38)
        assert blocks == tuple(range(len(blocks)))


def test_a_step_over_all_blocks_brings_most_and_costs_all(worths: dict[str, Worth]) -> None:
    whole = worths["double:0-1,single:0-2"]
    assert whole.fall == max(worth.fall for worth in worths.values()) > 0
    assert whole.cost == 1


def test_cost_grows_with_the_last_block_alone(worths: dict[str, Worth]) -> None:
    costs = [worths[name].cost for name in single_sets(DOUBLE, SINGLE)]
    assert costs == sorted(costs) and len(set(costs)) == len(costs)
    assert 0 < costs[0] < costs[-1] == 1
    assert worths["double:0-1"].cost == worths["double:1"].cost


def test_fall_is_what_a_real_small_step_brings(
    editor: Any, photo: Tensor, worths: dict[str, Worth]
) -> None:
    generator = torch.Generator().manual_seed(0)
    text = OPTIMISE[int(torch.randint(len(OPTIMISE), (), generator=generator))]
    noise = editor.draw_noise(editor.working_size(64, 64), generator)
    prompt, every = editor.encode_prompt(text, photo), range(DOUBLE + SINGLE)

    image = photo.clone().requires_grad_()
    before = editor.attend(image, prompt, 0.99, noise, every)
    (gradient,) = torch.autograd.grad(before[[0, 1]].mean(), image)
    step = 0.1
    with torch.no_grad():
        after = editor.attend(photo - step / 255 * gradient.sign(), prompt, 0.99, noise, every)
    real = 1 - float(after.mean() / before.detach().mean())
    assert worths["double:0-1"].fall * step == pytest.approx(real, rel=0.15)


def test_choice_is_good_cheap_and_always_the_same(editor: Any, photo: Tensor) -> None:
    chosen = choose_blocks(editor, photo)
    assert chosen == choose_blocks(editor, photo)
    worths = weigh_blocks(editor, photo, prefix_sets(DOUBLE, SINGLE))
    best = max(worth.fall for worth in worths)
    (found,) = [worth for worth in worths if worth.name == chosen]
    assert found.fall >= LEAST_SHARE * best
    assert all(w.per_cost <= found.per_cost for w in worths if w.fall >= LEAST_SHARE * best)


def test_auto_becomes_blocks_that_a_report_can_repeat(
    editor: Any, photo: Tensor, tmp_path: Any
) -> None:
    source = Photo(photo, tmp_path / "me.png", "PNG", "RGB")
    settled = settle(source, editor, ProtectSettings(blocks="auto"))
    assert settled.blocks == choose_blocks(editor, photo)
    assert settle(source, editor, settled) is settled
