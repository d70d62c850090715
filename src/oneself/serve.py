"""The composition root: the only place that sees every part and puts them together (DESIGN §12).

`open_services` builds the use-cases on a database; `api.app.create_app` puts the faces in front of them.
Processes, sockets and signals are in `server`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from oneself.service.organisations import Organisations
from oneself.settings import Settings, load_secret_key
from oneself.store.directory import Directory
from oneself.store.pool import Database


class Services(msgspec.Struct, frozen=True):
    """Every use-case of one process, on one pool of connections."""

    settings: Settings
    database: Database
    directory: Directory
    organisations: Organisations


@asynccontextmanager
async def open_services(settings: Settings, database_url: str) -> AsyncIterator[Services]:
    """The services of this process; raises Unavailable when the database does not answer."""
    settings = msgspec.structs.replace(settings, secret_key=load_secret_key(settings))
    async with await Database.open(database_url, max_size=settings.database_connections) as database:
        yield build_services(settings, database)


def build_services(settings: Settings, database: Database) -> Services:
    """Put the use-cases together; opens nothing."""
    directory = Directory(database)
    return Services(
        settings=settings,
        database=database,
        directory=directory,
        organisations=Organisations(directory),
    )
