"""A protocol on a Ray cluster of this machine: the table of one process, also after a death."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from small_people import save_people

from decontext.cli.commands import run_command
from decontext.editors import Editor
from decontext.errors import InputError
from decontext.evaluation.figures import Figures
from decontext.evaluation.protocols.page import part_table
from decontext.evaluation.protocols.run import Task, run_protocol
from decontext.evaluation.protocols.spread import Worker, count_people, run_on_ray
from decontext.folders.photo import EditorChoice

TINY = {"steps": 1, "working_size": "ordinary", "blocks": "double:0", "method": "sign"}


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> EditorChoice:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return EditorChoice("flux-kontext", source=str(folder), device="cpu")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    folder = save_people(tmp_path_factory.mktemp("people"))
    return Task(
        protocol="decontext", folder=folder, parts=("baseline",), edit_steps=1, settings=TINY
    )


class DyingOnce(EditorChoice):
    """Its first edit of all ends its worker, as when memory runs out."""

    def load(self, device: str | None = None) -> Editor:
        editor: Any = super().load(device)
        died = Path(str(self.source)) / "died"
        edit = type(editor).edit

        def kill(*arguments: Any, **options: Any) -> Any:
            if not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return edit(*arguments, **options)

        type(editor).edit = kill
        return editor  # type: ignore[no-any-return]


@pytest.mark.timeout(900)  # two workers that load torch, on a busy machine
def test_ray_gives_the_table_of_one_process_though_a_worker_dies(
    choice: EditorChoice, task: Task, tmp_path: Path
) -> None:
    ray = pytest.importorskip("ray", reason="the extra [cluster] is not installed")
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    seen: list[tuple[int, int]] = []
    dying = DyingOnce(choice.name, source=choice.source, device="cpu")
    parts, rows = run_on_ray(
        task, tmp_path / "ray", dying, on_progress=lambda done, total, _: seen.append((done, total))
    )
    assert (Path(str(choice.source)) / "died").exists()
    assert seen[-1] == (2, 2)
    assert len(list((tmp_path / "ray").glob("results-*-of-2.jsonl"))) == 2
    _, alone = run_protocol(task, tmp_path / "alone", choice.load())
    tables = [part_table(part, Figures(found)) for part in parts for found in (rows, alone)]
    assert tables[0] == tables[1] and len(tables[0]) > 3


def test_worker_says_why_nothing_can_be_done(task: Task, tmp_path: Path) -> None:
    worker = Worker(EditorChoice("flux-kontext", source=str(tmp_path)), tmp_path / "out", 1)
    parts, error = worker.do(task)
    assert parts == ()
    assert "EditorError" in error or "InputError" in error


def test_what_cannot_be_shared_out_is_refused(
    choice: EditorChoice, task: Task, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count_people(task) == 2
    with pytest.raises(InputError, match="a share by hand"):
        run_on_ray(Task(**vars(task) | {"shard": (1, 2)}), tmp_path / "out", choice)
    arguments = ["evaluate", str(task.folder), "-o", str(tmp_path / "out"), "--editor", "x"]
    for more, said in (
        (["--engine", "ray"], "--engine ray spreads a protocol"),
        (["--jobs", "2", "--protocol", "veto"], "are of a cluster"),
        (["--engine", "dask", "--protocol", "veto"], "it must be one of ray"),
    ):
        assert run_command([*arguments, *more]) == 2
        captured = capsys.readouterr()
        assert said in captured.out + captured.err
