"""Published protocols: people, pairs, plans, shares, and figures beside published ones."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import torch
import transformers
from PIL import Image
from small_people import save_people

import decontext
from decontext.cli.commands import run_command
from decontext.errors import InputError
from decontext.evaluation.figures import Figures
from decontext.evaluation.protocols.clip import judge_edits, load_text_judge
from decontext.evaluation.protocols.page import HEAD, part_table, write_protocol_page
from decontext.evaluation.protocols.pairs import read_pairs
from decontext.evaluation.protocols.people import find_people, take_shard
from decontext.evaluation.protocols.plans import build_parts
from decontext.evaluation.protocols.published import PHOTO, find_published
from decontext.evaluation.protocols.run import Task, find_originals, read_all, run_protocol

TINY = {"steps": 1, "working_size": "ordinary", "blocks": "double:0", "strength": "gentle"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_tiny_pipeline(tmp_path_factory.mktemp("editor"))


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people with a photo each of the same name, a folder without, and a list of pairs."""
    folder = save_people(tmp_path_factory.mktemp("people"))
    shutil.copy(folder / "grace" / "1.png", folder / "grace" / "1.protected.png")
    (folder / "nobody").mkdir()
    pairs = [
        {"image": "eileen/1.png", "prompt": "please smile"},
        {"image": "grace/1.png", "prompt": "please smile"},
    ]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    return folder


def test_people_are_folders_and_shares_divide_people(people: Path) -> None:
    found = find_people(people)
    assert {name: [path.name for path in paths] for name, paths in found.items()} == {
        "eileen": ["1.png"], "grace": ["1.png"],
    }  # fmt: skip
    assert find_people(people / "grace") == {"1": [people / "grace" / "1.png"]}
    shares = [take_shard(found, (number, 3)) for number in (1, 2, 3)]
    assert [len(share) for share in shares] == [1, 1, 0]
    assert {path for share in shares for path in share} == {
        path for paths in found.values() for path in paths
    }
    with pytest.raises(InputError, match="no shard 4 of 3"):
        take_shard(found, (4, 3))
    with pytest.raises(InputError, match="does not exist; it must be a folder of people"):
        find_people(people / "absent")


def test_pairs_are_grouped_by_their_instructions(people: Path, tmp_path: Path) -> None:
    groups = read_pairs(people)
    assert {key: [p.parent.name for p in paths] for key, paths in groups.items()} == {
        ("please smile",): ["eileen", "grace"]
    }
    with pytest.raises(InputError, match=r"pairs\.jsonl cannot be read"):
        read_pairs(tmp_path)
    for line in ("[1]", '{"image": "a.png"}', '{"image": "a.png", "prompt": " "}', "no"):
        (tmp_path / "pairs.jsonl").write_text(line, encoding="utf-8")
        with pytest.raises(InputError, match=r"line 1 of .* is no pair"):
            read_pairs(tmp_path)


def test_plans_are_the_published_settings_unless_told_otherwise() -> None:
    parts = {part.name: part for part in build_parts("decontext", settings={}, blocks=(19, 38))}
    assert list(parts) == ["main", "baseline", "budgets", "blocks", "timesteps"]
    paper = parts["main"].versions[0].settings
    assert (paper.method, paper.steps, paper.epsilon) == ("sign", 800, 0.05)
    assert [v.settings.epsilon for v in parts["budgets"].versions] == [0.025, 0.05, 0.075]
    assert [v.settings.blocks for v in parts["blocks"].versions] == [
        "double:0-18", "paper", "single:12-37",
    ]  # fmt: skip
    assert parts["baseline"].versions[0].settings.objective == "flow"
    # What two questions share is computed once.
    assert parts["budgets"].versions[1].key == parts["main"].versions[0].key
    (veto,) = build_parts("veto", settings={"steps": 3}, blocks=(1, 1))
    settings = veto.versions[0].settings
    assert (settings.objective, settings.blocks, settings.steps) == (
        "attention-entropy", "double:0", 3,
    )  # fmt: skip
    assert settings.epsilon == 4 / 255
    with pytest.raises(InputError, match="no protocol is named 'x'; there are decontext, veto"):
        build_parts("x", settings={}, blocks=(1, 1))


def test_published_figures_are_found_by_their_cell() -> None:
    assert find_published("main", "decontext", PHOTO, "ISM") == "0.12 (CelebA-HQ), 0.16 (VGGFace2)"
    assert find_published("baseline", "diff-pgd", "", "ISM") == "0.68 (CelebA-HQ)"
    assert find_published("main", "decontext", PHOTO, "CLIP-T") == ""


def test_shares_together_give_the_table_of_one_run(
    weights: Path, people: Path, tmp_path: Path
) -> None:
    editor = decontext.load_editor("flux-kontext", source=weights, device="cpu")
    whole = Task(
        protocol="decontext", folder=people, parts=("main", "budgets"), edit_steps=1, settings=TINY
    )
    parts, rows = run_protocol(whole, tmp_path / "whole", editor)
    shares = tmp_path / "shares"
    for number in (1, 2):
        share = Task(**vars(whole) | {"shard": (number, 2)})
        run_protocol(share, shares, editor)
    tables = [
        [part_table(part, Figures(found)) for part in parts] for found in (rows, read_all(shares))
    ]
    assert sorted(path.name for path in shares.glob("*.jsonl")) == [
        "results-1-of-2.jsonl", "results-2-of-2.jsonl",
    ]  # fmt: skip
    assert tables[0] == tables[1]
    head, *body = tables[0][0]
    assert head == HEAD
    cells = {row[:3]: row[3:] for row in body}
    assert cells["decontext", PHOTO, "ISM"][0] == "0.12 (CelebA-HQ), 0.16 (VGGFace2)"
    assert {row[0] for row in body} == {"original", "decontext", "this version's own"}
    budgets = {row[0]: row[3] for row in tables[0][1][1:] if row[2] == "ISM"}
    assert budgets["0.05"] == "0.36 (CelebA-HQ)"
    # Started again nothing is done again: not one line is added.
    before = (tmp_path / "whole" / "results-1-of-1.jsonl").read_bytes()
    run_protocol(whole, tmp_path / "whole", editor)
    assert (tmp_path / "whole" / "results-1-of-1.jsonl").read_bytes() == before
    page = write_protocol_page(parts, rows, tmp_path / "whole").read_text(encoding="utf-8")
    assert "Published figures are others" in page and "there is no CLIP-T" in page


def _run_until_killed(weights: Path, task: Task, folder: Path, pictures: int) -> None:
    """In a process of its own, which is killed when it begins its n-th picture."""
    editor = decontext.load_editor("flux-kontext", source=weights, device="cpu")

    def kill(done: int, total: int, what: str) -> None:
        if done >= pictures:
            os.kill(os.getpid(), signal.SIGKILL)

    run_protocol(task, folder, editor, on_progress=kill)


def test_killed_run_that_goes_on_gives_the_table_of_one_that_was_not(
    weights: Path, people: Path, tmp_path: Path
) -> None:
    editor = decontext.load_editor("flux-kontext", source=weights, device="cpu")
    task = Task(protocol="decontext", folder=people, parts=("main",), edit_steps=1, settings=TINY)
    parts, rows = run_protocol(task, tmp_path / "whole", editor)
    process = multiprocessing.get_context("spawn").Process(
        target=_run_until_killed, args=(weights, task, tmp_path / "killed", 12)
    )
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL
    (file,) = (tmp_path / "killed").glob("results-*.jsonl")
    left = file.read_bytes()
    assert 3 < left.count(b"\n") < len(rows)
    file.write_bytes(left + b'{"kind": "edit", "pho')  # cut off within a row
    _, again = run_protocol(task, tmp_path / "killed", editor)
    assert file.read_bytes().startswith(left)  # nothing was done twice
    tables = [part_table(part, Figures(found)) for part in parts for found in (rows, again)]
    assert tables[0] == tables[1] and len(tables[0]) > 5


def test_pairs_of_several_instructions_keep_each_others_rows(
    weights: Path, people: Path, tmp_path: Path
) -> None:
    """Photos of several people may have one name: the later ones do not push out the earlier."""
    pairs = [
        {"image": str(people / "eileen" / "1.png"), "prompt": "please smile"},
        {"image": str(people / "grace" / "1.png"), "prompt": "make it black and white"},
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    editor = decontext.load_editor("flux-kontext", source=weights, device="cpu")
    settings = {**TINY, "samples_per_step": 1}
    task = Task(protocol="veto", folder=tmp_path, edit_steps=1, settings=settings)
    _, rows = run_protocol(task, tmp_path / "out", editor)
    edits = [row for row in rows if row["kind"] == "edit"]
    assert len(edits) == 2 * 3
    assert len({row["sha256"] for row in edits}) == 2
    (file,) = (tmp_path / "out").glob("results-*.jsonl")
    before = file.read_bytes()
    run_protocol(task, tmp_path / "out", editor)
    assert file.read_bytes() == before


def test_clip_says_how_near_an_edit_is_to_its_instruction(tmp_path: Path) -> None:
    clip = _tiny_clip(tmp_path / "clip")
    judge = load_text_judge(clip)
    assert judge is not None and load_text_judge(tmp_path / "absent") is None
    pictures = {}
    for name, level in (("edit.png", 30), ("photo.png", 220)):
        Image.new("RGB", (40, 30), (level, 90, 10)).save(tmp_path / name)
        pictures[name] = judge.compare(decontext.read_pixels(tmp_path / name), "please smile")
    row = {
        "kind": "edit", "photo": "p", "sha256": "s", "protection": "original", "transform": "none",
        "prompt": "please smile", "seed": 0, "picture": "edit.png",
    }  # fmt: skip
    (asked,) = judge_edits([row], tmp_path, judge, photos={"s": tmp_path / "photo.png"}).values()
    assert asked.edit == pictures["edit.png"] and asked.photo == pictures["photo.png"]
    assert asked.succeeded == (asked.edit > asked.photo)
    (alone,) = judge_edits([row], tmp_path, judge, photos={}).values()
    assert (alone.edit, alone.succeeded) == (asked.edit, None)


def _tiny_clip(folder: Path) -> Path:
    config = transformers.CLIPConfig(
        text_config={
            "vocab_size": 1000, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "eos_token_id": 1, "bos_token_id": 0, "pad_token_id": 1,
        },
        vision_config={
            "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "image_size": 224, "patch_size": 112,
        },
        projection_dim=8,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.CLIPModel(config).save_pretrained(folder)
    tiny_models._tokenizers()[0].save_pretrained(folder)
    return folder


def test_command_says_what_was_published_and_what_was_measured(
    weights: Path, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*more: str) -> int:
        arguments = ["evaluate", str(people), "-o", str(tmp_path / "out"), "--json", *more]
        return run_command([*arguments, "--editor", "flux-kontext", "--weights", str(weights)])

    tiny = ("--steps", "1", "--edit-steps", "1", "--epsilon", "8/255", "--blocks", "double:0")
    assert run("--protocol", "veto", *tiny) == 0
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert printed["parts"]["pairs"][0][:3] == ["version", "instruction", "figure"]
    assert {row[0] for row in printed["parts"]["pairs"][1:]} == {
        "original", "veto", "this version's own",
    }  # fmt: skip
    assert Path(printed["page"]).exists()
    assert run("--protocol", "veto", "--shard", "3/2") == 2
    assert "--shard is '3/2'" in capsys.readouterr().out
    assert run("--protocol", "paper") == 2
    assert "there are decontext, veto" in capsys.readouterr().out
    assert run("--protocol", "decontext", "--protocol-parts", "x") == 2
    assert "no part is named 'x'; there are main" in capsys.readouterr().out


def test_originals_are_known_by_their_content(people: Path) -> None:
    task = Task(protocol="decontext", folder=people, settings={})
    assert sorted(path.parent.name for path in find_originals(task).values()) == ["eileen", "grace"]
