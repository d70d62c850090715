"""The working set: the profiles and claims that some observations touch, and what has changed in them.

`resolve` reads it, `fold` changes it. The service fills it with what a batch may touch and writes back
`changes`; a rebuild or a test simply keeps all of it in one.
"""

from collections.abc import Container, Iterable, Sequence
from uuid import UUID

import msgspec

from oneself.core.identity.identifier import Identifier
from oneself.core.profiles.claim import Claim
from oneself.core.profiles.profile import Absorbed, Profile, primary_id
from oneself.core.resolution.plan import Merge, Refusal


class MergeRecord(msgspec.Struct, frozen=True):
    """A merge that was carried out."""

    merge: Merge
    survivor_id: UUID
    seq: int
    observation_id: UUID


class RefusalRecord(msgspec.Struct, frozen=True):
    """A refusal that was recorded against `profile_id`."""

    refusal: Refusal
    profile_id: UUID
    seq: int
    observation_id: UUID


class WriteSet:
    """What has changed in a working set since it was filled."""

    def __init__(self) -> None:
        self.profiles: set[UUID] = set()
        self.claimed: list[Claim] = []
        self.released: list[tuple[Claim, int]] = []
        self.merged: list[MergeRecord] = []
        self.refused: list[RefusalRecord] = []


class WorkingSet:
    """Profiles by id and live claims by identifier, with the order in which they were made.

    `members`: the profiles that each survivor stands for, in the order in which they joined it.
    """

    def __init__(
        self,
        profiles: Iterable[Profile] = (),
        claims: Iterable[Claim] = (),
        members: dict[UUID, tuple[Absorbed, ...]] | None = None,
    ) -> None:
        self.profiles = {profile.profile_id: profile for profile in profiles}
        self._found = dict(self.profiles)
        self._by_primary = {_stem(profile_id): profile_id for profile_id in self.profiles}
        self._activity: dict[UUID, list[int]] = {}
        self.claims: dict[Identifier, tuple[Claim, ...]] = {}
        for claim in claims:
            self.claims[claim.identifier] = (*self.claims.get(claim.identifier, ()), claim)
        self.members = members or {}
        self.changes = WriteSet()

    def survivor(self, profile_id: UUID) -> Profile | None:
        """The profile that stands for a profile now; None if it is unknown or erased."""
        profile = self.profiles.get(profile_id)
        while profile is not None and profile.survivor_id is not None:
            profile = self.profiles.get(profile.survivor_id)
        return None if profile is None or profile.erased else profile

    def find_by_primary(self, primary_id: str) -> Profile | None:
        """The profile that stands for the one that this 24-hex primary id was made for."""
        profile_id = self._by_primary.get(primary_id)
        return None if profile_id is None else self.survivor(profile_id)

    def note_activity(self, profile_id: UUID, at: int) -> None:
        """An observation that is attached to a profile, and makes its person active, happened at `at`."""
        self._activity.setdefault(profile_id, []).append(at)

    def active_by(self, profile: Profile, at: int) -> int:
        """When the person was last active at an instant or before it; 0 if that is not known of."""
        if profile.active_at <= at:
            return profile.active_at
        members = (profile.profile_id, *(m.profile_id for m in self.members.get(profile.profile_id, ())))
        known = [then for item in members for then in self._activity.get(item, ())]
        known += [found.active_at for item in members if (found := self._found.get(item))]
        return max((then for then in known if then <= at), default=0)

    def only_touched(self, profile_id: UUID) -> bool:
        """True if a profile was there when this was filled and nothing but its activity has changed."""
        before, after = self._found.get(profile_id), self.profiles[profile_id]
        if before is None or before.record is not after.record:
            return False
        touched = msgspec.structs.replace(
            before, active_at=after.active_at, visit_at=after.visit_at, seq=after.seq
        )
        return touched == after

    def claims_of(self, identifier: Identifier) -> list[tuple[Claim, Profile]]:
        """The live claims of an identifier, oldest first, each with the profile that stands behind it."""
        claims: Sequence[Claim] = self.claims.get(identifier, ())
        if len(claims) > 1:
            claims = sorted(claims, key=_age)
        return [(claim, profile) for claim in claims if (profile := self.survivor(claim.profile_id))]

    def has_holder(self, identifier: Identifier, profile_ids: Container[UUID]) -> bool:
        """True if one of these survivors holds an identifier, alone or beside others."""
        return any(profile.profile_id in profile_ids for _, profile in self.claims_of(identifier))

    def put(self, profile: Profile) -> None:
        """Make or change a profile."""
        if profile.profile_id not in self.profiles:
            self._by_primary[_stem(profile.profile_id)] = profile.profile_id
        self.profiles[profile.profile_id] = profile
        self.changes.profiles.add(profile.profile_id)

    def claim(self, claim: Claim) -> None:
        """Let a profile hold an identifier."""
        self.claims[claim.identifier] = (*self.claims.get(claim.identifier, ()), claim)
        self.changes.claimed.append(claim)

    def release(self, claim: Claim, seq: int) -> None:
        """End a claim at `seq`."""
        self.claims[claim.identifier] = tuple(c for c in self.claims[claim.identifier] if c is not claim)
        self.changes.released.append((claim, seq))

    def absorb(self, merged: MergeRecord) -> None:
        """Record a merge, and whom the survivor stands for from now on."""
        merge, survivor_id = merged.merge, merged.survivor_id
        joined = Absorbed(merge.absorbed_id, merge.reason, merged.seq)
        inherited = self.members.pop(merge.absorbed_id, ())
        self.members[survivor_id] = (*self.members.get(survivor_id, ()), joined, *inherited)
        self.changes.merged.append(merged)

    def refuse(self, refused: RefusalRecord) -> None:
        """Record a refusal."""
        self.changes.refused.append(refused)


def _stem(profile_id: UUID) -> str:
    return primary_id(profile_id, anonymous=False)


def _age(claim: Claim) -> tuple[int, UUID]:
    return claim.since, claim.profile_id
