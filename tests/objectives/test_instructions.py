"""What an objective's instructions are encoded with, in the course of its steps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from decontext.editors import Prompt
from decontext.errors import InputError
from decontext.objectives.instructions import Instructions

PHOTO = torch.zeros(1, 3, 2, 2)


class Editor:
    """Encodes an instruction as the mean of the photo; counts how often."""

    def __init__(self, *, sees: bool = True) -> None:
        self.info: Any = SimpleNamespace(name="test", text_sees_photo=sees)
        self.calls = 0

    def encode_prompt(self, text: str, image: Tensor) -> Prompt:
        self.calls += 1
        return Prompt(text, {"mean": image.mean()}, photo=range(2, 5))


def means(instructions: Instructions, steps: int) -> list[float]:
    """The mean of the photo that an instruction was encoded with, in each of the steps."""
    image, found = PHOTO.clone(), []
    for step in range(steps):
        image.fill_(step)
        instructions.see(image)
        found.append(float(instructions.encode("smile").tensors["mean"]))
    return found


@pytest.mark.parametrize(
    ("refresh", "expected", "calls"),
    [(0, [0, 0, 0, 0, 0], 1), (1, [0, 1, 2, 3, 4], 5), (2, [0, 0, 2, 2, 4], 3)],
)
def test_text_is_encoded_again_every_so_many_steps(refresh, expected, calls) -> None:
    editor: Any = Editor()
    instructions = Instructions(editor, PHOTO, refresh=refresh)
    assert means(instructions, 5) == expected and editor.calls == calls


def test_counted_photo_tokens_carry_the_gradient_of_each_step() -> None:
    editor: Any = Editor()
    instructions = Instructions(editor, PHOTO, count_photo=True)
    for _ in range(2):
        image = PHOTO.clone().requires_grad_()
        instructions.see(image)
        prompt = instructions.encode("smile")
        assert prompt.photo_counts and prompt.photo == range(2, 5)
        (gradient,) = torch.autograd.grad(prompt.tensors["mean"], image)
        assert (gradient > 0).all()


@pytest.mark.parametrize(
    ("options", "option"),
    [({"refresh": 1}, "--refresh-text"), ({"count_photo": True}, "--count-vlm-tokens")],
)
def test_editor_whose_text_does_not_see_the_photo_refuses(options, option) -> None:
    editor: Any = Editor(sees=False)
    with pytest.raises(InputError, match=f"does not see the photo; {option} is for those that do"):
        Instructions(editor, PHOTO, **options)
    Instructions(editor, PHOTO)
