"""A whole evaluation with a tiny editor: rows, resuming, what is said of odd photos, the page."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from PIL import Image

import decontext
from decontext.errors import InputError
from decontext.evaluation.page import write_page
from decontext.evaluation.photo_run import protected_path
from decontext.evaluation.plan import NONE, ORIGINAL, Plan, build_protections, find_photos
from decontext.evaluation.results import read_rows
from decontext.evaluation.run import Instruments, evaluate, load_instruments
from decontext.evaluation.tables import Figures, transform_table
from decontext.photo.portraits import ASTRONAUT, GRACE_HOPPER
from decontext.settings import ProtectSettings
from decontext.visibility.scores import WORDS

SETTINGS = ProtectSettings(method="sign", steps=2, blocks="double:0")
PLAN = Plan(
    protections=build_protections(
        ("context-proportion:off", "random-sign"), (16 / 255,), settings=SETTINGS
    ),
    transforms=(NONE, "jpeg-50+resize-0.5"),
    prompts=("please smile", "a red hat"),
    edit_steps=1,
    measure_prompts=1,
)


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture(scope="module")
def instruments() -> Instruments:
    return load_instruments(PLAN)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One portrait, one with two people, a grey one without a face, a broken file, and a text."""
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(ASTRONAUT) as first, Image.open(GRACE_HOPPER) as second:
        one = first.convert("RGB").crop((100, 0, 350, 250)).resize((96, 96))
        two = second.convert("RGB").crop((100, 0, 450, 350)).resize((96, 96))
    one.save(folder / "a-portrait.png")
    both = Image.new("RGB", (192, 96))
    both.paste(one, (0, 0))
    both.paste(two, (96, 0))
    both.save(folder / "b-two.png")
    noise = np.random.default_rng(0).integers(0, 256, (48, 64), np.uint8)
    Image.fromarray(noise).save(folder / "c-grey.png")
    (folder / "d-broken.JPG").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (folder / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def report(
    editor: Any, instruments: Instruments, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("report") / "new"
    rows = evaluate(find_photos(photos), folder, editor, PLAN, instruments=instruments)
    write_page(rows, folder, find_photos(photos))
    return folder


@pytest.fixture(scope="module")
def figures(report: Path) -> Figures:
    return Figures(read_rows([report / "results.jsonl"]))


def test_every_photo_has_a_row_that_says_what_is_the_matter(figures: Figures) -> None:
    said = {row["photo"]: (row["status"], " ".join(row["notes"])) for row in figures.photos()}
    assert said["a-portrait.png"] == ("evaluated", "")
    assert said["b-two.png"][1].startswith("2 faces found")
    assert said["c-grey.png"][1].startswith("greyscale")
    assert "no face found" in said["c-grey.png"][1]
    assert said["d-broken.JPG"][0] == "unreadable"
    assert "d-broken.JPG" in said["d-broken.JPG"][1]
    assert "notes.txt" not in said


def test_every_combination_is_edited_once(figures: Figures) -> None:
    edits = [row for row in figures.rows if row["kind"] == "edit"]
    keys = {
        tuple(row[n] for n in ("photo", "protection", "transform", "prompt", "seed"))
        for row in edits
    }
    # Three photos; three versions after two transforms, and one more with the attention cut.
    assert len(keys) == len(edits) == 3 * (3 * 2 + 1) * 2
    assert list(figures.labels.values()) == [
        "the original",
        "attention cut: the bound",
        "context-proportion:off 16/255",
        "random-sign 16/255",
    ]


def test_protected_photos_keep_their_budget_and_their_grey(report: Path, figures: Figures) -> None:
    for row in figures.rows:
        if row["kind"] == "protection":
            assert row["levels"] <= 16
            if row["label"].startswith("random-sign"):
                assert row["levels"] == 16
                assert 20 < row["worst_patch"] <= row["psnr"] + 0.01 < 30
            saved = protected_path(report, row["sha256"], row["protection"])
            with Image.open(saved) as image:
                pixels = np.asarray(image.convert("RGB"))
            assert row["photo"] != "c-grey.png" or not np.ptp(pixels, axis=2).any()


def test_measured_attention_has_a_verdict_after_each_transform(figures: Figures) -> None:
    rows = [row for row in figures.rows if row["kind"] == "measurement"]
    assert len(rows) == 3 * 2 * 2
    assert {row["transform"] for row in rows} == set(PLAN.transforms)
    assert all(isinstance(row["verdict"], bool) and 0 < row["original"] < 1 for row in rows)
    assert all(row["verdict"] == (row["level"] == "strong") for row in rows)
    head, *body = transform_table(figures, rows[0]["protection"])
    verdicts = [cells[head.index("verdicts")] for cells in body]
    assert all(sum(map(int, re.findall(r"\d+", cell))) == 3 for cell in verdicts)


def test_stopped_evaluation_goes_on_where_it_was(
    editor: Any, instruments: Instruments, photos: Path, report: Path, tmp_path: Path
) -> None:
    class StoppedError(Exception):
        pass

    def stop(done: int, total: int, what: str) -> None:
        assert done <= total
        if done == 5:
            raise StoppedError

    chosen = find_photos(photos)[:1]
    with pytest.raises(StoppedError):
        evaluate(chosen, tmp_path, editor, PLAN, instruments=instruments, on_progress=stop)
    results = tmp_path / "results.jsonl"
    begun = results.read_text(encoding="utf-8")
    results.write_text(begun + '{"kind": "edit", "pho', encoding="utf-8")  # cut off while written
    rows = evaluate(chosen, tmp_path, editor, PLAN, instruments=instruments)
    assert results.read_text(encoding="utf-8").startswith(begun)
    whole = [
        row
        for row in read_rows([report / "results.jsonl"])
        if row.get("photo", "a-portrait.png") == "a-portrait.png"
    ]
    assert [_without_time(row) for row in rows] == [_without_time(row) for row in whole]


def _without_time(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "seconds"}


def test_what_another_process_has_done_is_not_done_again(
    editor: Any, instruments: Instruments, photos: Path, report: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    evaluate(
        find_photos(photos),
        report,
        editor,
        PLAN,
        instruments=instruments,
        name="second.jsonl",
        known=[report / "results.jsonl"],
        on_progress=lambda done, total, what: told.append(what),
    )
    assert set(told) == {""}  # nothing was made
    (heading, broken) = read_rows([report / "second.jsonl"])
    assert (heading["kind"], broken["photo"]) == ("heading", "d-broken.JPG")  # tried again


def test_results_of_another_editor_are_not_continued(
    editor: Any, instruments: Instruments, photos: Path, report: Path, tmp_path: Path
) -> None:
    other = replace(PLAN, edit_steps=2)
    with pytest.raises(InputError, match="was begun with another edit_steps.*--force"):
        evaluate(find_photos(photos), report, editor, other, instruments=instruments)
    (tmp_path / "results.jsonl").write_text("something else\n\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1 of .* is no result"):
        evaluate(find_photos(photos), tmp_path, editor, PLAN, instruments=instruments)


def test_page_shows_pictures_after_each_transform_and_loads_nothing(report: Path) -> None:
    page = (report / "index.html").read_text(encoding="utf-8")
    # Per photo: three pairs, two differences, two maps of where they are seen, edits of three
    # versions after one transform and the cut one; and two plots.
    assert page.count('src="data:image/png;base64,') == 3 * (3 * 2 + 2 + 2 + 3 + 1)
    assert "Where the change is seen" in page and any(words in page for _, words in WORDS)
    assert page.count('src="data:image/svg+xml;base64,') == 2
    assert 'src="http' not in page and "<script" not in page
    assert "jpeg-50+resize-0.5: " in page
    assert "The same person is in 0 of 6 edits of the original photos" in page
    assert "What failed" in page and "3 photos: a direction, no more." in page
    assert "d-broken.JPG" in page and "2 faces found" in page


def test_folder_without_pictures_and_missing_one_are_errors(tmp_path: Path) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(InputError, match="does not exist; it must be a photo or a folder"):
        find_photos(tmp_path / "missing")
    with pytest.raises(InputError, match="there is no picture to evaluate in"):
        find_photos(tmp_path)


@pytest.mark.parametrize(
    ("methods", "message"),
    [(("magic",), "no method is named 'magic'"), (("encoder:very",), "robustness is named 'very'")],
)
def test_unknown_method_is_an_error(methods: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_protections(methods, (8 / 255,), settings=SETTINGS)


def test_unknown_transform_and_empty_lists_are_errors() -> None:
    with pytest.raises(InputError, match="no transform is named 'sepia'"):
        Plan(protections=(), transforms=("none", "jpeg-75+sepia"))
    with pytest.raises(InputError, match="there must be an instruction"):
        Plan(protections=(), prompts=())


def _edit(version: str, transform: str, value: float | None, photo: str = "p") -> dict[str, Any]:
    return {
        "kind": "edit",
        "photo": photo,
        "protection": version,
        "transform": transform,
        "prompt": "smile",
        "seed": 0,
        "identity": {"sface": value},
        "faces": int(value is not None),
    }


def test_kept_is_the_part_of_the_drop_that_a_transform_leaves() -> None:
    rows = [
        {"kind": "heading", "thresholds": {"sface": 0.363}, "likeness": "x", "rendered": False},
        {"kind": "protection", "photo": "p", "protection": "k", "label": "ours 8/255"},
    ]
    for photo, low in (("p", 0.1), ("q", 0.3)):
        rows += [
            _edit(ORIGINAL, NONE, 0.8, photo),
            _edit("k", NONE, low, photo),
            _edit(ORIGINAL, "jpeg-50", 0.7, photo),
            _edit("k", "jpeg-50", 0.4, photo),
        ]
    rows += [_edit(ORIGINAL, "flip", None), _edit("k", "flip", 0.2)]
    figures = Figures(rows)
    assert figures.identity_drop("k", NONE) == pytest.approx(0.6)
    assert figures.kept("k", "jpeg-50") == pytest.approx(0.5)
    assert figures.kept("k", "flip") is None
    assert figures.face_found(ORIGINAL, "flip") == 0
    found = figures.identity("k")
    assert (found.mean, found.worst, found.share) == (pytest.approx(0.2), 0.3, 0)
    difference = figures.identity_difference("k", ORIGINAL)
    assert (difference.mean, difference.high) == (pytest.approx(-0.6), pytest.approx(-0.5))
    same = Figures([*rows[:2], _edit(ORIGINAL, NONE, 0.5), _edit("k", NONE, 0.49)])
    assert same.kept("k", NONE) is None


def test_command_evaluates_a_folder_and_says_what_it_found(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from decontext.cli import run

    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a-portrait.png", "d-broken.JPG"):
        (folder / name).write_bytes((photos / name).read_bytes())
    weights = tiny_models.save_tiny_pipeline(tmp_path / "weights")
    output = tmp_path / "report"
    arguments = ["evaluate", folder, "-o", output, "--editor", "flux-kontext", "--weights", weights]
    arguments += ["--device", "cpu", "--steps", 1, "--edit-steps", 1, "--prompts", 1]
    arguments += ["--methods", "uniform", "--budgets", "16", "--transforms", "none,redraw"]
    assert run([*map(str, arguments), "--json"]) == 1  # a photo could not be read
    values = json.loads(capsys.readouterr().out)
    assert values["page"] == str(output / "index.html")
    assert (output / "index.html").exists()
    assert values["photos"][1]["status"] == "unreadable"
    assert values["found"][0].startswith("The same person is in 0 of 1 edits of the original")
    assert values["found"][-1].startswith("One photo: a direction, no more.")
    assert [line.split(":")[0] for line in values["failed"]] == ["d-broken.JPG"]
    assert values["demonstration"] is False
    after = values["versions"]["uniform 16/255"]["after"]
    assert set(after) == {"none", "redraw"}
    assert set(values["versions"]["attention cut: the bound"]["after"]) == {"none"}
    assert run([*map(str, arguments)]) == 1  # nothing is left to do; the result is shown again
    said = capsys.readouterr().out
    assert said.startswith("The same person is in 0 of 1 edits")
    assert "d-broken.JPG: unreadable" in said
    assert "uniform 16/255" in said and "same: dlib" in said
    assert max(map(len, said.split("page:")[0].split("version")[1].splitlines())) <= 100
    assert {"edits.csv", "summary.csv"} <= {path.name for path in output.iterdir()}
    (folder / "d-broken.JPG").unlink()
    (folder / "sub").mkdir()
    (folder / "sub" / "copy.png").write_bytes((folder / "a-portrait.png").read_bytes())
    assert run([*map(str, arguments), "--recursive"]) == 0
    said = capsys.readouterr().out
    assert "d-broken.JPG" not in said and "copy.png: duplicate" in said
    # A list on stdin names the photo itself; what is done counts.
    listed = io.TextIOWrapper(io.BytesIO(f"{folder / 'a-portrait.png'}\n".encode()))
    monkeypatch.setattr("sys.stdin", listed)
    assert run(["evaluate", "-", *map(str, arguments[2:])]) == 0
    assert "copy.png" not in capsys.readouterr().out
    assert run([*map(str, arguments), "--protocol", "veto", "--recursive"]) == 2
    assert "--protocol takes one folder" in capsys.readouterr().err
    assert run([*map(str, arguments[:2]), "-o", str(folder), "--editor", "flux-kontext"]) == 2
    assert "another folder than the photos" in capsys.readouterr().err


def test_methods_are_named_by_what_they_are_held_to() -> None:
    protections = build_protections(
        ("sign", "least-visible:off"), (None,), settings=ProtectSettings()
    )
    assert [one.label for one in protections] == ["sign 8/255", "least-visible:off fall 60%"]
    assert [one.settings.method for one in protections] == ["sign", "least-visible"]
    assert protections[1].settings.robust == "off"
