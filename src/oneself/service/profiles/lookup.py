"""Look-up: who is meant by an id, by a set of identities; under which ids and on which browsers a person is
known. Read-only.

    an id                          means, in this order, whatever the id looks like
    a profile id                   that profile
    24 or 16 hex digits            the profile whose id begins so, if it was ever called so
    a named id (legacy datasets)   the named user
    an anonymous id                the anonymous profile that it points at now,
                                   else the profile that it was the primary id of, the last one first,
                                   else whoever it points at now
    namespace:value                the profile that holds the identifier, else the last one that held it

An id that the service made means its own profile, whatever browsers call themselves. An anonymous id follows
the alias, not the browser (wire/interactions §9.3, §9.4); `anonymous_id:value` follows the browser. Every
surface that takes "any id" asks `Lookup.find`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import msgspec

from oneself.core.config.configuration import Config
from oneself.core.identity.identifier import ANONYMOUS_ID, TRACKER, Identifier
from oneself.core.identity.identity_type import LEGACY_ID
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
from oneself.store import rows
from oneself.store.database import Database
from oneself.store.queries import Queries

if TYPE_CHECKING:
    from oneself.store.database import Connection

_sql = Queries("lookup.sql")
_ingest = Queries("ingest.sql")

#: The longest id there is: a named one of a legacy dataset, 200 bytes.
ID_CHARS_MAX = 200
IDENTITIES_MAX = 100
_UUID_DIGITS = 32
_HEAD = re.compile(f"[0-9a-f]{{{ANONYMOUS_PRIMARY_CHARS}}}|[0-9a-f]{{{PRIMARY_CHARS}}}")


class Alias(msgspec.Struct, frozen=True):
    """A primary id that a person is no longer called by. `at`: since when, in µs. `profile_id`: whose it
    was, who lost it by becoming known (`promotion`) or by being absorbed (`merge`)."""

    id: str
    at: int
    profile_id: UUID
    by: Literal["promotion", "merge"]


class FoundProfile(msgspec.Struct, frozen=True):
    """A survivor with every id that it, or whom it stands for, was called by before, the oldest first."""

    survivor: Profile
    named: tuple[Alias, ...]

    @property
    def aliases(self) -> dict[str, int]:
        """What leads to the person beside the primary id, and since when. Under one anonymous id several
        profiles can have begun: it is one alias, since the first time."""
        found: dict[str, int] = {}
        for alias in self.named:
            if alias.id != self.survivor.primary_id:
                found.setdefault(alias.id, alias.at)
        return found


class Resolved(msgspec.Struct, frozen=True):
    """Whom a set of identities means. `matched`: the primary ids of everybody who holds one of them, best
    first; with several, the next event with this set makes them one, as far as nothing forbids it."""

    primary_id: str
    profile_id: UUID
    matched: tuple[str, ...]


class Lookup:
    """Finds people by what they are called."""

    def __init__(self, database: Database, configurations: Configurations, profiles: Profiles) -> None:
        self._database = database
        self._configurations = configurations
        self._profiles = profiles

    async def find(self, dataset_ref: DatasetRef, text: str) -> ProfileView | None:
        """The person that an id means; None if it means nobody. Only a profile id addresses an absorbed
        profile itself, every other id leads to the survivor."""
        if (profile_id := _profile_id(text)) is not None:
            view = await self._profiles.find(dataset_ref, profile_id)
            if view is not None:
                return view
        profile_id = await self._find_called(dataset_ref, text) or await self._find_holder(dataset_ref, text)
        view = None if profile_id is None else await self._profiles.find(dataset_ref, profile_id)
        return None if view is None else msgspec.structs.replace(view, profile=view.survivor)

    async def resolve(self, dataset_ref: DatasetRef, identities: Mapping[str, str]) -> Resolved | None:
        """Whom the next event with these identities, name → value, would be attached to; None: to somebody
        new. Raises InvalidInput for a name that is no identity attribute of the dataset."""
        config = await self._configurations.current(dataset_ref.dataset_id)
        if not 0 < len(identities) <= IDENTITIES_MAX:
            raise _invalid(f"Name 1 to {IDENTITIES_MAX} identities.")
        named = tuple(Identifier(_type_of(name, config), value) for name, value in identities.items())
        observation = Reindex(
            observation_id=uuid.uuid4(),
            new_profile_id=uuid.uuid4(),
            interface="lookup",
            identifiers=named,
        )
        evidence = extract_evidence(observation, config)
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            state = await _gather(connection, dataset_ref.dataset_id, evidence)
        return _resolved(state, observation, config, evidence)

    async def person(self, dataset_ref: DatasetRef, survivor: Profile) -> FoundProfile:
        """A survivor with its aliases."""
        (person,) = await self._people(dataset_ref, [survivor])
        return person

    async def page(self, dataset_ref: DatasetRef, limit: int, offset: int) -> list[FoundProfile]:
        """People, the newest first; the cost grows with the offset."""
        found = await self._database.fetch(_sql.list_people, dataset_ref.dataset_id, limit, offset)
        return await self._people(dataset_ref, [rows.read_profile(row) for row in found])

    async def devices(self, dataset_ref: DatasetRef, view: ProfileView) -> tuple[Identifier, ...]:
        """The browsers that point at a person now, anonymous ids and trackers, the oldest first."""
        everybody = [view.survivor.profile_id, *(each.profile_id for each in view.absorbed)]
        found = await self._database.fetch(
            _sql.find_devices, dataset_ref.dataset_id, everybody, [ANONYMOUS_ID, TRACKER]
        )
        return tuple(dict.fromkeys(Identifier(row["namespace"], row["value"]) for row in found))

    async def _find_called(self, dataset_ref: DatasetRef, text: str) -> UUID | None:
        called = display_value(text)
        if not called or len(called) > ID_CHARS_MAX or "\x00" in called:
            return None
        first, last = _range(called)
        found: UUID | None = await self._database.fetchval(
            _sql.find_called, dataset_ref.dataset_id, called, first, last, ANONYMOUS_ID, LEGACY_ID
        )
        return found

    async def _find_holder(self, dataset_ref: DatasetRef, text: str) -> UUID | None:
        config = await self._configurations.current(dataset_ref.dataset_id)
        identifier = _identifier(text, config)
        if identifier is None:
            return None
        indexed_since = config.indexed_since.get(identifier.namespace, 0)
        found: UUID | None = await self._database.fetchval(
            _sql.find_holder, dataset_ref.dataset_id, identifier.namespace, identifier.value, indexed_since
        )
        return found

    async def _people(self, dataset_ref: DatasetRef, survivors: list[Profile]) -> list[FoundProfile]:
        ids = [survivor.profile_id for survivor in survivors]
        absorbed: dict[UUID, list[Alias]] = {}
        for row in await self._database.fetch(_sql.find_absorbed, dataset_ref.dataset_id, ids):
            absorbed.setdefault(row["survivor_id"], []).extend(_aliases_of_row(row))
        return [_person(survivor, absorbed.get(survivor.profile_id, ())) for survivor in survivors]


def _profile_id(text: str) -> UUID | None:
    try:
        found = UUID(text)
    except ValueError:
        return None
    return found if str(found) == text.lower() else None


def _identifier(text: str, config: Config) -> Identifier | None:
    """What `namespace:value` names, spelled as claims are; None if it can name nobody."""
    name, colon, value = text.strip().partition(":")
    namespace = config.namespace(name)
    if not colon or namespace is None or "\x00" in value:
        return None
    found = normalise(Identifier(name, value), namespace)
    return found if isinstance(found, Identifier) else None


def _range(called: str) -> tuple[UUID | None, UUID | None]:
    """The profile ids that begin as this id does, if it looks like the head of one."""
    if not _HEAD.fullmatch(called):
        return None, None
    return UUID(called.ljust(_UUID_DIGITS, "0")), UUID(called.ljust(_UUID_DIGITS, "f"))


def _aliases_of_row(row: Any) -> list[Alias]:
    profile_id = row["profile_id"]
    before = msgspec.json.decode(row["aliases"], type=list[tuple[str, int]])
    own = [Alias(each, at, profile_id, "promotion") for each, at in before]
    return [*own, Alias(row["primary_id"], row["seq"], profile_id, "merge")]


def _person(survivor: Profile, absorbed: Iterable[Alias]) -> FoundProfile:
    own = [Alias(each, at, survivor.profile_id, "promotion") for each, at in survivor.aliases]
    return FoundProfile(survivor, tuple(sorted((*own, *absorbed), key=lambda alias: alias.at)))


def _type_of(name: str, config: Config) -> str:
    """The identity type behind a name of the event wire: spelled so, else in whatever case if only one is."""
    known = {each.name: each.type_id for each in config.identity_attributes.values()}
    known = {each: type_id for each, type_id in known.items() if type_id in config.bindings}
    if name in known:
        return known[name]
    alike = [each for each in known if each.casefold() == name.casefold()]
    if len(alike) == 1:
        return known[alike[0]]
    if not config.dataset.resolves_identities:
        raise _invalid("Identity resolution is off in this dataset; look users up by their id.")
    names = ", ".join(sorted(known)) or "none; bind one to an identity type first"
    raise _invalid(f"{name[:100]!r} is no identity attribute that is matched. There are: {names}.")


def _invalid(sentence: str) -> InvalidInput:
    return InvalidInput("identities", sentence)


async def _gather(connection: Connection, dataset_id: int, evidence: Evidence) -> WorkingSet:
    """Who holds what the evidence names, without keeping anybody from changing it."""
    names = [identifier.namespace for identifier in evidence.persons]
    values = [identifier.value for identifier in evidence.persons]
    no_spans: list[str] = []
    claims = await connection.fetch(_ingest.find_claims, dataset_id, names, values, no_spans, no_spans)
    wanted = {row["profile_id"] for row in claims} | {row["survivor_id"] for row in claims}
    found = await connection.fetch(_ingest.find_profiles, dataset_id, list(wanted))
    return WorkingSet((rows.read_profile(row) for row in found), (rows.read_claim(row) for row in claims))


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
