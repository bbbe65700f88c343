"""The embedded editor with its shipped weights, on a real portrait that it was never trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import decontext
from decontext import Result
from decontext.editors.kontext_mini import WEIGHTS
from decontext.evaluation.identity import THRESHOLD, FaceRecogniser, similarity
from decontext.photo.images import levels, read_pixels, to_array
from decontext.photo.portraits import GRACE_HOPPER

INSTRUCTIONS = ("leave the picture the same", "please add a happy smile")  # not trained on


@pytest.fixture(scope="module")
def editor() -> Any:
    return decontext.load_editor("kontext-mini", device="cpu")


@pytest.fixture(scope="module")
def protected(editor: Any, tmp_path_factory: pytest.TempPathFactory) -> Result:
    output = tmp_path_factory.mktemp("protected") / "portrait.png"
    return decontext.protect(GRACE_HOPPER, editor, output=output, epsilon=12 / 255, steps=60)


def _similarities(editor: Any, picture: torch.Tensor) -> list[float]:
    """Cosines to the portrait of each edit; -1 where nobody is found."""
    recogniser = FaceRecogniser()
    edits = [editor.edit(picture, text, seed=seed) for seed, text in enumerate(INSTRUCTIONS)]
    found = recogniser.embed([to_array(edit) for edit in edits])
    reference = recogniser.embed([to_array(read_pixels(GRACE_HOPPER))])
    values = similarity(reference, found, centred=False)
    return [-1.0 if value != value else float(value) for value in values]


def test_weights_fit_into_the_package() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.rglob("*")) <= 25_000_000


def test_protection_lowers_attention_much_further_than_random_noise(protected: Result) -> None:
    verification = protected.verification
    assert verification.drop > 0.3
    assert abs(verification.random_drop) < 0.05
    assert levels(read_pixels(GRACE_HOPPER), protected.image) <= 12


def test_edits_of_the_portrait_show_the_person_and_of_the_protected_copy_do_not(
    editor: Any, protected: Result
) -> None:
    assert min(_similarities(editor, read_pixels(GRACE_HOPPER))) > THRESHOLD
    assert max(_similarities(editor, protected.image)) < THRESHOLD


def test_untouched_portrait_does_not_measure_as_protected(editor: Any) -> None:
    found = decontext.verify(GRACE_HOPPER, GRACE_HOPPER, editor, prompts=("smile",), noises=1)
    assert not found.protected


@pytest.mark.parametrize(("size", "working"), [((512, 600), (120, 136)), ((640, 320), (184, 88))])
def test_any_aspect_ratio_is_edited_at_about_the_same_area(
    editor: Any, size: tuple[int, int], working: tuple[int, int]
) -> None:
    assert editor.working_size(*size) == working
    picture = torch.rand(1, 3, size[1], size[0], generator=torch.Generator().manual_seed(0))
    edited = editor.edit(picture, "Zebra im Möbelhaus, bitte!", steps=2)
    assert edited.shape == (1, 3, working[1], working[0])
    assert bool(torch.isfinite(edited).all())


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(decontext.EditorError, match=r"model_index|scheduler|vae"):
        decontext.load_editor("kontext-mini", source=tmp_path)
