"""What the meter counts, against what is known of single operations."""

from __future__ import annotations

import pytest
import torch
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from decontext.errors import TraceError
from decontext.trace import Meter
from decontext.trace.fused import fused_attention

attention = torch.nn.functional.scaled_dot_product_attention


def empty(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device="meta")


def test_storage_counts_from_its_making_until_nobody_holds_it() -> None:
    with Meter() as meter:
        first = empty(1000)
        view = first.view(10, 100)
        assert meter.live == 4000
        second = first + 1
        assert meter.live == meter.peak == 8000
        del first, second
        assert (meter.live, meter.peak) == (4000, 8000)
        del view
    assert (meter.live, meter.peak) == (0, 8000)


def test_what_was_there_before_is_not_counted_where_it_is_looked_at() -> None:
    before = empty(1000)
    with Meter() as meter:
        before.detach().view(10, 100)
        assert meter.peak == 0
        before + 1
    assert meter.peak == 4000


def test_what_a_gradient_needs_is_held_until_it_came() -> None:
    with Meter() as meter:
        start = empty(1000).requires_grad_()
        kept = start.exp()
        total = kept.sum()
        del kept
        assert meter.live >= 8000
        total.backward()
        assert start.grad is not None


def test_operations_are_counted_as_torch_counts_them() -> None:
    left, right = empty(30, 40).requires_grad_(), empty(40, 50)
    with Meter() as meter:
        (left @ right).sum().backward()
    with FlopCounterMode(display=False) as counter:
        (left @ right).sum().backward()
    assert meter.flop == counter.get_total_flops() == 2 * 2 * 30 * 40 * 50


def test_tensors_of_two_devices_that_meet_are_an_error() -> None:
    with Meter(), pytest.raises(TraceError, match="tensors of cpu and meta"):
        empty(3) + torch.ones(3)


def test_numbers_may_be_brought_to_the_device() -> None:
    with Meter() as meter:
        assert torch.ones(3).to("meta").is_meta
        assert (empty(3) * torch.tensor(2.0)).is_meta
    assert meter.peak >= 12


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("again", [False, True])
def test_fused_attention_holds_no_matrix_of_queries_by_keys(masked: bool, again: bool) -> None:
    heads, tokens, width = 2, 512, 8
    mask = torch.empty((1, 1, 1, tokens), dtype=torch.bool, device="meta") if masked else None

    def attend(query: torch.Tensor) -> torch.Tensor:
        return attention(query, query, query, attn_mask=mask)

    query = empty(1, heads, tokens, width).requires_grad_()
    with fused_attention(), Meter() as meter:
        out = checkpoint(attend, query, use_reentrant=False) if again else attend(query)
        assert out.shape == query.shape
        out.sum().backward()
    products = 7 + 2 * again  # two of them forward, five of them back
    assert meter.flop == products * 2 * heads * tokens**2 * width
    assert meter.peak < 4 * heads * tokens**2


def test_attention_elsewhere_is_as_ever() -> None:
    query = torch.randn(1, 2, 5, 8, generator=torch.Generator().manual_seed(0))
    with fused_attention():
        inside = attention(query, query, query)
    assert torch.equal(inside, attention(query, query, query))
    with FlopCounterMode(display=False) as counter:
        attention(empty(1, 2, 5, 8), empty(1, 2, 5, 8), empty(1, 2, 5, 8))
    assert "bmm" in str(counter.get_flop_counts())  # plain again


def test_keys_of_several_queries_are_repeated() -> None:
    with fused_attention():
        out = attention(empty(1, 8, 5, 16), empty(1, 2, 5, 16), empty(1, 2, 5, 16), enable_gqa=True)
    assert out.shape == (1, 8, 5, 16)
