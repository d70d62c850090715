"""Receipts: the proofs of erasures, in every dataset of an organisation.

Invariants: a receipt contains nothing about the erased person. The log has it, so it is never deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.service.context import DatasetRef
from oneself.store.directory import OrganisationTables
from oneself.store.tables.log import ErasureEntry

if TYPE_CHECKING:
    from oneself.store.database import Database


class Receipt(msgspec.Struct, frozen=True):
    """The proof of an erasure."""

    receipt_id: UUID
    #: µs since 1970.
    erased_at: int
    #: The profiles that are gone. One of which others have a part stays, as the log says it.
    profile_ids: tuple[UUID, ...]
    application: str | None
    #: Log entries that were deleted or redacted.
    entries: int
    #: Identifiers that were forgotten.
    identifiers: int


class StoredReceipt(msgspec.Struct, frozen=True):
    """A receipt and the dataset in which the erasure was made."""

    dataset: str
    receipt: Receipt


class Receipts:
    """Finds and lists receipts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, dataset_ref: DatasetRef, receipt_id: UUID) -> StoredReceipt | None:
        """The receipt of an erasure in whatever dataset of the organisation."""
        found = await OrganisationTables(self._database, dataset_ref.org_id).erasures.find(receipt_id)
        return None if found is None else StoredReceipt(found.dataset, _receipt(found.entry))

    async def list(
        self, dataset_ref: DatasetRef, before_seq: int, limit: int, *, dataset: str | None = None
    ) -> list[StoredReceipt]:
        """The erasures of the organisation before a seq, the last one first. `dataset`: in this one alone."""
        tables = OrganisationTables(self._database, dataset_ref.org_id)
        found = await tables.erasures.list(before_seq, limit, dataset)
        return [StoredReceipt(item.dataset, _receipt(item.entry)) for item in found]


def _receipt(entry: ErasureEntry) -> Receipt:
    erased = entry.erased
    return Receipt(
        entry.receipt_id,
        entry.seq,
        erased.profile_ids,
        erased.application,
        erased.entries,
        erased.identifiers,
    )
