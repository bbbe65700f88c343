"""The table that the bounds of the verdict rest on, from the shipped figures of the study."""

from __future__ import annotations

import json

from decontext.verdict import STRONG_DROP, WEAK_DROP
from study.verdicts import DOCS, Case, read_cases, tabulate
from study.write import to_markdown


def test_no_edit_shows_the_person_where_the_verdict_is_strong_and_some_do_where_it_is_weak() -> (
    None
):
    cases = list(read_cases(json.loads((DOCS / "results.json").read_text("utf-8"))))
    strong = [case for case in cases if case.drop >= STRONG_DROP]
    weak = [case for case in cases if WEAK_DROP <= case.drop < STRONG_DROP]
    assert sum(case.edits for case in strong) > 500
    assert sum(case.shown for case in strong) == 0
    assert max(case.shown / case.edits for case in weak) > 0.4


def test_table_in_the_docs_is_that_of_the_shipped_figures() -> None:
    cases = read_cases(json.loads((DOCS / "results.json").read_text("utf-8")))
    table = "\n".join(to_markdown(tabulate(list(cases))))
    assert table in (DOCS / "measuring.md").read_text("utf-8")


def test_ranges_count_edits_and_name_the_worst() -> None:
    table = tabulate([Case(0.25, 10, 1, 0.5), Case(0.29, 30, 9, 0.7), Case(0.9, 4, 0, 0.1)])
    assert [row[:5] for row in table[1:]] == [
        ("20% to 30%", "2", "40", "25%", "30%"),
        ("60% or more", "1", "4", "0%", "0%"),
    ]
