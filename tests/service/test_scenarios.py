"""Every scenario through the write path on PostgreSQL."""

from pathlib import Path

import pytest

from oneself.store.pool import Database
from scenarios.on_service import Service
from scenarios.play import FILES, play_file

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_a_scenario_comes_out_as_written(path: Path, database: Database) -> None:
    await play_file(path, Service(database, 1))
