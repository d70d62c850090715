"""Every scenario on the oracle and on the core."""

from pathlib import Path

import pytest

from scenarios.on_core import Core
from scenarios.play import FILES, ahead, play_file
from unit.core.oracle import Oracle


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_the_oracle_comes_out_as_written(path: Path) -> None:
    await play_file(path, Oracle())


@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem, marks=ahead(path)) for path in FILES])
async def test_the_core_comes_out_as_written(path: Path) -> None:
    await play_file(path, Core())
