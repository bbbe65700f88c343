"""Protected against one editor, edited with another, and cleaned by a third."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny_flux2
import tiny_models
from PIL import Image

import decontext
from decontext.editors.several import Crew
from decontext.errors import InputError
from decontext.evaluation.page import write_page
from decontext.evaluation.plan import NONE, Plan, build_protections, other_editors
from decontext.evaluation.run import evaluate, load_instruments
from decontext.evaluation.tables import Figures, to_dict
from decontext.photo.images import levels, read_pixels
from decontext.photo.portraits import ASTRONAUT
from decontext.protect import drain
from decontext.settings import ProtectSettings

CLEANED = "redraw-flux-kontext"
AGAINST = ("flux-kontext", "flux2-klein", "flux-kontext+flux2-klein")
PLAN = Plan(
    protections=build_protections(
        ("context-proportion:off",),
        (16 / 255,),
        settings=ProtectSettings(method="sign", steps=3, blocks="double:0"),
        against=AGAINST,
    ),
    transforms=(NONE, CLEANED),
    prompts=("please smile",),
    edit_steps=1,
    measure_prompts=1,
    cut=False,
)


@pytest.fixture(scope="module")
def kontext(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("kontext"))
    return decontext.load_editor("flux-kontext", source=folder, device="cpu")


@pytest.fixture(scope="module")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tiny_flux2.save_tiny_flux2(tmp_path_factory.mktemp("klein"))
    return decontext.load_editor("flux2-klein", source=folder, device="cpu")


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photos") / "me.png"
    with Image.open(ASTRONAUT) as image:
        image.convert("RGB").crop((100, 0, 350, 250)).resize((64, 64)).save(path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def rows(kontext: Any, klein: Any, photo: Path, folder: Path) -> Any:
    others = {"flux-kontext": kontext, "flux2-klein": klein}
    return evaluate([photo], folder, klein, PLAN, others=others, instruments=load_instruments(PLAN))


def test_each_photo_is_protected_against_each_editor_and_edited_by_one(rows: Any) -> None:
    assert not [row for row in rows if row["kind"] == "failure"]
    figures = Figures(rows)
    assert figures.heading["editor"] == "flux2-klein"
    assert set(figures.heading["others"]) == {"flux-kontext", "flux2-klein"}
    assert figures.against == AGAINST
    assert list(figures.labels.values())[1:] == [
        f"context-proportion:off 16/255 against {name}" for name in AGAINST
    ]
    for version in figures.labels:
        assert len(figures.edits(version)) == len(figures.edits(version, CLEANED)) == 1


def test_the_perturbations_are_those_of_the_editors_named(
    rows: Any, folder: Path, photo: Path, kontext: Any, klein: Any
) -> None:
    saved = {
        row["against"]: read_pixels(next(folder.rglob(f"{row['protection']}.png")))
        for row in rows
        if row["kind"] == "protection"
    }
    assert levels(saved["flux-kontext"], saved["flux2-klein"]) > 0
    settings = PLAN.protections[0].settings
    loaded = decontext.load_photo(photo)
    for name, crew in (("flux-kontext", [kontext]), (AGAINST[2], [kontext, klein])):
        own = drain(decontext.protect_steps(loaded, Crew(crew), settings))
        assert levels(saved[name], own) == 0, name


def test_page_and_values_say_both_editors(rows: Any, folder: Path, photo: Path) -> None:
    pytest.importorskip("matplotlib")
    said = ", ".join(AGAINST)
    title = f"What edits by flux2-klein show of photos protected against {said}"
    page = write_page(rows, folder, (photo,)).read_text(encoding="utf-8")
    assert title in page
    assert to_dict(Figures(rows))["title"] == title


def test_without_other_editors_nothing_is_said_of_them() -> None:
    (plain,) = build_protections(("sign",), (0.05,), settings=ProtectSettings())
    assert (plain.label, plain.editors) == ("sign 12.75/255", ())
    assert other_editors(replace(PLAN, protections=(plain,), transforms=(NONE, "redraw"))) == ()
    rows = [{"kind": "heading", "editor": "a", "thresholds": {}, "likeness": ""}]
    rows.append({"kind": "protection", "protection": plain.key, "label": plain.label})
    assert Figures(rows).title == "What edits by a show"
    assert plain.key != replace(plain, against="a").key


def test_an_editor_that_is_not_there_is_named(klein: Any, photo: Path, tmp_path: Path) -> None:
    for plan in (
        replace(PLAN, transforms=("redraw-nobody",), protections=()),
        replace(PLAN, protections=(replace(PLAN.protections[0], against="nobody"),)),
    ):
        with pytest.raises(InputError, match="no editor named 'nobody'"):
            evaluate([photo], tmp_path, klein, plan)
