"""What every test shares: nothing is written to the user's own cache."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DECONTEXT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
