"""Commands that take one editor refuse several, and those that take several take all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from decontext import cli
from decontext.cli.app import OfferOptions, find_offers
from decontext.cli.many import choose_editor
from decontext.cli.options import EditorsOptions
from decontext.errors import InputError
from decontext.folders.photo import CrewChoice, EditorChoice

BOTH = ["--editor", "flux-kontext", "--editor", "flux2-klein"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["edit", "{photo}", "smile", "-o", "{folder}/out.png"], "decontext edit takes one editor"),
        (["edit", "{folder}", "smile", "-o", "{folder}/out"], "decontext edit takes one editor"),
        (["analyze", "{photo}", "-o", "{folder}/out"], "decontext analyze takes one editor"),
        (["evaluate", "{folder}", "-o", "{folder}/out"], "decontext evaluate takes one editor"),
        (
            ["evaluate", "{folder}", "-o", "{folder}/out", "--protocol", "veto"],
            "--protect-with A+B protects against both",
        ),
        (
            ["evaluate", "{folder}", "-o", "{folder}/out", "--edit-with", "kontext-mini"],
            "flux-kontext and flux2-klein were given",
        ),
    ],
)
def test_several_editors_are_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    (tmp_path / "me.png").write_bytes(b"not read")
    given = [text.format(folder=tmp_path, photo=tmp_path / "me.png") for text in arguments]
    assert cli.run([*given, *BOTH]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["me.png"]


def test_a_run_over_many_photos_takes_one_editor_or_all() -> None:
    one = choose_editor(EditorsOptions(editor=["flux-kontext"], weights="w", device="cpu"))
    assert one == EditorChoice("flux-kontext", source="w", device="cpu")
    both = choose_editor(EditorsOptions(editor=["flux-kontext=w", "flux2-klein"], precision="bf16"))
    assert isinstance(both, CrewChoice)
    assert (both.name, both.source) == ("flux-kontext + flux2-klein", ["w", None])
    assert [choice.dtype for choice in both.choices] == ["bf16", "bf16"]


def test_the_page_offers_every_editor_that_was_named() -> None:
    offers = find_offers(OfferOptions(editor=["flux-kontext=w", "flux2-klein"]))
    assert [offer.info.name for offer in offers] == ["flux-kontext", "flux2-klein", "kontext-mini"]
    alone = find_offers(OfferOptions())
    assert [offer.info.name for offer in alone] == ["kontext-mini"]
    with pytest.raises(InputError, match="each editor may be offered once"):
        find_offers(OfferOptions(editor=["flux-kontext", "flux-kontext=w"]))
    with pytest.raises(InputError, match="no editor named 'flux'"):
        find_offers(OfferOptions(editor=["flux"]))
