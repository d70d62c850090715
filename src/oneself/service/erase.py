"""Erase: what a person asked to be forgotten leaves the log, the state and the kept answers.

Law of this module: one transaction under the lock of the survivor. The whole person: every entry attached to
any of their profiles is deleted. One absorbed profile (wire/cds §5.5): its entries are redacted, the plans
stay, so that what remains is one person still; their state is what the redacted log folds to.
Ids stay as tombstones: they are never issued again.
"""

import asyncio
import random
import uuid
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from oneself.core.fold import repeat
from oneself.core.identifier import Identifier
from oneself.core.observation import Observation
from oneself.core.plan import Rejection
from oneself.core.profile import Profile
from oneself.core.replay import Erased, LogEntry, erase, recorded_plan, redact
from oneself.core.state import State
from oneself.errors import Contended
from oneself.service import working_set
from oneself.service.actor import Actor
from oneself.service.history import find_configurations, find_person_entries
from oneself.service.ingest import ATTEMPTS_MAX, RETRY_DELAY_MS, Rejected
from oneself.service.organisations import Tenant
from oneself.service.tombstones import Tombstones
from oneself.service.working_set import Wanted
from oneself.store import rows
from oneself.store.pool import Queries

if TYPE_CHECKING:
    from oneself.store.pool import Connection, Database

_sql = Queries("erase.sql")
_privacy = Queries("privacy.sql")


class Receipt(msgspec.Struct, frozen=True):
    """The proof of an erasure. `entries`: of the log that were deleted or redacted; `identifiers`: that were
    forgotten; no ids: nothing was there to erase. `erased_at` in µs since 1970."""

    receipt_id: UUID
    erased_at: int
    profile_ids: tuple[UUID, ...]
    application: str | None
    entries: int
    identifiers: int


class Erasure:
    """Forgets people."""

    def __init__(self, database: "Database", tombstones: Tombstones) -> None:
        self._database = database
        self._tombstones = tombstones

    async def erase(
        self, tenant: Tenant, actor: Actor, profile_id: UUID, *, expected_version: int | None = None
    ) -> Receipt | None:
        """Erase the person whose survivor this is, or the part that an absorbed profile brought.

        None if the profile is unknown. Raises Rejected `stale`, Contended.
        """
        for attempt in range(ATTEMPTS_MAX):
            try:
                async with self._database.transaction() as connection:
                    return await self._erase(
                        connection, tenant.dataset_id, actor, profile_id, expected_version
                    )
            except Contended:
                await asyncio.sleep(random.uniform(0, RETRY_DELAY_MS * 2**attempt) / 1000)
        raise Contended("Too many others write about the same person.")

    async def find_receipt(self, tenant: Tenant, receipt_id: UUID) -> Receipt | None:
        """The receipt of an erasure."""
        row = await self._database.fetchrow(_privacy.find_receipt, tenant.dataset_id, receipt_id)
        return _receipt(row) if row else None

    async def list_receipts(self, tenant: Tenant, before_seq: int, limit: int) -> list[Receipt]:
        """The erasures before a seq, the last one first."""
        found = await self._database.fetch(_privacy.find_receipts, tenant.dataset_id, before_seq, limit)
        return [_receipt(row) for row in found]

    async def _erase(
        self,
        connection: "Connection",
        dataset_id: int,
        actor: Actor,
        profile_id: UUID,
        expected_version: int | None,
    ) -> Receipt | None:
        wanted = Wanted(frozenset(), frozenset({profile_id}), members=True)
        header = await working_set.lock(connection, dataset_id, wanted)
        state, _ = await working_set.gather(connection, dataset_id, wanted)
        profile, survivor = state.profiles.get(profile_id), state.survivor(profile_id)
        if profile is None or profile.erased or survivor is None:
            return None
        if expected_version is not None and expected_version != survivor.updated_at:
            raise Rejected(Rejection("stale", "The profile was changed in the meantime."))
        seq = max(header.now, survivor.seq + 1)
        members = tuple(member.profile_id for member in state.members.get(survivor.profile_id, ()))
        everybody = (survivor.profile_id, *members)
        erased = (profile_id,) if profile.is_absorbed else everybody
        forgotten = await _identifiers(connection, dataset_id, erased)
        await self._tombstones.put(connection, dataset_id, forgotten, seq)
        if profile.is_absorbed:
            entries = await _erase_part(connection, dataset_id, everybody, profile, seq)
        else:
            entries = await _erase_whole(connection, dataset_id, everybody, seq)
        receipt = Receipt(uuid.uuid4(), seq, erased, actor.application, entries, len(forgotten))
        await _record(connection, dataset_id, actor, header.config_version, receipt)
        return receipt


async def _identifiers(
    connection: "Connection", dataset_id: int, profile_ids: tuple[UUID, ...]
) -> set[Identifier]:
    found = await connection.fetch(_sql.find_profile_claims, dataset_id, list(profile_ids))
    return {Identifier(row["namespace"], row["value"]) for row in found}


async def _record(
    connection: "Connection", dataset_id: int, actor: Actor, config_version: int, receipt: Receipt
) -> None:
    content = Erased(
        actor.face, receipt.profile_ids, receipt.application, receipt.entries, receipt.identifiers
    )
    await connection.execute(
        _sql.put_erasure,
        dataset_id,
        receipt.erased_at,
        receipt.receipt_id,
        config_version,
        rows.encode_json(content),
    )


def _receipt(row: Any) -> Receipt:
    erased = msgspec.json.decode(row["content"], type=Erased)
    return Receipt(
        row["observation_id"],
        row["seq"],
        erased.profile_ids,
        erased.application,
        erased.entries,
        erased.identifiers,
    )


async def _erase_whole(
    connection: "Connection", dataset_id: int, everybody: tuple[UUID, ...], seq: int
) -> int:
    """Delete everything; how many entries of the log that were."""
    ids = list(everybody)
    await connection.execute(_sql.pin_refusals, dataset_id, ids)
    deleted = await connection.execute(_sql.delete_entries, dataset_id, ids)
    for sql in (_sql.delete_claims, _sql.delete_merges, _sql.delete_refusals, _sql.blank_answers):
        await connection.execute(sql, dataset_id, ids)
    state = State()
    erase(state, everybody, seq)
    await working_set.save(connection, dataset_id, state)
    return int(deleted.rpartition(" ")[2])


async def _erase_part(
    connection: "Connection", dataset_id: int, everybody: tuple[UUID, ...], part: Profile, seq: int
) -> int:
    """Redact what the profile brought, and let the redacted entries say what remains of the person; how many
    entries of the log were redacted."""
    configs = await find_configurations(connection, dataset_id)
    ids = list(everybody)
    entries = await find_person_entries(connection, dataset_id, ids)
    claims = await connection.fetch(_sql.find_profile_claims, dataset_id, ids)
    own = frozenset(
        Identifier(row["namespace"], row["value"]) for row in claims if row["profile_id"] == part.profile_id
    )
    left = [
        redact(entry, part.profile_id, own, everybody[0], configs[entry.config_version]) for entry in entries
    ]
    redacted = [entry for entry, before in zip(left, entries, strict=True) if entry is not before]
    await _put_redactions(connection, dataset_id, redacted)
    await connection.execute(_sql.pin_refusals, dataset_id, ids)
    state = State()
    for entry in left:
        observation = msgspec.convert(entry.content, Observation)
        config = configs[entry.config_version]
        repeat(state, observation, recorded_plan(entry), config, entry.seq)
    await _replace(connection, dataset_id, ids, part.profile_id, state, claims, seq)
    return len(redacted)


async def _put_redactions(connection: "Connection", dataset_id: int, entries: list[LogEntry]) -> None:
    await connection.executemany(
        _sql.put_redaction,
        [
            (
                dataset_id,
                entry.seq,
                entry.observation_id,
                rows.encode_json(entry.content),
                rows.encode_json(recorded_plan(entry)),
                entry.profile_id,
            )
            for entry in entries
        ],
    )


async def _replace(
    connection: "Connection",
    dataset_id: int,
    ids: list[UUID],
    part: UUID,
    state: State,
    claims: list[Any],
    seq: int,
) -> None:
    """Put the folded state of a person in the place of the one they had."""
    for sql in (_sql.delete_claims, _sql.delete_merges, _sql.delete_refusals, _sql.blank_answers):
        await connection.execute(sql, dataset_id, ids)
    before = tuple(profile_id for profile_id in state.profiles if profile_id not in ids)
    erase(state, (part, *before), seq)
    # Those erased before are tombstones already.
    state.changes.profiles.difference_update(before)
    _end_as_before(state, claims)
    await working_set.save(connection, dataset_id, state)


def _end_as_before(state: State, claims: list[Any]) -> None:
    """A browser that moved on to somebody else is not theirs again."""
    ended = {
        (row["namespace"], row["value"], row["profile_id"], row["seq"]): row["until_seq"]
        for row in claims
        if row["until_seq"] is not None
    }
    for live in list(state.claims.values()):
        for claim in live:
            until = ended.get((*_parts(claim.identifier), claim.profile_id, claim.seq))
            if until is not None:
                state.release(claim, until)


def _parts(identifier: Identifier) -> tuple[str, str]:
    return identifier.namespace, identifier.value
