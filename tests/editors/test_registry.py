"""Finding editors by name, without importing what is not needed."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from decontext.editors import DEMONSTRATIONS, editor_names, kontext_mini, list_editors, load_editor
from decontext.errors import EditorError, InputError


def test_editors_are_found_by_file_name() -> None:
    names = editor_names()
    assert {"flux-kontext", "kontext-mini"} <= set(names)
    assert tuple(info.name for info in list_editors()) == names


def test_only_the_embedded_editors_are_demonstrations() -> None:
    assert {info.name for info in list_editors() if info.demonstration} == set(DEMONSTRATIONS)


def test_unknown_editor_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InputError) as error:
        load_editor("flux_kontex")
    message = str(error.value)
    assert message.startswith("no editor named 'flux_kontex'; available: ")
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


PLUG_IN = """
from dataclasses import replace
from decontext.editors import kontext_mini

INFO = replace(kontext_mini.INFO, name="mine", title="An editor of another package")


def load(source=None, *, device=None, dtype=None, cache=None):
    editor = kontext_mini.load(source, device=device, dtype=dtype, cache=cache)
    editor.info = replace(editor.info, name="mine")
    return editor
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch):
    """Installs a package that brings editors: its metadata as pip writes it."""

    def write(entries: str, source: str = PLUG_IN) -> None:
        (tmp_path / "their_editor.py").write_text(source)
        info = tmp_path / "their_editor-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-editor\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[decontext.editors]\n{entries}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "their_editor", raising=False)

    return write


def test_another_package_brings_an_editor(install, tmp_path: Path) -> None:
    from tiny_models import save_tiny_pipeline

    from decontext import edit

    install("mine = their_editor\nkontext-mini = their_editor")
    assert "mine" in editor_names() and editor_names().count("kontext-mini") == 1
    titles = {info.name: info.title for info in list_editors()}
    assert titles["mine"] == "An editor of another package"
    assert titles["kontext-mini"] == kontext_mini.INFO.title  # ours stays ours
    folder = save_tiny_pipeline(tmp_path / "tiny", sample_size=64)
    editor = load_editor("mine", source=folder, device="cpu")
    picture = edit(torch.rand(1, 3, 40, 40), "smile", editor, steps=1)
    assert editor.info.name == "mine" and picture.shape[-1] == 64


def test_editor_of_another_package_that_is_none_is_told(install, caplog) -> None:
    install("broken = their_editor:nothing\nempty = their_editor", "")
    with caplog.at_level("WARNING", "decontext"):
        assert not {"broken", "empty"} & {info.name for info in list_editors()}
    assert "'broken' that another package brings cannot be imported" in caplog.text
    with pytest.raises(EditorError, match="'empty' that another package brings has no INFO"):
        load_editor("empty")
