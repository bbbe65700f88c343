"""`python -m tests.fuzz --count N [--seed S] [--seconds T]`: damaged files through the program.

Each is read, checked and saved to every format in a process of its own kind. Counted are exceptions
that are not decontext's, files that take more than 10 s of computing or 2 GB of memory, and lines
on stdout or stderr. The exit code is 1 if there is any. `--keep FOLDER` keeps those files.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--longest", type=float, default=10.0, help="seconds of computing")
    parser.add_argument("--memory", type=float, default=2.0, help="GB at the peak")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that long")
    parser.add_argument(
        "--keep", type=Path, help="folder for the files with which something failed"
    )
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options)
        return 0
    return supervise(options)


def supervise(options: argparse.Namespace) -> int:
    """Hand the files to workers; one that dies or hangs is replaced."""
    counts: Counter[str] = Counter(exceptions=0, hangs=0, memory=0, lines=0)
    began, number, end = time.monotonic(), options.first, options.first + options.count
    while number < end and time.monotonic() - began < options.seconds:
        for found in run_worker(options, number, end - number):
            number = found["number"] + 1
            for kind in counts:
                counts[kind] += len(found.get(kind, []))
                for text in found.get(kind, []):
                    print(f"{found['number']}: {kind}: {text[:300]}", flush=True)
            if options.keep and any(found.get(kind) for kind in counts):
                from tests.fuzz.trial import make_case

                options.keep.mkdir(parents=True, exist_ok=True)
                case = make_case(options.seed, found["number"])
                (options.keep / f"{options.seed}-{found['number']}").write_bytes(case)
            if number % 1000 == 0:
                print(
                    f"{number} files, {time.monotonic() - began:.0f} s, {dict(counts)}", flush=True
                )
            if time.monotonic() - began > options.seconds:
                break
    print(
        f"{number - options.first} files in {time.monotonic() - began:.0f} s, seed {options.seed}: "
        f"{counts['exceptions']} exceptions but decontext's, "
        f"{counts['hangs']} above {options.longest:g} s, "
        f"{counts['memory']} above {options.memory:g} GB, {counts['lines']} lines of noise"
    )
    return 1 if sum(counts.values()) else 0


def run_worker(options: argparse.Namespace, first: int, count: int) -> Iterator[dict[str, Any]]:
    """What one worker says of each file, and of the one with which it ended, if it did."""
    command = [sys.executable, "-m", "tests.fuzz", "--work", f"--seed={options.seed}"]
    command += [f"--longest={options.longest}", f"--memory={options.memory}"]
    command += [f"--first={first}", f"--count={count}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    number = first
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            while True:
                watch = threading.Timer(120, process.kill)
                watch.start()
                line = process.stdout.readline()
                watch.cancel()
                if not line:
                    break
                found = json.loads(line)
                yield found
                number = found["number"] + 1
                if found.get("memory"):
                    return
            code = process.wait()
            if number < first + count:
                kind = "hangs" if code == -9 else "exceptions"
                yield {"number": number, kind: [f"the process ended with {code}"]}
        finally:
            process.kill()


def work(options: argparse.Namespace) -> None:
    """Try one file after the other; what is printed meanwhile is noise."""
    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as name:
        folder = Path(name)
        noise = os.open(folder / "noise", os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(noise, 1)
        os.dup2(noise, 2)
        from tests.fuzz.trial import make_case, try_file

        make_case(options.seed, 0)
        heard = os.fstat(noise).st_size
        for number in range(options.first, options.first + options.count):
            before, content = time.process_time(), make_case(options.seed, number)
            wrong = try_file(content, folder, by_path=number % 2 == 0)
            found: dict[str, object] = {"number": number, "exceptions": wrong}
            seconds = time.process_time() - before
            if seconds > options.longest:
                found["hangs"] = [f"{seconds:.1f} s"]
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            if peak > options.memory * 1e6:
                found["memory"] = [f"{peak / 1e6:.1f} GB"]
            sys.stdout.flush()
            sys.stderr.flush()
            length = os.fstat(noise).st_size
            if length > heard:
                text = os.pread(noise, length - heard, heard).decode(errors="replace")
                found["lines"], heard = text.splitlines(), length
            print(json.dumps(found), file=answers, flush=True)


def _fast_folder() -> str | None:
    """Memory in place of a disk, where there is one: every saved file is forced onto the disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


if __name__ == "__main__":
    sys.exit(main())
