"""One page with small editors for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.tiny_server import Running, tiny_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with tiny_server(tmp_path_factory.mktemp("page")) as running:
        yield running
