"""The log, as it is read: entries in order, and the configurations that they were judged by."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config, configure
from oneself.core.fold.log_entry import LogEntry, Reconfigured
from oneself.core.resolution.plan import Plan
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("log.sql")
_plans = msgspec.json.Decoder(Plan)

ENTRIES_PER_CHUNK = 1000


async def read_log(
    connection: "Connection", dataset_id: int, after: tuple[int, UUID], limit: int = ENTRIES_PER_CHUNK
) -> list[LogEntry]:
    """The next entries of a dataset's log after a place (seq, observation id)."""
    found = await connection.fetch(_sql.find_entries, dataset_id, *after, limit)
    return [_read_entry(row) for row in found]


async def find_person_entries(
    connection: "Connection", dataset_id: int, profile_ids: list[UUID]
) -> list[LogEntry]:
    """Everything that is attached to any of these profiles, in order."""
    found = await connection.fetch(_sql.find_person_entries, dataset_id, profile_ids)
    return [_read_entry(row) for row in found]


async def find_configurations(connection: "Connection", dataset_id: int) -> dict[int, Config]:
    """Every version of the configuration that there has been."""
    config = Config()
    configs = {config.version: config}
    for row in await connection.fetch(_sql.find_changes, dataset_id):
        entry = _read_entry(row)
        config = configure(config, msgspec.convert(entry.content, Reconfigured).change, entry.seq)
        configs[config.version] = config
    return configs


def _read_entry(row: Any) -> LogEntry:
    return LogEntry(
        seq=row["seq"],
        observation_id=row["observation_id"],
        profile_id=row["profile_id"],
        kind=row["kind"],
        config_version=row["config_version"],
        content=msgspec.json.decode(row["content"]),
        plan=_plans.decode(row["plan"]) if row["plan"] is not None else None,
        redacted=row["redacted"],
    )
