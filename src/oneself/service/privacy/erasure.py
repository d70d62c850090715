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

from oneself.core.fold.apply import apply_recorded
from oneself.core.fold.log_entry import Erased, LogEntry, observation_of, recorded_plan
from oneself.core.fold.redaction import inherit, redact
from oneself.core.fold.replay import erase
from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.footprint import Footprint
from oneself.core.resolution.plan import Rejection
from oneself.core.resolution.working_set import WorkingSet
from oneself.errors import Contended
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.ingest import (
    ATTEMPTS_MAX,
    KEY_REUSED,
    RETRY_DELAY_MS,
    IdempotencyKeyReused,
    ObservationRejected,
)
from oneself.store import rows, working_set
from oneself.store.log_reader import find_configurations, find_person_entries
from oneself.store.queries import Queries
from oneself.store.tombstones import Tombstones
from oneself.store.working_set import IdempotencyRecord

if TYPE_CHECKING:
    from oneself.store.database import Connection, Database

_sql = Queries("erase.sql")
_privacy = Queries("privacy.sql")
_ingest = Queries("ingest.sql")

NO_CONTENT = 204


class Receipt(msgspec.Struct, frozen=True):
    """The proof of an erasure. `entries`: of the log that were deleted or redacted; `identifiers`: that were
    forgotten; no ids: nothing was there to erase. `erased_at` in µs since 1970."""

    receipt_id: UUID
    erased_at: int
    profile_ids: tuple[UUID, ...]
    application: str | None
    entries: int
    identifiers: int


class ErasureOptions(msgspec.Struct, frozen=True):
    """A request that may be repeated: under which key that is remembered, and what tells it from others."""

    key: str
    fingerprint: str


class Erasure:
    """Forgets people."""

    def __init__(self, database: "Database", tombstones: Tombstones) -> None:
        self._database = database
        self._tombstones = tombstones

    async def erase(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        profile_id: UUID,
        *,
        whole: bool = False,
        expected_version: int | None = None,
        once: ErasureOptions | None = None,
    ) -> Receipt | None:
        """Erase the person whose survivor this is, or the part that an absorbed profile brought. `whole`: the
        person in any case, because a survivor can be absorbed before it is locked.

        None if the profile is unknown, or the request is a repeat. Raises Rejected `stale`, KeyReused,
        Contended.
        """
        for attempt in range(ATTEMPTS_MAX):
            try:
                async with self._database.transaction() as connection:
                    return await self._erase(
                        connection, dataset_ref.dataset_id, actor, profile_id, whole, expected_version, once
                    )
            except Contended:
                await asyncio.sleep(random.uniform(0, RETRY_DELAY_MS * 2**attempt) / 1000)
        raise Contended("Too many others write about the same person.")

    async def find_receipt(self, dataset_ref: DatasetRef, receipt_id: UUID) -> Receipt | None:
        """The receipt of an erasure."""
        row = await self._database.fetchrow(_privacy.find_receipt, dataset_ref.dataset_id, receipt_id)
        return _receipt(row) if row else None

    async def list_receipts(self, dataset_ref: DatasetRef, before_seq: int, limit: int) -> list[Receipt]:
        """The erasures before a seq, the last one first."""
        found = await self._database.fetch(_privacy.find_receipts, dataset_ref.dataset_id, before_seq, limit)
        return [_receipt(row) for row in found]

    async def _erase(
        self,
        connection: "Connection",
        dataset_id: int,
        actor: Actor,
        profile_id: UUID,
        whole: bool,
        expected_version: int | None,
        once: ErasureOptions | None,
    ) -> Receipt | None:
        # The browsers are locked with the person: whose they were before and after is written anew.
        browsers = await _browsers(connection, dataset_id, profile_id)
        keys = frozenset({once.key}) if once else frozenset[str]()
        wanted = Footprint(browsers, frozenset({profile_id}), keys, members=True)
        await working_set.lock_identifiers(connection, dataset_id, wanted)
        state, answers = await working_set.gather(connection, dataset_id, wanted)
        header = await working_set.read_clock(connection, dataset_id)
        if once is not None and (stored := answers.get(once.key)) is not None:
            _check_repeated(once, stored)
            return None
        profile, survivor = state.profiles.get(profile_id), state.survivor(profile_id)
        if profile is None or profile.erased or survivor is None:
            return None
        if expected_version is not None and expected_version != survivor.updated_at:
            raise ObservationRejected(Rejection("stale", "The profile was changed in the meantime."))
        seq = max(header.now, survivor.seq + 1)
        members = tuple(member.profile_id for member in state.members.get(survivor.profile_id, ()))
        everybody = (survivor.profile_id, *members)
        is_part = profile.is_absorbed and not whole
        erased = (profile_id,) if is_part else everybody
        forgotten = await _find_claims(connection, dataset_id, erased)
        if not {i for i in map(_identifier, forgotten) if i.is_device} <= browsers:
            raise Contended("A browser joined while the person was being erased.")
        await self._tombstones.put(connection, dataset_id, map(_identifier, forgotten), seq)
        if is_part:
            entries = await _erase_part(connection, dataset_id, everybody, profile, seq)
        else:
            entries = await _erase_whole(connection, dataset_id, everybody, seq)
        await _hand_back(connection, dataset_id, forgotten)
        identifiers = len(set(map(_identifier, forgotten)))
        receipt = Receipt(uuid.uuid4(), seq, erased, actor.application, entries, identifiers)
        await _record(connection, dataset_id, actor, header.config_version, receipt)
        if once is not None:
            # The bare id and a digest of the request: nothing of the person.
            answer = IdempotencyRecord(once.key, seq, profile_id, once.fingerprint, NO_CONTENT)
            await working_set.save(connection, dataset_id, WorkingSet(), answers=[answer])
        return receipt


def _check_repeated(once: ErasureOptions, stored: IdempotencyRecord) -> None:
    """Raise KeyReused where the key was given to another request."""
    if stored.fingerprint != once.fingerprint:
        raise IdempotencyKeyReused(KEY_REUSED)


async def _browsers(connection: "Connection", dataset_id: int, profile_id: UUID) -> frozenset[Identifier]:
    """Every browser that any profile of the person ever had."""
    people = await connection.fetch(_ingest.find_view, dataset_id, profile_id)
    claims = await _find_claims(connection, dataset_id, tuple(row["profile_id"] for row in people))
    return frozenset(identifier for identifier in map(_identifier, claims) if identifier.is_device)


async def _find_claims(connection: "Connection", dataset_id: int, profile_ids: tuple[UUID, ...]) -> list[Any]:
    return await connection.fetch(_sql.find_profile_claims, dataset_id, list(profile_ids))


def _identifier(row: Any) -> Identifier:
    return Identifier(row["namespace"], row["value"])


async def _hand_back(connection: "Connection", dataset_id: int, forgotten: list[Any]) -> None:
    """What the log says of a browser without the erased claims on it: whoever lost it to one of them kept it
    until the next one came, and that one's coming stands as it was."""
    erased = {(_identifier(row), row["seq"]) for row in forgotten if _identifier(row).is_device}
    browsers = sorted({identifier for identifier, _ in erased})
    if not browsers:
        return
    names, values = [b.namespace for b in browsers], [b.value for b in browsers]
    left = await connection.fetch(_sql.find_browser_claims, dataset_id, names, values)
    for row in left:
        if (_identifier(row), row["until_seq"]) not in erased:
            continue
        later = (r for r in left if _identifier(r) == _identifier(row) and r["seq"] > row["seq"])
        following = min(later, key=lambda r: (r["seq"], r["profile_id"]), default=None)
        until = following["seq"] if following else None
        await connection.execute(
            _sql.put_until, dataset_id, row["namespace"], row["value"], row["profile_id"], row["seq"], until
        )
        if following:
            await connection.execute(_sql.pin_entry, dataset_id, until, following["profile_id"])


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
    state = WorkingSet()
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
    left = inherit(
        [
            redact(entry, part.profile_id, own, everybody[0], configs[entry.config_version])
            for entry in entries
        ],
        configs,
    )
    redacted = [entry for entry, before in zip(left, entries, strict=True) if entry is not before]
    await _put_redactions(connection, dataset_id, redacted)
    await connection.execute(_sql.pin_refusals, dataset_id, ids)
    state = WorkingSet()
    for entry in left:
        observation = observation_of(entry)
        config = configs[entry.config_version]
        apply_recorded(state, observation, recorded_plan(entry), config, entry.seq)
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
                entry.content.get("name"),
            )
            for entry in entries
        ],
    )


async def _replace(
    connection: "Connection",
    dataset_id: int,
    ids: list[UUID],
    part: UUID,
    state: WorkingSet,
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


def _end_as_before(state: WorkingSet, claims: list[Any]) -> None:
    """A browser that moved on to somebody else did so when it did: their entries are not among these."""
    ended = {
        (_identifier(row), row["profile_id"], row["seq"]): row["until_seq"]
        for row in claims
        if row["until_seq"] is not None
    }
    for live in list(state.claims.values()):
        for claim in live:
            if (claim.identifier, claim.profile_id, claim.seq) in ended:
                state.release(claim, 0)
    state.changes.released = [
        (claim, ended.get((claim.identifier, claim.profile_id, claim.seq), until))
        for claim, until in state.changes.released
    ]
