"""Finding editors by name, without importing what is not needed."""

import subprocess
import sys
from pathlib import Path

import pytest

from decontext.editors import DEMONSTRATIONS, editor_names, kontext_mini, list_editors, load_editor
from decontext.errors import EditorError, InputError


def test_editors_are_found_by_file_name() -> None:
    names = editor_names()
    assert {"flux-kontext", "kontext-mini"} <= set(names)
    assert tuple(info.name for info in list_editors()) == names


def test_only_the_embedded_editor_is_a_demonstration() -> None:
    assert {info.name for info in list_editors() if info.demonstration} == {"kontext-mini"}


def test_unknown_editor_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InputError) as error:
        load_editor("flux")
    message = str(error.value)
    assert message.startswith("no editor named 'flux'; available: ")
    assert ", ".join(editor_names()) in message
    assert "flux-kontext" in error.value.hint


def test_demonstration_is_proposed_for_its_own_name_alone() -> None:
    hints = {}
    for name in ("kontext", "Kontext", "mini", "kontext-mni", "step1x", "kontext_mini"):
        with pytest.raises(InputError) as error:
            load_editor(name)
        hints[name] = error.value.hint
    assert "flux-kontext" in hints["kontext"] and "flux-kontext" in hints["Kontext"]
    assert not any("mini" in hints[name] for name in ("kontext", "Kontext", "mini", "step1x"))
    assert "kontext-mini" in hints["kontext-mni"] and "kontext-mini" in hints["kontext_mini"]
    shown = {info.name for info in list_editors() if info.demonstration}
    assert shown == set(DEMONSTRATIONS)


def test_embedded_editor_without_weights_says_so(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kontext_mini, "WEIGHTS", tmp_path / "gone")
    with pytest.raises(EditorError, match="weights are not in this installation"):
        load_editor("kontext-mini")


def test_embedded_editor_is_any_flux_kontext_folder(tmp_path: Path) -> None:
    from tiny_models import save_tiny_pipeline

    folder = save_tiny_pipeline(tmp_path / "tiny", sample_size=128)
    editor = load_editor("kontext-mini", source=folder, device="cpu")
    assert editor.info.demonstration and editor.working_size(512, 512) == (128, 128)


def test_importing_the_registry_imports_no_torch() -> None:
    code = "import sys, decontext.editors as e; e.editor_names(); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
