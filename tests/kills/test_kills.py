"""A few kills at moments of a fixed seed; `python -m tests.kills` does as many as one likes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills.trial import run_trials


@pytest.mark.timeout(1200)  # six processes, on a machine that may be busy
def test_killed_runs_leave_nothing_that_the_next_one_does_not_mend(tmp_path: Path) -> None:
    trials = list(run_trials(tmp_path, count=3, seed=5))
    assert [trial.problems for trial in trials] == [()] * 3, [str(trial) for trial in trials]
