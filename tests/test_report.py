"""Reports that repeat a run, and pages that stand alone."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from decontext.editors import EditorInfo
from decontext.errors import InputError
from decontext.report import (
    DEMONSTRATION,
    DISCLAIMER,
    Figure,
    Pair,
    Row,
    Section,
    build_page,
    build_report,
    is_report_of,
    report_path,
    settings_from_report,
    sha256,
    write_report,
)
from decontext.report.plot import finish, new_figure, to_plot
from decontext.settings import ProtectSettings
from decontext.verdict import Measurement, Verification
from decontext.visibility.scores import Visibility

OLD_REPORT = Path(__file__).parent / "old_reports" / "commit-0dd7e44.json"
"""As `decontext protect me.png -o old.png --editor kontext-mini --steps 20 --epsilon 16 --seed 7
--robust off --blocks double:0` wrote it at that commit."""

SETTINGS = ProtectSettings(epsilon=12.75 / 255, seed=5, sigma_range=(0.97, 0.99), blocks="paper")


def _report(tmp_path: Path, *, demonstration: bool = False) -> dict[str, object]:
    for name in ("me.jpg", "me.protected.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    info = EditorInfo(
        name="some-editor",
        title="Some editor",
        weights="somewhere",
        licence="free",
        double_blocks=1,
        single_blocks=1,
        working_size="any",
        memory="little",
        demonstration=demonstration,
    )
    row = Measurement("smile", 1.0, 0.5, 0.2, 0.5)
    return build_report(
        original=tmp_path / "me.jpg",
        protected=tmp_path / "me.protected.jpg",
        name="me.protected.jpg",
        editor=info,
        device="cpu",
        settings=SETTINGS,
        verification=Verification("some-editor", (0, 1), 12, (row,)),
        psnr=34.5,
        visibility=Visibility(1.0, 79.0, None, 0.1, 0.3),
        seconds=1.5,
        notes=("a note",),
    )


def test_settings_come_back_from_the_file_unchanged(tmp_path: Path) -> None:
    path = report_path(tmp_path / "me.protected.jpg")
    write_report(_report(tmp_path), path)
    assert path.name == "me.protected.jpg.json"
    assert settings_from_report(path) == SETTINGS


def test_report_names_editor_strength_and_both_files(tmp_path: Path) -> None:
    report = json.loads(json.dumps(_report(tmp_path)))
    assert report["editor"] == {
        "name": "some-editor",
        "weights": "somewhere",
        "demonstration": False,
    }
    assert report["machine"]["device"] == "cpu"
    assert report["verification"]["drop"] == pytest.approx(0.6)
    assert report["files"]["original"]["name"] == "me.jpg"
    assert report["files"]["original"]["sha256"] != report["files"]["protected"]["sha256"]
    assert report["notes"] == ["a note"]


def test_file_name_that_is_no_text_is_written_and_read_again(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    path = report_path(tmp_path / name)
    write_report(_report(tmp_path) | {"original": name}, path)
    assert json.loads(path.read_text("utf-8"))["original"] == name
    assert settings_from_report(path) == SETTINGS


def test_demonstration_editor_is_called_one(tmp_path: Path) -> None:
    assert _report(tmp_path)["statement"] == DISCLAIMER
    report = _report(tmp_path, demonstration=True)
    assert report["statement"] == f"{DEMONSTRATION} {DISCLAIMER}"
    assert json.loads(json.dumps(report))["editor"]["demonstration"] is True


def test_report_of_a_photo_that_is_gone_has_no_hash_of_it(tmp_path: Path) -> None:
    assert sha256(tmp_path / "gone.jpg") is None


@pytest.mark.parametrize("word", ["immune", "safe", "guarantee"])
def test_no_sentence_promises_anything(word: str) -> None:
    assert word not in (DISCLAIMER + DEMONSTRATION).lower()


@pytest.mark.parametrize(
    "content", ["no json", "[1, 2]", '{"format": "other"}', '{"format": "decontext-report-1"}']
)
def test_another_file_is_no_report(tmp_path: Path, content: str) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    with pytest.raises(InputError, match="is no"):
        settings_from_report(path)


def test_missing_report_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        settings_from_report(tmp_path / "none.json")


def test_page_holds_its_pictures_and_escapes_what_it_is_told() -> None:
    figure = Figure(torch.full((1, 3, 4, 4), 0.5), "before & after")
    row = Row([figure], title="a <i>row</i>")
    section = Section("Edits", ["some <b>text</b>"], [row], [["a", "b"], ["1", "2"]])
    page = build_page("Title", "a statement", [section], lead=["what was <u>found</u>"])
    assert page.count("data:image/png;base64,") == 1
    assert not any(tag in page for tag in ("<b>", "<i>", "<u>", "<script"))
    assert 'alt="before &amp; after"' in page and "<figcaption>before &amp; after<" in page
    assert '<th scope="col">a</th>' in page
    assert "<td>2</td>" in page
    assert "http" not in page
    order = [page.index(text) for text in ("Title</h1>", "what was", "a statement", "Edits</h2>")]
    assert order == sorted(order)


def test_page_can_be_written_whatever_a_photo_is_called() -> None:
    page = build_page("caf\udce9.jpg", "s", [Section("\u2028")])
    assert "caf\\udce9.jpg" in page.encode().decode()


def test_only_tiny_pictures_can_be_shown_unsmoothed() -> None:
    def page(side: int) -> str:
        figure = Figure(torch.zeros(1, 3, side, side), "x", alt="a picture")
        return build_page("t", "s", [Section("one", pairs=[Pair("p", figure, figure)])])

    assert page(128).count('class="tiny"') == 2 and 'id="pixels"' in page(128)
    assert 'class="tiny"' not in page(257) and 'id="pixels"' not in page(257)
    assert page(128).count('alt="a picture"') == 2


def test_plots_take_the_colours_of_the_page_and_name_no_time() -> None:
    pytest.importorskip("matplotlib")
    drawn = []
    for _ in range(2):
        figure = new_figure(2.0)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], label="a line")
        axes.legend()
        finish(axes, title="title")
        drawn.append(to_plot(figure, alt="a line that rises"))
    first, second = drawn
    assert first == second
    assert "prefers-color-scheme:dark" in first.svg and "currentColor" in first.svg
    assert (
        "#010203" not in first.svg and "#040506" not in first.svg and "<dc:date>" not in first.svg
    )
    page = build_page("t", "s", [Section("one", rows=[Row([first], shape="plots")])])
    assert page.count('src="data:image/svg+xml;base64,') == 1
    assert 'alt="a line that rises"' in page


def test_report_of_an_early_version_is_read_and_means_what_it_meant() -> None:
    assert settings_from_report(OLD_REPORT) == ProtectSettings(
        method="sign", epsilon=16 / 255, steps=20, seed=7, robust="off", blocks="double:0"
    )
    assert is_report_of(OLD_REPORT, "old.png")
    named = json.loads(OLD_REPORT.read_text(encoding="utf-8"))
    named["settings"]["objective"] = "flow-matching"  # before it was called flow
    assert ProtectSettings.from_dict(named["settings"]).objective == "flow"


def test_settings_without_a_method_are_sign_steps_whatever_the_default_is() -> None:
    assert ProtectSettings.from_dict({"steps": 3}).method == "sign"
    kept = ProtectSettings(method="least-visible")
    assert ProtectSettings.from_dict(kept.to_dict()) == kept
