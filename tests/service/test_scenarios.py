"""Every scenario through the write path on PostgreSQL."""

from pathlib import Path

import pytest

from oneself.store.database import Database
from scenarios.on_service import Service
from scenarios.play import FILES, expected_failure, play_file

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem, marks=expected_failure(path)) for path in FILES]
)
async def test_a_scenario_holds_on_the_service(path: Path, database: Database) -> None:
    await play_file(path, Service(database, 1))
