"""Erasure: what a person asked to be forgotten leaves the log, the state and the idempotency records.

Invariants: one transaction, in which everybody is locked whom it touches. Every log entry that it takes is
deleted, and whoever was one with the erased is folded again from what is left, so that the state is what the
log folds to. Profile ids stay as tombstones: they are never issued again. Source: docs/wire/cds.md §5.5,
docs/concepts/trust.md.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import EntryKey, Erased
from oneself.core.identity.identifier import USER_ID, Identifier
from oneself.core.identity_graph.joins import View
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.footprint import Footprint
from oneself.core.resolution.plan import Rejection
from oneself.errors import Contended
from oneself.service.context import Actor, DatasetRef
from oneself.service.ingest.idempotency import KEY_LIFE_US
from oneself.service.ingest.submission import KEY_REUSED, IdempotencyKeyReused, ObservationRejected
from oneself.service.log.believed_profiles import find_unified_ids
from oneself.service.log.graph_part import GraphPart, find_part
from oneself.service.log.refold import forget_verified, refold
from oneself.service.log.refold_believed import Erasing, refold_believed
from oneself.service.lost_races import repeat
from oneself.service.privacy.account_words import name_user
from oneself.service.privacy.selection import ErasureSelection, ErasureTarget, is_absorbed, select
from oneself.service.privacy.verified_elsewhere import queue_erased
from oneself.store import working_set
from oneself.store.change_recorder import ERASURE, ChangeRecorder
from oneself.store.directory import OrganisationTables
from oneself.store.loaded_graph import users_of
from oneself.store.tables.idempotency_record import IdempotencyRecord
from oneself.store.tables.log import ErasureEntry
from oneself.store.tombstones import Tombstones
from oneself.store.transaction import Tables, Transaction, snapshot
from oneself.store.view_reader import read_view

if TYPE_CHECKING:
    from oneself.store.database import Database


STALE = Rejection("stale", "The profile was changed in the meantime.")


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


class ErasurePreview(msgspec.Struct, frozen=True):
    """What an erasure would take."""

    profile_ids: tuple[UUID, ...]
    #: The users whose parts it would take; profiles without a user may be among them.
    users: tuple[str, ...]
    entries: int
    identifiers: int
    #: Of the dataset that is asked: `ErasureSelection.version`.
    version: str


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
    #: What a preview said that the erasure takes: its version; None: anything.
    selection: str | None = None


class Erasure:
    """Erases people."""

    def __init__(self, database: Database, tombstones: Tombstones) -> None:
        self._database = database
        self._tombstones = tombstones

    async def erase(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        target: ErasureTarget,
        *,
        expected: Expected | None = None,
        once: ErasureOptions | None = None,
    ) -> Receipt | None:
        """Erase what a target names, in its view.

        None if the target is unknown, or the request is a repeat. Raises ObservationRejected (`stale`),
        IdempotencyKeyReused, Contended.
        """
        return await self._attempt(dataset_ref.dataset_id, actor, target, expected, once)

    async def _attempt(
        self,
        dataset_id: int,
        actor: Actor,
        target: ErasureTarget,
        expected: Expected | None = None,
        once: ErasureOptions | None = None,
    ) -> Receipt | None:
        return await repeat(
            self._database,
            dataset_id,
            lambda transaction: self._erase(transaction, actor, target, expected, once),
            beside_writers=target.home_id is None,
        )

    async def preview(self, dataset_ref: DatasetRef, target: ErasureTarget) -> ErasurePreview | None:
        """What an erasure of a target would take; it changes nothing. None: the target is unknown.

        Of a whole person, that is what they own in every dataset of the organisation.
        """
        dataset_id = dataset_ref.dataset_id
        found = [await self._preview(dataset_id, target)]
        if target.user_id is not None and not await self._is_part(dataset_id, target):
            found += [
                await self._preview(other, _elsewhere(target.user_id, dataset_ref))
                for other in await self._list_datasets(dataset_ref)
                if other != dataset_id
            ]
        return _together([preview for preview in found if preview is not None])

    async def _preview(self, dataset_id: int, target: ErasureTarget) -> ErasurePreview | None:
        async with snapshot(self._database, dataset_id) as tables:
            selection = await select(tables, target)
        if selection is None:
            return None
        users = {user for row in selection.fragments for user in users_of(row.fragment)}
        if target.user_id is not None and selection.begun:
            users.add(target.user_id)
        identifiers = {*selection.identifiers, *selection.devices}
        return ErasurePreview(
            selection.profile_ids,
            tuple(sorted(users)),
            len(selection.entries),
            len(identifiers),
            selection.version,
        )

    async def erase_user(
        self, dataset_ref: DatasetRef, actor: Actor, user_id: str, *, besides_home: bool = False
    ) -> tuple[Receipt, ...]:
        """Erase what a user owns in every dataset of the organisation. Raises Contended.

        `dataset_ref`: the dataset in which users verify addresses. It comes last, because the others are
        searched for what servers said of these addresses. `besides_home`: it is left out.
        """
        home_id = dataset_ref.dataset_id
        others = [item for item in await self._list_datasets(dataset_ref) if item != home_id]
        found = [await self._attempt(item, actor, _elsewhere(user_id, dataset_ref)) for item in others]
        if not besides_home:
            found.append(await self._attempt(home_id, actor, ErasureTarget(user_id=user_id)))
        return tuple(receipt for receipt in found if receipt is not None)

    async def erase_elsewhere(
        self, dataset_ref: DatasetRef, actor: Actor, target: ErasureTarget, expected: Expected
    ) -> None:
        """Erase what a user owns in the other datasets, if the target is their whole profile.

        Raises ObservationRejected (`stale`), Contended.
        """
        assert target.user_id is not None
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            if await _is_stale(tables, target, expected):
                raise ObservationRejected(STALE)
        if not await self._is_part(dataset_ref.dataset_id, target):
            await self.erase_user(dataset_ref, actor, target.user_id, besides_home=True)

    async def _is_part(self, dataset_id: int, target: ErasureTarget) -> bool:
        """Whether the target is a part of what a user owns, not the whole."""
        return await is_absorbed(Tables(self._database, dataset_id), target)

    async def _list_datasets(self, dataset_ref: DatasetRef) -> list[int]:
        return await OrganisationTables(self._database, dataset_ref.org_id).datasets.list_ids()

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
        target: ErasureTarget,
        expected: Expected | None,
        once: ErasureOptions | None,
    ) -> Receipt | None:
        before = await _find_reach(transaction, target)
        keys = frozenset({once.key}) if once else frozenset[str]()
        footprint = Footprint(before.browsers, before.profile_ids, keys, members=True)
        await transaction.lock_identifiers(footprint.identifiers, footprint.keys)
        state, records = await working_set.gather(transaction, footprint)
        clock = await transaction.read_clock()
        if once is not None and (record := records.get(once.key)) is not None:
            _check_repeated(once, record)
            return None
        reach = await _find_reach(transaction, target)
        if reach.locked != before.locked or not reach.profile_ids <= state.known_ids:
            raise Contended("A person was changed while they were being erased.")
        elsewhere = _verified_elsewhere(target)
        for user_id in elsewhere:
            await transaction.verification_queue.drop_user(user_id)
        if reach.selection is None:
            for user_id in elsewhere:
                await forget_verified(transaction, user_id)
            return None
        if expected is not None and await _is_stale(transaction, target, expected):
            raise ObservationRejected(STALE)
        if expected is not None and expected.selection not in (None, reach.selection.version):
            raise ObservationRejected(STALE)
        latest = max((profile.seq for profile in state.profiles.values()), default=0)
        seq = max(clock.now, latest + 1)
        config = await transaction.config.find()
        receipt = await self._take(transaction, actor, reach, seq, config)
        if once is not None:
            # The bare id and a digest of the request: nothing about the person.
            record = IdempotencyRecord(
                once.key, seq, reach.selection.profile_ids[0], once.fingerprint, expires_at=seq + KEY_LIFE_US
            )
            await transaction.idempotency_records.put([record])
        return receipt

    async def _take(
        self, transaction: Transaction, actor: Actor, reach: _Reach, seq: int, config: Config
    ) -> Receipt:
        """Erase what was found, with everything locked."""
        selection = reach.selection
        assert selection is not None
        leaving = await _find_leaving(transaction, selection, reach.part)
        erasing = Erasing(
            profile_ids=reach.profile_ids,
            erased_ids=selection.profile_ids,
            entries=selection.entries,
            identifiers=leaving.browsers | leaving.users,
            detached=leaving.detached,
            rows=reach.part.rows,
            seq=seq,
            config=config,
        )
        bridges = reach.part.bridges_over(leaving.fragments, config)
        names = {*selection.devices, *leaving.users, *selection.verified, *reach.claimed_browsers}
        await self._tombstones.put(transaction, names, selection.exact, seq)
        await transaction.issuer_claims.delete(user.value for user in leaving.users)
        await transaction.log.forget_detached(leaving.browsers)
        await transaction.log.delete(reach.verifications)
        if selection.left_to is not None:
            await name_user(transaction, selection.left_to, selection.fragments, selection.entries)
        receipt_id = uuid.uuid4()
        recorder = ChangeRecorder({}, receipt_id, parted_by=ERASURE)
        gone = await refold_believed(transaction, erasing, recorder)
        receipt = Receipt(
            receipt_id=receipt_id,
            erased_at=seq,
            profile_ids=tuple(
                dict.fromkeys(item for item in (*selection.profile_ids, *gone) if item in gone)
            ),
            application=actor.application,
            entries=len(selection.entries),
            identifiers=len(names | selection.identifiers),
        )
        erased = Erased(
            interface=actor.interface,
            profile_ids=receipt.profile_ids,
            application=receipt.application,
            console_user=actor.console_user,
            entries=receipt.entries,
            identifiers=receipt.identifiers,
            detached=tuple(sorted(leaving.detached)),
            bridges=bridges,
        )
        entry = ErasureEntry(receipt.erased_at, receipt.receipt_id, erased)
        await transaction.log.forget_reasons(selection.fragment_ids)
        await transaction.log.put_erasure(entry, config.version)
        await refold(transaction, reach.part, recorder)
        await recorder.put(transaction)
        await queue_erased(transaction, reach.part, selection.fragments, reach.forgotten)
        return receipt


class _Reach(msgspec.Struct, frozen=True):
    """Whom an erasure touches."""

    selection: ErasureSelection | None
    #: The profiles that its entries are attached to in the view `all`, with all that are one with them.
    profile_ids: frozenset[UUID]
    #: Every browser that these ever had.
    browsers: frozenset[Identifier]
    #: Everything that browsers, users and proven identifiers tie to their fragments.
    part: GraphPart
    #: The browsers that the erased entries claimed for them.
    claimed_browsers: frozenset[Identifier]
    #: The entries of what the user verified in another dataset.
    verifications: frozenset[EntryKey] = frozenset()
    #: Users of whom the dataset forgets what they verified in another one.
    forgotten: frozenset[str] = frozenset()

    @property
    def locked(self) -> tuple[object, ...]:
        """Whom and what an erasure locks before it reads once more what it takes."""
        fragment_ids = None if self.selection is None else self.selection.fragment_ids
        return self.profile_ids, self.browsers, frozenset(self.part.rows), self.part.fresh, fragment_ids


class _Leaving(msgspec.Struct, frozen=True):
    """The fragments, browsers and users that an erasure takes."""

    #: Fragments of which nothing is left.
    fragments: frozenset[UUID]
    #: Browsers that nobody else ever used.
    browsers: frozenset[Identifier]
    #: Browsers that other people used before; they begin anew.
    detached: frozenset[Identifier]
    #: Users of whom nothing is left.
    users: frozenset[Identifier]


async def _find_reach(transaction: Transaction, target: ErasureTarget) -> _Reach:
    selection = await select(transaction, target)
    if selection is None:
        return _Reach(None, frozenset(), frozenset(), GraphPart({}), frozenset())
    ids = await find_unified_ids(transaction, await transaction.log.find_profiles(selection.entries))
    claims = await transaction.claims.find_of_profiles(ids)
    devices = [claim for claim in claims if claim.identifier.is_device]
    seqs = {seq for seq, _ in selection.entries}
    seeds = await transaction.fragments.find_of_log(ids) | selection.fragment_ids
    users = _verified_elsewhere(target)
    part = await find_part(transaction, seeds, users)
    return _Reach(
        selection,
        ids,
        frozenset(claim.identifier for claim in devices),
        part,
        frozenset(claim.identifier for claim in devices if claim.claim.seq in seqs),
        frozenset(key for user in users for key in part.verifications_of(user)),
        users,
    )


def _verified_elsewhere(target: ErasureTarget) -> frozenset[str]:
    """The user of whom a dataset has to forget what they verified in another one."""
    return frozenset() if target.home_id is None or target.user_id is None else frozenset({target.user_id})


async def _find_leaving(transaction: Transaction, selection: ErasureSelection, part: GraphPart) -> _Leaving:
    entries = await transaction.fragments.find_entries(part.rows)
    left = {fragment_id for key, fragment_id in entries.items() if key not in selection.entries}
    browsers = await transaction.browsers.find(selection.devices)
    gone = {device for device, browser in browsers.items() if left.isdisjoint(browser.every)}
    gone |= await transaction.browsers.find_replacing(gone)
    detached = {
        device
        for device, browser in browsers.items()
        if device not in gone and browser.present and left.isdisjoint(browser.present)
    }
    users = {user for row in selection.fragments for user in users_of(row.fragment)}
    users -= {user for fragment_id in left for user in users_of(part.rows[fragment_id].fragment)}
    return _Leaving(
        selection.fragment_ids - left,
        frozenset(gone),
        frozenset(detached),
        frozenset(Identifier(USER_ID, user) for user in users),
    )


def _elsewhere(user_id: str, home: DatasetRef) -> ErasureTarget:
    """What a user owns in another dataset than that in which users verify addresses."""
    return ErasureTarget(user_id=user_id, home_id=home.dataset_id)


def _together(found: list[ErasurePreview]) -> ErasurePreview | None:
    """What several erasures would take; None if they would take nothing."""
    if not found:
        return None
    return ErasurePreview(
        tuple(profile_id for item in found for profile_id in item.profile_ids),
        tuple(sorted({user for item in found for user in item.users})),
        sum(item.entries for item in found),
        sum(item.identifiers for item in found),
        found[0].version,
    )


def _check_repeated(once: ErasureOptions, record: IdempotencyRecord) -> None:
    """Raise IdempotencyKeyReused if the key belongs to another request."""
    if record.fingerprint != once.fingerprint:
        raise IdempotencyKeyReused(KEY_REUSED)


async def _is_stale(tables: Tables, target: ErasureTarget, expected: Expected) -> bool:
    """Whether the profile has another version than expected."""
    if expected.versions is None or target.profile_id is None:
        return False
    if expected.view == "all":
        survivor: Profile | None = next(iter(await tables.profiles.find_unified(target.profile_id)), None)
    else:
        config = await tables.config.find()
        viewed = await read_view(tables, expected.view, target.profile_id, config)
        survivor = None if viewed is None else viewed.survivor
    return survivor is not None and survivor.updated_at not in expected.versions


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
