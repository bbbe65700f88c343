"""Damaged files through reading, checking and saving: refused in words, or saved and read again.

`python -m tests.fuzz --count N` tries more of them and watches memory, time and noise.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from decontext.errors import InputError
from decontext.photo.images import load_photo
from tests.fuzz import mutations
from tests.fuzz.seeds import CRASHERS, make_seeds
from tests.fuzz.trial import try_file

ROOT = Path(__file__).parents[2]
FILES = range(len(make_seeds()))
MUTATIONS = (
    mutations.flip_bits,
    mutations.change_bytes,
    mutations.put_number,
    mutations.cut_end,
    mutations.cut_out,
    mutations.repeat,
    mutations.change_tag,
    mutations.change_chunk,
    mutations.change_segment,
    mutations.change_box,
)


@pytest.mark.parametrize("number", FILES)
def test_seed_is_read_and_saved_or_refused_in_words(tmp_path, number):
    assert try_file(make_seeds()[number], tmp_path, by_path=True) == []


def test_most_seeds_are_photos():
    photos = 0
    for content in make_seeds():
        try:
            load_photo(content)
            photos += 1
        except InputError:
            pass
    assert photos > 40


@pytest.mark.parametrize("path", sorted(CRASHERS.iterdir()), ids=lambda path: path.name)
def test_file_that_once_broke_reading_is_answered_in_words(tmp_path, path, capfd):
    assert try_file(path.read_bytes(), tmp_path, by_path=True) == []
    assert capfd.readouterr() == ("", "")


@settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    number=st.sampled_from(FILES),
    damage=st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=4),
    seed=st.integers(0, 2**32),
)
@example(number=1, damage=[mutations.change_tag], seed=0)
def test_damaged_file_is_read_and_saved_or_refused_in_words(tmp_path, number, damage, seed):
    content, rng = bytearray(make_seeds()[number]), random.Random(seed)
    for mutation in damage:
        content = mutation(content, rng) if content else content
    assert try_file(bytes(content), tmp_path, by_path=False) == []


def test_fuzzer_finds_nothing_in_its_first_files():
    command = [sys.executable, "-m", "tests.fuzz", "--count", "60", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "60 files in" in done.stdout
    assert "0 exceptions but decontext's, 0 above 10 s, 0 above 2 GB, 0 lines" in done.stdout


SABOTAGE = """
import os, time
import numpy
import decontext.photo.images as images

calls = iter(range(100))


def load_photo(source):
    call = next(calls)
    if call == 0:
        raise KeyError("lost")
    if call == 1:
        os.write(2, b"noise\\nmore\\n")
    if call == 2:
        end = time.process_time() + 1
        while time.process_time() < end:
            pass
    if call == 3:
        os._exit(3)
    raise images.InputError("refused")


images.InputError = __import__("decontext.errors").errors.InputError
images.load_photo = load_photo
"""


def test_fuzzer_counts_what_goes_wrong(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SABOTAGE)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "tests.fuzz", "--count", "4", "--longest", "0.5"]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path / "kept")],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 exceptions but decontext's, 1 above 0.5 s, 0 above 2 GB, 2 lines" in done.stdout
    assert "KeyError: 'lost'" in done.stdout and "the process ended with 3" in done.stdout
    assert sorted(os.listdir(tmp_path / "kept")) == ["0-0", "0-1", "0-2", "0-3"]


def test_fuzzer_counts_memory(tmp_path):
    command = [sys.executable, "-m", "tests.fuzz", "--count", "1", "--memory", "0.01"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 1 and "1 above 0.01 GB" in done.stdout, done.stdout + done.stderr
