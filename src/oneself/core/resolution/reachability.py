"""Which profiles the observations of a batch may reach, according to the claims that were found.

Invariants: pure; it decides what to load and whether a look-up was complete, not what the observations do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Set
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import DEVICE_NAMESPACES, Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Profile, primary_id
from oneself.core.resolution.components import connected_components
from oneself.core.resolution.footprint import Footprint, ObservationFootprint

#: An observation with the survivors that it may reach.
Reach = tuple[ObservationFootprint, frozenset[UUID]]


def reachable_profiles(
    footprint: Footprint, claims: Mapping[UUID, Iterable[Claim]], pointers: Mapping[UUID, UUID]
) -> list[Reach]:
    """The survivors that each observation may reach.

    It reaches them itself or through other observations of the batch that share an identifier with it: an
    earlier one may merge profiles that a later one names.
    `claims`: survivor → claims. `pointers`: profile that a token names → its survivor.
    """
    holders: dict[Hashable, set[UUID]] = {}
    for survivor_id, held in claims.items():
        for claim in held:
            holders.setdefault(claim.identifier, set()).add(survivor_id)
    for profile_id, survivor_id in pointers.items():
        holders.setdefault(primary_id(profile_id, anonymous=False), set()).add(survivor_id)
    groups = connected_components(observed.names for observed in footprint.parts)
    survivors = {
        root: frozenset(holder for name in names for holder in holders.get(name, ()))
        for root, names in groups.items()
    }
    roots = {name: root for root, names in groups.items() for name in names}
    return [
        (observed, survivors[roots[observed.names[0]]] if observed.names else frozenset())
        for observed in footprint.parts
    ]


def without_simple_parts(footprint: Footprint, live: Mapping[UUID, tuple[int, Iterable[Claim]]]) -> Footprint:
    """The footprint without the observations for which nothing more is loaded; most are of this kind.

    They name one thing, which at most one profile holds, and write nothing; or they may repeat whom their
    browser is, and one profile holds all that they name. No other observation shares a name with them that is
    not of this kind, so that whatever else moves what they name has loaded what they would need.
    `live`: survivor → its seq and claims.
    """
    if footprint.profile_ids:
        return footprint
    holders: dict[Hashable, UUID | None] = {}
    for survivor_id, (_, claims) in live.items():
        for claim in claims:
            identifier = claim.identifier
            is_current = identifier.is_device or claim.seq >= footprint.claims_current_since
            is_only_one = is_current and identifier not in holders
            holders[identifier] = survivor_id if is_only_one else None
    kept, simple = list[ObservationFootprint](), list[ObservationFootprint]()
    for part in footprint.parts:
        (simple if _is_simple(part, holders) else kept).append(part)
    named = {name for part in kept for name in part.names}
    while shared := [part for part in simple if not named.isdisjoint(part.names)]:
        kept += shared
        simple = [part for part in simple if named.isdisjoint(part.names)]
        named.update(*(part.names for part in shared))
    return msgspec.structs.replace(footprint, parts=tuple(kept))


def _is_simple(part: ObservationFootprint, holders: Mapping[Hashable, UUID | None]) -> bool:
    if part.is_plain:
        return all(holders.get(name, part) is not None for name in part.names)
    if not part.may_repeat or part.primary_id is not None:
        return False
    found = {holders.get(name) for name in part.names}
    return len(found) == 1 and None not in found


def find_own_identifiers(
    footprint: Footprint, survivors: Iterable[Profile], reached: Collection[Reach]
) -> set[Identifier]:
    """The identifiers of survivors whose claims must be loaded.

    These are the identifiers in namespaces that the batch writes. For survivors that may be merged, those in
    namespaces with a single value are needed too, and all of them if the merge is only asserted.
    """
    by_id = {profile.profile_id: profile for profile in survivors}
    written: dict[UUID, set[str]] = {}
    if footprint.namespaces:
        written = {profile_id: set(footprint.namespaces) for profile_id in by_id}
    for observed, profile_ids in reached:
        for profile_id in profile_ids:
            names = written.setdefault(profile_id, set())
            names |= observed.namespaces
            if len(profile_ids) > 1:
                names |= footprint.single_namespaces
    # An addressed profile, or one that the batch creates, may be merged as well.
    choosing = reached if footprint.profile_ids else _choosing(reached)
    for observed, profile_ids in choosing:
        for profile_id in profile_ids if observed.is_asserted else ():
            written[profile_id] |= by_id[profile_id].identities.keys()
    return {held for item, names in written.items() for held in identifiers_in(by_id[item], names)}


def active_later(profiles: Mapping[UUID, Profile], reached: Collection[Reach]) -> set[tuple[UUID, int]]:
    """The survivors that were active after a late observation that may choose between several of them.

    Each comes with the time of that observation, in µs since 1970.
    """
    return {
        (profile_id, observed.occurred_at)
        for observed, profile_ids in _choosing(reached)
        if observed.occurred_at is not None
        for profile_id in profile_ids
        if profiles[profile_id].active_at > observed.occurred_at
    }


def _choosing(reached: Collection[Reach]) -> list[Reach]:
    """The observations that may reach several profiles: two that exist, or one that the batch creates."""
    shared = Counter(name for observed, _ in reached for name in set(observed.names))
    return [
        (observed, profile_ids)
        for observed, profile_ids in reached
        if len(observed.names) > 1
        and (len(profile_ids) > 1 or any(shared[name] > 1 for name in observed.names))
    ]


def is_covered_by_tokens(
    footprint: Footprint, users: Iterable[Profile], claims: Iterable[Claim], survivors: Mapping[UUID, UUID]
) -> bool:
    """Whether the users of tokens hold everything that the events name.

    Each value must be the only one of its type and held by nobody else (both sides of a split may hold it),
    and each browser must point at the user or at no profile. Then the events change no claim.
    `survivors`: profile of a claim → its survivor.
    """
    claims = tuple(claims)
    owners: dict[Identifier, set[UUID]] = {}
    for claim in claims:
        owners.setdefault(claim.identifier, set()).add(survivors[claim.profile_id])
    is_current = all(
        claim.identifier.namespace in DEVICE_NAMESPACES or claim.seq >= footprint.claims_current_since
        for claim in claims
    )
    return is_current and _all_owned(footprint, users, owners)


def _all_owned(
    footprint: Footprint, users: Iterable[Profile], owners: Mapping[Identifier, set[UUID]]
) -> bool:
    by_primary = {primary_id(user.profile_id, anonymous=False): user for user in users}
    for observed in footprint.parts:
        user = by_primary[observed.primary_id or ""]
        persons = {identifier for identifier in observed.identifiers if not identifier.is_device}
        if not persons <= owners.keys():
            return False
        if not identifiers_in(user, {person.namespace for person in persons}) <= persons:
            return False
        if any(owners.get(named, {user.profile_id}) != {user.profile_id} for named in observed.identifiers):
            return False
    return True


def identifiers_in(profile: Profile, namespaces: Set[str]) -> set[Identifier]:
    """The identifiers of a profile in some namespaces."""
    return {
        Identifier(name, value)
        for name in namespaces & profile.identities.keys()
        for value in profile.identities[name]
    }
