"""Step1X-Edit through the command line, as its user runs it: official files, any photo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_step1x import save_tiny_step1x, save_tiny_step1x_v1_2

from decontext import cli
from decontext.report import FORMAT
from decontext.settings import ProtectSettings

SIZE = (120, 84)
"""No square, and no multiple of anything."""

WORKING = {"step1x-edit-v1.2": (1216, 848)}
"""Working sizes that are not that of the other versions."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_tiny_step1x(tmp_path_factory.mktemp("step1x"))
    save_tiny_step1x_v1_2(folder / "v1.2")
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    shades = np.random.default_rng(0).integers(0, 256, (7, 10, 3), dtype=np.uint8)
    Image.fromarray(shades).resize(SIZE).save(tmp_path / "me.png")
    return tmp_path / "me.png"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any, str]]:
    """Run a command line; returns exit code, the JSON on stdout, and stderr."""

    def run(*arguments: object) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = cli.run([*map(str, arguments), "--json"])
        out, err = capsys.readouterr()
        return code, json.loads(out or "null"), err

    return run


def pixels(path: Path) -> Any:
    with Image.open(path) as image:
        return np.asarray(image, np.int16)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("step1x-edit", ()),
        ("step1x-edit-v1.0", ("--working-size", "96", "--refresh-text", "2")),
        ("step1x-edit", ("--working-size", "96", "--count-vlm-tokens", "--precision", "float32")),
        ("step1x-edit-v1.2", ("--working-size", "96", "--refresh-text", "2")),
        ("step1x-edit-v1.2", ("--working-size", "96", "--count-vlm-tokens")),
    ],
)
def test_photo_is_protected_verified_and_edited(
    run: Any, weights: Path, photo: Path, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    settings = ProtectSettings(
        method="sign",
        epsilon=64 / 255,
        steps=8,
        blocks="double:0",
        robust="off",
        verify_prompts=1,
        verify_noises=1,
    )
    config = tmp_path / "earlier.json"
    config.write_text(
        json.dumps({"format": FORMAT, "settings": settings.to_dict()}), encoding="utf-8"
    )
    weights = weights / "v1.2" if name in WORKING else weights
    editor = ["--editor", name, "--weights", weights, "--device", "cpu"]
    target = tmp_path / "out.png"
    code, result, err = run(
        "protect", photo, "-o", target, "--config", config, "--accept-weak", *editor, *options
    )
    assert code == 0, (result, err)
    before, after = (pixels(path) for path in (photo, target))
    assert before.shape == after.shape == (*SIZE[::-1], 3)
    assert 0 < np.abs(after - before).max() <= 64
    report = json.loads(Path(f"{target}.json").read_text(encoding="utf-8"))
    assert report["editor"]["name"] == name
    edited = tmp_path / "edited.png"
    code, result, err = run("edit", target, "make the person smile", "-o", edited, *editor,
                            "--steps", 2)  # fmt: skip
    assert code == 0, (result, err)
    width, height = WORKING.get(name, (608, 416))
    assert result["size"] == [width, height] and pixels(edited).shape == (height, width, 3)


def test_other_weights_than_step1x_edits_are_refused(run: Any, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, result, _ = run("protect", photo, "--editor", "step1x-edit", "--weights",
                          tmp_path / "empty")  # fmt: skip
    assert code == 2 and "step1x-edit-v1p1-official.safetensors is missing" in str(result)
