"""Cutting the attention from target to context, against an explicit mask and in real edits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
from torch import Tensor
from torch.nn import functional

import decontext
from decontext.attention import SequenceLayout
from decontext.attention.cut import without_context
from decontext.edit import cut_context, find_layouts
from decontext.errors import AttentionError, InputError

LAYOUT = SequenceLayout(text=3, target=5, context=4)
TOKENS = LAYOUT.key_length


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


def _photo(seed: int = 0) -> Tensor:
    return torch.rand((1, 3, 56, 72), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["no mask", "key mask", "square mask"])
def test_cut_call_equals_one_with_an_explicit_mask(kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn((3, 2, 2, TOKENS, 8), generator=generator)
    mask = {
        "no mask": None,
        "key mask": (torch.arange(TOKENS) != 1)[None, None, None],
        "square mask": torch.randn((TOKENS, TOKENS), generator=generator),
    }[kind]
    closed = torch.zeros((TOKENS, TOKENS))
    closed[LAYOUT.target_slice, LAYOUT.context_slice] = -torch.inf
    if mask is not None:
        extra = mask if mask.is_floating_point() else torch.where(mask, 0.0, -torch.inf)
        closed = closed + extra
    expected = functional.scaled_dot_product_attention(query, key, value, attn_mask=closed)
    call = {"query": query, "key": key, "value": value, "attn_mask": mask}
    torch.testing.assert_close(without_context(call, LAYOUT), expected)


def test_layout_is_that_of_the_editors_own_pass(editor: Any) -> None:
    layout = find_layouts(editor, _photo(), "smile")[0]
    width, height = editor.working_size(72, 56)
    tokens = width * height // 16**2
    assert (layout.text, layout.target, layout.context) == (tiny_models.TEXT_TOKENS, tokens, tokens)


def test_edit_changes_while_context_is_cut_and_is_the_same_again_afterwards(editor: Any) -> None:
    def edit(cut: str | None = None) -> Tensor:
        return decontext.edit(_photo(), "smile", editor, steps=2, cut_context=cut)

    before, cut, one = edit(), edit("all"), edit("double:0")
    assert torch.equal(edit(), before)
    assert float((cut - before).abs().max()) > 1e-4
    assert not torch.equal(cut, one)


def test_photo_hardly_matters_when_it_can_be_seen_by_text_alone(editor: Any) -> None:
    """With random weights too, more of the photo comes in by the target's attention."""
    differences = []
    for cut in (None, "all"):
        edits = [
            decontext.edit(_photo(seed), "smile", editor, steps=2, cut_context=cut)
            for seed in (1, 2)
        ]
        differences.append(float((edits[0] - edits[1]).abs().mean()))
    assert differences[1] < 0.7 * differences[0]


def test_only_the_chosen_blocks_of_every_step_are_cut(
    editor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(
        "decontext.attention.cut.without_context",
        lambda call, layout: (
            calls.append(layout.context) or functional.scaled_dot_product_attention(**call)
        ),
    )
    plain = editor.edit(_photo(), "smile", steps=3)
    with cut_context(editor, _photo(), "smile", blocks="double:1,single:0-1"):
        cut = editor.edit(_photo(), "smile", steps=3)
    assert len(calls) == 3 * 3
    assert torch.equal(plain, cut)


def test_an_edit_that_was_not_cut_is_an_error(editor: Any) -> None:
    with (
        pytest.raises(AttentionError, match="nothing was cut"),
        cut_context(editor, _photo(), "smile"),
    ):
        pass
    with (
        pytest.raises(InputError, match="double:0-1"),
        cut_context(editor, _photo(), "smile", blocks="triple"),
    ):
        pass


def test_edit_takes_and_gives_what_people_use(editor: Any, tmp_path: Path) -> None:
    path = tmp_path / "me.png"
    decontext.save_photo(_photo(), decontext.to_photo(_photo()), path)
    steps: list[tuple[int, int]] = []
    edited = decontext.edit(
        path, "smile", editor, steps=2, on_step=lambda done, total: steps.append((done, total))
    )
    assert steps == [(1, 2), (2, 2)]
    assert torch.equal(decontext.edit(path.read_bytes(), "smile", editor, steps=2), edited)
    assert type(edited.image) is type(edited + 1) is Tensor
    assert edited.to_pil().size == (edited.shape[-1], edited.shape[-2])
    saved = edited.save(tmp_path / "edit.png")
    assert torch.equal(decontext.read_pixels(saved), (edited.image * 255).round() / 255)
    with pytest.raises(InputError, match="exists already"):
        edited.save(saved)
    (tmp_path / "link.png").symlink_to(path)
    for target in (path, tmp_path / "link.png"):
        with pytest.raises(InputError, match="the output must be another file"):
            edited.save(target, force=True)
