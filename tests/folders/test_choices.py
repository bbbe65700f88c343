"""Which editor other processes load: also where they run in another folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from decontext.cluster import run
from decontext.cluster.run import Cluster
from decontext.cluster.stores import Place
from decontext.folders.finding import Task
from decontext.folders.photo import CrewChoice, EditorChoice, Work
from decontext.settings import ProtectSettings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the test runs; weights lie in it."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "weights.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_lies_here_is_named_by_its_whole_path(here: Path) -> None:
    choice = EditorChoice("x", source="one", device="cpu", options={"parts": "two", "other": 1})
    assert choice.from_anywhere() == EditorChoice(
        "x",
        source=str(here / "one"),
        device="cpu",
        options={"parts": str(here / "two"), "other": 1},
    )
    crew = CrewChoice((EditorChoice("a", source="weights.safetensors"), choice))
    assert crew.from_anywhere().source == [str(here / "weights.safetensors"), str(here / "one")]


def test_hub_ids_and_nothing_stay(here: Path) -> None:
    for source in (None, "owner/model", str(here / "one")):
        choice = EditorChoice("x", source=source)
        assert choice.from_anywhere() == choice


def test_workers_of_a_cluster_find_weights_of_this_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = pytest.importorskip("ray.data", reason="the extra [cluster] is not installed")
    given: dict[str, Any] = {}

    class Rows:
        def map_batches(self, _worker: Any, **options: Any) -> Rows:
            given.update(options["fn_constructor_kwargs"])
            return self

        def iter_rows(self) -> list[Any]:
            return []

    monkeypatch.setattr(data, "from_items", lambda *_, **__: Rows())
    monkeypatch.setattr(run, "choose_workers", lambda *_: (1, False))
    monkeypatch.setattr(run, "open_desk", lambda *_, **__: None)
    monkeypatch.setattr(run, "_be_quiet", lambda: None)
    choice = EditorChoice("x", source="one", options={"parts": "two"})
    work = Work(editor=choice, settings=ProtectSettings(), folder=here / "out")
    manifest: Any = SimpleNamespace(rows=[], results=frozenset())
    tasks = [Task("photo.png", "photo.png")]
    assert list(run._stream(tasks, work, Place.of("out"), manifest, Cluster())) == []
    assert given["work"].editor == EditorChoice(
        "x", source=str(here / "one"), options={"parts": str(here / "two")}
    )
    assert work.heading()["weights"] == "one"  # as it was typed: an earlier run goes on
