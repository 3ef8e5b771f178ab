"""The environment of a process that was told nothing."""

import os
from pathlib import Path

import pytest

from tests.support.secrets_kept import URL


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but the one that is required, and no `.env` in reach."""
    for name in [name for name in os.environ if name.upper().startswith("REELSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REELSYNC_DATABASE__URL", URL)
