"""Kills `decontext protect` at random moments and looks at what is left.

    python -m tests.kills --count 60

Half of the kills come at any moment of the run, half while files are written. After each one no
unprotected file may lie under the output's name, and the same command must succeed and leave
nothing but photo and report. `tests/kills/test_kills.py` is the short version.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.kills.trial import SIGNALS, Trial, find_duration, run_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    outcomes: Counter[str] = Counter()
    failures: list[Trial] = []
    with tempfile.TemporaryDirectory() as folder:
        find_duration(Path(folder) / "first")  # imports what all of them share
        duration = find_duration(Path(folder) / "second")
        print(f"a run takes {duration:.1f} s", flush=True)
        for trial in run_trials(Path(folder), count=args.count, seed=args.seed, duration=duration):
            outcomes[f"{trial.signal} {trial.left}"] += 1
            failures += [trial] if trial.problems else []
            print(f"{trial.number}: {trial}", flush=True)
    for name in SIGNALS:
        found = {key: count for key, count in sorted(outcomes.items()) if key.startswith(name)}
        print(", ".join(f"{key}: {count}" for key, count in found.items()))
    print(f"{args.count} kills, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
