"""Photos of a store on a Ray cluster of this machine: two workers, one of which is killed."""

from __future__ import annotations

import json
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models
from kills_many import make_photos, make_work, protect_all, read_results

from decontext import cli
from decontext.cluster import actor
from decontext.cluster.actor import cut
from decontext.cluster.finding import find_photos
from decontext.cluster.run import Cluster, protect_on_cluster, running_ray
from decontext.cluster.stores import Place, exists, read, walk, write
from decontext.errors import DecontextError, EditorError, InputError
from decontext.folders.manifest import FAILED, NAME, WEAK
from decontext.folders.run import Progress

ray = pytest.importorskip(
    "ray", reason="the extra [cluster] is not installed: pip install '.[dev]'"
)

pytestmark = [
    # Ray's own, while it is imported and while it starts and ends processes.
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(600),
]

PHOTOS = 6


@pytest.fixture(scope="module")
def cluster(store: str) -> Iterator[Cluster]:
    """Ray with two workers, started once; the store's place is in its environment."""
    del store
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with running_ray(Cluster(workers=2), threads=1):
            yield Cluster(workers=2, desk="desk")


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_photos(tmp_path_factory.mktemp("many") / "photos", PHOTOS)
    (folder / "bad.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def whole(editor: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of an undisturbed run without Ray."""
    folder = tmp_path_factory.mktemp("whole")
    protect_all(photos, make_work(editor, folder))
    return folder


def _kill_all_once(killed: list[int]) -> Callable[[Progress], None]:
    """Ends all workers with the first row, in the middle of their blocks."""

    def kill(progress: Progress) -> None:
        if not killed:
            killed.extend(ray.get(ray.get_actor("desk").workers.remote()).values())
            for process in killed:
                os.kill(process, signal.SIGKILL)

    return kill


def test_photos_of_a_store_are_those_of_a_run_without_ray_though_workers_are_killed(
    cluster: Cluster,
    editor: Path,
    photos: Path,
    whole: Path,
    store: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Blocks of three photos: what is done of one when its worker dies counts for the next worker.
    monkeypatch.setattr(actor, "BLOCKS_OF_A_WORKER", 1)
    source, place = Place.of(f"{store}/many/in"), Place.of(f"{store}/many/out")
    for path in photos.rglob("*.*"):
        write(source.file(path.relative_to(photos).as_posix()), path.read_bytes())
    work, killed = make_work(editor, Path(place.root)), list[int]()
    tasks = find_photos([source.root], place, recursive=True)
    rows = list(
        protect_on_cluster(tasks, work, place, cluster=cluster, on_progress=_kill_all_once(killed))
    )
    assert killed
    expected = read_results(whole)
    assert {row["name"]: row["status"] for row in rows} == {
        **dict.fromkeys(expected, WEAK),
        "bad.jpg": FAILED,
    }
    assert {name: read(place.file(name)) for name in expected} == expected
    lines = (read(place.file(NAME)) or b"").splitlines()
    assert json.loads(lines[0]) == json.loads((whole / NAME).read_text().splitlines()[0])
    assert len(lines) == PHOTOS + 2
    assert not [name for name in walk(place, recursive=True) if "part" in name]


def test_the_command_goes_on_with_what_lies_in_the_store(
    cluster: Cluster, editor: Path, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del cluster
    arguments = ["protect", f"{store}/many/in", "-o", f"{store}/many/out", "--recursive"]
    arguments += ["--engine", "ray", "--editor", "flux-kontext", "--weights", str(editor)]
    place = Place.of(f"{store}/many/out")
    before = read(place.file(NAME)) or b""
    # Settings as the first run had them.
    report = editor.parent / "settings.json"
    report.write_bytes(read(place.file("photo-000.png.json")) or b"")
    arguments += ["--device", "cpu", "--accept-weak", "--config", str(report)]
    code = cli.run(arguments)
    out, err = capsys.readouterr()
    assert code == 1, err
    assert "7 photos: 1 failed, 6 weak" in out and "bad.jpg: failed; s3://" in out
    assert "page: s3://photos/many/out/index.html" in out
    # Only what had failed was tried again, and written down where something was new.
    after = read(place.file(NAME)) or b""
    assert after.startswith(before) and len(after.splitlines()) <= PHOTOS + 3
    assert exists(place.file("summary.csv")) and exists(place.file("contact-sheet-1.jpg"))


@pytest.mark.slow  # it starts two more workers
def test_an_editor_that_cannot_be_loaded_ends_the_run(
    cluster: Cluster, photos: Path, tmp_path: Path
) -> None:
    work = make_work(tmp_path / "nothing", tmp_path / "out")
    tasks = find_photos([str(photos / "photo-000.png")], Place.of(tmp_path / "out"))
    run = protect_on_cluster(
        tasks, work, Place.of(tmp_path / "out"), cluster=replace(cluster, desk=None)
    )
    with pytest.raises(EditorError):
        list(run)


def test_what_does_not_go_together_is_refused(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*options: str) -> str:
        code = cli.run(["protect", "-o", "out", "--editor", "kontext-mini", *options])
        assert code == 2
        return " ".join(capsys.readouterr().err.split())

    assert "--address names a Ray cluster. Add --engine ray." in refuse("x", "--address", "auto")
    assert "lies in a store. Add --engine ray" in refuse("s3://bucket/a")
    assert "it must be one of ray" in refuse(str(photos), "--engine", "spark")
    assert "it is Ray that gives out devices" in refuse("x", "--engine", "ray", "--devices", "cpu")
    assert "--dry-run measures a step on" in refuse("x", "--engine", "ray", "--dry-run")


def test_blocks_are_small_and_not_too_many() -> None:
    assert cut(range(7), workers=2) == 7
    assert cut(range(1000), workers=2) == 143
    assert cut(range(1_000_000), workers=8) == 62_500


def test_a_cluster_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def refuse(**options: object) -> None:
        tried.append(options["address"])
        raise ConnectionError("nobody answers\nand more")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    for address, message in (
        ("head:1", r"there is no Ray cluster at head:1 \(nobody answers\)"),
        (None, r"Ray does not start here \(nobody answers\)"),
    ):
        with (
            pytest.raises(DecontextError, match=message),
            running_ray(Cluster(address=address), threads=1),
        ):
            pass
    assert tried == ["head:1", "local", "local", "local"]


def test_a_missing_ray_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with (
        pytest.raises(InputError, match="Ray is missing") as caught,
        running_ray(Cluster(), threads=1),
    ):
        pass
    assert caught.value.hint == "Run: pip install 'decontext[cluster]'"
