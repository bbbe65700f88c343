"""The table of two editors at once, from rows."""

from __future__ import annotations

from benchmarks.together import summarise


def test_table_says_what_is_kept_of_each_single_fall() -> None:
    falls = {("a", "a"): 0.5, ("a", "b"): 0.0, ("b", "a"): 0.1, ("b", "b"): 0.4,
             ("both", "a"): 0.45, ("both", "b"): 0.3}  # fmt: skip
    rows = [
        {
            "person": person,
            "against": against,
            "edited_with": editor,
            "passes": 100 * (1 + (against == "both")),
            "ssimulacra2": 80.0,
            "attention_fall": 0.6,
            "identity_fall": fall,
        }
        for (against, editor), fall in falls.items()
        for person in ("1", "2")
    ]
    text = summarise(rows, ["a", "b"])
    assert "| both | a | 60% | 0.450 | 90% | 80.0 | 200 |" in text
    assert "| both | b | 60% | 0.300 | 75% | 80.0 | 200 |" in text
    assert "| a | b | 60% | 0.000 |  | 80.0 | 100 |" in text
    assert "2 people" in text
