"""The second embedded editor with its shipped weights: another build than kontext-mini's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import decontext
from decontext.editors import klein_mini, kontext_mini
from decontext.errors import EditorError
from decontext.evaluation.identity import THRESHOLD, FaceRecogniser, similarity
from decontext.photo.images import read_pixels, to_array
from decontext.photo.portraits import GRACE_HOPPER
from study.parts import PEOPLE


@pytest.fixture(scope="module")
def editor() -> Any:
    return decontext.load_editor("klein-mini", device="cpu")


@pytest.fixture(scope="module")
def person() -> Path:
    """A rendered person of the study, whom neither editor was trained on."""
    return sorted(PEOPLE.glob("*.webp"))[4]


def test_weights_fit_into_the_package() -> None:
    size = sum(path.stat().st_size for path in klein_mini.WEIGHTS.rglob("*"))
    assert size <= 25_000_000


def test_nothing_of_it_is_the_first_editor_again() -> None:
    """Other autoencoder, text encoder and transformer: what carries over is no shared part."""
    ours, theirs = (
        {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        for folder in (klein_mini.WEIGHTS, kontext_mini.WEIGHTS)
    )
    assert "text_encoder_2/config.json" in theirs - ours
    assert (klein_mini.INFO.double_blocks, klein_mini.INFO.single_blocks) == (1, 5)
    for part in ("vae", "transformer"):
        name = f"{part}/diffusion_pytorch_model.safetensors"
        assert (klein_mini.WEIGHTS / name).read_bytes() != (
            kontext_mini.WEIGHTS / name
        ).read_bytes()


def test_protection_lowers_attention_and_the_edit_shows_somebody_else(
    editor: Any, person: Path
) -> None:
    """By the default method, which this editor answers late: see `lessen`."""
    result = decontext.protect(person, editor, robust="off")
    assert result.verification.drop > 0.5
    assert abs(result.verification.random_drop) < 0.05
    recogniser = FaceRecogniser()
    pictures = (read_pixels(person), result.image)
    edits = [to_array(editor.edit(picture, "leave the picture the same")) for picture in pictures]
    clean, protected = similarity(
        recogniser.embed([to_array(read_pixels(person))]), recogniser.embed(edits), centred=False
    )
    assert clean > THRESHOLD
    assert not protected > THRESHOLD


def test_untouched_portrait_does_not_measure_as_protected(editor: Any) -> None:
    found = decontext.verify(GRACE_HOPPER, GRACE_HOPPER, editor, prompts=("smile",), noises=1)
    assert not found.protected


def test_any_aspect_ratio_is_edited_at_about_the_same_area(editor: Any) -> None:
    picture = torch.rand(1, 3, 320, 640, generator=torch.Generator().manual_seed(0))
    width, height = editor.working_size(640, 320)
    assert 0.85 < width * height / 128**2 < 1.15 and 1.7 < width / height < 2.3
    edited = editor.edit(picture, "Zebra im Möbelhaus, bitte!", steps=2)
    assert edited.shape == (1, 3, height, width) and bool(torch.isfinite(edited).all())


def test_without_weights_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(klein_mini, "WEIGHTS", tmp_path / "gone")
    with pytest.raises(EditorError, match="weights are not in this installation"):
        decontext.load_editor("klein-mini")
