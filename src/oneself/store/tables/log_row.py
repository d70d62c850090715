"""Entries of the log from rows of its table."""

from typing import Any

import msgspec

from oneself.core.fold.log_entry import LogEntry
from oneself.core.resolution.plan import Plan

_plans = msgspec.json.Decoder(Plan)


def read_entry(row: Any) -> LogEntry:
    """An entry from a row with `entry_columns`."""
    return LogEntry(
        seq=row["seq"],
        observation_id=row["observation_id"],
        profile_id=row["profile_id"],
        kind=row["kind"],
        config_version=row["config_version"],
        content=msgspec.json.decode(row["content"]),
        plan=_plans.decode(row["plan"]) if row["plan"] is not None else None,
        content_redacted=row["content_redacted"],
        replay=row["replay"],
        admitted_by=read_versions(row),
    )


def read_versions(row: Any) -> tuple[int, ...]:
    """The later versions of the configuration by which a row is read as well."""
    return tuple(row["admitted_by"] or ())
