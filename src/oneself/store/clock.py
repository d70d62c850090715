"""The clock of a transaction: when it decides, and by which configuration."""

from __future__ import annotations

from typing import Any

import msgspec


class TransactionClock(msgspec.Struct, frozen=True):
    """When a transaction decides, and by which configuration. It is read when all locks are held."""

    #: µs since 1970.
    now: int
    transaction_id: str
    config_version: int
    #: Whether people keep fragments of the dataset apart.
    has_separations: bool
    #: Whether identifiers of the dataset ever changed hands.
    has_transfers: bool


def read_clock(row: Any) -> TransactionClock:
    """The clock from a row with `clock`."""
    return TransactionClock(
        row["now"],
        row["transaction_id"],
        row["config_version"],
        row["has_separations"],
        row["has_transfers"],
    )
