"""What measures as protected, and what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch

import decontext
from decontext.errors import InputError
from decontext.photo.images import Photo, read_pixels
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.photo.resampling import resize
from decontext.publishing.transforms import parse_transform
from decontext.settings import ProtectSettings
from decontext.verdict import Measurement, Verification
from decontext.verify import verify_after


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


def _picture(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (1, 3, 40, 48), generator=generator).float() / 255


def _verification(pairs: list[tuple[float, float, float]], levels: int = 8) -> Verification:
    rows = tuple(Measurement("smile", 1.0, *values) for values in pairs)
    return Verification("flux-kontext", (0,), levels, rows)


def test_untouched_copy_is_not_protected(editor: Any) -> None:
    found = decontext.verify(_picture(), _picture(), editor, prompts=("smile",), noises=1)
    assert found.level == "none"
    assert found.levels == 0
    assert found.drop == 0


def test_every_instruction_is_measured_with_every_noise_in_three_versions(editor: Any) -> None:
    seen: list[tuple[int, int]] = []
    changed = (_picture() + 4 / 255).clamp(0, 1)
    found = decontext.verify(
        changed,
        _picture(),
        editor,
        prompts=("smile", "sit"),
        noises=2,
        on_measure=lambda done, total: seen.append((done, total)),
    )
    assert [row.instruction for row in found.measurements] == ["smile", "smile", "sit", "sit"]
    assert seen == [(number, 12) for number in range(1, 13)]
    assert found.levels == 4
    for row in found.measurements:
        assert 0 < row.original < 1
        assert 0 < row.random < 1


def test_same_seed_gives_the_same_measurement(editor: Any) -> None:
    def run(seed: int) -> Verification:
        return decontext.verify(
            _picture(1), _picture(), editor, prompts=("smile",), noises=1, seed=seed
        )

    assert run(3) == run(3)
    assert run(3) != run(4)


@pytest.mark.parametrize(
    ("pairs", "levels", "expected"),
    [
        ([(0.5, 0.25, 0.5)] * 4, 8, "strong"),
        ([(0.5, 0.26, 0.5)] * 4, 8, "weak"),  # fell by less than half
        ([(0.5, 0.44, 0.5)] * 4, 8, "weak"),
        ([(0.5, 0.46, 0.5)] * 4, 8, "none"),  # fell by less than a tenth
        ([(0.5, 0.2, 0.39)] * 4, 8, "none"),  # random noise does more than a third of it
        ([(0.5, 0.1, 0.5)] * 2 + [(0.5, 0.51, 0.5)] * 2, 8, "none"),  # rose in half of them
        ([(0.5, 0.2, 0.5)] * 4, 0, "none"),  # nothing was changed
    ],
)
def test_rule_says_what_is_strong_weak_or_none(
    pairs: list[tuple[float, float, float]], levels: int, expected: str
) -> None:
    found = _verification(pairs, levels)
    assert found.level == found.to_dict()["level"] == expected
    assert bool(found) is found.protected is (expected == "strong")
    assert found.reaches("weak") is (expected != "none")
    assert found.sentence.startswith(f"{expected.capitalize()}: ")


def test_sentence_says_what_edits_should_show_and_what_to_do_next() -> None:
    strong, weak = (_verification([(0.5, after, 0.5)]) for after in (0.2, 0.35))
    assert str(strong) == (
        "Strong: edits by flux-kontext should no longer show this person, but somebody else or no "
        "face that can be recognised (attention to the photo fell by 60%; random noise of the same "
        "strength does 0%)."
    )
    assert "may still show this person (attention to the photo fell by 30%" in weak.sentence
    assert weak.advice == "Try more --steps or a larger --epsilon."
    assert "demonstration editor" in str(replace(strong, demonstration=True))
    assert "Only 1 of 57 attention blocks" in replace(strong, block_count=57).advice


def test_report_of_a_measurement_has_means_and_spread() -> None:
    values = _verification([(0.4, 0.2, 0.4), (0.6, 0.2, 0.6)]).to_dict()
    original = values["context_proportion"]["original"]
    assert original == {"mean": pytest.approx(0.5), "standard_deviation": pytest.approx(0.1)}
    assert values["drop"] == pytest.approx(0.6)
    assert values["protected"] is True


def test_pictures_of_different_size_are_an_error(editor: Any) -> None:
    with pytest.raises(InputError, match="same size"):
        decontext.verify(_picture()[..., :40], _picture(), editor)


def test_random_noise_is_as_strong_as_the_usual_change_not_as_the_largest(editor: Any) -> None:
    changed = (_picture() * 255 + 4).clamp(0, 255) / 255
    changed[0, 0, 0, 0] = 1 - _picture()[0, 0, 0, 0].round()
    found = decontext.verify(changed, _picture(), editor, prompts=("smile",), noises=1)
    assert found.levels > 100
    assert found.random_levels == found.to_dict()["random_levels"] == 4


def test_unknown_block_is_an_error_that_names_what_exists(editor: Any) -> None:
    with pytest.raises(InputError, match="double:0-1"):
        decontext.verify(_picture(1), _picture(), editor, blocks="triple:0")


def test_missing_file_is_an_error(editor: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        decontext.verify(tmp_path / "none.png", _picture(), editor)


def _protected(editor: Any, original: torch.Tensor, epsilon: float = 64 / 255) -> torch.Tensor:
    """The original after a few steps against the double block 0 of the tiny editor."""
    photo = Photo(original, Path("photo.png"), "PNG", "RGB")
    settings = ProtectSettings(
        method="sign", epsilon=epsilon, steps=60, blocks="double:0", robust="off"
    )
    steps = decontext.protect_steps(photo, editor, settings)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            picture: torch.Tensor = stop.value
            return picture


@pytest.fixture(scope="module")
def portraits() -> list[torch.Tensor]:
    pictures = [resize(read_pixels(path), (64, 64)) for path in (ASTRONAUT, GRACE_HOPPER)]
    return [(picture * 255).round() / 255 for picture in pictures]


@pytest.fixture(scope="module")
def protected(editor: Any, portraits: list[torch.Tensor]) -> torch.Tensor:
    return _protected(editor, portraits[0])


OPTIONS = {"prompts": ("smile", "a red hat"), "noises": 1, "blocks": "double:0"}


def test_protected_photo_is_protected_and_says_why(
    editor: Any, portraits: list[torch.Tensor], protected: torch.Tensor
) -> None:
    found = decontext.verify(protected, portraits[0], editor, **OPTIONS)
    assert found.level == "weak", found.reason
    assert found.reason.startswith("attention to the photo fell by")


def test_unprotected_copy_is_not_protected_after_any_transform(
    editor: Any, portraits: list[torch.Tensor]
) -> None:
    names = ("none", "jpeg-50", "resize-0.5", "blur-2")
    for found in verify_after(names, portraits[0], portraits[0], editor, **OPTIONS):
        assert found.level == "none"
        assert found.reason == "it is an unchanged copy of the original"


@pytest.mark.parametrize("name", ["jpeg-60", "resize-0.5", "blur-2", "noise-0.03"])
def test_photo_that_was_only_published_is_not_protected(
    editor: Any, portraits: list[torch.Tensor], name: str
) -> None:
    published = parse_transform(name)(portraits[0])
    assert decontext.verify(published, portraits[0], editor, **OPTIONS).level == "none"


def test_protected_photo_of_another_person_is_not_protected(
    editor: Any, portraits: list[torch.Tensor], protected: torch.Tensor
) -> None:
    found = decontext.verify(protected, portraits[1], editor, **OPTIONS)
    assert found.level == "none"
    assert found.reason == "it is no version of the original, but another picture"


def test_protected_photo_destroyed_by_blur_is_not_protected(
    editor: Any, portraits: list[torch.Tensor], protected: torch.Tensor
) -> None:
    destroyed = parse_transform("blur-4")(protected)
    found = decontext.verify(destroyed, portraits[0], editor, **OPTIONS)
    assert found.level == "none"
    assert found.blur == 4


def test_every_transform_gets_its_own_verdict(
    editor: Any, portraits: list[torch.Tensor], protected: torch.Tensor
) -> None:
    seen: list[tuple[int, int]] = []
    found = verify_after(
        ("none", "blur-8"),
        protected,
        portraits[0],
        editor,
        on_measure=lambda done, total: seen.append((done, total)),
        **OPTIONS,
    )
    assert [one.transform for one in found] == ["none", "blur-8"]
    assert [one.level for one in found] == ["weak", "none"]
    assert seen == [(number, 12) for number in range(1, 13)]


def test_unknown_transform_is_an_error(editor: Any) -> None:
    with pytest.raises(InputError, match="no transform is named 'sepia'"):
        verify_after(("sepia",), _picture(), _picture(), editor)


@pytest.mark.parametrize(
    ("pairs", "reason"),
    [
        ([(0.5, 0.5, 0.5)], "did not fall"),
        ([(0.5, 0.46, 0.5)], "fell by 8%"),
        ([(0.5, 0.4, 0.45)], "but random noise alone does 10%"),
        ([(0.5, 0.1, 0.5)] * 2 + [(0.5, 0.51, 0.5)] * 2, "but only in 50% of the measurements"),
        ([(0.5, 0.3, 0.5)], "fell by 40%; random noise of the same strength does 0%"),
    ],
)
def test_reason_is_in_plain_words(pairs: list[tuple[float, float, float]], reason: str) -> None:
    assert reason in _verification(pairs).reason
