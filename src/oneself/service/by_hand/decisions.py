"""Split a profile, or merge two, because a person says so.

A decision is an entry of the log: which fragments stay apart, or are one, whatever else says otherwise. The
views follow in the same transaction, `all` among them.

Invariants: what is asked for is decided with everything locked that it concerns. A dry run is the same
transaction, rolled back.

Source: docs/concepts/trust.md, "Joins"; docs/decisions/0042-splits-and-merges-by-hand.md.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.log_entry import EndedMerge, ManualMerge, ManualSplit
from oneself.core.identity_graph.joins import MANUAL
from oneself.errors import Conflict, Contended, InvalidInput
from oneself.service.by_hand.asked import Decided, DecidedProfile, SplitAsked, Why, checked_reason
from oneself.service.by_hand.giving_up import EndedTies, check_users, end_account, end_ties
from oneself.service.by_hand.members import Members, ProfileMoved, find_members
from oneself.service.by_hand.outcome import read_outcome
from oneself.service.by_hand.sides import choose_sides
from oneself.service.context import Actor, DatasetRef
from oneself.service.directory.accounts import Accounts
from oneself.service.log.affected import TooLarge
from oneself.service.log.reconciler import Reconciler
from oneself.service.lost_races import repeat
from oneself.service.profiles.lookup import Lookup
from oneself.service.profiles.profiles import ProfileView
from oneself.store import identity_graph
from oneself.store.change_recorder import ChangeRecorder
from oneself.store.database import Database
from oneself.store.transaction import Transaction
from oneself.store.wide_lock import NAMES_LOCKED_SINGLY_MAX, WideLock

#: A decision folds the log of the profiles again; those of more fragments are left to the background.
FRAGMENTS_MAX = 100_000
#: The same of observations. Their fold has to end before the database ends the transaction, which is idle
#: meanwhile.
ENTRIES_MAX = 250_000
#: How often profiles are looked up that other decisions move meanwhile.
LOOKUPS_MAX = 5
#: How long a decision waits, with pauses, for profiles that are being reconciled or decided about: as long as
#: a decision about the largest ones takes, and longer.
WAIT_MAX_S = 180.0
PAUSE_MAX_S = 0.2


class _DryRun(Exception):
    """Carries what a decision would come to out of a transaction that is rolled back."""

    def __init__(self, decided: Decided) -> None:
        super().__init__("dry run")
        self.decided = decided


class _BeingReconciled(Exception):
    """A background job reconciles profiles of the dataset, or somebody else decides about them."""


class Decisions:
    """Splits and merges profiles by hand."""

    def __init__(
        self,
        database: Database,
        lookup: Lookup,
        accounts: Accounts,
        *,
        fragments_max: int = FRAGMENTS_MAX,
        entries_max: int = ENTRIES_MAX,
        names_singly_max: int = NAMES_LOCKED_SINGLY_MAX,
        wait_max_s: float = WAIT_MAX_S,
    ) -> None:
        self._database = database
        self._names_singly_max = names_singly_max
        self._wait_max_s = wait_max_s
        self._accounts = accounts
        self._lookup = lookup
        self._reconciler = Reconciler(database, fragments_max=fragments_max, entries_max=entries_max)

    async def split(
        self, dataset_ref: DatasetRef, actor: Actor, text: str, asked: SplitAsked, why: Why
    ) -> Decided | None:
        """Take parts out of the profile that an id means in a view; None if no profile has the id.

        Raises InvalidInput if the part is none of it or all of it, Conflict `stale` if it is not as expected,
        AmbiguousId, Contended.
        """
        reason = checked_reason(why.reason)

        async def attempt() -> Decided | None:
            found = await self._lookup.find_certain(dataset_ref, text, why.view)
            if found is None:
                return None

            async def decide(transaction: Transaction, wide_lock: WideLock) -> Decided:
                survivor_ids = [found.survivor.profile_id]
                (members,) = await find_members(
                    transaction, self._reconciler, wide_lock, survivor_ids, why.view
                )
                sides = await choose_sides(transaction, members, found, asked)
                split = ManualSplit(
                    interface=actor.interface,
                    application=actor.application,
                    console_user=actor.console_user,
                    reason=reason,
                    view=why.view,
                    fragment_ids=tuple(item for side in sides for item in sorted(side)),
                    sides=tuple(number for number, side in enumerate(sides) for _ in side),
                )
                return await self._carry_out(transaction, split, (members,), why, before=found)

            return await self._in_transaction(dataset_ref, decide)

        return await _until_found(attempt)

    async def merge(
        self,
        dataset_ref: DatasetRef,
        actor: Actor,
        text: str,
        other_text: str,
        why: Why,
        *,
        gives_up: str | None = None,
    ) -> Decided | None:
        """Merge the profiles that two ids mean in a view; None if no profile has one of them.

        `gives_up`: of two users, the one whose account ends. Raises Conflict if each profile has a user
        otherwise, InvalidInput for the view `own`, if they are one already and if no account has to be given
        up, Conflict `stale` if they are not as expected, AmbiguousId, Contended.
        """
        if why.view == "own":
            raise InvalidInput("view", "A merge by hand shows in the views proven and all: name one of them.")
        why = msgspec.structs.replace(why, reason=checked_reason(why.reason))

        async def attempt() -> Decided | None:
            ids: list[UUID] = []
            for named in (text, other_text):
                found = await self._lookup.find_certain(dataset_ref, named, why.view)
                if found is None:
                    return None
                ids.append(found.survivor.profile_id)

            async def decide(transaction: Transaction, wide_lock: WideLock) -> Decided:
                return await self._merge(transaction, wide_lock, dataset_ref, actor, ids, why, gives_up)

            return await self._in_transaction(dataset_ref, decide)

        return await _until_found(attempt)

    async def _merge(
        self,
        transaction: Transaction,
        wide_lock: WideLock,
        dataset_ref: DatasetRef,
        actor: Actor,
        survivor_ids: Sequence[UUID],
        why: Why,
        gives_up: str | None,
    ) -> Decided:
        one, other = await find_members(transaction, self._reconciler, wide_lock, survivor_ids, why.view)
        if one.fragment_ids & other.fragment_ids:
            raise InvalidInput("with", "Both ids mean the same profile already.")
        check_users(one, other, gives_up)
        ended = None
        if gives_up is not None:
            ended = await end_ties(transaction, dataset_ref, actor, (one, other), gives_up)
        merge = ManualMerge(
            interface=actor.interface,
            application=actor.application,
            console_user=actor.console_user,
            reason=why.reason,
            view=why.view,
            fragment_ids=(*one.rows, *other.rows),
            sides=(*(0 for _ in one.rows), *(1 for _ in other.rows)),
            pair=(one.first, other.first),
            gave_up=gives_up,
            disowned=() if ended is None else ended.fragment_ids,
        )
        decided = await self._carry_out(transaction, merge, (one, other), why, ended=ended)
        if gives_up is not None:
            await end_account(transaction, self._accounts, dataset_ref, gives_up)
        return decided

    async def _in_transaction(
        self, dataset_ref: DatasetRef, decide: Callable[[Transaction, WideLock], Awaitable[Decided]]
    ) -> Decided:
        dataset_id = dataset_ref.dataset_id

        async def attempts() -> Decided:
            async with WideLock(self._database, dataset_id, singly_max=self._names_singly_max) as wide_lock:

                async def alone(transaction: Transaction) -> Decided:
                    if not await transaction.unreconciled_fragments.try_lock():
                        raise _BeingReconciled
                    return await decide(transaction, wide_lock)

                return await repeat(self._database, dataset_id, alone)

        try:
            return await self._when_reconciled(attempts)
        except _DryRun as dry:
            return dry.decided
        except TooLarge as error:
            raise Conflict(
                f"{error.message} It is too large to be decided at once.", code="too_large"
            ) from error

    async def _when_reconciled(self, decide: Callable[[], Awaitable[Decided]]) -> Decided:
        """Decide between two profiles that a background job reconciles. Raises Contended.

        Nobody waits with a connection in hand: other organisations need them.
        """
        deadline = time.monotonic() + self._wait_max_s
        while True:
            try:
                return await decide()
            except _BeingReconciled:
                if time.monotonic() > deadline:
                    raise Contended("The view `all` is being reconciled.") from None
                await asyncio.sleep(random.uniform(0, PAUSE_MAX_S))

    async def _carry_out(
        self,
        transaction: Transaction,
        decision: ManualSplit | ManualMerge,
        decided_about: Sequence[Members],
        why: Why,
        *,
        ended: EndedTies | None = None,
        before: ProfileView | None = None,
    ) -> Decided:
        """`before`: the profile that is split."""
        config = await transaction.config.find()
        seq, decision_id = await _record(transaction, decision, decided_about, config, ended)
        locked = [members.reach for members in decided_about]
        await self._reconciler.follow(transaction, set(decision.fragment_ids), seq, locked)
        await transaction.flush()
        profiles = await read_outcome(transaction, decision, config)
        if isinstance(decision, ManualMerge):
            _check_merged(decision, profiles)
        elif before is not None and (parted := _ended_merges(before, profiles)):
            await transaction.log.note_ended(seq, decision_id, parted)
        decided = Decided(decision_id, profiles, ended.given_up if ended else None)
        if why.dry_run:
            raise _DryRun(msgspec.structs.replace(decided, decision_id=None))
        if why.expected not in (None, decided.version):
            raise Conflict("The profiles were changed in the meantime.", code="stale")
        return decided


async def _until_found(attempt: Callable[[], Awaitable[Decided | None]]) -> Decided | None:
    """Look profiles up and decide, again if other decisions move them meanwhile. Raises Contended."""
    for _ in range(LOOKUPS_MAX):
        try:
            return await attempt()
        except ProfileMoved:
            continue
    raise Contended("Other decisions keep moving the same profiles.")


async def _record(
    transaction: Transaction,
    decision: ManualSplit | ManualMerge,
    decided_about: Sequence[Members],
    config: Config,
    ended: EndedTies | None,
) -> tuple[int, UUID]:
    """Write a decision, and the views `own` and `proven` as they are after it; returns its entry."""
    # Who gave up an account has changed since the fragments were read.
    read = [row for members in decided_about for row in members.rows.values()] if ended is None else []
    graph = await identity_graph.gather_decided(transaction, decision.fragment_ids, config, read)
    clock = await transaction.read_clock()
    latest, decision_id = max(graph.latest_seq, ended.seq if ended else 0), uuid.uuid4()
    seq = max(clock.now, config.seq + 1, latest + 1)
    if isinstance(decision, ManualSplit):
        graph.split(decision, decision_id, seq)
    else:
        graph.merge(decision, seq)
    await identity_graph.save(transaction, graph, ChangeRecorder({}, decision_id, parted_by=MANUAL))
    await transaction.log.put_decision(seq, decision_id, decision, config.version)
    return seq, decision_id


def _ended_merges(before: ProfileView, profiles: Sequence[DecidedProfile]) -> list[EndedMerge]:
    """The merges of a profile that none of the profiles after its split has."""
    left = {item.profile_id for profile in profiles for item in profile.view.absorbed}
    survivor_id = before.survivor.profile_id
    return [
        EndedMerge(item.profile_id, survivor_id, item.seq, item.reason)
        for item in before.absorbed
        if item.profile_id not in left
    ]


def _check_merged(merge: ManualMerge, profiles: Sequence[DecidedProfile]) -> None:
    """Raises Conflict if the two are not one profile after all: an older merge ties one to another user."""
    if not any(set(merge.pair) <= set(profile.fragment_ids) for profile in profiles):
        raise Conflict(
            "An earlier merge by hand ties one of the two to another user. Split that one first.",
            code="different_user",
        )
