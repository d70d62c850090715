"""Every scenario on the oracle and on the core."""

from pathlib import Path

import pytest

from core.oracle import Oracle
from scenarios.engine import Engine
from scenarios.on_core import Core
from scenarios.play import FILES, play_file


@pytest.mark.parametrize("engine", [Oracle, Core])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_a_scenario_comes_out_as_written(path: Path, engine: type[Engine]) -> None:
    await play_file(path, engine())
