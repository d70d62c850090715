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

import uuid
from collections.abc import Iterable, Mapping
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity.normalise import display_value
from oneself.core.identity_graph.joins import View
from oneself.core.profiles.profile import Profile
from oneself.core.resolution.candidates import rank
from oneself.core.resolution.evidence import Evidence, extract_evidence
from oneself.core.resolution.observation import Observation, Reindex
from oneself.core.resolution.plan import Rejection
from oneself.core.resolution.resolve import resolve
from oneself.core.resolution.working_set import WorkingSet
from oneself.errors import InvalidInput
from oneself.service.configuration import CurrentConfiguration
from oneself.service.context import DatasetRef
from oneself.service.profiles.ids import (
    CANDIDATES_MAX,
    ID_CHARS_MAX,
    Alias,
    AliasedProfile,
    AmbiguousId,
    Resolved,
    id_range,
    identifier_in,
    profile_id_in,
)
from oneself.service.profiles.parts import ProfilePart
from oneself.service.profiles.profiles import ProfileView, believed_view, find_believed
from oneself.service.profiles.view_lookup import ViewLookup
from oneself.store.database import Database
from oneself.store.tables.profile import AbsorbedIds, ProfileTable
from oneself.store.transaction import Tables, snapshot
from oneself.store.view_reader import read_alone

IDENTITIES_MAX = 100


class Lookup:
    """Finds profiles by their ids and identities."""

    def __init__(self, database: Database, configurations: CurrentConfiguration) -> None:
        self._database = database
        self._configurations = configurations
        self._views = ViewLookup(database)

    async def find(
        self, dataset_ref: DatasetRef, text: str, view: View = "all", *, has_words: bool = True
    ) -> ProfileView | None:
        """The profile that an id means in a view; None if it means none.

        Only a profile id means an absorbed profile itself; every other id means the survivor.
        `has_words`: as of `ViewLookup.find`.
        """
        if view != "all":
            config = await self._configurations.current(dataset_ref.dataset_id)
            return await self._views.find(dataset_ref, text, view, config, has_words=has_words)
        if (profile_id := profile_id_in(text)) is not None:
            found = await self._find_unified(dataset_ref, profile_id)
            if found is not None:
                return found
        profile_id = await self._find_called(dataset_ref, text) or await self._find_holder(dataset_ref, text)
        found = None if profile_id is None else await self._find_unified(dataset_ref, profile_id)
        return None if found is None else msgspec.structs.replace(found, profile=found.survivor)

    async def find_part(self, dataset_ref: DatasetRef, text: str, view: View) -> ProfilePart | None:
        """The part of a profile that an id means in a view; None if it means none.

        It reads a bounded amount, however much the profile absorbed.
        """
        config = await self._configurations.current(dataset_ref.dataset_id)
        if view == "all":
            return await self._find_believed(dataset_ref, text, config)
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            row = await self._views.find_fragment(tables, text, view, config)
            if row is None:
                return None
            found = await read_alone(tables, view, row.fragment.fragment_id, config)
        if found is None:
            return None
        profile = ProfileView(found.survivor, found.survivor, (), config, view)
        return ProfilePart(row.fragment.fragment_id, profile, row.head_in(view))

    async def _find_believed(self, dataset_ref: DatasetRef, text: str, config: Config) -> ProfilePart | None:
        """The profile, absorbed or not, that an id means in the view `all`."""
        profile_id = profile_id_in(text)
        tables = Tables(self._database, dataset_ref.dataset_id)
        found = None if profile_id is None else await _read_believed(tables, profile_id)
        if found is None:
            profile_id = await self._find_called(dataset_ref, text) or await self._find_holder(
                dataset_ref, text
            )
            found = None if profile_id is None else await _read_believed(tables, profile_id)
        if found is None:
            return None
        profile, survivor = found
        return ProfilePart(
            profile.profile_id, ProfileView(survivor, survivor, (), config), survivor.profile_id
        )

    async def find_certain(self, dataset_ref: DatasetRef, text: str, view: View) -> ProfileView | None:
        """The profile that an id means in a view, for what cannot be undone; None if it means none.

        Raises AmbiguousId for an anonymous id that was the id of one profile and points at another now.
        """
        found = await self.find(dataset_ref, text, view, has_words=False)
        called = display_value(text)
        if found is None or not called or profile_id_in(text) in found.profile_ids:
            return found
        candidates = await self._find_candidates(dataset_ref, called, view)
        if len(candidates) > 1 and found.survivor.profile_id in candidates:
            raise AmbiguousId(candidates)
        return found

    async def _find_candidates(self, dataset_ref: DatasetRef, called: str, view: View) -> set[UUID]:
        """The survivors that an anonymous id may mean in a view."""
        if len(called) > ID_CHARS_MAX or "\x00" in called:
            return set()
        if view != "all":
            return await self._views.find_candidates(dataset_ref, called, view)
        meant = await self._profile_table(dataset_ref).find_of_anonymous_id(
            called, id_range(called), CANDIDATES_MAX
        )
        return {item.survivor_id for item in meant}

    async def resolve(
        self, dataset_ref: DatasetRef, identities: Mapping[str, str], view: View = "all"
    ) -> Resolved | None:
        """The profile that the next event with these identities, name → value, would belong to; None: a new
        one. In a narrower view, the profile of which a server said one of them.

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
        if view != "all":
            return await self._views.resolve(dataset_ref, evidence.persons, view, config)
        # A question proves nothing of those whom it names.
        evidence = msgspec.structs.replace(evidence, unverified=frozenset(evidence.persons))
        async with snapshot(self._database, dataset_ref.dataset_id) as tables:
            state = await _gather(tables, evidence)
        return _resolved(state, observation, config, evidence)

    async def person(self, dataset_ref: DatasetRef, survivor: Profile) -> AliasedProfile:
        """A survivor with its aliases."""
        (person,) = await self._with_aliases(dataset_ref, [survivor])
        return person

    async def person_in(
        self, dataset_ref: DatasetRef, view: ProfileView, *, parts_max: int | None = None
    ) -> AliasedProfile:
        """The survivor of a view with its aliases there. `parts_max`: as for `devices`."""
        if view.view != "all":
            return await self._views.person(dataset_ref, view, parts_max=parts_max)
        return await self.person(dataset_ref, view.survivor)

    async def page(self, dataset_ref: DatasetRef, limit: int, offset: int) -> list[AliasedProfile]:
        """A page of survivors, the newest first; the cost grows with the offset."""
        survivors = await self._profile_table(dataset_ref).list_survivors(limit, offset)
        return await self._with_aliases(dataset_ref, survivors)

    async def devices(
        self, dataset_ref: DatasetRef, view: ProfileView, *, parts_max: int | None = None
    ) -> tuple[Identifier, ...]:
        """The anonymous ids and trackers that point at a person now, the oldest first.

        `parts_max`: of how many parts of a profile in `own` or `proven`; None: of all.
        """
        if view.view != "all":
            return await self._views.devices(dataset_ref, view, parts_max=parts_max)
        claims = Tables(self._database, dataset_ref.dataset_id).claims
        return tuple(
            dict.fromkeys(await claims.find_live_of_profiles(view.profile_ids, [ANONYMOUS_ID, TRACKER]))
        )

    async def _find_unified(self, dataset_ref: DatasetRef, profile_id: UUID) -> ProfileView | None:
        """The profile of the view `all` with this id; None: unknown or erased."""
        found = await find_believed(Tables(self._database, dataset_ref.dataset_id), profile_id)
        if not found:
            return None
        return believed_view(found, profile_id, await self._configurations.current(dataset_ref.dataset_id))

    async def _find_called(self, dataset_ref: DatasetRef, text: str) -> UUID | None:
        called = display_value(text)
        if not called or len(called) > ID_CHARS_MAX or "\x00" in called:
            return None
        return await self._profile_table(dataset_ref).find_called(called, id_range(called))

    async def _find_holder(self, dataset_ref: DatasetRef, text: str) -> UUID | None:
        config = await self._configurations.current(dataset_ref.dataset_id)
        identifier = identifier_in(text, config)
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


async def _read_believed(tables: Tables, profile_id: UUID) -> tuple[Profile, Profile] | None:
    """A profile of the view `all` and its survivor; None: unknown or erased."""
    found = await tables.profiles.find([profile_id])
    if not found and (believed := await tables.fragments.find_believed_of([profile_id])):
        found = await tables.profiles.find([believed[profile_id]])
    if not found or found[0].erased:
        return None
    survivors = found if found[0].survivor_id is None else await tables.profiles.find([found[0].survivor_id])
    return (found[0], survivors[0]) if survivors else None


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
