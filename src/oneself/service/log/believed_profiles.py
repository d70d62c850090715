"""Some people of the view `all` with what the log has of them, and what surrounds them.

Invariants: read in the transaction that folds them again, in which they are locked.

Source: docs/concepts/trust.md, docs/concepts/log-and-fold.md.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.fold.apply import apply_recorded
from oneself.core.fold.log_entry import Erased, LogEntry, config_of, observation_of
from oneself.core.fold.reconcile import BelievedLog
from oneself.core.fold.replay import tombstone
from oneself.core.fold.resolve_again import Detached, FoldScope
from oneself.core.identity.identifier import Identifier
from oneself.core.identity_graph.fragment import Fragment
from oneself.core.identity_graph.graph import Separation
from oneself.core.identity_graph.joins import user_since
from oneself.core.identity_graph.names import known_since
from oneself.core.profiles.claim import Claim
from oneself.core.resolution.evidence import extract_evidence
from oneself.core.resolution.observation import Reindex
from oneself.core.resolution.plan import Plan
from oneself.core.resolution.working_set import WorkingSet
from oneself.store.tables.claim import RecordedClaim
from oneself.store.tables.fragment import FragmentRow
from oneself.store.tables.log import NewEntry
from oneself.store.transaction import Transaction


def origins(before: Iterable[LogEntry], after: Iterable[LogEntry]) -> dict[UUID, UUID]:
    """Profile that entries are attached to now → the one that the first of them was attached to before."""
    former = {(entry.seq, entry.observation_id): entry.profile_id for entry in before}
    found: dict[UUID, UUID] = {}
    for entry in after:
        origin = former.get((entry.seq, entry.observation_id))
        if entry.profile_id is not None and origin is not None:
            found.setdefault(entry.profile_id, origin)
    return found


class BelievedProfiles(msgspec.Struct, frozen=True, kw_only=True):
    """People of the view `all` that are folded again."""

    #: Their profiles, the absorbed ones included.
    profile_ids: frozenset[UUID]
    #: Their fragments, as they were before.
    rows: Mapping[UUID, FragmentRow]
    log: BelievedLog
    #: What people keep apart of them.
    separations: Mapping[UUID, Separation]
    #: Earlier erasures that let their browsers begin anew.
    detached: tuple[Detached, ...]
    #: The claims that they ever had.
    claims: list[RecordedClaim]
    #: Identifier → the claims that other people ever had on it, the oldest first.
    others: Mapping[Identifier, list[RecordedClaim]]

    def scope(
        self, identifiers: frozenset[Identifier] = frozenset(), *, keeps_profiles: bool = False
    ) -> FoldScope:
        """What surrounds them. `identifiers`: nobody is left to hold them."""
        given_up = _given_up(self.claims, self.others)
        of_browser: dict[Identifier, list[Fragment]] = {}
        for row in self.rows.values():
            if row.fragment.browser is not None:
                of_browser.setdefault(row.fragment.browser, []).append(row.fragment)
        sides = self._sides
        return FoldScope(
            identifiers,
            self.log.fragments,
            self._speaker,
            partial(self._is_known, of_browser),
            self.profile_ids,
            self._is_claimed_elsewhere,
            lambda identifier, seq: seq < given_up.get(identifier, 0),
            sides=sides,
            disowned=frozenset(key for key, row in self.rows.items() if row.fragment.user_id is None),
            is_parted=partial(self._is_parted, of_browser),
            detached=self.detached,
            keeps_profiles=keeps_profiles,
        )

    def end_as_others_took(self, state: WorkingSet) -> None:
        """End what other people took from these: their entries are not among the folded ones."""
        ends = {(claim.identifier, claim.until_seq) for claim in self.claims}
        for identifier, claimed in self.others.items():
            starts = [item.claim.seq for item in claimed if (identifier, item.claim.seq) in ends]
            for seq in starts:
                state.end_before(identifier, seq)

    @property
    def _sides(self) -> dict[UUID, dict[UUID, int]]:
        """Fragment → separation → the side that a person put it on."""
        found: dict[UUID, dict[UUID, int]] = {}
        for separation_id, separation in self.separations.items():
            for fragment_id, side in separation.sides.items():
                found.setdefault(fragment_id, {})[separation_id] = side
        return found

    def _is_parted(
        self,
        of_browser: Mapping[Identifier, list[Fragment]],
        fragment_id: UUID,
        device: Identifier,
        seq: int,
    ) -> bool:
        """Whether a split after a seq parted a fragment from all that a browser had said before it."""
        for separation in self.separations.values():
            side = separation.sides.get(fragment_id)
            if side is not None and separation.since > seq:
                spoken = separation.sides_of(item.fragment_id for item in of_browser.get(device, ()))
                if spoken and side not in spoken:
                    return True
        return False

    def _speaker(self, fragment_id: UUID, seq: int) -> str | None:
        """The user who had signed in on the browser of a fragment before a seq, or was reported for it."""
        row = self.rows.get(fragment_id)
        if row is None or row.fragment.browser is None:
            return None
        since = user_since(row.fragment, "proven")
        return None if since is None or since >= seq else row.fragment.user_id

    def _is_known(
        self,
        of_browser: Mapping[Identifier, list[Fragment]],
        devices: Collection[Identifier],
        profile_id: UUID | None,
        seq: int,
    ) -> bool:
        """Whether a server or a sign-in had said who a browser or profile is, or nothing is known of it."""
        found = [item for device in devices for item in of_browser.get(device, ())]
        if profile_id is not None and profile_id in self.rows:
            found.append(self.rows[profile_id].fragment)
        named = [item for item in found if item.began_at < seq]
        known = (known_since(item, "proven") for item in named)
        return not named or any(since is not None and since < seq for since in known)

    def _is_claimed_elsewhere(self, identifier: Identifier, seq: int) -> bool:
        return any(
            item.claim.seq < seq and (item.until_seq is None or item.until_seq > seq)
            for item in self.others.get(identifier, ())
        )


async def find_unified_ids(transaction: Transaction, profile_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Profiles of the view `all`, their survivors, and every profile that these absorbed."""
    survivors = {*(await transaction.profiles.find_survivors(frozenset(profile_ids))).values()}
    members = await transaction.profiles.find_members(survivors)
    return frozenset(survivors | {item.profile_id for absorbed in members.values() for item in absorbed})


async def load_log(
    transaction: Transaction, profile_ids: frozenset[UUID], fragment_ids: Iterable[UUID]
) -> BelievedLog:
    """What the log has of profiles, with the fragments of the entries."""
    return BelievedLog(
        await transaction.log.find_of_profiles(sorted(profile_ids)),
        await transaction.fragments.find_entries(fragment_ids),
        await transaction.log.find_configurations(),
    )


async def load_profiles(
    transaction: Transaction,
    profile_ids: frozenset[UUID],
    rows: Mapping[UUID, FragmentRow],
    log: BelievedLog,
) -> BelievedProfiles:
    """Profiles with what surrounds them. `log`: what the log has of them."""
    claims = await transaction.claims.find_of_profiles(profile_ids)
    devices = {claim.identifier for claim in claims if claim.identifier.is_device}
    return BelievedProfiles(
        profile_ids=profile_ids,
        rows=rows,
        log=log,
        separations=await transaction.separations.find(rows),
        detached=await _find_detached(transaction, devices),
        claims=claims,
        others=await _claims_of_others(transaction, profile_ids, log.entries, log.configs, claims),
    )


def apply_plan(state: WorkingSet, plan: Plan, config: Config, seq: int, interface: str) -> NewEntry:
    """Carry out a plan that no observation asked for; returns the entry with which the log repeats it."""
    observation = Reindex(
        observation_id=uuid.uuid4(),
        new_profile_id=uuid.uuid4(),
        interface=interface,
        profile_id=plan.survivor_id,
    )
    recorded = msgspec.structs.replace(plan, replays_as_recorded=True)
    apply_recorded(state, observation, recorded, config, seq)
    return NewEntry(seq, observation, recorded, config.version)


async def _find_detached(transaction: Transaction, devices: set[Identifier]) -> tuple[Detached, ...]:
    """The earlier erasures that let some browsers begin anew, in order."""
    found = await transaction.log.find_erasures_of((), devices) if devices else []
    erasures = ((entry.seq, msgspec.convert(entry.content, Erased)) for entry in found)
    return tuple(
        (seq, tuple(item for item in erased.detached if item in devices)) for seq, erased in erasures
    )


async def delete_state(transaction: Transaction, believed: BelievedProfiles, seq: int) -> None:
    """Delete what these people have. Nobody holds their user ids until the folded state is written."""
    ordered = sorted(believed.profile_ids)
    await transaction.profiles.put([tombstone(profile_id, seq) for profile_id in ordered])
    await transaction.claims.delete_of_profiles(ordered)
    await transaction.merges.delete_of_profiles(ordered)
    await transaction.refusals.delete_of_profiles(ordered)


async def find_neighbours_of_changed(
    transaction: Transaction, believed: BelievedProfiles, state: WorkingSet
) -> set[UUID]:
    """The fragments of other people that ever named an identifier which these people hold otherwise now.

    What their entries did depends on who held it then, so that a fold has to apply them as they are recorded.
    """
    ends = {(claim.identifier, claim.seq): seq for claim, seq in state.changes.released}
    after = {
        (item.identifier, item.seq): ends.get((item.identifier, item.seq)) for item in state.changes.claimed
    }
    before = {(item.identifier, item.claim.seq): item.until_seq for item in believed.claims}
    changed = {identifier for (identifier, _), _ in after.items() ^ before.items()}
    browsers = await transaction.browsers.find({item for item in changed if item.is_device})
    found = await transaction.fragments.find_claimants({item for item in changed if not item.is_device})
    return found.union(*(browser.every for browser in browsers.values())) - believed.rows.keys()


async def return_devices(
    transaction: Transaction,
    believed: BelievedProfiles,
    state: WorkingSet,
    detached: frozenset[Identifier],
    seq: int,
) -> None:
    """Recompute who holds browsers without the claims that are gone.

    The previous holder keeps a browser until the next claim that is left, whose entry is applied as recorded
    from now on. A browser that is `detached` is nobody's from `seq` on.
    """
    made = {(claim.identifier, claim.seq) for claim in state.changes.claimed}
    gone = {(item.identifier, item.claim.seq) for item in believed.claims if item.identifier.is_device} - made
    if not gone:
        return
    left = await transaction.claims.find_history({identifier for identifier, _ in gone})
    ends: list[RecordedClaim] = []
    frozen: set[tuple[int, UUID]] = set()
    for recorded in left:
        if (recorded.identifier, recorded.until_seq) not in gone:
            continue
        following = _find_next(left, recorded)
        end = seq if recorded.identifier in detached else None
        ends.append(RecordedClaim(recorded.claim, following.seq if following else end))
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


async def _claims_of_others(
    transaction: Transaction,
    profile_ids: frozenset[UUID],
    entries: Iterable[LogEntry],
    configs: Mapping[int, Config],
    claims: Iterable[RecordedClaim],
) -> dict[Identifier, list[RecordedClaim]]:
    """Identifier → the claims that other people ever had on it, the oldest first."""
    named = {claim.identifier for claim in claims}
    # Work for the processor: other requests go on meanwhile.
    named |= await asyncio.to_thread(_find_named, entries, configs)
    found: dict[Identifier, list[RecordedClaim]] = {}
    for claim in await transaction.claims.find_history(named):
        if claim.claim.profile_id not in profile_ids:
            found.setdefault(claim.identifier, []).append(claim)
    return found


def _find_named(entries: Iterable[LogEntry], configs: Mapping[int, Config]) -> set[Identifier]:
    """Everything that entries name."""
    return {
        identifier
        for entry in entries
        for identifier in extract_evidence(observation_of(entry), config_of(entry, configs)).identifiers
    }


def _given_up(
    claims: list[RecordedClaim], others: Mapping[Identifier, list[RecordedClaim]]
) -> dict[Identifier, int]:
    """Identifier → the seq at which somebody else took what these had given up before."""
    ends: dict[Identifier, list[int | None]] = {}
    for claim in claims:
        ends.setdefault(claim.identifier, []).append(claim.until_seq)
    found: dict[Identifier, int] = {}
    for identifier, claimed in others.items():
        known = [end for end in ends.get(identifier, ()) if end is not None]
        if identifier.is_device or not known or len(known) < len(ends[identifier]):
            continue
        later = [item.claim.seq for item in claimed if item.claim.seq > max(known)]
        if later:
            found[identifier] = min(later)
    return found
