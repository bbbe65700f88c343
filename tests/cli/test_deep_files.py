"""Files of 16 bits through the command line: what is saved has 16 bits and verifies.

OpenCV writes the photos and reads the results, so that no code of ours judges them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from decontext import cli
from decontext.photo.portraits import ASTRONAUT

cv2 = pytest.importorskip("cv2", reason="the extra [eval] is not installed")


def test_png_and_tiff_of_16_bits_are_protected_in_16_bits_and_verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, output = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    fine = np.random.default_rng(0).integers(0, 200, (56, 72, 3), dtype=np.uint16)
    portrait = cv2.resize(cv2.imread(str(ASTRONAUT))[:280, :360], (72, 56)).astype(np.uint16)
    before = dict.fromkeys(("deep.png", "deep.tiff"), portrait * 256 + fine)
    for name, values in before.items():
        assert cv2.imwrite(str(photos / name), values)
    weights = tiny_models.save_tiny_pipeline(tmp_path / "editor")
    editor = ["--editor", "flux-kontext", "--weights", str(weights), "--device", "cpu"]
    editor += ["--blocks", "double:0", "--json"]
    method = ["--method", "sign", "--epsilon", "96", "--steps", "16", "--step-limit", "16"]
    method += ["--robust", "off", "--accept-weak"]
    assert cli.run(["protect", str(photos), "-o", str(output), *editor, *method]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [row["message"] for row in printed["photos"]] == ["", ""]
    for name, values in before.items():
        after = cv2.imread(str(output / name), cv2.IMREAD_UNCHANGED)
        assert (after.dtype, after.shape) == (np.uint16, values.shape)
        change = after.astype(np.int64) - values
        # Whole 8-bit levels; the finer part of each value is as it was where nothing was cut off.
        inside = (after > 0) & (after < 65535)
        assert change.any() and not (change[inside] % 257).any()
    measured = ["verify", str(output), "--original", str(photos), *editor, "--require", "weak"]
    assert cli.run(measured) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"weak": 2}
