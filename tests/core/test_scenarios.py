"""Every scenario on the oracle and on the core."""

import asyncio
from pathlib import Path

import pytest

from core.oracle import Oracle
from scenarios.play import FILES, play_file


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_oracle_agrees(path: Path) -> None:
    asyncio.run(play_file(path, Oracle()))
