"""Erasure: what a person asked to be forgotten leaves the log, the state and the idempotency records.

Invariants: one transaction under the lock of the survivor. If the whole person is erased, every log entry
that is attached to any of their profiles is deleted. If one absorbed profile is erased, its entries are
redacted and their plans stay, so that what remains is still one person, whose state is what the redacted
log folds to. Profile ids stay as tombstones: they are never issued again. Source: docs/wire/cds.md §5.5,
docs/concepts/trust.md.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.core.fold.apply import apply_recorded
from oneself.core.fold.log_entry import Erased, observation_of, recorded_plan
from oneself.core.fold.redaction import inherit, redact
from oneself.core.fold.replay import erase
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.footprint import Footprint
from oneself.core.resolution.plan import Rejection
from oneself.core.resolution.working_set import WorkingSet
from oneself.errors import Contended
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.idempotency import KEY_LIFE_US
from oneself.service.ingest.ingest import ATTEMPTS_MAX, RETRY_DELAY_MS
from oneself.service.ingest.submission import KEY_REUSED, IdempotencyKeyReused, ObservationRejected
from oneself.service.log.refold import find_part, refold
from oneself.store import working_set
from oneself.store.tables.claim import RecordedClaim
from oneself.store.tables.idempotency_record import IdempotencyRecord
from oneself.store.tables.log import ErasureEntry
from oneself.store.tombstones import Tombstones
from oneself.store.transaction import Tables, Transaction, begin
from oneself.store.view_reader import read_view

if TYPE_CHECKING:
    from oneself.store.database import Database


class Receipt(msgspec.Struct, frozen=True):
    """The proof of an erasure."""

    receipt_id: UUID
    #: µs since 1970.
    erased_at: int
    #: The erased profiles.
    profile_ids: tuple[UUID, ...]
    application: str | None
    #: Log entries that were deleted or redacted.
    entries: int
    #: Identifiers that were forgotten.
    identifiers: int


class ErasureOptions(msgspec.Struct, frozen=True):
    """What makes a request repeatable."""

    #: The key of its idempotency record.
    key: str
    #: Distinguishes a repeat of the request from another request with the same key.
    fingerprint: str


class Expected(msgspec.Struct, frozen=True):
    """The versions that a conditional request expects of the profile, as a view shows it; None: any."""

    view: View
    versions: frozenset[int] | None


class Erasure:
    """Erases people."""

    def __init__(self, database: Database, tombstones: Tombstones) -> None:
        self._database = database
        self._tombstones = tombstones

    async def erase(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        profile_id: UUID,
        *,
        as_person: bool = False,
        expected: Expected | None = None,
        once: ErasureOptions | None = None,
    ) -> Receipt | None:
        """Erase the person whose survivor this is, or the part that an absorbed profile brought.

        `as_person`: the whole person in any case, because a survivor can be absorbed before it is locked.

        None if the profile is unknown, or the request is a repeat. Raises ObservationRejected (`stale`),
        IdempotencyKeyReused, Contended.
        """
        for attempt in range(ATTEMPTS_MAX):
            try:
                async with begin(self._database, dataset_ref.dataset_id) as transaction:
                    return await self._erase(transaction, actor, profile_id, as_person, expected, once)
            except Contended:
                await asyncio.sleep(random.uniform(0, RETRY_DELAY_MS * 2**attempt) / 1000)
        raise Contended("Too many other requests write to the same person.")

    async def find_receipt(self, dataset_ref: DatasetRef, receipt_id: UUID) -> Receipt | None:
        """The receipt of an erasure."""
        entry = await Tables(self._database, dataset_ref.dataset_id).log.find_erasure(receipt_id)
        return None if entry is None else _receipt(entry)

    async def list_receipts(self, dataset_ref: DatasetRef, before_seq: int, limit: int) -> list[Receipt]:
        """The erasures before a seq, the last one first."""
        found = await Tables(self._database, dataset_ref.dataset_id).log.list_erasures(before_seq, limit)
        return [_receipt(entry) for entry in found]

    async def _erase(
        self,
        transaction: Transaction,
        actor: Actor,
        profile_id: UUID,
        as_person: bool,
        expected: Expected | None,
        once: ErasureOptions | None,
    ) -> Receipt | None:
        # The browsers are locked with the person, because who holds them before and after is written anew.
        browsers = await _find_browsers(transaction, profile_id)
        keys = frozenset({once.key}) if once else frozenset[str]()
        footprint = Footprint(browsers, frozenset({profile_id}), keys, members=True)
        await transaction.lock_identifiers(footprint.identifiers, footprint.keys)
        state, records = await working_set.gather(transaction, footprint)
        clock = await transaction.read_clock()
        if once is not None and (record := records.get(once.key)) is not None:
            _check_repeated(once, record)
            return None
        profile, survivor = state.profiles.get(profile_id), state.survivor(profile_id)
        if profile is None or profile.erased or survivor is None:
            return None
        if expected is not None and await _is_stale(transaction, profile_id, survivor, expected):
            raise ObservationRejected(Rejection("stale", "The profile was changed in the meantime."))
        seq = max(clock.now, survivor.seq + 1)
        members = tuple(member.profile_id for member in state.members.get(survivor.profile_id, ()))
        unified_ids = (survivor.profile_id, *members)
        is_part = profile.is_absorbed and not as_person
        erased = (profile_id,) if is_part else unified_ids
        forgotten = await transaction.claims.find_of_profiles(erased)
        identifiers = {claim.identifier for claim in forgotten}
        if not {identifier for identifier in identifiers if identifier.is_device} <= browsers:
            raise Contended("A browser was added while the person was being erased.")
        await self._tombstones.put(transaction, identifiers, seq)
        part = await find_part(transaction, unified_ids)
        if is_part:
            entries = await _erase_part(transaction, unified_ids, profile, seq)
        else:
            entries = await _erase_person(transaction, unified_ids, seq)
        await _restore_device_claims(transaction, forgotten)
        await refold(transaction, part)
        receipt = Receipt(uuid.uuid4(), seq, erased, actor.application, entries, len(identifiers))
        await _record(transaction, actor, clock.config_version, receipt)
        if once is not None:
            # The bare id and a digest of the request: nothing about the person.
            record = IdempotencyRecord(
                once.key, seq, profile_id, once.fingerprint, expires_at=seq + KEY_LIFE_US
            )
            await transaction.idempotency_records.put([record])
        return receipt


def _check_repeated(once: ErasureOptions, record: IdempotencyRecord) -> None:
    """Raise IdempotencyKeyReused if the key belongs to another request."""
    if record.fingerprint != once.fingerprint:
        raise IdempotencyKeyReused(KEY_REUSED)


async def _is_stale(
    transaction: Transaction, profile_id: UUID, survivor: Profile, expected: Expected
) -> bool:
    """Whether the profile has another version than expected."""
    if expected.versions is None:
        return False
    if expected.view != "all":
        config = await transaction.config.find()
        viewed = await read_view(transaction, expected.view, profile_id, config)
        survivor = viewed.survivor if viewed is not None else survivor
    return survivor.updated_at not in expected.versions


async def _find_browsers(transaction: Transaction, profile_id: UUID) -> frozenset[Identifier]:
    """Every browser that any profile of the person ever had."""
    profiles = await transaction.profiles.find_unified(profile_id)
    claims = await transaction.claims.find_of_profiles(profile.profile_id for profile in profiles)
    return frozenset(claim.identifier for claim in claims if claim.identifier.is_device)


async def _restore_device_claims(transaction: Transaction, forgotten: list[RecordedClaim]) -> None:
    """Recompute who holds the browsers without the erased claims: the previous holder keeps a browser until
    the
    next claim that is left, whose log entry is applied as recorded from now on."""
    erased = {(claim.identifier, claim.claim.seq) for claim in forgotten if claim.identifier.is_device}
    if not erased:
        return
    left = await transaction.claims.find_history({identifier for identifier, _ in erased})
    ends: list[RecordedClaim] = []
    frozen: set[tuple[int, UUID]] = set()
    for recorded in left:
        if (recorded.identifier, recorded.until_seq) not in erased:
            continue
        following = _find_next(left, recorded)
        ends.append(RecordedClaim(recorded.claim, following.seq if following else None))
        if following:
            frozen.add((following.seq, following.profile_id))
    await transaction.claims.put_ends(ends)
    await transaction.log.freeze(frozen)


def _find_next(claims: list[RecordedClaim], recorded: RecordedClaim) -> Claim | None:
    """The next claim on the same identifier."""
    later = (
        other.claim
        for other in claims
        if other.identifier == recorded.identifier and other.claim.seq > recorded.claim.seq
    )
    return min(later, key=lambda claim: (claim.seq, claim.profile_id), default=None)


async def _record(transaction: Transaction, actor: Actor, config_version: int, receipt: Receipt) -> None:
    content = Erased(
        actor.interface, receipt.profile_ids, receipt.application, receipt.entries, receipt.identifiers
    )
    entry = ErasureEntry(receipt.erased_at, receipt.receipt_id, content)
    await transaction.log.put_erasure(entry, config_version)


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


async def _erase_person(transaction: Transaction, unified_ids: tuple[UUID, ...], seq: int) -> int:
    """Delete everything; returns how many log entries that were."""
    await transaction.log.freeze_refused(unified_ids)
    deleted = await transaction.log.delete_of_profiles(unified_ids)
    await _delete_state(transaction, unified_ids)
    state = WorkingSet()
    erase(state, unified_ids, seq)
    await working_set.save(transaction, state)
    return deleted


async def _delete_state(transaction: Transaction, profile_ids: Sequence[UUID]) -> None:
    await transaction.claims.delete_of_profiles(profile_ids)
    await transaction.merges.delete_of_profiles(profile_ids)
    await transaction.refusals.delete_of_profiles(profile_ids)
    await transaction.idempotency_records.blank_of_profiles(profile_ids)


async def _erase_part(
    transaction: Transaction, unified_ids: tuple[UUID, ...], part: Profile, seq: int
) -> int:
    """Redact what the profile brought, and fold the redacted entries to what remains of the person; returns
    how
    many log entries were redacted."""
    configs = await transaction.log.find_configurations()
    entries = await transaction.log.find_of_profiles(unified_ids)
    claims = await transaction.claims.find_of_profiles(unified_ids)
    own = frozenset(claim.identifier for claim in claims if claim.claim.profile_id == part.profile_id)
    left = inherit(
        [
            redact(entry, part.profile_id, own, unified_ids[0], configs[entry.config_version])
            for entry in entries
        ],
        configs,
    )
    redacted = [entry for entry, before in zip(left, entries, strict=True) if entry is not before]
    await transaction.log.redact(redacted)
    await transaction.log.freeze_refused(unified_ids)
    state = WorkingSet()
    for entry in left:
        observation = observation_of(entry)
        config = configs[entry.config_version]
        apply_recorded(state, observation, recorded_plan(entry), config, entry.seq)
    await _replace(transaction, unified_ids, part.profile_id, state, claims, seq)
    return len(redacted)


async def _replace(
    transaction: Transaction,
    unified_ids: tuple[UUID, ...],
    part: UUID,
    state: WorkingSet,
    claims: list[RecordedClaim],
    seq: int,
) -> None:
    """Replace the state of a person by the folded one."""
    await _delete_state(transaction, unified_ids)
    before = tuple(profile_id for profile_id in state.profiles if profile_id not in unified_ids)
    erase(state, (part, *before), seq)
    # Those erased before are tombstones already.
    state.changes.profiles.difference_update(before)
    _end_as_before(state, claims)
    await working_set.save(transaction, state)


def _end_as_before(state: WorkingSet, claims: list[RecordedClaim]) -> None:
    """End a browser's claim when it ended before: the entries of the person that it moved to are not among
    the
    folded ones."""
    ended = {_claim_key(claim.claim): claim.until_seq for claim in claims if claim.until_seq is not None}
    for live in list(state.claims.values()):
        for claim in live:
            if _claim_key(claim) in ended:
                state.release(claim, 0)
    state.changes.released = [
        (claim, ended.get(_claim_key(claim), until)) for claim, until in state.changes.released
    ]


def _claim_key(claim: Claim) -> tuple[Identifier, UUID, int]:
    return claim.identifier, claim.profile_id, claim.seq
