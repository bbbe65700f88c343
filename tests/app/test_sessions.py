"""Several visitors at once: each gets its own file, and nothing is left."""

from __future__ import annotations

import pytest

from tests.app.tiny_server import Running

pytest.importorskip("gradio", reason="PAGE NOT TESTED: the extra app is not installed")
from tests.app.twenty_sessions import expected, make_sessions, run, wrong


def test_eight_at_once_get_their_own_files_and_leave_nothing(server: Running) -> None:
    sessions = make_sessions(8, (72, 56))
    outcome = run(server, sessions)
    good = [one for one in sessions if one.kind == "good"]
    assert wrong(outcome, expected(good, server)) == []
    assert outcome.memory_after - outcome.memory_before < 60e6
