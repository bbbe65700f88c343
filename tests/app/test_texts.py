"""The words of the page: the same keys in each language, all of them used, one source of limits."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from decontext.app.texts import LANGUAGES, choose_language, read_texts
from decontext.app.texts.messages import read_messages
from decontext.app.work import Shown
from decontext.errors import InputError
from decontext.outcome import not_protected
from decontext.photo.images import load_photo
from decontext.photo.limits import check_pixels
from decontext.settings import FALLS
from decontext.verdict import Measurement, Verification
from decontext.verify import TRANSFORMS
from decontext.visibility.scores import WORDS

ROOT = Path(__file__).parents[2]
APP = ROOT / "src" / "decontext" / "app"
TEXTS = {
    code: json.loads((APP / "texts" / f"{code}.json").read_text(encoding="utf-8"))
    for code in LANGUAGES
}
FOUND = Verification("flux-kontext", (0, 1), 8, (Measurement("smile", 1.0, 0.5, 0.2, 0.5),), 8)


@pytest.mark.parametrize("code", LANGUAGES[1:])
def test_each_language_says_everything_and_fills_in_the_same(code: str) -> None:
    assert list(TEXTS[code]) == list(TEXTS["en"])
    for key, text in TEXTS[code].items():
        holes = [sorted(set(re.findall(r"{(\w+)}", said))) for said in (text, TEXTS["en"][key])]
        assert holes[0] == holes[1], key


def test_every_text_is_used_somewhere() -> None:
    sources = [*APP.rglob("*.py"), APP / "fragments.html"]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    made = [re.escape(part) for part in re.findall(r"f[\"']([a-z]+\.[a-z_]*)\{", code)]
    made += [re.escape(part) for part in re.findall(r"\"([a-z]+\.)\" ~", code)]
    for key in TEXTS["en"]:
        quoted = re.search(rf"[\"']{re.escape(key)}[\"']", code)
        assert quoted or any(re.match(part, key) for part in made), key


def test_every_text_that_is_asked_for_is_there() -> None:
    sources = [*APP.glob("*.py"), APP / "fragments.html"]
    code = "".join(path.read_text(encoding="utf-8") for path in sources)
    for key in re.findall(r"\bt\(\s*[\"']([a-z_.-]+)[\"'][,)]", code):
        assert key in TEXTS["en"], key
    texts = read_texts("en")
    for name in FALLS:
        assert texts(f"strength.{name}")
    for stage in ("loading", "preparing", "optimising", "measuring", "saving", "editing"):
        assert texts(f"progress.{stage}")
    for who in ("same", "other", "nobody", "unknown", "no-face-before"):
        assert texts(f"proof.{Shown(who).who}")


def test_am_i_safe_is_the_part_of_limits() -> None:
    limits = (ROOT / "docs" / "limits.md").read_text(encoding="utf-8")
    part = limits.split('## "Am I safe?"\n')[1].split("\n## ")[0].strip()
    assert read_texts("en").safe.strip() == part.replace("in the [page](app.md)", "on this page")
    german = read_texts("de").safe
    assert german.count("\n1. ") == 1 and all(f"\n{number}. **" in german for number in range(1, 7))


def test_verdicts_are_said_in_each_language() -> None:
    english, german = read_texts("en"), read_texts("de")
    assert FOUND.level == "strong"
    assert english.verdict(FOUND).startswith(FOUND.sentence.split(" (")[0])
    assert "fell by 60%; random noise" in english.reason(FOUND)
    assert german.verdict(FOUND).startswith("Stark:") and "um 60\u00a0%" in german.reason(FOUND)
    copy, other = replace(FOUND, levels=0), replace(FOUND, same_photo=False)
    assert "unchanged copy" in english.reason(copy)
    assert "ein anderes Bild" in german.reason(other)
    noisy = replace(FOUND, measurements=(Measurement("smile", 1.0, 0.5, 0.2, 0.2),))
    assert "random noise alone does 60%" in english.reason(noisy)


def test_words_on_visibility_and_transforms_are_translated() -> None:
    texts = read_texts("de")
    for index, (_, said) in enumerate(WORDS):
        assert texts.seen(said) == TEXTS["de"][f"seen.{index}"]
    smooth = f"{WORDS[3][1]}, mostly on smooth areas such as skin and sky"
    assert texts.seen(smooth) == TEXTS["de"]["seen.3"] + TEXTS["de"]["seen.smooth"]
    assert texts.seen("is the photo itself") == "ist das Foto selbst"
    for name in TRANSFORMS:
        assert texts.transform(name) != name
    assert read_texts("en").transform("jpeg-75+resize-0.5") == (
        "JPEG 75, reduced to 50 % and enlarged again"
    )


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.5", "de"),
        ("en-GB,de;q=0.9", "en"),
        ("fr,de;q=0.5,en;q=0.6", "en"),
        ("fr", "en"),
        ("", "en"),
        ("de;q=nonsense", "de"),
    ],
)
def test_the_language_is_that_of_the_browser(accepted: str, language: str) -> None:
    assert choose_language(accepted) == language


def test_usual_errors_are_translated_and_others_stay_and_say_so() -> None:
    german, english = read_messages("de"), read_messages("en")
    text = "me.jpg is not a picture that can be read here. Convert it to JPEG first."
    assert german.error(text).startswith("me.jpg ist kein Bild")
    assert german.error("odd.") == "Meldung des Programms, auf Englisch: odd."
    assert english.error("there is no photo yet.") == "There is no photo yet."
    assert english.error("me.jpg is damaged.") == "me.jpg is damaged."


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_page_names_no_option_of_a_command(code: str) -> None:
    messages = read_messages(code)
    with pytest.raises(InputError) as large:
        check_pixels((9000, 9000), 10**7, "me.jpg", limit=50_000_000)
    for error in (large.value, not_protected(FOUND, 400)):
        said = messages.error(str(error))
        assert not re.search(r"--|DECONTEXT_|max_pixels", said), said
        assert "me.jpg" in said or "400" in said
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "A. Person"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    content = io.BytesIO()
    Image.new("RGB", (32, 32)).save(content, "JPEG", exif=exif, comment=b"hello")
    (note,) = load_photo(content.getvalue()).notes
    assert "--strip-metadata" in note
    said = messages.note(note)
    assert "--" not in said and "GPS" in said, said
    assert code == "en" or ("Aufnahmeort" in said and "Name des Urhebers" in said), said
