"""Look-up: which profile an id or a set of identities means, and the ids and browsers of a profile.
Read-only.

    an id                          means, in this order, whatever the id looks like
    a profile id                   that profile
    24 or 16 hex digits            the profile whose id begins so, if it was ever called so
    a named id (legacy datasets)   the named user
    an anonymous id                the anonymous profile that it points at now,
                                   else the profile that it was the primary id of, the last one first,
                                   else the profile that it points at now
    namespace:value                the profile that holds the identifier, else the last one that held it

An id that the service made, and that belonged to a profile that is erased now, means none, although a browser
or a named user is called so.

An id that the service made means its own profile, whatever ids browsers send. An anonymous id follows the
alias, not the browser; `anonymous_id:value` follows the browser. Every interface that accepts "any id" uses
`Lookup.find`. Source: docs/wire/interactions.md §9.3, §9.4.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import Literal
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity.normalise import display_value, normalise
from oneself.core.profiles.profile import ANONYMOUS_PRIMARY_CHARS, PRIMARY_CHARS, Profile
from oneself.core.resolution.candidates import rank
from oneself.core.resolution.evidence import Evidence, extract_evidence
from oneself.core.resolution.observation import Observation, Reindex
from oneself.core.resolution.plan import Rejection
from oneself.core.resolution.resolve import resolve
from oneself.core.resolution.working_set import WorkingSet
from oneself.errors import InvalidInput
from oneself.service.configuration import Configurations
from oneself.service.context import DatasetRef
from oneself.service.profiles.profiles import Profiles, ProfileView
from oneself.store.database import Database
from oneself.store.tables.profile import AbsorbedIds, ProfileTable
from oneself.store.transaction import Tables, snapshot

#: The longest id there is: a named one of a legacy dataset, 200 bytes.
ID_CHARS_MAX = 200
IDENTITIES_MAX = 100
_UUID_DIGITS = 32
_HEAD = re.compile(f"[0-9a-f]{{{ANONYMOUS_PRIMARY_CHARS}}}|[0-9a-f]{{{PRIMARY_CHARS}}}")


class Alias(msgspec.Struct, frozen=True):
    """A former primary id of a person."""

    id: str
    #: Since when it is a former one, in µs since 1970.
    at: int
    #: The profile that it belonged to.
    profile_id: UUID
    #: What ended it: the profile became known, or was absorbed.
    by: Literal["promotion", "merge"]


class AliasedProfile(msgspec.Struct, frozen=True):
    """A survivor with its former primary ids and those of the profiles that it absorbed."""

    survivor: Profile
    #: The oldest first.
    former_ids: tuple[Alias, ...]

    @property
    def aliases(self) -> dict[str, int]:
        """Other primary ids that mean this person → since when (µs since 1970).

        Several profiles can have begun under one anonymous id: it is one alias, since the first time.
        """
        found: dict[str, int] = {}
        for alias in self.former_ids:
            if alias.id != self.survivor.primary_id:
                found.setdefault(alias.id, alias.at)
        return found


class Resolved(msgspec.Struct, frozen=True):
    """The profile that a set of identities means."""

    primary_id: str
    profile_id: UUID
    #: The primary ids of all profiles that hold one of the identities, best first. The next event with this
    #: set merges them, as far as no refusal applies.
    matched: tuple[str, ...]


class Lookup:
    """Finds profiles by their ids and identities."""

    def __init__(self, database: Database, configurations: Configurations, profiles: Profiles) -> None:
        self._database = database
        self._configurations = configurations
        self._profiles = profiles

    async def find(self, dataset_ref: DatasetRef, text: str) -> ProfileView | None:
        """The profile that an id means; None if it means none.

        Only a profile id means an absorbed profile itself; every other id means the survivor.
        """
        if (profile_id := _profile_id(text)) is not None:
            view = await self._profiles.find(dataset_ref, profile_id)
            if view is not None:
                return view
        profile_id = await self._find_called(dataset_ref, text) or await self._find_holder(dataset_ref, text)
        view = None if profile_id is None else await self._profiles.find(dataset_ref, profile_id)
        return None if view is None else msgspec.structs.replace(view, profile=view.survivor)

    async def resolve(self, dataset_ref: DatasetRef, identities: Mapping[str, str]) -> Resolved | None:
        """The profile that the next event with these identities, name → value, would belong to; None: a new
        one.

        Raises InvalidInput for a name that is not an identity attribute of the dataset.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        if not 0 < len(identities) <= IDENTITIES_MAX:
            raise InvalidInput("identities", f"Name 1 to {IDENTITIES_MAX} identities.")
        named = tuple(Identifier(_type_of(name, config), value) for name, value in identities.items())
        observation = Reindex(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface="lookup",
            identifiers=named,
        )
        evidence = extract_evidence(observation, config)
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            state = await _gather(tables, evidence)
        return _resolved(state, observation, config, evidence)

    async def person(self, dataset_ref: DatasetRef, survivor: Profile) -> AliasedProfile:
        """A survivor with its aliases."""
        (person,) = await self._with_aliases(dataset_ref, [survivor])
        return person

    async def page(self, dataset_ref: DatasetRef, limit: int, offset: int) -> list[AliasedProfile]:
        """A page of survivors, the newest first; the cost grows with the offset."""
        survivors = await self._profile_table(dataset_ref).list_survivors(limit, offset)
        return await self._with_aliases(dataset_ref, survivors)

    async def devices(self, dataset_ref: DatasetRef, view: ProfileView) -> tuple[Identifier, ...]:
        """The anonymous ids and trackers that point at a person now, the oldest first."""
        claims = Tables(self._database, dataset_ref.dataset_id).claims
        return tuple(
            dict.fromkeys(await claims.find_live_of_profiles(view.profile_ids, [ANONYMOUS_ID, TRACKER]))
        )

    async def _find_called(self, dataset_ref: DatasetRef, text: str) -> UUID | None:
        called = display_value(text)
        if not called or len(called) > ID_CHARS_MAX or "\x00" in called:
            return None
        return await self._profile_table(dataset_ref).find_called(called, _range(called))

    async def _find_holder(self, dataset_ref: DatasetRef, text: str) -> UUID | None:
        config = await self._configurations.current(dataset_ref.dataset_id)
        identifier = _identifier(text, config)
        if identifier is None:
            return None
        indexed_since = config.indexed_since.get(identifier.namespace, 0)
        claims = Tables(self._database, dataset_ref.dataset_id).claims
        return await claims.find_last_holder(identifier, indexed_since)

    async def _with_aliases(self, dataset_ref: DatasetRef, survivors: list[Profile]) -> list[AliasedProfile]:
        ids = [survivor.profile_id for survivor in survivors]
        absorbed = await self._profile_table(dataset_ref).find_absorbed_ids(ids)
        return [_aliased(survivor, absorbed.get(survivor.profile_id, ())) for survivor in survivors]

    def _profile_table(self, dataset_ref: DatasetRef) -> ProfileTable:
        return Tables(self._database, dataset_ref.dataset_id).profiles


def _profile_id(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def _identifier(text: str, config: Config) -> Identifier | None:
    """The identifier of `namespace:value`, normalised; None if it cannot identify a profile."""
    name, colon, value = text.strip().partition(":")
    namespace = config.namespace(name)
    if not colon or namespace is None or "\x00" in value:
        return None
    found = normalise(Identifier(name, value), namespace)
    return found if isinstance(found, Identifier) else None


def _range(called: str) -> tuple[UUID | None, UUID | None]:
    """The smallest and the largest profile id that begin with this id; None if none can."""
    if (profile_id := _profile_id(called)) is not None:
        return profile_id, profile_id
    if not _HEAD.fullmatch(called):
        return None, None
    return UUID(called.ljust(_UUID_DIGITS, "0")), UUID(called.ljust(_UUID_DIGITS, "f"))


def _aliased(survivor: Profile, absorbed: Iterable[AbsorbedIds]) -> AliasedProfile:
    own = [Alias(alias, at, survivor.profile_id, "promotion") for alias, at in survivor.aliases]
    others = (alias for ids in absorbed for alias in _aliases_of(ids))
    return AliasedProfile(survivor, tuple(sorted((*own, *others), key=lambda alias: alias.at)))


def _aliases_of(absorbed: AbsorbedIds) -> list[Alias]:
    before = [Alias(alias, at, absorbed.profile_id, "promotion") for alias, at in absorbed.aliases]
    return [*before, Alias(absorbed.primary_id, absorbed.seq, absorbed.profile_id, "merge")]


def _type_of(name: str, config: Config) -> str:
    """The identity type of a name in events: of this spelling, else the only one in any case."""
    bindings = config.identity_attributes.values()
    known = {binding.name: binding.type_id for binding in bindings if binding.type_id in config.bindings}
    if name in known:
        return known[name]
    alike = [other for other in known if other.casefold() == name.casefold()]
    if len(alike) == 1:
        return known[alike[0]]
    if not config.dataset.resolves_identities:
        raise InvalidInput(
            "identities", "Identity resolution is off in this dataset; look users up by their id."
        )
    names = ", ".join(sorted(known)) or "none; bind one to an identity type first"
    raise InvalidInput(
        "identities", f"{name[:100]!r} is not a matching identity attribute. There are: {names}."
    )


async def _gather(tables: Tables, evidence: Evidence) -> WorkingSet:
    """The holders of the identifiers in the evidence, without locks."""
    live = await tables.claims.find(evidence.persons)
    holders = {claim.profile_id for claim in live.claims} | set(live.by_survivor)
    return WorkingSet(await tables.profiles.find(holders), live.claims)


def _resolved(
    state: WorkingSet, observation: Observation, config: Config, evidence: Evidence
) -> Resolved | None:
    plan = resolve(state, observation, config, evidence)
    if isinstance(plan, Rejection) or plan.creates:
        return None
    holders = {
        profile.profile_id: profile
        for identifier in evidence.persons
        for claim, profile in state.claims_of(identifier)
        if config.is_current(claim)
    }
    matched = sorted(holders.values(), key=rank)
    survivor = state.profiles[plan.survivor_id]
    return Resolved(
        survivor.primary_id, survivor.profile_id, tuple(profile.primary_id for profile in matched)
    )
