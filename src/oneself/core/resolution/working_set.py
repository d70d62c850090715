"""The working set: the profiles and claims that a batch of observations may touch, and their changes.

`resolve` reads it and `fold` changes it. The service loads what a batch may touch and writes `changes` back.
A rebuild or a test holds a whole dataset in one working set.

Invariants: profiles, claims and records are frozen values; it must not know the database.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Absorbed, Profile, primary_id
from oneself.core.resolution.components import are_apart
from oneself.core.resolution.plan import Merge, Refusal

#: What has changed of a profile: when it was active; that, and the sources of its values; or more.
Extent = Literal["activity", "sources", "everything"]


class MergeRecord(msgspec.Struct, frozen=True):
    """A merge that was applied."""

    merge: Merge
    survivor_id: UUID
    #: When it was recorded, in µs since 1970.
    seq: int
    #: The observation that caused it.
    observation_id: UUID


class RefusalRecord(msgspec.Struct, frozen=True):
    """A refusal that was recorded."""

    refusal: Refusal
    #: The survivor that it is recorded for.
    profile_id: UUID
    #: When it was recorded, in µs since 1970.
    seq: int
    #: The observation that caused it.
    observation_id: UUID


class WriteSet:
    """The changes of a working set since it was loaded."""

    def __init__(self) -> None:
        #: The profiles that were created or changed.
        self.profiles: set[UUID] = set()
        #: Those among them of which only the activity is known to have changed.
        self.active: set[UUID] = set()
        self.claimed: list[Claim] = []
        #: Claims that ended, each with the seq of its end.
        self.released: list[tuple[Claim, int]] = []
        self.merged: list[MergeRecord] = []
        self.refused: list[RefusalRecord] = []

    def add(self, other: "WriteSet") -> None:
        """Add the changes of a working set that shares no profile with this one."""
        self.profiles |= other.profiles
        self.active |= other.active
        self.claimed += other.claimed
        self.released += other.released
        self.merged += other.merged
        self.refused += other.refused


class WorkingSet:
    """Profiles by id and active claims by identifier, in the order in which they were made.

    `members`: survivor → the profiles that it absorbed, in the order of the merges.
    """

    def __init__(
        self,
        profiles: Iterable[Profile] = (),
        claims: Iterable[Claim] = (),
        members: Mapping[UUID, Iterable[Absorbed]] | None = None,
    ) -> None:
        self.profiles = {profile.profile_id: profile for profile in profiles}
        self._found = dict(self.profiles)
        #: By generated primary id, once one is looked up.
        self._by_primary: dict[str, UUID] | None = None
        self._activity: dict[UUID, list[int]] = {}
        self.claims: dict[Identifier, tuple[Claim, ...]] = {}
        for claim in claims:
            self.claims[claim.identifier] = (*self.claims.get(claim.identifier, ()), claim)
        #: Lists that grow in place: a profile may absorb very many.
        self.members = {survivor_id: list(found) for survivor_id, found in (members or {}).items()}
        #: An addressed id that only narrower views have → the profile that is believed to be it.
        self.believed: Mapping[UUID, UUID] = {}
        #: Survivor → separation → the sides that people put its fragments on; most profiles are on none.
        self.sides: dict[UUID, dict[UUID, set[int]]] = {}
        self.changes = WriteSet()

    def survivor(self, profile_id: UUID) -> Profile | None:
        """The survivor of a profile: itself, or the one that absorbed it; None if unknown or erased."""
        profile = self.profiles.get(profile_id)
        while profile is not None and profile.survivor_id is not None:
            profile = self.profiles.get(profile.survivor_id)
        return None if profile is None or profile.erased else profile

    def before(self, profile_id: UUID) -> Profile | None:
        """A profile as it was loaded; None: it is new."""
        return self._found.get(profile_id)

    def add_sides(self, profile_id: UUID, sides: Mapping[UUID, Iterable[int]]) -> None:
        """Add the sides of fragments that began in a profile: separation → sides."""
        survivor = self.survivor(profile_id)
        known = self.sides.setdefault(profile_id if survivor is None else survivor.profile_id, {})
        for separation_id, found in sides.items():
            known.setdefault(separation_id, set()).update(found)

    def are_separated(self, one: UUID, other: UUID) -> bool:
        """Whether a person has parted what these survivors are."""
        if not self.sides:
            return False
        mine, theirs = self.sides.get(one, {}), self.sides.get(other, {})
        return any(are_apart(mine[item], theirs[item]) for item in mine.keys() & theirs.keys())

    @property
    def known_ids(self) -> set[UUID]:
        """Every profile that it knows, the absorbed ones included."""
        members = (member.profile_id for found in self.members.values() for member in found)
        return {*self.profiles, *members}

    def unified_ids(self, profile_id: UUID) -> set[UUID]:
        """The survivor of a profile, and every profile that it absorbed."""
        survivor = self.survivor(profile_id)
        if survivor is None:
            return set()
        survivor_id = survivor.profile_id
        return {survivor_id, *(member.profile_id for member in self.members.get(survivor_id, ()))}

    def find_by_primary(self, primary_id: str) -> Profile | None:
        """The survivor of the profile with this generated primary id (24 hex digits); None if unknown."""
        if self._by_primary is None:
            self._by_primary = {_stem(known): known for known in self.profiles}
        profile_id = self._by_primary.get(primary_id)
        return None if profile_id is None else self.survivor(profile_id)

    def note_activity(self, profile_id: UUID, at: int) -> None:
        """Note that an observation made a profile active. `at`: when it happened, in µs since 1970."""
        self._activity.setdefault(profile_id, []).append(at)

    def active_by(self, profile: Profile, at: int) -> int:
        """When the profile was last active at or before `at`, in µs since 1970; 0 if unknown."""
        if profile.active_at <= at:
            return profile.active_at
        members = (profile.profile_id, *(m.profile_id for m in self.members.get(profile.profile_id, ())))
        known = [then for item in members for then in self._activity.get(item, ())]
        known += [found.active_at for item in members if (found := self._found.get(item))]
        return max((then for then in known if then <= at), default=0)

    def extent_of_change(self, profile_id: UUID) -> Extent:
        """What has changed of a profile that the working set changed."""
        if profile_id in self.changes.active:
            return "activity"
        before, after = self._found.get(profile_id), self.profiles[profile_id]
        if before is None or before.record.values is not after.record.values:
            return "everything"
        acted = msgspec.structs.replace(
            before, active_at=after.active_at, visit_at=after.visit_at, seq=after.seq, record=after.record
        )
        if acted != after:
            return "everything"
        return "activity" if before.record is after.record else "sources"

    def claims_of(self, identifier: Identifier) -> list[tuple[Claim, Profile]]:
        """The active claims of an identifier, oldest first, each with its survivor."""
        claims: Sequence[Claim] = self.claims.get(identifier, ())
        if len(claims) > 1:
            claims = sorted(claims, key=_age)
        return [(claim, profile) for claim in claims if (profile := self.survivor(claim.profile_id))]

    def has_holder(self, identifier: Identifier, profile_ids: Container[UUID]) -> bool:
        """Whether one of these survivors has an active claim on an identifier."""
        return any(profile.profile_id in profile_ids for _, profile in self.claims_of(identifier))

    def put(self, profile: Profile) -> None:
        """Create or change a profile."""
        if self._by_primary is not None and profile.profile_id not in self.profiles:
            self._by_primary[_stem(profile.profile_id)] = profile.profile_id
        self.profiles[profile.profile_id] = profile
        self.changes.profiles.add(profile.profile_id)
        self.changes.active.discard(profile.profile_id)

    def put_active(self, profile: Profile) -> None:
        """Change nothing of a profile but when it was last active, in the visit that it has."""
        profile_id, changes = profile.profile_id, self.changes
        self.profiles[profile_id] = profile
        if profile_id not in changes.profiles:
            changes.profiles.add(profile_id)
            changes.active.add(profile_id)

    def claim(self, claim: Claim) -> None:
        """Add a claim."""
        self.claims[claim.identifier] = (*self.claims.get(claim.identifier, ()), claim)
        self.changes.claimed.append(claim)

    def release(self, claim: Claim, seq: int) -> None:
        """End a claim at `seq`."""
        self.claims[claim.identifier] = tuple(c for c in self.claims[claim.identifier] if c is not claim)
        self.changes.released.append((claim, seq))

    def end_before(self, identifier: Identifier, seq: int) -> None:
        """End at `seq` what claimed an identifier before it and ends later, or not yet."""
        for claim in self.claims.get(identifier, ()):
            if claim.seq < seq:
                self.release(claim, seq)
        self.changes.released = [
            (claim, min(end, seq) if claim.identifier == identifier and claim.seq < seq else end)
            for claim, end in self.changes.released
        ]

    def absorb(self, merged: MergeRecord) -> None:
        """Record a merge and add the absorbed profile to the members of the survivor."""
        merge, survivor_id = merged.merge, merged.survivor_id
        joined = Absorbed(merge.absorbed_id, merge.reason, merged.seq)
        inherited = self.members.pop(merge.absorbed_id, [])
        self.members.setdefault(survivor_id, []).extend((joined, *inherited))
        if sides := self.sides.pop(merge.absorbed_id, None):
            self.add_sides(survivor_id, sides)
        self.changes.merged.append(merged)

    def refuse(self, refused: RefusalRecord) -> None:
        """Record a refusal."""
        self.changes.refused.append(refused)

    def take(self, other: "WorkingSet") -> None:
        """Take over what a working set holds that shares no profile with this one, and its changes."""
        self.profiles |= other.profiles
        self._found |= other._found
        self._by_primary = None
        self._activity |= other._activity
        for identifier, claims in other.claims.items():
            self.claims[identifier] = (*self.claims.get(identifier, ()), *claims)
        self.members |= other.members
        self.sides |= other.sides
        self.changes.add(other.changes)


def united(parts: Iterable[WorkingSet]) -> WorkingSet:
    """What several working sets hold that share no profile, with the changes of all."""
    found = WorkingSet()
    for part in parts:
        found.take(part)
    return found


def _stem(profile_id: UUID) -> str:
    return primary_id(profile_id, anonymous=False)


def _age(claim: Claim) -> tuple[int, UUID]:
    return claim.since, claim.profile_id
