"""Every scenario on the oracle and on the core."""

from pathlib import Path

import pytest

from scenarios.on_core import Core
from scenarios.play import FILES, expected_failure, play_file
from unit.core.oracle import Oracle


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_a_scenario_holds_on_the_oracle(path: Path) -> None:
    await play_file(path, Oracle())


@pytest.mark.parametrize(
    "path", [pytest.param(path, id=path.stem, marks=expected_failure(path)) for path in FILES]
)
async def test_a_scenario_holds_on_the_core(path: Path) -> None:
    await play_file(path, Core())
