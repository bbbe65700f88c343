"""Every figure in README and docs comes from a file of results, is counted, or is listed here.

Tables that scripts write are made again from their files and compared. Other tables and figures in
sentences are listed here with what they are, so that no new one is typed without saying so.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plans, protocol_cost, sizing, traces, transfer_page, visibility_page
from benchmarks.sections import RECORD, mark, part, read
from decontext.evaluation.results import read_rows
from decontext.evaluation.tables import number, percent
from decontext.photo.portraits import PORTRAITS
from study import frontier_page, protocols
from study.frontier import build_questions
from study.parts import LEVELS, PEOPLE, SIDES, Part, build_parts
from study.verdicts import read_cases
from website import demonstration, evidence

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
TRANSFERS = ("transfer", "between-editors", "between-editors-least-visible")
WHOLE = {"results.md", "gallery.md", "frontier.md", *(f"{name}.md" for name in TRANSFERS)}
"""Pages that are written as a whole."""

COUNTED = {
    ("editors.md", "plans"): plans.build_table,
    ("reproducing.md", "protocol cost"): protocol_cost.build_table,
    ("performance.md", "traces"): lambda: traces.build_table(DOCS / "traces.json"),
    ("editors.md", "memory of editors"): lambda: traces.build_summary(DOCS / "traces.json"),
}
"""Parts of pages that can be made again without measuring."""

ELSEWHERE = {
    ("visibility.md", "summary"),
    ("visibility.md", "frontier"),
    ("visibility.md", "copies"),
    ("visibility.md", "calibration"),
    ("visibility.md", "guard"),
    ("visibility.md", "tried"),
    ("measuring.md", "study"),  # tests/study/test_verdicts.py
    ("measuring.md", "falls"),  # tests/study/test_falls.py
    ("cluster.md", "sizing"),
    ("README.md", demonstration.NUMBERS),
}
"""Parts that are written from files of results, each with a test of its own."""

SETTING = "a setting, a bound or a size in the code"
PUBLISHED = "others' figure"
COUNT = "counted from published sizes"
TESTED = "a test asserts it"
ONCE = "measured once; the log was not kept"

DESCRIPTIONS = {
    "adding-an-editor.md": {"question": PUBLISHED},
    "app.md": {"function": SETTING},
    "cluster.md": {"what": SETTING},
    "command-line.md": dict.fromkeys(
        ("exit code", "option", "objective", "level", "preset"), SETTING
    ),
    "editors.md": {"`--editor`": PUBLISHED, "editor": TESTED, "text": ONCE},
    "files.md": {"format": SETTING},
    "for-researchers.md": {"you want": SETTING},
    "many.md": {"file": SETTING},
    "measuring.md": {"figure": SETTING},
    "method.md": {"part": SETTING, "drawn": SETTING},
    "README.md": {"you have": PUBLISHED},
    "reproducing.md": {"part": PUBLISHED},
    "visibility.md": {"question": ONCE, "distance": ONCE, "photo": ONCE},
}
"""Tables with digits that no script writes, by their first column: what these digits are."""

SENTENCES: dict[str, dict[str, str]] = {
    "adding-an-editor.md": {"against that within 5 %": TESTED},
    "cluster.md": {
        "this work at 300 TFLOP": SETTING,
        "take 0.96, four 0.96 and eight 0.98 of what": ONCE,
    },
    "command-line.md": {"with 95 % intervals": SETTING},
    "editors.md": {
        "choice 10.2 of 11.9 billion": COUNT,
        "0.4. Shards": COUNT,
        "95 % of a card free": SETTING,
        "instruction (4.0, 50 steps)": PUBLISHED,
        "6.0 in 28 steps, its program": PUBLISHED,
        "transformer (4.0, 50 steps)": PUBLISHED,
        "3.9, 9.1 and 32.2 billion": COUNT,
        "needs 3.1, 7.5 and 24.8.": COUNT,
        "70 % of the free memory": SETTING,
        "more than 1 GB is loaded": SETTING,
        "Qwen: 4.0": PUBLISHED,
        "LongCat: 4.5": PUBLISHED,
        "needs 16.3; LongCat 6.3, of which 5.4.": COUNT,
        "(8.3 billion, 16 GB in bfloat16)": COUNT,
        "agrees with plan and estimate within 5 %": TESTED,
        "7.1 billion parameters": COUNT,
        "needs 5.8, counted": COUNT,
        "0.61 of the floating-point operations": TESTED,
        "0.50 with a second picture": TESTED,
        "computed twice 0.62 and 0.50.": TESTED,
        "more they agree with a step that is followed without weights within 5 %": TESTED,
        "A step agrees with the plan within 5 %": TESTED,
        "at most 5 % off": TESTED,
        "about 24 GB, the connector 1 GB, the language model 16 GB": COUNT,
        "a reading takes 8 TFLOP": COUNT,
    },
    "for-photographers.md": {"a GPU of 8 GB or more": COUNT},
    "limits.md": {
        "40 % of the edits showed the person": "transfer.jsonl",
        "5 % cut off": SETTING,
        "at half size left 97 % where": "visibility.json",
        "and 83 %, at worst 74 %, where it is as long": "visibility.json",
        "23 to 35 %": "results.json",
        "20 to 42 % of the edits": "results.json",
        "fell by 20 % on": ONCE,
        "over all blocks by 6 %": ONCE,
        "an identity of 0.63": ONCE,
        "the same person from 0.35": SETTING,
        "other scenes 0.04": ONCE,
        "about 34 GB with the text encoders": COUNT,
        "threshold of 0.363": PUBLISHED,
    },
    "measuring.md": {
        "people 1 % are above 0.35 (SFace) and 0.43 (dlib)": ONCE,
        "fewer than 5 % of the pairs of one person": ONCE,
        "95 % bootstrap": SETTING,
        "a crop of 5 % and": SETTING,
        "35 to 48 %": "results.json",
    },
    "method.md": {
        "12.75/255 in one script and 25.5/255": PUBLISHED,
        "at least 0.8 of the best": SETTING,
    },
    "performance.md": {"a reserve of 700 MB": SETTING},
    "reproducing.md": {
        "at 40 % of what a card's makers": SETTING,
        "with its 95 % interval": SETTING,
    },
    "visibility.md": {
        "from 0.35 for rendered people and 0.363": SETTING,
        "A crop of 5 %": SETTING,
        "a fall of 0.6 along the line": SETTING,
    },
}
"""Figures in sentences by what stands around them, and what they are."""


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_table_with_figures_is_written_by_a_script_or_listed_here(page: Path) -> None:
    record = _record()
    for table in evidence.tables(page.read_text(encoding="utf-8")):
        if page.name in WHOLE or not table.has_figures:
            continue
        place = (page.name, table.part)
        written = place in COUNTED or place in ELSEWHERE or ": ".join(place) in record
        described = not table.part and table.head[0] in DESCRIPTIONS.get(page.name, {})
        assert written or described, f"{page.name}, {table.heading}: who wrote {table.head}?"


@pytest.mark.parametrize(("page", "name"), COUNTED, ids=lambda value: str(value))
def test_what_is_counted_is_what_the_page_says(page: str, name: str) -> None:
    assert part(DOCS / page, name) == COUNTED[page, name]()


@pytest.mark.parametrize("names", [("flux-kontext",), pytest.param((), marks=pytest.mark.slow)])
def test_work_of_many_photos_is_what_the_page_says(names: tuple[str, ...]) -> None:
    said = part(DOCS / "cluster.md", "sizing").splitlines()
    counted = sizing.build_table(names=names).splitlines()
    assert len(counted) > 4
    assert set(counted) <= set(said)
    assert names or counted == said


def test_what_was_measured_stands_on_the_page_as_it_was_written_down() -> None:
    for name, found in _record().items():
        file, _, section = name.partition(": ")
        page = ROOT / file if file == "README.md" else DOCS / file
        assert found["on"] and found["by"], name
        whole = page.read_text("utf-8").partition(mark("protocols"))[0]
        said = read(part(page, section) if section else whole)
        assert (found["tables"], found["lines"]) == (said["tables"], said["lines"]), name


def test_plans_are_as_good_as_the_pages_say() -> None:
    rows = [
        row
        for found in json.loads((DOCS / "traces.json").read_text("utf-8")).values()
        for row in found
    ]
    for row in rows:
        assert abs(row["planned_peak"] / row["peak"] - 1) < 0.05, row
        assert abs(row["planned_flop"] / row["flop"] - 1) < 0.05, row


def test_results_say_what_their_file_says() -> None:
    """Tables of identity and of survival, cell by cell, from values that are not rounded."""
    parts = {one["title"]: one for one in _study()}
    seen = 0
    for table in evidence.tables((DOCS / "results.md").read_text("utf-8")):
        for cells in table.rows:
            row = dict(zip(table.head, cells, strict=True))
            if "worst" in row:
                after = parts[table.over]["versions"][row["version"]]["after"]["none"]
                names = list(parts[table.over]["thresholds"])
                said = [row[f"{name}: same person"] for name in names]
                assert said == [percent(after[name]["share"]) for name in names]
                said = [row[f"{name}: mean [95 %]"].split()[0] for name in names]
                assert said == [number(after[name]["mean"]) for name in names]
                assert row["spread"] == number(after[names[0]]["spread"])
            elif "after" in row and "drop" in row:
                after = parts[table.over]["versions"][table.heading]["after"][row["after"]]
                assert row["kept"] == percent(after["kept"])
                assert row["drop"] == number(after["identity_drop"])
                assert row["attention fell by"] == percent(after["attention_drop"])
            else:
                continue
            seen += 1
    assert seen > 100


@pytest.mark.parametrize("name", TRANSFERS)
def test_transfer_says_what_its_rows_say(name: str) -> None:
    run, *rows = read_rows([DOCS / f"{name}.jsonl"])
    assert transfer_page.build_page(run, rows) == (DOCS / f"{name}.md").read_text("utf-8")


def test_readme_says_what_the_demonstration_found() -> None:
    values = json.loads(demonstration.RESULTS.read_text("utf-8"))
    readme = ROOT / "README.md"
    assert part(readme, demonstration.NUMBERS) == demonstration.numbers(values)
    assert part(readme, demonstration.SHOWN) == demonstration.caption(values)
    assert demonstration.PICTURE.exists()


def test_protocols_say_what_their_file_says() -> None:
    found = json.loads(protocols.RESULTS.read_text("utf-8"))
    assert {one["protocol"] for one in found} == set(protocols.TITLES)
    assert part(protocols.PAGE, "protocols") == protocols.build_section(found)


def test_frontier_says_what_its_results_say(tmp_path: Path) -> None:
    answers = json.loads((DOCS / "frontier.json").read_text("utf-8"))
    page = frontier_page.build_page(answers, build_questions(tmp_path))
    assert page == (DOCS / "frontier.md").read_text("utf-8")


def test_visibility_says_what_its_rows_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Path(shutil.copy(DOCS / "visibility.md", tmp_path))
    monkeypatch.setattr(visibility_page, "PAGE", page)
    visibility_page.write_page(json.loads((DOCS / "visibility.json").read_text("utf-8")))
    assert page.read_text("utf-8") == (DOCS / "visibility.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_figure_in_a_sentence_is_listed_here(page: Path) -> None:
    if page.name in WHOLE:
        return
    text = " ".join(evidence.prose(page.read_text(encoding="utf-8")).split())
    spans = []
    for phrase in SENTENCES.get(page.name, {}):
        places = list(_find_all(text, phrase))
        assert places, f"{page.name} no longer says {phrase!r}"
        spans += [(place, place + len(phrase)) for place in places]
    for begin, end, figure in evidence.figures(text):
        inside = any(low <= begin and end <= high + 1 for low, high in spans)
        assert inside, f"{page.name}: where is {figure} from, in {text[begin - 60 : end + 40]!r}?"


def test_figures_that_were_measured_once_are_named_as_such() -> None:
    said = " ".join((DOCS / "measuring.md").read_text("utf-8").partition("## Where")[2].split())
    pages = {page for page, found in SENTENCES.items() if ONCE in found.values()}
    pages |= {page for page, found in DESCRIPTIONS.items() if ONCE in found.values()}
    for page in pages:
        assert f"[{page}]({page})" in said or page == "measuring.md", page
    assert "log was not kept" in said


def test_sentences_of_the_limits_follow_from_the_study() -> None:
    cases = list(read_cases(json.loads((DOCS / "results.json").read_text("utf-8"))))
    weak = [case for case in cases if 0.1 <= case.drop < 0.4]
    falls = [round(100 * case.drop) for case in weak]
    shown = [round(100 * case.shown / case.edits) for case in weak]
    limits = " ".join((DOCS / "limits.md").read_text("utf-8").split())
    assert f"fell by {min(falls)} to {max(falls)} %" in limits
    assert f"weaker objective, {min(shown)} to {max(shown)} % of the edits" in limits
    above = min(case.drop for case in cases if case.drop > max(one.drop for one in weak))
    measuring = (DOCS / "measuring.md").read_text("utf-8")
    assert f"{max(falls)} to {round(100 * above)} %" in measuring
    rows = read_rows([DOCS / "transfer.jsonl"])
    worst = transfer_page.worst_after_cleaning(
        transfer_page.read_figures(rows[1:], rows[0]["labels"])
    )
    assert "in 40% of the edits" in worst and "`denoise`" in worst


def test_a_typed_table_and_a_typed_figure_are_found() -> None:
    page = "# A\n\nIt is 73 % better.\n\n| x | y |\n|---|---|\n| a | 0.5 |\n"
    (table,) = evidence.tables(page)
    assert (table.heading, table.head, table.has_figures) == ("A", ("x", "y"), True)
    assert [figure for *_, figure in evidence.figures(evidence.prose(page))] == ["73 %"]
    written = "<!-- part -->\nIt is 73 %.\n\n| x |\n|---|\n| 1 |\n<!-- /part -->\n"
    assert next(evidence.tables(written)).part == "part"
    assert not list(evidence.figures(evidence.prose(written)))
    assert not list(evidence.figures(evidence.prose("FLUX.2, `a 5 %`, arXiv 2512.16625")))


def _record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / RECORD).read_text("utf-8"))
    return found


def _find_all(text: str, phrase: str) -> Iterator[int]:
    place = text.find(phrase)
    while place >= 0:
        yield place
        place = text.find(phrase, place + 1)


def _study() -> Iterator[dict[str, Any]]:
    """Parts of the study with their titles and thresholds."""
    found = json.loads((DOCS / "results.json").read_text("utf-8"))["parts"]
    titles = {one.name: one.title for one in _parts()}
    for name, values in found.items():
        yield {"title": titles[name], "thresholds": values["heading"]["thresholds"], **values}


def _parts() -> tuple[Part, ...]:
    enlarged = dict.fromkeys(SIDES, tuple(sorted(PEOPLE.glob("*.webp")))[:2])
    return build_parts(LEVELS["full"], portraits=tuple(PORTRAITS), enlarged=enlarged)
