"""The probe against an explicit softmax, under everything that a real pass does to it."""

import math
import threading

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from decontext.attention import SequenceLayout, checkpointed, measure, resolve_blocks
from decontext.errors import AttentionError, InputError

HEADS, WIDTH = 2, 8
LAYOUT = SequenceLayout(text=3, target=5, context=4)
TOKENS = LAYOUT.key_length


class Block(nn.Module):
    """One joint attention over all tokens, after one attention over the first seven only."""

    def __init__(self, mask: Tensor | None = None) -> None:
        super().__init__()
        self.project = nn.Linear(HEADS * WIDTH, 3 * HEADS * WIDTH)
        self.mask = mask
        self.runs = 0
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, tokens: Tensor) -> Tensor:
        self.runs += 1
        split = self.project(tokens).unflatten(-1, (3, HEADS, WIDTH)).permute(2, 0, 3, 1, 4)
        query, key, value = split
        functional.scaled_dot_product_attention(query[..., :7, :], key, value)
        self.seen.append((query, key))
        attended = functional.scaled_dot_product_attention(
            query=query, key=key, value=value, attn_mask=self.mask
        )
        return tokens + attended.transpose(1, 2).flatten(-2)


class Model(nn.Module):
    def __init__(self, *, depth: int = 4, mask: Tensor | None = None, run=None) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.blocks = nn.ModuleList(Block(mask) for _ in range(depth))
        self.run = run or (lambda block, *args: block(*args))

    def forward(self, tokens: Tensor) -> Tensor:
        for block in self.blocks:
            tokens = self.run(block, tokens)
        return tokens


def draw_tokens(*, dtype: torch.dtype = torch.float32, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    tokens = 2 * torch.randn(batch, TOKENS, HEADS * WIDTH, generator=generator)
    return tokens.to(dtype).requires_grad_()


def explicit_proportion(query: Tensor, key: Tensor, mask: Tensor | None = None) -> Tensor:
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = (
            scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
        )
    weights = scores.softmax(-1)
    return weights[..., LAYOUT.target_slice, LAYOUT.context_slice].sum(-1).float().mean()


def masks() -> dict[str, Tensor | None]:
    generator = torch.Generator().manual_seed(2)
    keys = torch.ones(2, 1, 1, TOKENS, dtype=torch.bool)
    keys[:, ..., 1] = False
    keys[:, ..., -1] = False
    return {
        "no mask": None,
        "key mask": keys,
        "square mask": torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril(2),
        "additive mask": torch.randn(2, HEADS, TOKENS, TOKENS, generator=generator),
    }


@pytest.mark.parametrize("name", masks())
@pytest.mark.parametrize("run", [None, checkpointed], ids=["plain", "checkpointed"])
def test_proportion_and_gradient_equal_an_explicit_softmax(name, run) -> None:
    mask = masks()[name]
    model, tokens = Model(mask=mask, run=run), draw_tokens()
    measured = measure(lambda: model(tokens), LAYOUT, (0, 2))
    (gradient,) = torch.autograd.grad(measured.mean(), tokens)

    plain = Model(mask=mask)
    plain(tokens)
    expected = torch.stack([explicit_proportion(*plain.blocks[i].seen[0], mask) for i in (0, 2)])
    (expected_gradient,) = torch.autograd.grad(expected.mean(), tokens)

    torch.testing.assert_close(measured, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, atol=1e-7, rtol=1e-4)


def test_checkpointed_gradients_are_bitwise_those_of_a_plain_pass() -> None:
    gradients = []
    for run in (None, checkpointed):
        tokens, model = draw_tokens(), Model(run=run)
        measure(lambda model=model, tokens=tokens: model(tokens), LAYOUT, (1, 3)).sum().backward()
        gradients.append(tokens.grad)
    assert torch.equal(*gradients)


def test_checkpointed_block_is_run_again_in_the_backward_pass() -> None:
    model, tokens = Model(run=checkpointed), draw_tokens()
    measure(lambda: model(tokens), LAYOUT, (1,)).sum().backward()
    assert [block.runs for block in model.blocks] == [2, 2, 0, 0]


def test_checkpointed_backward_may_run_in_another_thread() -> None:
    model, tokens = Model(run=checkpointed), draw_tokens()
    measured = measure(lambda: model(tokens), LAYOUT, (0, 1))
    thread = threading.Thread(target=measured.sum().backward)
    thread.start()
    thread.join()
    assert tokens.grad is not None and tokens.grad.abs().min() > 0


def test_checkpointing_without_a_probe_is_ordinary_checkpointing() -> None:
    tokens = draw_tokens()
    torch.testing.assert_close(Model(run=checkpointed)(tokens), Model()(tokens))


def test_default_checkpointing_under_a_probe_fails_loudly() -> None:
    def default(block: nn.Module, *args: Tensor) -> Tensor:
        return checkpoint(block, *args, use_reentrant=False)

    model, tokens = Model(run=default), draw_tokens()
    measured = measure(lambda: model(tokens), LAYOUT, (0, 3))
    with pytest.raises(torch.utils.checkpoint.CheckpointError):
        measured.sum().backward()


def test_blocks_after_the_last_wanted_one_are_not_run() -> None:
    model = Model()
    measure(lambda: model(draw_tokens()), LAYOUT, (1, 0))
    assert [block.runs for block in model.blocks] == [1, 1, 0, 0]


def test_proportions_come_in_the_order_of_the_blocks_asked_for() -> None:
    model, tokens = Model(), draw_tokens()
    forwards = measure(lambda: model(tokens), LAYOUT, (0, 1, 3))
    backwards = measure(lambda: model(tokens), LAYOUT, (3, 1, 0))
    assert torch.equal(forwards.flip(0), backwards)


def test_bfloat16_agrees_with_float32() -> None:
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        tokens = draw_tokens(dtype=dtype)
        model = Model().to(dtype)
        measured = measure(lambda model=model, tokens=tokens: model(tokens), LAYOUT, (0, 1, 2))
        (gradient,) = torch.autograd.grad(measured.sum(), tokens)
        assert measured.dtype == torch.float32
        results.append((measured, gradient.float().flatten()))
    (exact, exact_gradient), (rough, rough_gradient) = results
    torch.testing.assert_close(rough, exact, atol=5e-3, rtol=0)
    assert functional.cosine_similarity(rough_gradient, exact_gradient, dim=0) > 0.999


def test_grouped_heads_scale_and_causal_calls_are_honoured() -> None:
    generator = torch.Generator().manual_seed(3)
    query = torch.randn(1, 4, TOKENS, WIDTH, generator=generator)
    key = torch.randn(1, 2, TOKENS, WIDTH, generator=generator)
    measured = measure(
        lambda: functional.scaled_dot_product_attention(
            query, key, key, None, 0.0, True, scale=0.7, enable_gqa=True
        ),
        LAYOUT,
        (0,),
    )
    causal = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()
    scaled = query * 0.7 * math.sqrt(WIDTH)
    expected = explicit_proportion(scaled, key.repeat_interleave(2, dim=1), causal)
    torch.testing.assert_close(measured[0], expected)


def test_measuring_without_gradients_works() -> None:
    model, tokens = Model(run=checkpointed), draw_tokens()
    with torch.no_grad():
        measured = measure(lambda: model(tokens), LAYOUT, (0,))
    assert not measured.requires_grad and 0 < measured < 1


def test_no_matrix_of_all_queries_by_all_keys_is_made() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        numel = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            outputs = func(*args, **(kwargs or {}))
            for output in outputs if isinstance(outputs, tuple) else (outputs,):
                if isinstance(output, Tensor):
                    self.numel = max(self.numel, output.numel())
            return outputs

    layout = SequenceLayout(text=8, target=248, context=256)
    tokens = torch.randn(1, 1, layout.key_length, WIDTH, requires_grad=True)
    with Largest() as largest:
        measure(
            lambda: functional.scaled_dot_product_attention(tokens, tokens, tokens), layout, (0,)
        ).backward()
    assert largest.numel < layout.target * layout.key_length


def test_missing_joint_attention_calls_are_an_error() -> None:
    model = Model(depth=2)
    with pytest.raises(AttentionError, match="saw 2 joint-attention calls over 12 tokens"):
        measure(lambda: model(draw_tokens()), LAYOUT, (0, 5))


def test_calls_of_other_lengths_are_not_counted() -> None:
    model = Model()
    layout = SequenceLayout(text=LAYOUT.text, target=LAYOUT.target, context=LAYOUT.context + 1)
    with pytest.raises(AttentionError, match="saw 0 joint-attention calls over 13 tokens"):
        measure(lambda: model(draw_tokens()), layout, (0,))


def test_naming_no_block_is_an_error() -> None:
    with pytest.raises(AttentionError, match="no block"):
        measure(lambda: None, LAYOUT, ())


def fail() -> None:
    raise RuntimeError("the pass failed")


@pytest.mark.parametrize("run", [None, checkpointed], ids=["plain", "checkpointed"])
@pytest.mark.parametrize("ending", ["early exit", "missing calls", "failed pass", "interrupted"])
def test_nothing_is_left_behind_on_any_exit(ending, run) -> None:
    original = functional.scaled_dot_product_attention
    model = Model(run=run)

    def interrupted() -> None:
        model(draw_tokens())
        raise KeyboardInterrupt

    def failing_inside_a_block() -> None:
        model.run(lambda *_: fail(), draw_tokens())

    call, blocks, error = {
        "early exit": (lambda: model(draw_tokens()), (0,), None),
        "missing calls": (lambda: model(draw_tokens()), (9,), AttentionError),
        "failed pass": (failing_inside_a_block, (0,), RuntimeError),
        "interrupted": (interrupted, (9,), KeyboardInterrupt),
    }[ending]
    if error is None:
        measure(call, LAYOUT, blocks)
    else:
        with pytest.raises(error):
            measure(call, LAYOUT, blocks)

    assert functional.scaled_dot_product_attention is original
    assert torch.overrides._get_current_function_mode_stack() == []
    measured = measure(lambda: Model()(draw_tokens()), LAYOUT, (0,))
    assert 0 < measured < 1


def test_a_pass_inside_a_pass_is_measured_by_the_inner_probe_only() -> None:
    model, tokens = Model(), draw_tokens()
    alone = measure(lambda: model(tokens), LAYOUT, (0, 1))
    inner = []

    def call() -> None:
        inner.append(measure(lambda: model(tokens), LAYOUT, (0, 1)))
        model(tokens)

    outer = measure(call, LAYOUT, (0, 1))
    assert torch.equal(outer, alone) and torch.equal(inner[0], alone)


def test_other_function_modes_still_see_the_pass() -> None:
    class Count(TorchFunctionMode):
        calls = 0

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.calls += func is functional.scaled_dot_product_attention
            return func(*args, **(kwargs or {}))

    model = Model(depth=1)
    with Count() as count:
        measure(lambda: model(draw_tokens()), LAYOUT, (0,))
    assert count.calls == 2


def test_layout_parts_follow_each_other_and_sum_to_the_sequence() -> None:
    assert LAYOUT.target_slice == slice(3, 8)
    assert LAYOUT.context_slice == slice(8, 12)
    assert LAYOUT.query_length == LAYOUT.key_length == 12


@pytest.mark.parametrize("tokens", [(3, 0, 4), (3, 5, 0), (-1, 5, 4)])
def test_layout_without_target_or_context_is_refused(tokens) -> None:
    with pytest.raises(AttentionError, match="at least one"):
        SequenceLayout(*tokens)


@pytest.mark.parametrize(
    ("names", "blocks"),
    [
        ("all", range(57)),
        ("paper", range(19, 45)),
        ("double", range(19)),
        ("single", range(19, 57)),
        ("double:0-18", range(19)),
        ("single:0-25", range(19, 45)),
        ("single:3", (22,)),
        ("single:37, double:0 ,double:0-1", (0, 1, 56)),
        (["single:1", "double:2,double:4"], (2, 4, 20)),
    ],
)
def test_block_names_resolve_to_calls_in_their_order(names, blocks) -> None:
    assert resolve_blocks(names, 19, 38) == tuple(blocks)


def test_paper_blocks_are_the_same_share_of_a_small_editor() -> None:
    assert resolve_blocks("paper", 2, 6) == (2, 3, 4, 5, 6)


@pytest.mark.parametrize("names", ["", "triple:1", "single:6", "single:3-1", "double:0-2", "all,x"])
def test_unknown_blocks_are_refused_with_those_that_exist(names) -> None:
    with pytest.raises(InputError) as error:
        resolve_blocks(names, 2, 6)
    assert "this editor has double:0-1 and single:0-5" in str(error.value)
