"""The fixture `stage`: an organisation whose pages, servers and people play stories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from oneself.bootstrap import build_services
from oneself.settings import Settings
from oneself.store.database import Database
from support.service import SECRET_KEY, SYNC
from support.tunables import FAST
from support.view_stage import Stage


@pytest_asyncio.fixture
async def stage(database: Database, tmp_path: Path) -> AsyncIterator[Stage]:
    """The organisation `acme` with the attributes of stories. At the end its log must fold to its state."""
    settings = Settings(
        data_dir=tmp_path, secret_key=SECRET_KEY, sync_username=SYNC[0], sync_password=SYNC[1]
    )
    staged = await Stage.set_up(build_services(settings, database, tunables=FAST))
    yield staged
    await staged.end()
